package openai

import (
	"crypto/rand"
	"slices"
	"strings"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
)

// NewWriter makes the writer of one answer.
func (f ResponsesFormat) NewWriter(_ hub.Form, head *hub.Head) hub.Writer {
	asked := f.asked
	if asked == nil {
		asked = new(responseAsked)
	}
	return &responseWriter{asked: asked, head: head}
}

// responseWriter writes a response, or the events of a stream of one. One item of the output comes after the
// other. It keeps what they say, because their last events and the response's hold all of it.
type responseWriter struct {
	asked  *responseAsked
	head   *hub.Head
	events eventWriter

	id     string // that all ids are made of; empty: the response has not begun
	output []byte // the items that are complete, separated by commas
	index  int    // of the item that is open, or of the next one
	item   openItem
	later  []hub.Event // what was said while a call was not complete
	finish string      // why the answer ended
}

// AppendEvent appends the events that say the same.
func (w *responseWriter) AppendEvent(b []byte, e hub.Event) []byte {
	if e.Choice != 0 {
		return b // a response has one
	}
	w.events.b = b
	w.begin()
	w.say(&e)
	return w.written()
}

// written hands over what has been written.
func (w *responseWriter) written() []byte {
	b := w.events.b
	w.events.b = nil
	return b
}

// begin begins the response.
func (w *responseWriter) begin() {
	if w.id != "" {
		return
	}
	w.id = responseID(w.head.ID)
	begun := w.appendResponse(nil, "in_progress", nil, nil)
	w.events.response("response.created", begun)
	w.events.response("response.in_progress", begun)
}

// responseID is the provider's id, unless it has what OpenAI does not take in the id of an item. A client may
// send the items of this answer there with its next request.
func responseID(theirs string) string {
	id := strings.TrimPrefix(strings.TrimPrefix(theirs, "chatcmpl-"), "resp_")
	odd := func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-')
	}
	if id == "" || len(id) > maxResponseID || strings.ContainsFunc(id, odd) {
		return rand.Text()
	}
	return id
}

// maxResponseID leaves room for what stands around it in an id, for which OpenAI allows 64 characters.
const maxResponseID = 48

// say writes what an event becomes. What is not part of a call waits until the call is over.
func (w *responseWriter) say(e *hub.Event) {
	if w.item.kind == callItem && e.Kind != hub.CallPiece && e.Kind != hub.Finish {
		if !jsontext.ValidObject(w.item.arguments) {
			w.later = append(w.later, *e)
			return
		}
		w.close()
	}
	switch e.Kind {
	case hub.Text:
		w.speak(&outputText, e.Text)
	case hub.Refusal:
		w.speak(&refusalText, e.Text)
	case hub.Reasoning:
		w.open(reasoningItem)
		w.openPart(&summaryText)
		w.piece(e.Text)
	case hub.CallPiece:
		w.callPiece(e)
	case hub.Annotations:
		w.cite(e.Citations)
	case hub.Image:
		w.image(e.Text)
	case hub.Logprobs:
		w.logprobs(e.Logprobs)
	case hub.Finish:
		w.finish = e.Text
		w.closeAll()
	}
}

// AppendEnd appends the last event.
func (w *responseWriter) AppendEnd(b []byte, usage *hub.Usage) []byte {
	w.events.b = b
	w.begin()
	status := w.status()
	w.events.response("response."+status, w.appendResponse(nil, status, orNone(usage), nil))
	return w.written()
}

// AppendFail appends the event that ends a stream with this error. Codex reads no other kind of error.
func (w *responseWriter) AppendFail(b []byte, e *hub.Error) []byte {
	w.events.b = b
	w.begin()
	w.events.response("response.failed", w.appendResponse(nil, "failed", nil, e))
	return w.written()
}

// AppendObject appends a whole response.
func (w *responseWriter) AppendObject(b []byte, choices []*hub.Choice, usage *hub.Usage) []byte {
	c := choices[0]
	w.id = responseID(w.head.ID)
	say := func(e hub.Event) {
		w.say(&e)
		w.events.b = w.events.b[:0] // the items are all that is wanted
	}
	for _, e := range []hub.Event{
		{Kind: hub.Reasoning, Text: string(c.Reasoning)},
		{Kind: hub.Text, Text: string(c.Text)},
		{Kind: hub.Logprobs, Logprobs: c.Logprobs},
		{Kind: hub.Annotations, Citations: c.Citations},
		{Kind: hub.Refusal, Text: string(c.Refusal)},
	} {
		if e.Text != "" || len(e.Logprobs) > 0 || len(e.Citations) > 0 {
			say(e)
		}
	}
	for _, url := range c.Images {
		say(hub.Event{Kind: hub.Image, Text: url})
	}
	for _, call := range c.Calls {
		say(hub.Event{Kind: hub.CallPiece, Call: call, First: true})
	}
	say(hub.Event{Kind: hub.Finish, Text: c.Finish})
	w.events.b = nil
	return w.appendResponse(b, w.status(), orNone(usage), nil)
}

// orNone is usage, or counts of nothing where it is not known: clients take no end of a response without any.
func orNone(usage *hub.Usage) *hub.Usage {
	if usage == nil {
		return new(hub.Usage)
	}
	return usage
}

// status is that of a response that has ended, and of its last item.
func (w *responseWriter) status() string {
	if w.finish == hub.FinishLength || w.finish == hub.FinishContentFilter {
		return "incomplete"
	}
	return "completed"
}

// appendResponse appends the response as it is now.
func (w *responseWriter) appendResponse(b []byte, status string, usage *hub.Usage, failed *hub.Error) []byte {
	b = slices.Grow(b, len(w.output)+len(w.asked.echo)+512)
	b = append(append(append(b, `{"id":"resp_`...), w.id...), `","object":"response","created_at":`...)
	b = append(append(b, w.head.Created...), `,"status":"`...)
	b = append(append(b, status...), `","error":`...)
	b = appendFailure(b, failed)
	b = append(b, `,"incomplete_details":`...)
	switch {
	case status != "incomplete":
		b = append(b, "null"...)
	case w.finish == hub.FinishLength:
		b = append(b, `{"reason":"max_output_tokens"}`...)
	default:
		b = append(b, `{"reason":"content_filter"}`...)
	}
	b = jsontext.AppendString(append(b, `,"model":`...), w.head.Model)
	b = append(b, w.asked.echo...)
	b = append(append(append(b, `,"output":[`...), w.output...), `],"usage":`...)
	return append(appendResponseUsage(b, usage), '}')
}

// appendFailure appends the error of a response that has failed, null for others.
func appendFailure(b []byte, e *hub.Error) []byte {
	if e == nil {
		return append(b, "null"...)
	}
	code := responseCode(e)
	if code == "" {
		code = errorType(e.Status)
	}
	b = jsontext.AppendString(append(b, `{"code":`...), code)
	return append(jsontext.AppendString(append(b, `,"message":`...), e.Message), '}')
}
