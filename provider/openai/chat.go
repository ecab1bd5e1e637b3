package openai

import (
	"strings"

	"github.com/tidwall/gjson"
)

// DecodeChat reads a chat.completion.chunk, a chat.completion or a text_completion. Of tool calls it knows nothing:
// it serves text completions that travel as chats.
func DecodeChat(message []byte, a *Answer) error {
	if !ValidObject(message) {
		return errUnreadable
	}
	m := gjson.ParseBytes(message)
	if e := m.Get("error"); e.IsObject() {
		return providerError(e)
	}
	a.SetID(strings.TrimPrefix(m.Get("id").Str, "chatcmpl-"))
	m.Get("choices").ForEach(func(_, c gjson.Result) bool {
		said := c.Get("delta")
		if !said.Exists() {
			said = c.Get("message")
		}
		index := int(c.Get("index").Int())
		if index < 0 || index >= maxChoices {
			return false
		}
		a.Text(index, Text(said.Get("content")))
		a.Text(index, Text(c.Get("text")))
		if finish := c.Get("finish_reason"); finish.Str != "" {
			a.Finish(index, finish.Str)
		}
		return true
	})
	DecodeUsage(m.Get("usage"), a)
	return nil
}

// maxChoices bounds what an upstream can make us keep; OpenAI allows n up to 128.
const maxChoices = 128

var errUnreadable = UpstreamBroken("Try again: the provider's answer is not valid JSON.")

// ValidObject reports whether b is a JSON object that is safe to read without checks.
func ValidObject(b []byte) bool { return scanObject(b, nil) == nil }

// Text is the text of a JSON value: a string's, or a number as it is written, which Workers AI
// sends for tokens that are digits. Anything else has none.
func Text(v gjson.Result) string {
	switch v.Type {
	case gjson.String:
		return v.Str
	case gjson.Number:
		return v.Raw
	}
	return ""
}

// DecodeUsage notes OpenAI's usage object, if it is one.
func DecodeUsage(usage gjson.Result, a *Answer) {
	if !usage.IsObject() {
		return
	}
	a.Usage(Usage{
		Prompt:     usage.Get("prompt_tokens").Int(),
		Completion: usage.Get("completion_tokens").Int(),
		Total:      usage.Get("total_tokens").Int(),
		Cached:     usage.Get("prompt_tokens_details.cached_tokens").Int(),
		Reasoning:  usage.Get("completion_tokens_details.reasoning_tokens").Int(),
	})
}

// providerError is the error that a provider reports within an answer it has begun.
func providerError(e gjson.Result) *Error {
	message := e.Get("message").Str
	if message == "" {
		message = "Try again: the provider reported an error without a message."
	}
	return &Error{Status: 502, Message: message, Code: Text(e.Get("code"))}
}
