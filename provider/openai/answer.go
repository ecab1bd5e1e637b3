package openai

import (
	"crypto/rand"
	"io"
	"strconv"
	"sync"
	"time"
)

// Answer writes what a model says in the form that its client wants. Its methods are called in
// the order in which things arrive; what a stream can show of them comes out at the next Flush,
// a JSON object at Close.
type Answer struct {
	dst  io.Writer
	form Form

	id      string
	created int64
	head    []byte  // the start of every chunk, up to its choices
	buf     []byte  // what is written but not flushed; nil: nothing
	lent    *[]byte // of buffers, what buf began with

	choices []*choice
	usage   *Usage
	out     bool // the client has something of a stream
	failed  bool // an error frame was the last thing out
}

// choice is one of the answers that a client asked for with n.
type choice struct {
	text, reasoning []byte // a JSON object's, complete at Close
	calls           []*call
	saying          int    // which of calls a stream is saying
	ncalls          int    // how many of calls the client knows of, or will
	refusal         []byte // a JSON object's
	extra           []byte // a JSON object's
	attached        attached
	logprobs        []byte // a JSON object's tokens, separated by commas
	stop            stopper
	begun           bool
	finish          string
	last            string // what FinishLast noted
}

// NewAnswer makes an Answer that writes to dst.
func NewAnswer(dst io.Writer, form Form) *Answer {
	return &Answer{dst: dst, form: form, created: time.Now().Unix()}
}

// SetID gives the answer the provider's id. It counts only before anything else is said; without
// it, an id is made.
func (a *Answer) SetID(id string) {
	if a.id == "" && id != "" {
		a.id = a.prefix() + id
	}
}

func (a *Answer) prefix() string {
	if a.form.Completion {
		return "cmpl-"
	}
	return "chatcmpl-"
}

// Begin opens a choice of a stream before there is anything to say: that the model answers is news.
func (a *Answer) Begin(index int) {
	if c := a.choice(index); a.form.Stream {
		a.begin(index, c)
	}
}

// Text adds to the text of a choice.
func (a *Answer) Text(index int, text string) {
	c := a.choice(index)
	if c.finish != "" {
		return
	}
	text, stopped := c.stop.next(text)
	a.say(index, c, text)
	if stopped {
		a.Finish(index, FinishStop)
	}
}

func (a *Answer) say(index int, c *choice, text string) {
	if text == "" {
		return
	}
	if !a.form.Stream {
		c.text = append(c.text, text...)
		return
	}
	a.begin(index, c)
	if a.form.Completion {
		a.completionChunk(index, text, "")
		return
	}
	a.endDelta(AppendString(append(a.delta(index), `"content":`...), text), "")
}

// Reasoning adds to what a model thinks aloud. It is never part of the text, and text
// completions have no place for it.
func (a *Answer) Reasoning(index int, text string) {
	c := a.choice(index)
	if text == "" || a.form.Completion || c.finish != "" {
		return
	}
	if !a.form.Stream {
		c.reasoning = append(c.reasoning, text...)
		return
	}
	a.begin(index, c)
	a.endDelta(AppendString(append(a.delta(index), `"reasoning_content":`...), text), "")
}

// Extra adds extra_content to the message itself, a JSON object of what a provider wants back with
// its text. Text completions have no place for it.
func (a *Answer) Extra(index int, object []byte) {
	c := a.choice(index)
	if a.form.Completion || c.finish != "" {
		return
	}
	if !a.form.Stream {
		c.extra = append(c.extra[:0], object...)
		return
	}
	a.begin(index, c)
	a.endDelta(append(append(a.delta(index), `"extra_content":`...), object...), "")
}

// Finish ends a choice. Of several reasons the first counts; a choice that called tools ends with
// tool_calls where the provider says stop, and no other does.
func (a *Answer) Finish(index int, reason string) {
	c := a.choice(index)
	if c.finish != "" {
		return
	}
	a.release(index, c)
	if c.stop.stopped {
		reason = FinishStop
	}
	a.sayCalls(index, c, true)
	c.finish = a.finishReason(c, reason)
	reason = c.finish
	if !a.form.Stream {
		return
	}
	a.begin(index, c)
	if a.form.Completion {
		a.completionChunk(index, "", reason)
		return
	}
	a.endDelta(a.delta(index), reason)
}

// release says the text that was held back as the possible beginning of a stop word.
func (a *Answer) release(index int, c *choice) { a.say(index, c, c.stop.rest()) }

// Finished reports whether all choices that were begun have ended.
func (a *Answer) Finished() bool {
	for _, c := range a.choices {
		if c.finish == "" {
			return false
		}
	}
	return len(a.choices) > 0
}

// End ends the choices that have no finish reason, for providers that say only that they are done.
func (a *Answer) End() {
	a.choice(0)
	a.finishLast()
	for i := range a.choices {
		a.Finish(i, FinishStop)
	}
}

// begun reports whether the provider has said anything.
func (a *Answer) begun() bool { return len(a.choices) > 0 }

// stopped reports whether stop words of ours have ended every choice.
func (a *Answer) stopped() bool {
	for _, c := range a.choices {
		if !c.stop.stopped {
			return false
		}
	}
	return len(a.choices) >= max(a.form.Choices, 1)
}

// Flush writes what there is of a stream to the client.
func (a *Answer) Flush() error {
	if len(a.buf) == 0 {
		return nil
	}
	a.out = true
	_, err := a.dst.Write(a.buf)
	if a.lent != nil && cap(a.buf) <= maxLent {
		*a.lent = a.buf[:0]
		buffers.Put(a.lent)
	}
	a.buf, a.lent = nil, nil
	return err
}

// buffers serve all streams, each from the first chunk that it writes to the next Flush: most of the
// time, a stream waits for its model and needs none.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// maxLent bounds the memory that is kept.
const maxLent = 64 << 10

// Close ends the answer. Where the provider said less than a whole answer, a stream ends with an
// error and a JSON object is not written at all: the error is returned.
func (a *Answer) Close() error {
	if a.failed {
		return a.Flush()
	}
	a.finishLast()
	if a.unnamed() {
		return a.Fail(UpstreamBroken("Try again: the model called a function without naming it."))
	}
	if !a.Finished() {
		return a.Fail(errIncomplete)
	}
	if a.form.Stream {
		if a.form.Usage && a.usage != nil {
			a.buf = append(a.start(), `],"usage":`...)
			a.buf = a.usage.append(a.buf)
			a.buf = append(a.buf, "}\n\n"...)
		}
		a.buf = append(a.buf, "data: [DONE]\n\n"...)
	} else {
		a.object()
	}
	return a.Flush()
}

// Fail ends a stream with e, after what was said before it; what would be a JSON object is
// dropped and e returned.
func (a *Answer) Fail(e *Error) error {
	if !a.form.Stream {
		return e
	}
	if !a.failed {
		a.buf = e.AppendFrame(a.buf)
		a.failed = true
	}
	return a.Flush()
}

func (a *Answer) choice(index int) *choice {
	for len(a.choices) <= index {
		a.choices = append(a.choices, &choice{stop: stopper{words: a.form.Stop}})
	}
	return a.choices[index]
}

func (a *Answer) identify() {
	if a.id == "" {
		a.id = a.prefix() + rand.Text()
	}
}

// start begins a chunk, up to the opening bracket of its choices.
func (a *Answer) start() []byte {
	if a.head == nil {
		a.identify()
		a.head = append(a.head, `data: {"id":`...)
		a.head = AppendString(a.head, a.id)
		a.head = append(a.head, `,"object":`...)
		if a.form.Completion {
			a.head = append(a.head, `"text_completion","created":`...)
		} else {
			a.head = append(a.head, `"chat.completion.chunk","created":`...)
		}
		a.head = strconv.AppendInt(a.head, a.created, 10)
		a.head = append(a.head, `,"model":`...)
		a.head = AppendString(a.head, a.form.Model)
		a.head = append(a.head, `,"choices":[`...)
	}
	if a.buf == nil {
		a.lent = buffers.Get().(*[]byte)
		a.buf = *a.lent
	}
	return append(a.buf, a.head...)
}

// begin writes the chunk that opens a choice of a chat.
func (a *Answer) begin(index int, c *choice) {
	if c.begun || a.form.Completion {
		return
	}
	c.begun = true
	a.endDelta(append(a.delta(index), `"role":"assistant","content":""`...), "")
}

// delta begins a chunk of a chat, up to the members of its delta.
func (a *Answer) delta(index int) []byte {
	b := append(a.start(), `{"index":`...)
	b = strconv.AppendInt(b, int64(index), 10)
	return append(b, `,"delta":{`...)
}

// endDelta ends the chunk that b begins.
func (a *Answer) endDelta(b []byte, finish string) {
	b = append(b, `},"logprobs":null,"finish_reason":`...)
	a.buf = a.endChunk(appendNullable(b, finish))
}

func (a *Answer) completionChunk(index int, text, finish string) {
	b := append(a.start(), `{"text":`...)
	b = AppendString(b, text)
	b = append(b, `,"index":`...)
	b = strconv.AppendInt(b, int64(index), 10)
	b = append(b, `,"logprobs":null,"finish_reason":`...)
	a.buf = a.endChunk(appendNullable(b, finish))
}

func (a *Answer) endChunk(b []byte) []byte {
	b = append(b, "}]"...)
	if a.form.Usage {
		b = append(b, `,"usage":null`...)
	}
	return append(b, "}\n\n"...)
}

// object writes the whole answer as one JSON object.
func (a *Answer) object() {
	a.identify()
	b := append(a.buf, `{"id":`...)
	b = AppendString(b, a.id)
	if a.form.Completion {
		b = append(b, `,"object":"text_completion","created":`...)
	} else {
		b = append(b, `,"object":"chat.completion","created":`...)
	}
	b = strconv.AppendInt(b, a.created, 10)
	b = append(b, `,"model":`...)
	b = AppendString(b, a.form.Model)
	b = append(b, `,"choices":[`...)
	for i, c := range a.choices {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"index":`...)
		b = strconv.AppendInt(b, int64(i), 10)
		if a.form.Completion {
			b = append(b, `,"text":`...)
			b = AppendString(b, string(c.text))
		} else {
			b = a.appendMessage(append(b, `,"message":`...), c)
		}
		b = c.appendLogprobs(b)
		b = AppendString(append(b, `,"finish_reason":`...), c.finish)
		b = append(b, '}')
	}
	b = append(b, ']')
	if a.usage != nil {
		b = append(b, `,"usage":`...)
		b = a.usage.append(b)
	}
	a.buf = append(b, '}')
}

func (a *Answer) appendMessage(b []byte, c *choice) []byte {
	b = c.appendContent(append(b, `{"role":"assistant",`...))
	if len(c.reasoning) > 0 {
		b = append(b, `,"reasoning_content":`...)
		b = AppendString(b, string(c.reasoning))
	}
	if len(c.extra) > 0 {
		b = append(append(b, `,"extra_content":`...), c.extra...)
	}
	b = c.attached.append(b)
	return append(a.appendCalls(b, c), '}')
}
