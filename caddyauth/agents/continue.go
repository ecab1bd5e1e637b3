package agents

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// clientModel says how Continue must use a model.
type clientModel struct {
	name, model  string
	roles        []string
	capabilities []string
	useChat      bool // without it, Continue would send POST /responses, which not every provider has
	batch        int  // the most inputs that an embeddings model takes at once; 0 means no limit
}

// These patterns guess from a model's name what the model can do, because nothing else says so.
// Continue's own defaults do the same.
var (
	embeds      = regexp.MustCompile(`(?i)embed|minilm|\b(bge|e5|gte)-`)
	reranks     = regexp.MustCompile(`(?i)rerank`)
	completes   = regexp.MustCompile(`(?i)qwen.*coder|codeqwen|codestral|starcoder|stable-code|codellama|codegemma|deepseek-coder|codegeex`) // Continue knows the markers of these
	isBase      = regexp.MustCompile(`(?i)-base\b|starcoder|stable-code|codellama|codegemma`)
	isInstruct  = regexp.MustCompile(`(?i)instruct|-chat\b|-it\b`)
	asksInWords = regexp.MustCompile(`(?i)gpt-[34].*(mini|nano)|claude.*haiku`) // Continue sends no markers to these, and the small ones are fast enough
	sees        = regexp.MustCompile(`(?i)vision|gpt-4o|gpt-4\.1|gpt-4-turbo|gpt-[5-9]|/o(1|3|4-mini)(-20[0-9-]+)?$|gemini|gemma-3|claude|llava|pixtral|llama-4|mistral-small-3|qwen.*-vl\b`)
	callsNone   = regexp.MustCompile(`(?i)llama-2|llava|gemma-2|deepseek-r1|-base\b|mistral-7b|phi-2|tinyllama`)
	responds    = regexp.MustCompile(`^o[0-9]+|gpt-[5-9]`) // Continue's own test of the whole name
)

// clientModels returns the models that Continue can use. It also returns the rerankers, for which
// there is no endpoint.
func (c Config) clientModels() (usable []clientModel, rerankers []string) {
	names, seen := map[string]bool{}, map[string]bool{}
	for _, model := range c.Models {
		if seen[model] {
			continue
		}
		seen[model] = true
		if reranks.MatchString(model) {
			rerankers = append(rerankers, model)
			continue
		}
		m := newClientModel(model)
		if names[m.name] {
			m.name = model // Continue silently drops a second model of the same name
		}
		names[m.name] = true
		usable = append(usable, m)
	}
	if completing(usable) < 0 {
		if i := slices.IndexFunc(usable, func(m clientModel) bool { return m.does("chat") && asksInWords.MatchString(m.model) }); i >= 0 {
			usable[i].roles = append(usable[i].roles, "autocomplete")
		}
	}
	return usable, rerankers
}

func newClientModel(model string) clientModel {
	m := clientModel{name: displayName(model), model: model}
	if embeds.MatchString(model) {
		m.roles = []string{"embed"}
		if strings.HasPrefix(model, "google-ai-studio/") || strings.HasPrefix(model, "workers-ai/") {
			m.batch = 100 // https://github.com/cloudflare/cloudflare-docs/issues/11316; Continue sends 128
		}
		return m
	}
	m.useChat = responds.MatchString(model)
	code := completes.MatchString(model)
	if !code || !isBase.MatchString(model) || isInstruct.MatchString(model) {
		m.roles = []string{"chat", "edit", "apply"}
		if !callsNone.MatchString(model) {
			m.capabilities = append(m.capabilities, "tool_use")
		}
		if sees.MatchString(model) {
			m.capabilities = append(m.capabilities, "image_input")
		}
	}
	if code {
		m.roles = append(m.roles, "autocomplete")
	}
	return m
}

func (m clientModel) does(role string) bool { return slices.Contains(m.roles, role) }

func (m clientModel) can(capability string) bool { return slices.Contains(m.capabilities, capability) }

// completing returns the index of the model for tab completion, or -1 if there is none.
func completing(models []clientModel) int {
	return slices.IndexFunc(models, func(m clientModel) bool { return m.does("autocomplete") })
}

// inCapitals matches parts of models' names that are abbreviations or sizes.
var inCapitals = regexp.MustCompile(`^(gpt|oss|bge|awq|hf|fp8|[ae]?[0-9.]+[bm])$`)

// displayName returns the last part of a model's name in words, with its provider: "Llama 3.1 8B
// Instruct (Workers AI)".
func displayName(model string) string {
	provider, _, _ := strings.Cut(model, "/")
	if known := map[string]string{"workers-ai": "Workers AI", "azure-openai": "Azure OpenAI", "google-ai-studio": "Google AI Studio", "openai": "OpenAI"}[provider]; known != "" {
		provider = known
	}
	last := model[strings.LastIndex(model, "/")+1:]
	words := strings.FieldsFunc(last, func(c rune) bool { return c == '-' || c == '_' })
	for i, word := range words {
		if inCapitals.MatchString(word) {
			words[i] = strings.ToUpper(word)
			continue
		}
		first, size := utf8.DecodeRuneInString(word)
		words[i] = string(unicode.ToTitle(first)) + word[size:]
	}
	if len(words) == 0 {
		words = []string{last}
	}
	return strings.Join(words, " ") + " (" + provider + ")"
}

// yaml writes Continue's config.yaml.
func (c Config) yaml(out io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# Continue's configuration for %s: ~/.continue/config.yaml.\n# Replace %s by your API key.\n", Printable(c.Email), KeyPlaceholder)
	b.WriteString("name: AI proxy\nversion: 1.0.0\nschema: v1\n")
	models, rerankers := c.clientModels()
	for _, model := range rerankers {
		fmt.Fprintf(&b, "# Left out, because there is no endpoint for rerankers: %s\n", Printable(model))
	}
	if len(models) == 0 {
		b.WriteString("models: [] # no model is listed that this user may use in Continue\n")
	} else {
		b.WriteString(completionNote(models) + "models:\n")
	}
	for i, m := range models {
		c.yamlModel(&b, m, i == 0)
	}
	_, err := out.Write(b.Bytes())
	return err
}

// completionNote returns a comment about tab completion if no code model is listed.
func completionNote(models []clientModel) string {
	switch i := completing(models); {
	case i < 0:
		return "# Tab completion: no model here is suitable, so none has the role autocomplete. Continue would send\n" +
			"# these models markers that they do not know, or wait too long for their answers. Ask for a code model,\n" +
			"# such as workers-ai/@cf/qwen/qwen2.5-coder-32b-instruct.\n"
	case !completes.MatchString(models[i].model):
		return "# Tab completion: no code model is listed. The model with the role autocomplete is asked in words instead.\n" +
			"# This works, but is slower and takes more tokens. Ask for a code model, such as\n" +
			"# workers-ai/@cf/qwen/qwen2.5-coder-32b-instruct.\n"
	}
	return ""
}

// yamlModel writes a model. The first model defines the requestOptions of all.
func (c Config) yamlModel(b *bytes.Buffer, m clientModel, first bool) {
	fmt.Fprintf(b, "  - name: %s\n    provider: openai\n    model: %s\n    apiBase: %s\n    apiKey: %s\n", scalar(m.name), scalar(m.model), scalar(c.APIBase), KeyPlaceholder)
	if m.useChat {
		b.WriteString("    useResponsesApi: false\n")
	}
	fmt.Fprintf(b, "    roles: [%s]\n", strings.Join(m.roles, ", "))
	if m.batch > 0 {
		fmt.Fprintf(b, "    embedOptions:\n      maxBatchSize: %d\n", m.batch)
	}
	if len(m.capabilities) > 0 {
		fmt.Fprintf(b, "    capabilities: [%s]\n", strings.Join(m.capabilities, ", "))
	}
	if first {
		fmt.Fprintf(b, "    requestOptions: &user\n      headers:\n        %s: %s\n", scalar(strings.ToLower(c.EmailHeader)), scalar(c.Email))
	} else {
		b.WriteString("    requestOptions: *user\n")
	}
}

// Printable returns s without characters that could end a comment or change the terminal.
func Printable(s string) string {
	return strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) {
			return '?'
		}
		return c
	}, s)
}

// These strings need no quotes in YAML.
var (
	plainScalar = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9._/@()+-]*([ ][A-Za-z0-9._/@()+-]+)*$`)
	plainURL    = regexp.MustCompile(`^https?://[A-Za-z0-9._-]+(:[0-9]+)?(/[A-Za-z0-9._/-]*)?$`)
	notStrings  = []string{"true", "false", "null", "yes", "no", "on", "off", "y", "n"}
)

// scalar returns s as a YAML string. In valid UTF-8, Go's escapes mean the same in YAML's double
// quotes (https://yaml.org/spec/1.2.2/#57-escaped-characters).
func scalar(s string) string {
	if plainURL.MatchString(s) || plainScalar.MatchString(s) && !slices.Contains(notStrings, strings.ToLower(s)) {
		return s
	}
	return strconv.Quote(strings.ToValidUTF8(s, "\uFFFD"))
}

// oldModel is a model in Continue's old config.json.
type oldModel struct {
	Title           string           `json:"title,omitempty"`
	Provider        string           `json:"provider"`
	Model           string           `json:"model"`
	APIBase         string           `json:"apiBase"`
	APIKey          string           `json:"apiKey"`
	UseResponsesAPI *bool            `json:"useResponsesApi,omitempty"`
	MaxBatch        int              `json:"maxEmbeddingBatchSize,omitempty"`
	Capabilities    *oldCapabilities `json:"capabilities,omitempty"`
	RequestOptions  struct {
		Headers map[string]string `json:"headers"`
	} `json:"requestOptions"`
}

type oldCapabilities struct {
	Tools       bool `json:"tools"`
	UploadImage bool `json:"uploadImage"`
}

// json writes Continue's old config.json. It has only one model for tab completion and one for
// embeddings.
func (c Config) json(out io.Writer) error {
	config := struct {
		Models       []oldModel `json:"models"`
		Autocomplete *oldModel  `json:"tabAutocompleteModel,omitempty"`
		Embeddings   *oldModel  `json:"embeddingsProvider,omitempty"`
	}{Models: []oldModel{}}
	models, _ := c.clientModels()
	for _, m := range models {
		old := oldModel{Title: m.name, Provider: "openai", Model: m.model, APIBase: c.APIBase, APIKey: KeyPlaceholder, MaxBatch: m.batch}
		old.RequestOptions.Headers = map[string]string{strings.ToLower(c.EmailHeader): c.Email}
		if m.useChat {
			old.UseResponsesAPI = new(bool)
		}
		if m.does("autocomplete") && config.Autocomplete == nil {
			config.Autocomplete = &old
		}
		if m.does("embed") && config.Embeddings == nil {
			config.Embeddings = &old
		}
		if m.does("chat") {
			chat := old
			chat.Capabilities = &oldCapabilities{m.can("tool_use"), m.can("image_input")}
			config.Models = append(config.Models, chat)
		}
	}
	return writeJSON(out, config)
}

func writeJSON(out io.Writer, v any) error {
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
