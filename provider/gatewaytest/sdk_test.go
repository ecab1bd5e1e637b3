package gatewaytest

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/anthropics/anthropic-sdk-go/v2"
	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/responses"
	"google.golang.org/genai"
)

// beyondSDK are fields that this package knows and the official SDKs do not, by path, with the
// reason.
var beyondSDK = map[string]string{
	"chat.stream":      "the SDK sets it where it streams",
	"completed.stream": "the SDK sets it where it streams",
	"responses.stream": "the SDK sets it where it streams",
	"messages.stream":  "the SDK sets it where it streams",

	"responses.client_metadata": "Codex sends it, and OpenAI takes it",
	"responses.input<message>.internal_chat_message_metadata_passthrough":                 "Codex sends it, and OpenAI takes it",
	"responses.input<function_call>.internal_chat_message_metadata_passthrough":           "Codex sends it, and OpenAI takes it",
	"responses.input<function_call_output>.internal_chat_message_metadata_passthrough":    "Codex sends it, and OpenAI takes it",
	"responses.input<custom_tool_call>.internal_chat_message_metadata_passthrough":        "Codex sends it, and OpenAI takes it",
	"responses.input<custom_tool_call_output>.internal_chat_message_metadata_passthrough": "Codex sends it, and OpenAI takes it",
	"responses.input<reasoning>.internal_chat_message_metadata_passthrough":               "Codex sends it, and OpenAI takes it",
	"responses.tools<web_search>.search_content_types":                                    "Codex sends it; the SDK has it in answers alone",
	"responses.tools<web_search_2025_08_26>.search_content_types":                         "another date of the same tool",
	"responses.input<additional_tools>.tools<web_search>.search_content_types":            "Codex sends it; the SDK has it in answers alone",
	"responses.input<additional_tools>.tools<web_search_2025_08_26>.search_content_types": "another date of the same tool",

	"messages.tools<custom>.input_schema.*": "a JSON schema has more; the SDK keeps it in ExtraFields",
	"count.tools<custom>.input_schema.*":    "a JSON schema has more; the SDK keeps it in ExtraFields",

	"messages.temperature": sampling,
	"messages.top_k":       sampling,
	"messages.top_p":       sampling,

	"gemini.tools.functionDeclarations.parameters.properties.*": aMap,
	"gemini.tools.functionDeclarations.response.properties.*":   aMap,
	"gemini.responseSchema.properties.*":                        aMap,

	"gemini.contents":          "the SDK has them beside the config",
	"gemini.generationConfig":  "the SDK makes it of the rest of the config",
	"embed.content":            "the SDK has it beside the config",
	"embed.model":              "the SDK has it beside the config",
	"embed.embedContentConfig": "the REST reference has it: https://ai.google.dev/api/embeddings",
}

// notSent are members of the SDKs' types that are never sent to the simulated API.
var notSent = map[string]string{
	"gemini.httpOptions":           "for the SDK itself",
	"gemini.automaticContinuation": "for the SDK itself",
	"embed.httpOptions":            "for the SDK itself",

	"gemini.audioTimestamp":            enterprise,
	"gemini.generationOutputConfig":    enterprise,
	"gemini.modelArmorConfig":          enterprise,
	"gemini.modelSelectionConfig":      enterprise,
	"gemini.routingConfig":             enterprise,
	"gemini.safetySettings.method":     enterprise,
	"gemini.tools.enterpriseWebSearch": enterprise,
	"gemini.tools.exaAiSearch":         enterprise,
	"gemini.tools.parallelAiSearch":    enterprise,
	"gemini.tools.retrieval":           enterprise,
	"gemini.toolConfig.functionCallingConfig.streamFunctionCallArguments": enterprise,
	"contents.parts.functionCall.partialArgs":                             enterprise,
	"contents.parts.functionCall.willContinue":                            enterprise,
	"gemini.systemInstruction.parts.functionCall.partialArgs":             enterprise,
	"gemini.systemInstruction.parts.functionCall.willContinue":            enterprise,
	"embed.audioTrackExtraction":                                          enterprise,
	"embed.autoTruncate":                                                  enterprise,
	"embed.documentOcr":                                                   enterprise,
	"embed.mimeType":                                                      enterprise,
}

const (
	sampling = "deprecated and no longer in the SDK; older models take it, and clients send it"
	aMap     = "it stands for all names of a map"
)

const enterprise = "the SDK refuses it for the Gemini API"

// formNames are the names of the forms for types whose name is not a constant.
var formNames = map[reflect.Type][]string{
	reflect.TypeFor[responses.EasyInputMessageParam]():                {"message", ""},
	reflect.TypeFor[responses.ResponseInputItemMessageParam]():        {"message", ""},
	reflect.TypeFor[responses.ResponseOutputMessageParam]():           {"message", ""},
	reflect.TypeFor[responses.ResponseInputItemItemReferenceParam]():  {"item_reference", ""},
	reflect.TypeFor[responses.ResponseComputerToolCallParam]():        {"computer_call"},
	reflect.TypeFor[responses.WebSearchToolParam]():                   {"web_search", "web_search_2025_08_26"},
	reflect.TypeFor[responses.WebSearchPreviewToolParam]():            {"web_search_preview", "web_search_preview_2025_03_11"},
	reflect.TypeFor[responses.ToolChoiceTypesParam]():                 {"file_search", "web_search_preview", "computer", "computer_use_preview", "computer_use", "web_search_preview_2025_03_11", "image_generation", "code_interpreter"},
	reflect.TypeFor[anthropic.ToolParam]():                            {"custom"},
	reflect.TypeFor[anthropic.BetaToolParam]():                        {"custom"},
	reflect.TypeFor[anthropic.ToolSearchToolBm25_20251119Param]():     {"tool_search_tool_bm25", "tool_search_tool_bm25_20251119"},
	reflect.TypeFor[anthropic.BetaToolSearchToolBm25_20251119Param](): {"tool_search_tool_bm25", "tool_search_tool_bm25_20251119"},
	reflect.TypeFor[anthropic.ToolSearchToolRegex20251119Param]():     {"tool_search_tool_regex", "tool_search_tool_regex_20251119"},
	reflect.TypeFor[anthropic.BetaToolSearchToolRegex20251119Param](): {"tool_search_tool_regex", "tool_search_tool_regex_20251119"},
}

func TestTheSDKsAndTheChecksKnowTheSameFields(t *testing.T) {
	beta := anthropicFields.with(anthropicBetaFields)
	betaCount := anthropicCountFields.with(anthropicBetaCountFields)
	c := comparison{T: t, used: make(map[string]bool)}
	c.compare("chat", chatFields, openai.ChatCompletionNewParams{})
	c.compare("completed", completionFields, openai.CompletionNewParams{})
	c.compare("embeddings", embeddingFields, openai.EmbeddingNewParams{})
	c.compare("responses", responseFields, responses.ResponseNewParams{})
	c.compare("messages", beta, anthropic.BetaMessageNewParams{}, anthropic.MessageNewParams{})
	c.compare("count", betaCount, anthropic.BetaMessageCountTokensParams{}, anthropic.MessageCountTokensParams{})
	c.compare("gemini", geminiRequest.with(geminiConfig), genai.GenerateContentConfig{})
	c.compare("contents", geminiContent, genai.Content{})
	c.compare("embed", geminiEmbed, genai.EmbedContentConfig{})
	for _, excuses := range []map[string]string{beyondSDK, notSent} {
		for path := range excuses {
			if !c.used[path] {
				t.Error(path, "needs no excuse")
			}
		}
	}
}

// Anthropic's stable fields must work without the header.
func TestOnlyBetaFieldsNeedTheHeader(t *testing.T) {
	for name, of := range membersOf([]reflect.Type{reflect.TypeFor[anthropic.MessageNewParams]()}) {
		if _, ok := anthropicFields[name]; !ok {
			t.Error(name, of, "is refused without anthropic-beta")
		}
	}
}

type comparison struct {
	*testing.T
	used map[string]bool
}

func (c comparison) compare(at string, known fields, of ...any) {
	var types []reflect.Type
	for _, v := range of {
		types = append(types, reflect.TypeOf(v))
	}
	c.fields(at, known, types, nil)
}

// fields compares known fields with the members of SDK types. The types are the forms of one
// object.
func (c comparison) fields(at string, known fields, types []reflect.Type, above []reflect.Type) {
	if len(above) > 12 || slices.ContainsFunc(types, func(t reflect.Type) bool { return slices.Contains(above, t) }) {
		return // a schema can contain schemas
	}
	above = append(slices.Clone(above), types...)
	members := membersOf(types)
	for name, of := range members {
		path := at + "." + name
		want, ok := known[name]
		switch {
		case !ok && notSent[path] != "":
			c.used[path] = true
		case !ok:
			c.Errorf("%s (%v) is refused", path, of)
		default:
			c.field(path, want, of, above)
		}
	}
	for name := range known {
		path := at + "." + name
		if _, ok := members[name]; ok {
			continue
		}
		if plain := withoutForms(path); beyondSDK[path] == "" && beyondSDK[plain] == "" {
			c.Errorf("%s is known to no SDK", path)
		}
		c.used[path] = true
	}
}

// withoutForms returns a path in which an item without a type counts as a message.
func withoutForms(path string) string { return strings.ReplaceAll(path, "input<>", "input<message>") }

func (c comparison) field(path string, want field, of []reflect.Type, above []reflect.Type) {
	var objects []reflect.Type
	for _, one := range flatten(of) {
		switch kind := kindOf(one.Type); {
		case want.kind == anything || one.Type == reflect.TypeFor[time.Duration](), kind == anything:
		case kind == text && (want.orText || want.kind == text && want.list == one.list || want.kind == bytes64):
		case kind == structure && (want.kind == structure || want.kind == message || want.kind == variant) && want.list == one.list:
			objects = append(objects, one.Type)
		case kind == want.kind && want.list == one.list:
		case kind == integer && want.kind == number:
		default:
			c.Errorf("%s: %v (list: %t) is taken for a wrong type", path, one.Type, one.list)
		}
	}
	switch want.kind {
	case message:
		c.fields(path, want.of, objects, above)
	case variant:
		c.forms(path, want, objects, above)
	}
}

func (c comparison) forms(path string, want field, types []reflect.Type, above []reflect.Type) {
	byName := make(map[string][]reflect.Type)
	for _, one := range types {
		for _, name := range formsOf(one, want.by) {
			byName[name] = append(byName[name], one)
		}
	}
	for name, of := range byName {
		form, ok := want.forms[name]
		if !ok {
			c.Errorf("%s<%s> (%v) is refused", path, name, of)
			continue
		}
		c.fields(path+"<"+name+">", form, of, above)
	}
	for name := range want.forms {
		if byName[name] == nil {
			c.Errorf("%s<%s> is known to no SDK", path, name)
		}
	}
}

func formsOf(t reflect.Type, by string) []string {
	if names := formNames[t]; names != nil {
		return names
	}
	for i := range t.NumField() {
		if name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ","); name == by {
			if constant, ok := reflect.Zero(t.Field(i).Type).Interface().(interface{ Default() string }); ok {
				return []string{constant.Default()}
			}
			if method := reflect.New(t.Field(i).Type).MethodByName("Default"); method.IsValid() {
				return []string{method.Call(nil)[0].String()}
			}
		}
	}
	return []string{"no name: " + t.String()}
}

// membersOf returns the members of structs, by their JSON names.
func membersOf(types []reflect.Type) map[string][]reflect.Type {
	members := make(map[string][]reflect.Type)
	for _, t := range types {
		if t.Kind() != reflect.Struct {
			continue // a map has no members
		}
		for i := range t.NumField() {
			f := t.Field(i)
			if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); f.IsExported() && name != "" && name != "-" {
				members[name] = append(members[name], f.Type)
			}
		}
	}
	return members
}

// possible is one type that a value can have.
type possible struct {
	reflect.Type
	list bool
}

// flatten returns the types within pointers, lists, optional values and unions.
func flatten(types []reflect.Type) []possible { return flattenTo(types, 5) }

// flattenTo goes at most levels deep, because unions can contain themselves.
func flattenTo(types []reflect.Type, levels int) []possible {
	var all []possible
	if levels == 0 {
		return nil
	}
	for _, t := range types {
		for t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		switch {
		case t.Kind() == reflect.Slice && t.Elem().Kind() != reflect.Uint8:
			for _, one := range flattenTo([]reflect.Type{t.Elem()}, levels-1) {
				all = append(all, possible{one.Type, true})
			}
		case t.Kind() == reflect.Struct && strings.HasPrefix(t.Name(), "Opt["):
			all = append(all, flattenTo([]reflect.Type{t.Field(0).Type}, levels-1)...)
		case isUnion(t):
			for i := range t.NumField() {
				if strings.HasSuffix(t.Field(i).Tag.Get("json"), ",inline") {
					all = append(all, flattenTo([]reflect.Type{t.Field(i).Type}, levels-1)...)
				}
			}
		default:
			all = append(all, possible{t, false})
		}
	}
	return all
}

func isUnion(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && t.NumField() > 0 && strings.HasSuffix(t.Field(0).Tag.Get("json"), ",inline")
}

func kindOf(t reflect.Type) kind {
	switch t.Kind() {
	case reflect.String:
		return text
	case reflect.Slice:
		return bytes64
	case reflect.Bool:
		return boolean
	case reflect.Int, reflect.Int32, reflect.Int64:
		return integer
	case reflect.Float32, reflect.Float64:
		return number
	case reflect.Struct, reflect.Map:
		return structure
	}
	return anything
}
