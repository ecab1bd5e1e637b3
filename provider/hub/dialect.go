package hub

import (
	"slices"
	"strings"
)

// unthinking are the beginnings of the names of OpenAI's models that do not reason. All newer ones do.
var unthinking = []string{"gpt-3", "gpt-4", "chatgpt-4"}

// FitOpenAI puts a chat that was translated from another format into the words that a model of OpenAI's takes: those
// that reason refuse `max_tokens` by its old name, and the others refuse `reasoning_effort`. A chat that is the
// client's own stays as it is (https://platform.openai.com/docs/api-reference/chat/create).
func (r *Request) FitOpenAI(model string) {
	if !r.Translated {
		return
	}
	thinks := !slices.ContainsFunc(unthinking, func(start string) bool { return strings.HasPrefix(model, start) })
	switch {
	case thinks && r.limit != (span{}):
		r.replaceInPlace(r.limit, `"max_completion_tokens"`)
	case !thinks && r.effort != (span{}):
		r.replaceInPlace(r.effort, "")
	}
}

// replaceInPlace replaces a part of r.Body without a copy of the rest, if the body's memory has room.
func (r *Request) replaceInPlace(at span, with string) {
	r.Body = slices.Replace(r.Body, at.start, at.end, []byte(with)...)
	r.shift(at, len(with))
}
