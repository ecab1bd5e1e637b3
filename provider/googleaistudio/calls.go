package googleaistudio

import (
	"bytes"

	"github.com/tidwall/gjson"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
)

// call is a call of a function by the model, with the call's result.
type call struct {
	turn     *turn
	id, name string // Google's id: the client's, unless another call has that id
	result   []byte // the function's output as a JSON string; nil until it is known
}

// toolCall is a call in a message. Values that may have several types are kept as JSON.
type toolCall struct {
	id                    string
	kind, function, extra []byte
}

func readToolCall(r *jsontext.Reader) (t toolCall) {
	r.Object(func(name []byte) {
		switch string(name) {
		case "id":
			t.id = r.String()
		case "type":
			t.kind = r.Raw()
		case "function":
			t.function = r.Raw()
		case "extra_content":
			t.extra = r.Raw()
		}
	})
	return t
}

// assistantCalls adds the calls of an assistant's message to t.
func (c *conversation) assistantCalls(t *turn, at string, m *message) error {
	switch of := kind(m.toolCalls); {
	case of == '[' && string(m.toolCalls) != "[]":
		return each(at+".tool_calls", m.toolCalls, func(at string, r *jsontext.Reader) error {
			made := readToolCall(r)
			if kind(made.kind) != 'n' && gjson.ParseBytes(made.kind).Str != "function" {
				return hub.BadRequest(at+".type", "Send tool calls of type function.")
			}
			return c.call(t, at+".function", made.id, made.function, signature(made.extra))
		})
	case of != '[' && of != 'n':
		return hub.BadRequest(at+".tool_calls", "Send `tool_calls` as an array.")
	}
	if kind(m.function) == '{' {
		return c.call(t, at+".function_call", "", m.function, "")
	}
	return nil
}

// anySignature is the value that Google documents for calls whose signature is lost, and for calls by another
// model (https://ai.google.dev/gemini-api/docs/thought-signatures).
const anySignature = "skip_thought_signature_validator"

// signature returns the thought signature of a tool call or a text. Google's own OpenAI API has it in
// `extra_content`. It is not decoded, because that could change it.
func signature(extra []byte) string {
	if len(extra) == 0 {
		return ""
	}
	if s := gjson.GetBytes(extra, "google.thought_signature").Str; s != "" {
		return s
	}
	return gjson.GetBytes(extra, "vertex.thought_signature").Str
}

// call adds a call to t. function is {"name","arguments"}.
func (c *conversation) call(t *turn, at, id string, function []byte, signature string) error {
	var name string
	var arguments []byte
	r := jsontext.NewRereader(function)
	r.Object(func(field []byte) {
		switch string(field) {
		case "name":
			name = r.String()
		case "arguments":
			arguments = r.Raw()
		}
	})
	if name == "" {
		return hub.BadRequest(at+".name", "Send the called function's `name`.")
	}
	if signature == "" && id != "" {
		signature = c.recall(id)
	}
	if signature == "" && len(t.calls) == 0 { // Gemini 3 refuses a turn whose first call has no signature
		signature = anySignature
	}
	called := &call{turn: t, id: c.ids.unique(id), name: name}
	t.calls = append(t.calls, called)
	t.parts = called.append(separate(t.parts), arguments, signature)

	wait(c.byID, id, called)
	wait(c.byName, name, called)
	wait(c.byBoth, both(id, name), called)
	return nil
}

// wait adds a call to those that wait for their results under a key. The ids may start again in each turn, so
// calls of earlier turns no longer wait.
func wait(waiting map[string][]*call, key string, called *call) {
	others := waiting[key]
	if len(others) > 0 && others[0].turn != called.turn {
		others = nil
	}
	waiting[key] = append(others, called)
}

// waitingFor returns the call that a message answers. It searches by id. If several calls have that id, the
// function's name decides. Without an id, and for the deprecated kind of calls, the name decides, and then
// the order.
func (c *conversation) waitingFor(field string, m *message) *call {
	if m.name != "" && (m.callID == "" || field == "name") {
		return firstWaiting(c.byName, m.name)
	}
	if field == "name" {
		return nil
	}
	if called := firstWaiting(c.byBoth, both(m.callID, m.name)); called != nil {
		return called
	}
	return firstWaiting(c.byID, m.callID)
}

// both returns the key for a call's id together with its function's name.
func both(id, name string) string { return id + "\x00" + name }

// firstWaiting returns the first call under a key that waits for its result, or nil if there is none. It
// drops the answered calls before it, so that they are not checked again for the next result.
func firstWaiting(waiting map[string][]*call, key string) *call {
	calls := waiting[key]
	for len(calls) > 0 && calls[0].result != nil {
		calls = calls[1:]
	}
	if len(calls) == 0 {
		delete(waiting, key)
		return nil
	}
	waiting[key] = calls
	return calls[0]
}

// appendArguments appends a call's arguments as an object. The model wrote them, so they may be invalid JSON.
// Then it appends {}.
func appendArguments(b, arguments []byte) []byte {
	start := len(b)
	if kind(arguments) == '"' {
		b = jsontext.AppendUnquoted(b, arguments)
	} else {
		b = append(b, arguments...)
	}
	if !jsontext.ValidObject(b[start:]) {
		return append(b[:start], "{}"...)
	}
	return append(b[:start], bytes.TrimSpace(b[start:])...)
}

// append appends the part that calls the function.
func (f *call) append(b, arguments []byte, signature string) []byte {
	b = f.appendName(append(b, `{"functionCall":{`...))
	b = appendArguments(append(b, `,"args":`...), arguments)
	b = append(b, '}')
	if signature != "" {
		b = jsontext.AppendString(append(b, `,"thoughtSignature":`...), signature)
	}
	return append(b, '}')
}

func (f *call) appendName(b []byte) []byte {
	b = jsontext.AppendString(append(b, `"id":`...), f.id)
	return jsontext.AppendString(append(b, `,"name":`...), f.name)
}

// noResult is sent for a call without a result: Gemini wants a result for every call.
const noResult = `{"error":"no result"}`

// appendResult appends the part with the function's result.
func (f *call) appendResult(b []byte) []byte {
	b = append(f.appendName(append(b, `{"functionResponse":{`...)), `,"response":`...)
	if f.result == nil {
		b = append(b, noResult...)
	} else {
		b = appendResponse(b, f.result)
	}
	return append(b, "}}"...)
}

// result notes the result in a message. field is where the message names the call: by its id, or by its
// function's name for the deprecated kind. The name is also used if the id is missing.
func (c *conversation) result(at, field string, m *message) error {
	output, err := text(at+".content", m.content)
	if err != nil {
		return err
	}
	called := c.waitingFor(field, m)
	if called == nil {
		return hub.BadRequest(at+"."+field, "Send each tool's result once, after the assistant's message that calls it: this one belongs to no call.")
	}
	if output == nil {
		output = []byte(`""`)
	}
	called.result = output
	if called.turn == c.last() {
		c.add(&turn{role: user, parts: c.room()})
	}
	return nil
}

// appendResponse appends a function's output as an object, because Gemini wants one. output is a JSON string.
// If its text is an object, that object is appended, unless Gemini could take something in it for a
// reference.
func appendResponse(b, output []byte) []byte {
	start := bytes.TrimLeft(output[1:], ` nrt\`) // white space may be escaped
	if start[0] == '{' || start[0] == 'u' {
		at := len(b)
		b = jsontext.AppendUnquoted(b, output)
		if jsontext.ValidObject(b[at:]) && !refers(b[at:]) {
			return append(b[:at], bytes.TrimSpace(b[at:])...)
		}
		b = b[:at]
	}
	return append(append(append(b, `{"output":`...), output...), '}')
}

// refers reports whether JSON may have a key `$ref` or `$defs`, also in escaped form.
func refers(json []byte) bool {
	return bytes.Contains(json, []byte(`"$ref"`)) || bytes.Contains(json, []byte(`"$defs"`)) || bytes.Contains(json, []byte(`\u0`))
}
