package hub

import (
	"io"
	"strconv"
	"sync"
	"time"
)

// Answer takes what a model says, in the order in which it arrives, and writes it in the form that the client
// wants. Flush writes what a stream has so far. Close writes the rest, or the whole JSON object.
type Answer struct {
	dst    io.Writer
	form   Form
	head   Head
	writer Writer

	buf  []byte  // written but not flushed yet; nil if there is nothing
	lent *[]byte // the element of buffers that buf began with

	choices []*Choice
	usage   *Usage
	out     bool // a part of a stream has been written to dst
	failed  bool // an error frame has been written; nothing follows it
	closed  bool // Close or Fail has been called

	event      []byte // the event of the message that is decoded now; nil if the message must not pass
	usageEvent []byte // the event with the token counts; it passes at the end
	whole      []byte // a JSON object that passes
}

// NewAnswer makes an Answer that writes to dst.
func NewAnswer(dst io.Writer, form Form) *Answer {
	a := &Answer{dst: dst, form: form, head: Head{Created: strconv.FormatInt(time.Now().Unix(), 10), Model: form.Model}}
	a.writer = form.Format.NewWriter(form, &a.head)
	return a
}

// SetID sets the provider's id of the answer. Only the first call counts. If there is none, the writer makes
// an id.
func (a *Answer) SetID(id string) {
	if a.head.ID == "" {
		a.head.ID = id
	}
}

// Begin opens a choice of a stream before its first text, so that the client learns early that the model
// answers.
func (a *Answer) Begin(index int) {
	if c := a.choice(index); a.form.Stream {
		a.begin(index, c)
	}
}

func (a *Answer) begin(index int, c *Choice) {
	if c.begun || a.form.TextOnly {
		return
	}
	c.begun = true
	a.write(Event{Kind: Begin, Choice: index})
}

// write writes an event of a stream.
func (a *Answer) write(e Event) {
	a.borrow()
	a.buf = a.writer.AppendEvent(a.buf, e)
}

// say opens the choice if necessary and writes an event of it.
func (a *Answer) say(c *Choice, e Event) {
	a.begin(e.Choice, c)
	a.write(e)
}

// Text adds to the text of a choice.
func (a *Answer) Text(index int, text string) {
	c := a.choice(index)
	if c.Finish != "" {
		return
	}
	text, stopped := c.stop.next(c.textHalf.Join(text))
	a.sayText(index, c, text)
	if stopped {
		a.Finish(index, FinishStop)
	}
}

func (a *Answer) sayText(index int, c *Choice, text string) {
	switch {
	case text == "":
	case !a.form.Stream:
		c.Text = append(c.Text, text...)
	default:
		a.say(c, Event{Kind: Text, Choice: index, Text: text})
	}
}

// Reasoning adds to the model's reasoning. It is never part of the text. Text completions have no field for
// it and drop it.
func (a *Answer) Reasoning(index int, text string) {
	c := a.choice(index)
	if a.form.TextOnly || c.Finish != "" {
		return
	}
	a.sayReasoning(index, c, c.reasoningHalf.Join(text))
}

func (a *Answer) sayReasoning(index int, c *Choice, text string) {
	switch {
	case text == "":
	case !a.form.Stream:
		c.Reasoning = append(c.Reasoning, text...)
	default:
		a.say(c, Event{Kind: Reasoning, Choice: index, Text: text})
	}
}

// Refusal adds to the model's reason for not answering, which takes the place of the choice's text. Text
// completions have no field for it and drop it.
func (a *Answer) Refusal(index int, text string) {
	c := a.choice(index)
	if a.form.TextOnly || c.Finish != "" {
		return
	}
	a.sayRefusal(index, c, c.refusalHalf.Join(text))
}

func (a *Answer) sayRefusal(index int, c *Choice, text string) {
	switch {
	case text == "":
	case !a.form.Stream:
		c.Refusal = append(c.Refusal, text...)
	default:
		a.release(index, c)
		a.say(c, Event{Kind: Refusal, Choice: index, Text: text})
	}
}

// Extra adds extra_content: a JSON object that the provider wants back with the text in later requests. Text
// completions have no field for it and drop it.
func (a *Answer) Extra(index int, object []byte) {
	c := a.choice(index)
	switch {
	case a.form.TextOnly || c.Finish != "":
	case !a.form.Stream:
		c.Extra = append(c.Extra[:0], object...)
	default:
		a.say(c, Event{Kind: Extra, Choice: index, Extra: object})
	}
}

// Annotations adds sources of a choice's text. Text completions have no field for them and drop them.
func (a *Answer) Annotations(index int, citations []URLCitation) {
	c := a.choice(index)
	switch {
	case len(citations) == 0 || a.form.TextOnly || c.Finish != "":
	case !a.form.Stream:
		c.Citations = append(c.Citations, citations...)
	default:
		a.say(c, Event{Kind: Annotations, Choice: index, Citations: citations})
	}
}

// Image adds an image by its URL, which may be a data URL. Text completions have no field for it and drop it.
func (a *Answer) Image(index int, url string) {
	c := a.choice(index)
	switch {
	case a.form.TextOnly || c.Finish != "":
	case !a.form.Stream:
		c.Images = append(c.Images, url)
	default:
		a.say(c, Event{Kind: Image, Choice: index, Text: url})
	}
}

// Logprobs adds the log probabilities of a choice's next tokens. Text completions have a different form for
// them, which is not supported: they are dropped.
func (a *Answer) Logprobs(index int, tokens []TokenLogprob) {
	c := a.choice(index)
	switch {
	case len(tokens) == 0 || a.form.TextOnly || c.Finish != "":
	case !a.form.Stream:
		c.Logprobs = append(c.Logprobs, tokens...)
	default:
		a.say(c, Event{Kind: Logprobs, Choice: index, Logprobs: tokens})
	}
}

// Usage notes the token counts. The last call counts.
func (a *Answer) Usage(u Usage) {
	if u == (Usage{}) && a.usage != nil {
		return // some providers end with zeros
	}
	if u.Total == 0 {
		u.Total = u.Prompt + u.Completion
	}
	if a.usage == nil {
		a.usage = new(Usage)
	}
	*a.usage = u
	a.head.Usage = a.usage
	a.usageEvent = nil // its counts are outdated now
}

// Finish ends a choice. Only the first reason counts. If the provider says stop for a choice that called
// tools, the choice ends with tool_calls. A choice without calls never ends with tool_calls.
func (a *Answer) Finish(index int, reason string) {
	c := a.choice(index)
	if c.Finish != "" {
		return
	}
	a.sayReasoning(index, c, c.reasoningHalf.Rest())
	a.sayRefusal(index, c, c.refusalHalf.Rest())
	a.release(index, c)
	if c.stop.stopped {
		reason = FinishStop
	}
	a.sayCalls(index, c, true)
	c.Finish, c.StopWord = finishReason(c.ncalls, reason), c.stop.word
	switch {
	case !a.form.Stream:
	case len(c.finishEvent) > 0 && c.Finish == reason:
		a.borrow()
		a.buf = append(a.buf, c.finishEvent...)
	default:
		a.say(c, Event{Kind: Finish, Choice: index, Text: c.Finish, Stop: c.StopWord})
	}
}

// release says the text that was held back because it could have been the beginning of a stop word, or half
// of a character.
func (a *Answer) release(index int, c *Choice) {
	text := ""
	if !c.textHalf.Empty() {
		text, _ = c.stop.next(c.textHalf.Rest())
	}
	a.sayText(index, c, text+c.stop.rest())
}

// Finished reports whether there is a choice and all choices have ended.
func (a *Answer) Finished() bool {
	for _, c := range a.choices {
		if c.Finish == "" {
			return false
		}
	}
	return len(a.choices) > 0
}

// End ends the choices that have no finish reason. It is for providers that say only that the answer is
// complete.
func (a *Answer) End() {
	a.choice(0)
	a.finishLast()
	for i := range a.choices {
		a.Finish(i, FinishStop)
	}
}

// begun reports whether the provider has said anything.
func (a *Answer) begun() bool { return len(a.choices) > 0 || a.whole != nil }

// Stopped reports whether stop words that this server applies have ended every choice.
func (a *Answer) Stopped() bool {
	for _, c := range a.choices {
		if !c.stop.stopped {
			return false
		}
	}
	return len(a.choices) >= max(a.form.Choices, 1)
}

// Flush writes what has gathered of a stream to the client.
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

// buffers are shared by all streams. A stream borrows one when it writes a chunk and returns it at the next
// Flush: most of the time a stream waits for its model and needs no buffer.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

func (a *Answer) borrow() {
	if a.buf == nil {
		a.lent = buffers.Get().(*[]byte)
		a.buf = *a.lent
	}
}

// maxLent bounds the size of a buffer that is kept for reuse.
const maxLent = 64 << 10

// Close ends the answer. If the provider's answer is incomplete, a stream ends with an error event. A JSON
// object is not written at all in that case, and Close returns the error.
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
		return a.Fail(ErrUnnamedCall)
	}
	if !a.Finished() {
		return a.Fail(ErrIncomplete)
	}
	switch {
	case !a.form.Stream:
		a.object()
	case len(a.usageEvent) > 0:
		a.borrow()
		a.buf = a.writer.AppendEnd(append(a.buf, a.usageEvent...), nil)
	case a.form.Usage:
		a.borrow()
		a.buf = a.writer.AppendEnd(a.buf, a.usage)
	default:
		a.borrow()
		a.buf = a.writer.AppendEnd(a.buf, nil)
	}
	return a.Flush()
}

// Fail ends the answer with e. A stream writes e after what was said before. A JSON object is dropped, and
// Fail returns e.
func (a *Answer) Fail(e *Error) error {
	a.closed = true
	if !a.form.Stream {
		return e
	}
	if !a.failed {
		a.borrow()
		a.buf = a.writer.AppendFail(a.buf, e)
		a.failed = true
	}
	return a.Flush()
}

func (a *Answer) choice(index int) *Choice {
	for len(a.choices) <= index {
		a.choices = append(a.choices, &Choice{stop: stopper{words: a.form.Stop}})
	}
	return a.choices[index]
}

// object writes the whole answer.
func (a *Answer) object() {
	for _, c := range a.choices {
		for _, t := range c.calls {
			if t.begun {
				c.Calls = append(c.Calls, ToolCall{ID: t.id, Name: t.name, Arguments: string(t.arguments), Extra: t.extra})
			}
		}
	}
	a.buf = a.writer.AppendObject(a.buf, a.choices, a.usage)
}
