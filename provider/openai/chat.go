package openai

import (
	"github.com/tidwall/gjson"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
)

// DecodeChat returns the Decode of one answer that is made of chat.completion.chunk, chat.completion or
// text_completion, also of those that keep to OpenAI's types less than OpenAI does.
func DecodeChat() hub.Decode { return new(ChatDecoder).Decode }

// ChatDecoder reads the messages of one answer in OpenAI's format.
type ChatDecoder struct{ frame chatFrame }

// Decode reads a message and says it on a.
func (d *ChatDecoder) Decode(message []byte, a *hub.Answer) error {
	_, err := d.DecodeIfChat(message, a)
	return err
}

// DecodeIfChat is Decode, and reports whether the message has choices: without, it may be of another
// format, and nothing but its error and its token counts has been read.
func (d *ChatDecoder) DecodeIfChat(message []byte, a *hub.Answer) (bool, error) {
	f := &d.frame
	if !f.read(message) {
		return false, hub.ErrUnreadable
	}
	decodeUsage(f.usage, a)
	decodeUsage(f.groqUsage, a) // where the client has not asked for it
	if f.reports {
		if e := hub.Reported(gjson.ParseBytes(message)); e != nil {
			return f.answers, e
		}
	}
	if !f.answers || f.pass(message, a.Streams(), a) {
		return f.answers, nil
	}
	a.SetID(jsontext.StringOf(f.id))
	for i := range f.choices {
		c := &f.choices[i]
		if number := c.number(); number >= 0 {
			decodeChoice(number, c, a)
		}
		if reason := jsontext.StringOf(c.finish); reason == "error" || reason == "insufficient_system_resource" { // Mistral's and DeepSeek's
			return true, hub.UpstreamBroken("Try again: the provider broke its answer off.")
		}
	}
	return true, nil
}

// decodeUsage notes OpenAI's usage object, if it is one.
func decodeUsage(raw []byte, a *hub.Answer) {
	if len(raw) > 0 && raw[0] == '{' {
		a.Usage(ParseUsage(gjson.ParseBytes(raw)))
	}
}

// decodeChoice reads a choice. Nothing of it is missed because of what stands beside it.
func decodeChoice(index int, c *chatChoice, a *hub.Answer) {
	if jsontext.StringOf(c.role) != "" {
		a.Begin(index)
	}
	reasoning := c.reasoning
	if jsontext.IsNone(reasoning) || string(reasoning) == `""` {
		reasoning = c.thinking
	}
	if !jsontext.IsNone(reasoning) && reasoning[0] != '{' && reasoning[0] != '[' {
		a.Reasoning(index, jsontext.RawText(reasoning))
	}
	a.Text(index, jsontext.RawText(c.content))
	a.Text(index, jsontext.RawText(c.text))
	a.Refusal(index, jsontext.StringOf(c.refusal))
	DecodeCalls(index, c.calls, a)
	if len(c.function) > 0 && c.function[0] == '{' {
		part, whole := readCall(c.function).part()
		a.ToolCallPart(index, 0, part, whole)
	}
	if len(c.logprobs) > 0 && c.logprobs[0] == '{' {
		decodeLogprobs(index, gjson.GetBytes(c.logprobs, "content"), a)
	}
	if reason := jsontext.StringOf(c.finish); reason != "" {
		a.FinishLast(index, reason)
	}
}

// callFrame is a tool call, or a piece of one, whose values stay JSON.
type callFrame struct {
	hub.RawCall
	extra    []byte
	function bool // whether there is an object function
}

// DecodeCalls reads an array of tool calls, or of pieces of them.
func DecodeCalls(index int, calls []byte, a *hub.Answer) {
	if len(calls) == 0 || calls[0] != '[' {
		return
	}
	position := 0
	r := jsontext.NewReader(calls)
	r.Array(func() {
		t := readCall(r.Raw())
		key := position
		if jsontext.IsNumber(t.Index) {
			key = int(gjson.ParseBytes(t.Index).Int())
		}
		part, whole := t.part()
		a.ToolCallPart(index, key, part, whole)
		position++
	})
}

// readCall reads a piece of a tool call. Workers AI has the function's name and arguments also
// beside the id.
func readCall(raw []byte) (t callFrame) {
	r := jsontext.NewReader(raw)
	r.Object(func(name []byte) {
		switch string(name) {
		case "index":
			t.Index = r.Raw()
		case "id":
			t.ID = r.Raw()
		case "type":
			t.Kind = r.Raw()
		case "extra_content":
			t.extra = r.Raw()
		case "function":
			var function callFrame
			if t.function = r.Object(func(name []byte) { function.member(name, &r) }); t.function {
				t.Name, t.Arguments = function.Name, function.Arguments
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
func (t *callFrame) member(name []byte, r *jsontext.Reader) {
	switch string(name) {
	case "name":
		t.Name = r.Raw()
	case "arguments":
		t.Arguments = r.Raw()
	}
}

// part is the call's piece as Answer takes it. Some models write arguments that are an object; whole
// says that these are.
func (t callFrame) part() (part hub.ToolCall, whole bool) {
	part = hub.ToolCall{ID: jsontext.RawText(t.ID), Name: jsontext.StringOf(t.Name)}
	switch {
	case len(t.Arguments) == 0:
	case t.Arguments[0] == '{':
		part.Arguments, whole = jsontext.Compact(string(t.Arguments)), true
	case t.Arguments[0] == '"':
		part.Arguments = jsontext.PieceOf(t.Arguments)
	}
	if len(t.extra) > 0 && t.extra[0] == '{' {
		part.Extra = []byte(jsontext.Compact(string(t.extra)))
	}
	return part, whole
}

// maxChoices bounds what an upstream can make us keep; OpenAI allows n up to 128.
const maxChoices = 128
