package openai

import (
	"strconv"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
)

// completionWriter writes a text_completion, or the events of a stream of one.
type completionWriter struct {
	form  hub.Form
	head  *hub.Head
	start []byte // of every event, up to its choices
}

// AppendEvent appends a piece of the text, or the finish reason. There is place for nothing else.
func (w *completionWriter) AppendEvent(b []byte, e hub.Event) []byte {
	text, finish := e.Text, ""
	switch e.Kind {
	case hub.Text:
	case hub.Finish:
		text, finish = "", e.Text
	default:
		return b
	}
	b = jsontext.AppendString(append(w.appendStart(b), `{"text":`...), text)
	b = append(b, `,"index":`...)
	b = strconv.AppendInt(b, int64(e.Choice), 10)
	b = append(b, `,"logprobs":null,"finish_reason":`...)
	return endChunk(appendNullable(b, finish), w.form.Usage)
}

func (w *completionWriter) appendStart(b []byte) []byte {
	if w.start == nil {
		w.start = appendHead(append(w.start, "data: "...), prefixed("cmpl-", w.head.ID), "text_completion", w.head)
	}
	return append(b, w.start...)
}

// AppendEnd appends the token counts and the last event.
func (w *completionWriter) AppendEnd(b []byte, usage *hub.Usage) []byte {
	if usage != nil {
		b = appendUsageChunk(w.appendStart(b), usage)
	}
	return append(b, done...)
}

// AppendFail appends the event that ends a stream with this error.
func (w *completionWriter) AppendFail(b []byte, e *hub.Error) []byte {
	return Format{}.AppendErrorFrame(b, e)
}

// AppendObject appends a text_completion.
func (w *completionWriter) AppendObject(b []byte, choices []*hub.Choice, usage *hub.Usage) []byte {
	b = appendHead(b, prefixed("cmpl-", w.head.ID), "text_completion", w.head)
	for i, c := range choices {
		b = beginChoice(b, i)
		b = jsontext.AppendString(append(b, `,"text":`...), string(c.Text))
		b = append(b, `,"logprobs":null,"finish_reason":`...)
		b = append(jsontext.AppendString(b, c.Finish), '}')
	}
	return endObject(b, usage)
}
