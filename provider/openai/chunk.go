package openai

import (
	"crypto/rand"
	"strconv"
	"strings"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
)

// chatWriter writes a chat.completion, or the chat.completion.chunks of a stream.
type chatWriter struct {
	form  hub.Form
	head  *hub.Head
	start []byte // of every chunk, up to its choices
}

// AppendEvent appends a chunk.
func (w *chatWriter) AppendEvent(b []byte, e hub.Event) []byte {
	if e.Kind == hub.Logprobs {
		return w.appendLogprobs(b, e)
	}
	b = w.appendStart(b)
	b = append(b, `{"index":`...)
	b = strconv.AppendInt(b, int64(e.Choice), 10)
	b = append(b, `,"delta":{`...)
	finish := ""
	switch e.Kind {
	case hub.Begin:
		b = append(b, `"role":"assistant","content":""`...)
	case hub.Text:
		b = jsontext.AppendString(append(b, `"content":`...), e.Text)
	case hub.Reasoning:
		b = jsontext.AppendString(append(b, `"reasoning_content":`...), e.Text)
	case hub.Refusal:
		b = jsontext.AppendString(append(b, `"refusal":`...), e.Text)
	case hub.CallPiece:
		b = w.appendPiece(b, &e)
	case hub.Extra:
		b = append(append(b, `"extra_content":`...), e.Extra...)
	case hub.Annotations:
		b = append(appendCitations(append(b, `"annotations":[`...), e.Citations), ']')
	case hub.Image:
		b = append(appendImage(append(b, `"images":[`...), e.Text), ']')
	case hub.Finish:
		finish = w.finish(e.Text)
	}
	b = append(b, `},"logprobs":null,"finish_reason":`...)
	return endChunk(appendNullable(b, finish), w.form.Usage)
}

// finish is a reason as the client reads it: calls in the deprecated form have one of their own.
func (w *chatWriter) finish(reason string) string {
	if reason == hub.FinishToolCalls && w.form.Functions {
		return "function_call"
	}
	return reason
}

// appendStart begins a chunk, up to the opening bracket of its choices.
func (w *chatWriter) appendStart(b []byte) []byte {
	if w.start == nil {
		w.start = appendHead(append(w.start, "data: "...), w.id(), "chat.completion.chunk", w.head)
	}
	return append(b, w.start...)
}

// id is the answer's. Where parts of it may pass, it is upstream's.
func (w *chatWriter) id() string {
	if w.form.Pass && w.head.ID != "" {
		return w.head.ID
	}
	return prefixed("chatcmpl-", w.head.ID)
}

// prefixed is a provider's id behind the prefix that OpenAI's have, or one that is made.
func prefixed(prefix, id string) string {
	if id == "" {
		id = rand.Text()
	}
	return prefix + strings.TrimPrefix(id, "chatcmpl-")
}

// appendHead begins an object of that kind, up to the opening bracket of its choices.
func appendHead(b []byte, id, object string, head *hub.Head) []byte {
	b = jsontext.AppendString(append(b, `{"id":`...), id)
	b = jsontext.AppendString(append(b, `,"object":`...), object)
	b = append(append(b, `,"created":`...), head.Created...)
	b = jsontext.AppendString(append(b, `,"model":`...), head.Model)
	return append(b, `,"choices":[`...)
}

// endChunk ends the chunk that b begins. Where the token counts come at the end, all chunks before have
// the member too.
func endChunk(b []byte, usage bool) []byte {
	b = append(b, "}]"...)
	if usage {
		b = append(b, `,"usage":null`...)
	}
	return append(b, "}\n\n"...)
}

// AppendEnd appends the token counts and the last event.
func (w *chatWriter) AppendEnd(b []byte, usage *hub.Usage) []byte {
	if usage != nil {
		b = appendUsageChunk(w.appendStart(b), usage)
	}
	return append(b, done...)
}

// done is the last event of a stream.
const done = "data: [DONE]\n\n"

// appendUsageChunk ends a chunk that has no choices.
func appendUsageChunk(b []byte, usage *hub.Usage) []byte {
	b = appendUsage(append(b, `],"usage":`...), usage)
	return append(b, "}\n\n"...)
}

// AppendFail appends the event that ends a stream with this error.
func (w *chatWriter) AppendFail(b []byte, e *hub.Error) []byte {
	return Format{}.AppendErrorFrame(b, e)
}
