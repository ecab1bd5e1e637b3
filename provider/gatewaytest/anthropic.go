package gatewaytest

import (
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// anthropic answers as Anthropic's own API (https://platform.claude.com/docs/en/api/messages).
func (c *call) anthropic() *answer {
	if refused := c.anthropicKey(); refused != nil {
		return refused
	}
	if c.bodyErr != nil {
		return anthropicInvalid("The request body is not valid JSON")
	}
	if c.request.Header.Get("Anthropic-Version") == "" {
		return anthropicInvalid("anthropic-version: header is required")
	}
	known, beta := anthropicFields, anthropicBetaFields
	switch c.path {
	case "v1/messages":
	case "v1/messages/count_tokens":
		known, beta = anthropicCountFields, anthropicBetaCountFields
	default:
		return anthropicFailure(http.StatusNotFound, "not_found_error", "Not Found")
	}
	if c.request.Header.Get("Anthropic-Beta") != "" {
		known = known.with(beta)
	}
	if found := violations(c.body, known, ""); len(found) > 0 {
		return anthropicInvalid(anthropicViolation(found[0]))
	}
	if wrong := checkAnthropic(c.body); wrong != "" {
		return anthropicInvalid(wrong)
	}
	model := str(c.body, "model")
	if !strings.HasPrefix(model, "claude-") {
		return anthropicFailure(http.StatusNotFound, "not_found_error", "model: "+model)
	}
	q := c.anthropicQuestion(model)
	if c.path != "v1/messages" {
		return jsonAnswer(http.StatusOK, object{"input_tokens": (q.size + 3) / 4})
	}
	a := &anthropicAnswer{call: c, reply: c.reply(q), model: model}
	if c.stream() {
		return a.events()
	}
	return jsonAnswer(http.StatusOK, a.whole())
}

// anthropicHeaders returns a provider's headers in the form that Anthropic's own API wants: the
// key, which compat takes in Authorization, is in x-api-key.
func anthropicHeaders(headers map[string]string) map[string]string {
	headers = maps.Clone(headers)
	for name, value := range headers {
		if key, ok := strings.CutPrefix(value, "Bearer sk-ant-"); ok && http.CanonicalHeaderKey(name) == "Authorization" {
			delete(headers, name)
			headers["X-Api-Key"] = "sk-ant-" + key
		}
	}
	return headers
}

func (c *call) anthropicKey() *answer {
	switch {
	case c.authorized():
		return nil
	case c.request.Header.Get("X-Api-Key") == "":
		return anthropicFailure(http.StatusUnauthorized, "authentication_error", "x-api-key header is required")
	}
	return anthropicFailure(http.StatusUnauthorized, "authentication_error", "invalid x-api-key")
}

func anthropicInvalid(text string) *answer {
	return anthropicFailure(http.StatusBadRequest, "invalid_request_error", text)
}

var index = regexp.MustCompile(`\[(\d+)\]`)

// anthropicViolation returns Anthropic's message for a violation.
func anthropicViolation(v violation) string {
	at := func(path string) string { return index.ReplaceAllString(path, ".$1") }
	value, isText := v.value.(string)
	switch {
	case v.unknown:
		return at(v.path()) + ": Extra inputs are not permitted"
	case v.missing:
		return at(v.path()) + ": Field required"
	case isText && v.want.enum != nil && v.name == "type":
		return fmt.Sprintf("%s: Input tag '%s' found using 'type' does not match any of the expected tags: '%s'", at(v.at), value, strings.Join(v.want.enum, "', '"))
	case isText && v.want.enum != nil:
		return at(v.path()) + ": Input should be '" + strings.Join(v.want.enum, "', '") + "'"
	}
	name := map[kind]string{text: "string", bytes64: "string", number: "number", integer: "integer", boolean: "boolean"}[v.want.kind]
	switch {
	case v.want.list:
		name = "list"
	case name == "":
		name = "dictionary"
	}
	return at(v.path()) + ": Input should be a valid " + name
}

// anthropicFailure returns an error of Anthropic's
// (https://platform.claude.com/docs/en/api/errors).
func anthropicFailure(status int, kind, text string) *answer {
	a := jsonAnswer(status, object{
		"type": "error", "error": object{"type": kind, "message": text}, "request_id": anthropicRequestID,
	})
	a.header = http.Header{"Request-Id": {anthropicRequestID}}
	return a
}

const anthropicRequestID = "req_gatewaytest"

// anthropicQuestion reads a request.
func (c *call) anthropicQuestion(model string) question {
	q := question{
		model: model, stop: words(c.body["stop_sequences"]), maxTokens: integerOf(c.body, "max_tokens"),
		single: child(c.body, "tool_choice")["disable_parallel_tool_use"] == true,
	}
	for _, name := range []string{"messages", "system", "tools"} {
		if c.body[name] != nil {
			q.size += len(encode(c.body[name]))
		}
	}
	for _, m := range objects(c.body, "messages") {
		if str(m, "role") == "user" {
			q.prompt, q.result = contentText(m["content"]), ""
			for _, block := range blocksOf(m, "tool_result") {
				q.result = contentText(block["content"])
			}
			if q.prompt != "" {
				q.result = ""
			}
		}
	}
	format := child(child(c.body, "output_config"), "format")
	if len(format) == 0 {
		format = child(c.body, "output_format")
	}
	q.format(format)
	choice := child(c.body, "tool_choice")
	if str(choice, "type") == "none" {
		return q
	}
	for _, t := range objects(c.body, "tools") {
		if kind := str(t, "type"); kind == "" || kind == "custom" {
			q.tools = append(q.tools, tool{name: str(t, "name"), schema: child(t, "input_schema")})
		}
	}
	q.forced = str(choice, "name")
	if str(choice, "type") == "any" && len(q.tools) > 0 {
		q.forced = q.tools[0].name
	}
	return q
}

// blocksOf returns the blocks of one type in a message, in order.
func blocksOf(m object, kind string) []object {
	return slices.DeleteFunc(objects(m, "content"), func(block object) bool { return str(block, "type") != kind })
}
