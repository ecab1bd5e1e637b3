// Package openai is OpenAI's format: what clients send and read in chats, text completions, responses,
// embeddings, lists of models and errors, and what providers answer who speak it too.
//
// Field names and the order of a stream follow the types of
// github.com/openai/openai-go/v3 and https://platform.openai.com/docs/api-reference.
package openai

import (
	"io"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
)

// ParseRequest reads a request to one of OpenAI's endpoints, whose answer is to be in OpenAI's format. It
// keeps body. Its errors are *hub.Error with status 400.
func ParseRequest(endpoint hub.Endpoint, body []byte) (*hub.Request, error) {
	r, err := hub.ParseRequest(endpoint, body)
	if err != nil {
		return nil, err
	}
	r.Format = FormatOf(endpoint)
	return r, nil
}

// FormatOf returns the format of the answers of an endpoint.
func FormatOf(endpoint hub.Endpoint) hub.Format {
	if endpoint == hub.Responses {
		return ResponsesFormat{}
	}
	return Format{}
}

// Format writes answers as OpenAI's clients read them: chats, or text completions where the form has
// nothing but text.
type Format struct{}

// NewWriter makes the writer of one answer.
func (Format) NewWriter(form hub.Form, head *hub.Head) hub.Writer {
	if form.TextOnly {
		return &completionWriter{form: form, head: head}
	}
	return &chatWriter{form: form, head: head}
}

// Passes reports whether what a provider answers in OpenAI's format is in the client's format.
func Passes(form hub.Form) bool { return form.Format == Format{} }

// TranslateOdd returns the Translate of a Call to a provider that answers as OpenAI does. The answer
// passes to clients of OpenAI's format, with three exceptions: events where an object was asked for, an object
// where events were (as the AI Gateway sends them where guardrails read along), and stop words that are left to
// us.
func TranslateOdd(form hub.Form) func(dst io.Writer, sse bool) hub.Translator {
	return func(dst io.Writer, sse bool) hub.Translator {
		if sse == form.Stream && len(form.Stop) == 0 && Passes(form) {
			if form.Asked {
				return &usageRemover{dst: dst, passage: hub.Passage{Format: Format{}}}
			}
			return nil
		}
		return hub.NewTranslator(dst, sse, form, DecodeChat())
	}
}
