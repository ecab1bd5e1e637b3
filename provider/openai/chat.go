package openai

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/tidwall/gjson"
)

// DecodeChat reads a chat.completion.chunk, a chat.completion or a text_completion, also those that
// keep to OpenAI's types less than OpenAI does.
func DecodeChat(message []byte, a *Answer) error {
	if !ValidObject(message) {
		return errUnreadable
	}
	return DecodeChatObject(gjson.ParseBytes(message), a)
}

// DecodeChatObject is DecodeChat for an object that is known to be valid.
func DecodeChatObject(m gjson.Result, a *Answer) error {
	DecodeUsage(m.Get("usage"), a)
	DecodeUsage(m.Get("x_groq.usage"), a) // where the client has not asked for it
	if e := Reported(m); e != nil {
		return e
	}
	a.SetID(strings.TrimPrefix(m.Get("id").Str, "chatcmpl-"))
	var err error
	m.Get("choices").ForEach(func(_, c gjson.Result) bool {
		index := int(c.Get("index").Int())
		if index >= 0 && index < maxChoices {
			decodeChoice(index, c, a)
		}
		if reason := c.Get("finish_reason").Str; reason == "error" || reason == "insufficient_system_resource" { // Mistral's and DeepSeek's
			err = UpstreamBroken("Try again: the provider broke its answer off.")
		}
		return err == nil
	})
	return err
}

// decodeChoice reads a choice. Nothing of it is missed because of what stands beside it.
func decodeChoice(index int, c gjson.Result, a *Answer) {
	said := c.Get("delta")
	if !said.Exists() {
		said = c.Get("message")
	}
	if said.Get("role").Str != "" {
		a.Begin(index)
	}
	reasoning := said.Get("reasoning_content")
	if reasoning.Type == gjson.Null || reasoning.Raw == `""` {
		reasoning = said.Get("reasoning")
	}
	if reasoning.Type != gjson.JSON {
		a.Reasoning(index, Text(reasoning))
	}
	a.Text(index, Text(said.Get("content")))
	a.Text(index, Text(c.Get("text")))
	a.Refusal(index, said.Get("refusal").Str)
	DecodeCalls(index, said.Get("tool_calls"), a)
	if function := said.Get("function_call"); function.IsObject() {
		decodeCall(index, 0, function, gjson.Result{}, a)
	}
	decodeLogprobs(index, c.Get("logprobs.content"), a)
	if reason := c.Get("finish_reason").Str; reason != "" {
		a.FinishLast(index, reason)
	}
}

// DecodeCalls reads an array of tool calls, or of pieces of them.
func DecodeCalls(index int, calls gjson.Result, a *Answer) {
	if !calls.IsArray() {
		return
	}
	position := 0
	calls.ForEach(func(_, t gjson.Result) bool {
		key := position
		if named := t.Get("index"); named.Type == gjson.Number {
			key = int(named.Int())
		}
		decodeCall(index, key, t, t.Get("function"), a)
		position++
		return true
	})
}

// decodeCall reads a piece of a tool call. Workers AI has the function's name and arguments also
// beside the id, and arguments that are an object.
func decodeCall(index, key int, t, function gjson.Result, a *Answer) {
	if !function.IsObject() {
		function = t
	}
	part := ToolCall{ID: Text(t.Get("id")), Name: function.Get("name").Str}
	arguments := function.Get("arguments")
	switch {
	case arguments.IsObject():
		part.Arguments = Compact(arguments.Raw)
	case arguments.Type == gjson.String:
		part.Arguments = arguments.Str
	}
	if extra := t.Get("extra_content"); extra.IsObject() {
		part.Extra = []byte(Compact(extra.Raw))
	}
	a.ToolCallPart(index, key, part, arguments.IsObject())
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
			all.WriteString(part.Get("text").Str)
			return true
		})
		return all.String()
	case v.Type == gjson.JSON:
		return Compact(v.Raw)
	}
	return v.Raw
}
