package openai

import (
	"crypto/rand"
	"io"
	"strings"
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
	closed  bool // the answer has come to its end

	event      []byte // that the message to be decoded came in; nil: it may not pass
	passed     []byte // what chunks that passed have for created and model; nil: none has
	usageEvent []byte // with the token counts, which passes at the end
	whole      []byte // a JSON object that passes
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
	finishEvent     []byte // the event with it, which passes at the end

	textHalf, reasoningHalf, refusalHalf half
}

// NewAnswer makes an Answer that writes to dst.
func NewAnswer(dst io.Writer, form Form) *Answer {
	return &Answer{dst: dst, form: form, created: time.Now().Unix()}
}

// SetID gives the answer the provider's id. It counts only before anything else is said; without
// it, an id is made.
func (a *Answer) SetID(id string) {
	switch {
	case a.id != "" || id == "":
	case a.form.Pass:
		a.id = id // as chunks that pass have it
	default:
		a.id = a.prefix() + strings.TrimPrefix(id, "chatcmpl-")
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
	text, stopped := c.stop.next(c.textHalf.join(text))
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
	if a.form.Completion || c.finish != "" {
		return
	}
	a.sayReasoning(index, c, c.reasoningHalf.join(text))
}

func (a *Answer) sayReasoning(index int, c *choice, text string) {
	if text == "" {
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
	a.sayReasoning(index, c, c.reasoningHalf.rest())
	a.sayRefusal(index, c, c.refusalHalf.rest())
	a.release(index, c)
	if c.stop.stopped {
		reason = FinishStop
	}
	a.sayCalls(index, c, true)
	c.finish = a.finishReason(c, reason)
	if !a.form.Stream {
		return
	}
	if len(c.finishEvent) > 0 && c.finish == reason {
		a.borrow()
		a.buf = append(a.buf, c.finishEvent...)
		return
	}
	reason = c.finish
	a.begin(index, c)
	if a.form.Completion {
		a.completionChunk(index, "", reason)
		return
	}
	a.endDelta(a.delta(index), reason)
}

// release says the text that was held back as the possible beginning of a stop word, or of a character.
func (a *Answer) release(index int, c *choice) {
	text := ""
	if c.textHalf.n > 0 {
		text, _ = c.stop.next(c.textHalf.rest())
	}
	a.say(index, c, text+c.stop.rest())
}

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
func (a *Answer) begun() bool { return len(a.choices) > 0 || a.whole != nil }

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
	if a.failed || a.closed {
		return a.Flush()
	}
	a.closed = true
	if a.whole != nil {
		a.buf = a.whole
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
		if len(a.usageEvent) > 0 {
			a.borrow()
			a.buf = append(a.buf, a.usageEvent...)
		} else if a.form.Usage && a.usage != nil {
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
	a.closed = true
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
