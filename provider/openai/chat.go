package openai

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/tidwall/gjson"
)

// DecodeChat returns the Decode of one answer that is made of chat.completion.chunk, chat.completion or
// text_completion, also of those that keep to OpenAI's types less than OpenAI does.
func DecodeChat() Decode { return new(ChatDecoder).Decode }

// ChatDecoder reads the messages of one answer in OpenAI's format.
type ChatDecoder struct{ frame chatFrame }

// Decode reads a message and says it on a.
func (d *ChatDecoder) Decode(message []byte, a *Answer) error {
	_, err := d.DecodeIfChat(message, a)
	return err
}

// DecodeIfChat is Decode, and reports whether the message has choices: without, it may be of another
// format, and nothing but its error and its token counts has been read.
func (d *ChatDecoder) DecodeIfChat(message []byte, a *Answer) (bool, error) {
	f := &d.frame
	if !f.read(message) {
		return false, errUnreadable
	}
	decodeUsage(f.usage, a)
	decodeUsage(f.groqUsage, a) // where the client has not asked for it
	if f.reports {
		if e := Reported(gjson.ParseBytes(message)); e != nil {
			return f.answers, e
		}
	}
	if !f.answers || a.pass(f, message) {
		return f.answers, nil
	}
	a.SetID(stringOf(f.id))
	for i := range f.choices {
		c := &f.choices[i]
		if number := c.number(); number >= 0 {
			decodeChoice(number, c, a)
		}
		if reason := stringOf(c.finish); reason == "error" || reason == "insufficient_system_resource" { // Mistral's and DeepSeek's
			return true, UpstreamBroken("Try again: the provider broke its answer off.")
		}
	}
	return true, nil
}

// decodeUsage notes OpenAI's usage object, if it is one.
func decodeUsage(raw []byte, a *Answer) {
	if len(raw) > 0 && raw[0] == '{' {
		DecodeUsage(gjson.ParseBytes(raw), a)
	}
}

// decodeChoice reads a choice. Nothing of it is missed because of what stands beside it.
func decodeChoice(index int, c *chatChoice, a *Answer) {
	if stringOf(c.role) != "" {
		a.Begin(index)
	}
	reasoning := c.reasoning
	if isNone(reasoning) || string(reasoning) == `""` {
		reasoning = c.thinking
	}
	if !isNone(reasoning) && reasoning[0] != '{' && reasoning[0] != '[' {
		a.Reasoning(index, RawText(reasoning))
	}
	a.Text(index, RawText(c.content))
	a.Text(index, RawText(c.text))
	a.Refusal(index, stringOf(c.refusal))
	DecodeCalls(index, c.calls, a)
	if len(c.function) > 0 && c.function[0] == '{' {
		part, whole := readCall(c.function).part()
		a.ToolCallPart(index, 0, part, whole)
	}
	if len(c.logprobs) > 0 && c.logprobs[0] == '{' {
		decodeLogprobs(index, gjson.GetBytes(c.logprobs, "content"), a)
	}
	if reason := stringOf(c.finish); reason != "" {
		a.FinishLast(index, reason)
	}
}

// callFrame is a tool call, or a piece of one, whose values stay JSON.
type callFrame struct {
	index, id, kind, extra []byte
	function               bool // whether there is an object function
	name, arguments        []byte
}

// DecodeCalls reads an array of tool calls, or of pieces of them.
func DecodeCalls(index int, calls []byte, a *Answer) {
	if len(calls) == 0 || calls[0] != '[' {
		return
	}
	position := 0
	r := NewReader(calls)
	r.Array(func() {
		t := readCall(r.Raw())
		key := position
		if isNumber(t.index) {
			key = int(gjson.ParseBytes(t.index).Int())
		}
		part, whole := t.part()
		a.ToolCallPart(index, key, part, whole)
		position++
	})
}

// readCall reads a piece of a tool call. Workers AI has the function's name and arguments also
// beside the id.
func readCall(raw []byte) (t callFrame) {
	r := NewReader(raw)
	r.Object(func(name []byte) {
		switch string(name) {
		case "index":
			t.index = r.Raw()
		case "id":
			t.id = r.Raw()
		case "type":
			t.kind = r.Raw()
		case "extra_content":
			t.extra = r.Raw()
		case "function":
			var function callFrame
			if t.function = r.Object(func(name []byte) { function.member(name, &r) }); t.function {
				t.name, t.arguments = function.name, function.arguments
			}
		default:
			if !t.function {
				t.member(name, &r)
			}
		}
	})
	return t
}

// member reads a member of a function.
func (t *callFrame) member(name []byte, r *Reader) {
	switch string(name) {
	case "name":
		t.name = r.Raw()
	case "arguments":
		t.arguments = r.Raw()
	}
}

// part is the call's piece as Answer takes it. Some models write arguments that are an object; whole
// says that these are.
func (t callFrame) part() (part ToolCall, whole bool) {
	part = ToolCall{ID: RawText(t.id), Name: stringOf(t.name)}
	switch {
	case len(t.arguments) == 0:
	case t.arguments[0] == '{':
		part.Arguments, whole = Compact(string(t.arguments)), true
	case t.arguments[0] == '"':
		part.Arguments = pieceOf(t.arguments)
	}
	if len(t.extra) > 0 && t.extra[0] == '{' {
		part.Extra = []byte(Compact(string(t.extra)))
	}
	return part, whole
}

// Compact is valid JSON without the white space between its tokens.
func Compact(raw string) string {
	var compact bytes.Buffer
	_ = json.Compact(&compact, []byte(raw)) // which is valid
	return compact.String()
}

// maxChoices bounds what an upstream can make us keep; OpenAI allows n up to 128.
const maxChoices = 128

var (
	errUnreadable = UpstreamBroken("Try again: the provider's answer is not valid JSON.")
	errEmpty      = UpstreamBroken("Try again: the provider's answer is empty.")
	errIncomplete = UpstreamBroken("Try again: the provider's answer ended before it was complete.")
)

// ValidObject reports whether b is a JSON object that is safe to read without checks.
func ValidObject(b []byte) bool { return scanObject(b, nil) == nil }

// Text is the text of a JSON value: a string's, or that of all the parts of a content. Anything else
// but null is the text that it is written as: Workers AI sends what looks like JSON as JSON, from
// single digits to the whole of an answer that was asked for in JSON.
func Text(v gjson.Result) string {
	switch {
	case v.Type == gjson.Null:
		return ""
	case v.Type == gjson.String:
		return v.Str
	case v.IsArray() && (v.Raw == "[]" || v.Get("0.type").Exists()):
		var all strings.Builder
		v.ForEach(func(_, part gjson.Result) bool {
			all.WriteString(stringOf([]byte(part.Get("text").Raw)))
			return true
		})
		return all.String()
	case v.Type == gjson.JSON:
		return Compact(v.Raw)
	}
	return v.Raw
}
