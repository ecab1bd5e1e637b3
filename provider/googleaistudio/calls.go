package googleaistudio

import (
	"strings"

	"github.com/tidwall/gjson"

	"github.com/continue-auth/caddy-continue-auth/provider/openai"
)

// call is a function that the model called, and what came of it.
type call struct {
	turn     *turn
	id, name string
	result   string // a JSON object, empty until it is known
}

// assistantCalls reads the calls of an assistant's message into t.
func (c *conversation) assistantCalls(t *turn, at string, m gjson.Result) error {
	if calls := m.Get("tool_calls"); calls.IsArray() && calls.Raw != "[]" {
		return each(at+".tool_calls", calls, func(at string, toolCall gjson.Result) error {
			if kind := toolCall.Get("type"); kind.Type != gjson.Null && kind.Str != "function" {
				return openai.BadRequest(at+".type", "Send tool calls of type function.")
			}
			id := toolCall.Get("id").Str
			return c.call(t, at+".function", id, toolCall.Get("function"), signature(toolCall))
		})
	} else if calls.Type != gjson.Null && !calls.IsArray() {
		return openai.BadRequest(at+".tool_calls", "Send `tool_calls` as an array.")
	}
	if function := m.Get("function_call"); function.IsObject() {
		return c.call(t, at+".function_call", "", function, "")
	}
	return nil
}

// anySignature is what Google documents for calls whose signature is lost or which another model
// made (https://ai.google.dev/gemini-api/docs/thought-signatures).
const anySignature = "skip_thought_signature_validator"

// signature is the thought signature that came with a tool call, as Google's own OpenAI dialect
// carries it. It stays the text that it was: decoding it could change it.
func signature(toolCall gjson.Result) string {
	extra := toolCall.Get("extra_content")
	if s := extra.Get("google.thought_signature").Str; s != "" {
		return s
	}
	return extra.Get("vertex.thought_signature").Str
}

// call adds a call of function, {"name","arguments"}, to t.
func (c *conversation) call(t *turn, at, id string, function gjson.Result, signature string) error {
	name := function.Get("name").Str
	if name == "" {
		return openai.BadRequest(at+".name", "Send the called function's `name`.")
	}
	if signature == "" && id != "" {
		signature = c.recall(id)
	}
	if signature == "" && len(t.calls) == 0 { // Gemini 3 refuses a turn whose first call has none
		signature = anySignature
	}
	called := &call{turn: t, id: id, name: name}
	t.calls = append(t.calls, called)
	t.parts = called.append(separate(t.parts), arguments(function.Get("arguments")), signature)

	wait(c.byID, id, called)
	wait(c.byName, name, called)
	return nil
}

// wait adds a call to those of a key that wait for their results. Ids may begin anew with each
// turn.
func wait(waiting map[string][]*call, key string, called *call) {
	others := waiting[key]
	if len(others) > 0 && others[0].turn != called.turn {
		others = nil
	}
	waiting[key] = append(others, called)
}

// firstWaiting returns the first call of a key that waits for its result, nil if none does.
func firstWaiting(waiting map[string][]*call, key string) *call {
	for _, called := range waiting[key] {
		if called.result == "" {
			return called
		}
	}
	return nil
}

// arguments are a call's as an object. Models write them, so that they need not be JSON.
func arguments(value gjson.Result) string {
	object := value.Raw
	if value.Type == gjson.String {
		object = value.Str
	}
	if !openai.ValidObject([]byte(object)) {
		return "{}"
	}
	return strings.TrimSpace(object)
}

// append appends the part that calls the function.
func (f *call) append(b []byte, arguments, signature string) []byte {
	b = f.appendName(append(b, `{"functionCall":{`...))
	b = append(append(b, `,"args":`...), arguments...)
	b = append(b, '}')
	if signature != "" {
		b = openai.AppendString(append(b, `,"thoughtSignature":`...), signature)
	}
	return append(b, '}')
}

func (f *call) appendName(b []byte) []byte {
	if f.id != "" {
		b = openai.AppendString(append(b, `"id":`...), f.id)
		b = append(b, ',')
	}
	return openai.AppendString(append(b, `"name":`...), f.name)
}

// noResult stands where the client sent no result: Gemini wants one for every call.
const noResult = `{"error":"no result"}`

// appendResult appends the part with the function's result.
func (f *call) appendResult(b []byte) []byte {
	result := f.result
	if result == "" {
		result = noResult
	}
	b = f.appendName(append(b, `{"functionResponse":{`...))
	return append(append(append(b, `,"response":`...), result...), "}}"...)
}

// result notes the result that a message holds. The field names the call: its id, or as in the
// deprecated kind the function's name, which serves where an id is not there too.
func (c *conversation) result(at, field string, m gjson.Result) error {
	output, err := text(at+".content", m.Get("content"))
	if err != nil {
		return err
	}
	id := m.Get("tool_call_id").Str
	called := firstWaiting(c.byID, id)
	if id == "" || field == "name" {
		called = firstWaiting(c.byName, m.Get("name").Str)
	}
	if called == nil {
		return openai.BadRequest(at+"."+field, "Send each tool's result once, after the assistant's message that calls it: this one belongs to no call.")
	}
	called.result = response(output)
	if called.turn == c.last() {
		c.turns = append(c.turns, &turn{role: user})
	}
	return nil
}

// response is the object that Gemini wants for a function's output: the output itself where it is
// one, unless Gemini could take something in it for a reference.
func response(output string) string {
	if openai.ValidObject([]byte(output)) && !refers(output) {
		return strings.TrimSpace(output)
	}
	return string(append(openai.AppendString([]byte(`{"output":`), output), '}'))
}

// refers reports whether JSON could have a key `$ref` or `$defs`, however it is escaped.
func refers(json string) bool {
	return strings.Contains(json, `"$ref"`) || strings.Contains(json, `"$defs"`) || strings.Contains(json, `\u0`)
}
