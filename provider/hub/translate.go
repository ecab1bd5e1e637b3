package hub

import (
	"bytes"
	"errors"
	"io"
)

// maxObject bounds a JSON object that is translated as a whole.
const maxObject = 64 << 20

// Decode reads one message of an upstream, an event's data or a JSON object, and says it on a. Its
// errors are *Error; they end the answer.
type Decode func(message []byte, a *Answer) error

// Translate returns a Call's Translate for a provider whose messages are understood by what newDecode
// returns for each answer, whether they come as events or as JSON.
func Translate(form Form, newDecode func() Decode) func(dst io.Writer, sse bool) Translator {
	return func(dst io.Writer, sse bool) Translator { return NewTranslator(dst, sse, form, newDecode()) }
}

// NewTranslator makes the translator of one answer, which sse says is events rather than JSON.
func NewTranslator(dst io.Writer, sse bool, form Form, decode Decode) Translator {
	t := &answerTranslator{answer: NewAnswer(dst, form), decode: decode, sse: sse}
	if sse {
		t.events = new(Splitter)
		t.messages = t.events
	} else {
		t.messages = new(objects)
	}
	t.each = t.message
	return t
}

type answerTranslator struct {
	answer   *Answer
	decode   Decode
	sse      bool
	messages splitter
	events   *Splitter          // messages, if they are events
	each     func([]byte) error // message, which would be allocated anew for each Write
	err      *Error             // what ended the answer early
	complete bool               // a stream has ended as it should
}

// splitter cuts an upstream's body into messages.
type splitter interface {
	Write(p []byte, message func([]byte) error) error
	Close(message func([]byte) error) error
}

func (t *answerTranslator) Stream() bool { return t.answer.form.Stream }

// Done is true before the upstream's end only after a stop word of ours or an error: what the
// provider sends behind its finish reason, the usage, is still wanted.
func (t *answerTranslator) Done() bool {
	if t.err != nil {
		return true
	}
	return t.answer.Stopped()
}

func (t *answerTranslator) Usage() (Usage, bool) {
	if t.answer.usage == nil {
		return Usage{}, false
	}
	return *t.answer.usage, *t.answer.usage != Usage{}
}

func (t *answerTranslator) Write(p []byte) (int, error) {
	if t.Done() {
		return len(p), nil
	}
	t.note(t.messages.Write(p, t.each))
	if !t.Stream() || t.err != nil && t.unseen() {
		return len(p), nil
	}
	if err := t.answer.Flush(); err != nil {
		return 0, err
	}
	return len(p), nil
}

// note keeps the first error that ended the answer. In a stream of events the client learns of it
// at once.
func (t *answerTranslator) note(err error) {
	if err == nil || t.err != nil {
		return
	}
	if !errors.As(err, &t.err) {
		t.err = UpstreamBroken("Try again: the provider's answer could not be read.")
	}
	if t.Stream() && t.sse {
		_ = t.answer.Fail(t.err) // that the client is gone, the next Write will tell
	}
}

func (t *answerTranslator) message(data []byte) error {
	data = bytes.TrimSpace(data)
	switch {
	case t.err == nil && t.answer.Stopped():
		t.countOnly(data)
		return nil
	case t.complete || t.Done() || len(data) == 0:
		return nil
	case string(data) == "[DONE]":
		return t.end()
	case data[0] == '[': // which Google may wrap messages in
		list := new(objects)
		if err := list.Write(data, t.message); err != nil {
			return err
		}
		return list.Close(nil)
	}
	if t.events != nil {
		t.answer.event = t.events.Event()
	}
	return t.decode(data, t.answer)
}

// countOnly reads the token counts alone, of what had come already when a stop word ended the answer.
func (t *answerTranslator) countOnly(message []byte) {
	rest := NewAnswer(io.Discard, Form{Format: t.answer.form.Format})
	if t.decode(message, rest) == nil && rest.usage != nil {
		t.answer.Usage(*rest.usage)
	}
}

// end takes the provider's word that this is all. A stream ends with it, whenever the connection
// does.
func (t *answerTranslator) end() error {
	t.answer.End()
	if !t.Stream() {
		return nil
	}
	t.complete = true
	return t.answer.Close()
}

func (t *answerTranslator) Close() error {
	if t.complete {
		return nil
	}
	if !t.Done() {
		t.note(t.messages.Close(t.message))
	}
	switch {
	case t.err != nil:
		return t.fail(t.err)
	case t.complete: // with an event that ended with the stream
		return t.answer.Flush()
	case !t.sse && !t.answer.begun():
		return ErrEmpty
	case !t.sse:
		t.answer.End() // JSON that could be read to its end is whole
	}
	return t.answer.Close()
}

// fail ends the answer with e. As long as the client has seen nothing, it can be told with a
// status, which it understands better than an event.
func (t *answerTranslator) fail(e *Error) error {
	if t.unseen() {
		return e
	}
	return t.answer.Fail(e)
}

// unseen reports whether the client has seen nothing yet, not even a header: an answer in JSON may
// turn out to be none.
func (t *answerTranslator) unseen() bool { return !t.sse && !t.answer.out }

func (t *answerTranslator) Abort(e *Error) error {
	if t.complete || t.Stream() && t.Done() {
		return t.Close()
	}
	return t.fail(e)
}

// TranslateBody returns a Call's Translate for an answer that becomes one JSON object. convert is given the
// upstream's whole body. Its errors are *Error.
func TranslateBody(convert func(body []byte) ([]byte, error)) func(dst io.Writer, sse bool) Translator {
	return func(dst io.Writer, _ bool) Translator { return &BodyTranslator{Dst: dst, Convert: convert} }
}

// BodyTranslator translates an answer once all of it has come.
type BodyTranslator struct {
	Dst     io.Writer
	Convert func([]byte) ([]byte, error)

	// Count reads the token counts of the upstream's body. Nil: they are not known.
	Count func(body []byte) Usage

	body bytes.Buffer
}

// Stream reports that no events come out.
func (t *BodyTranslator) Stream() bool { return false }

// Done reports whether the body is too large.
func (t *BodyTranslator) Done() bool { return t.body.Len() > maxObject }

// Usage returns the token counts of the body.
func (t *BodyTranslator) Usage() (u Usage, ok bool) {
	if t.Count != nil {
		u = t.Count(t.body.Bytes())
	}
	return u, u != Usage{}
}

// Write takes a piece of the body.
func (t *BodyTranslator) Write(p []byte) (int, error) { return t.body.Write(p) }

// Close converts the body.
func (t *BodyTranslator) Close() error {
	if t.Done() {
		return UpstreamBroken("Try again: the provider's answer is larger than 64 MB.")
	}
	converted, err := t.Convert(t.body.Bytes())
	if err != nil {
		return err
	}
	_, err = t.Dst.Write(converted)
	return err
}

// Abort returns e: nothing has come out yet.
func (t *BodyTranslator) Abort(e *Error) error { return e }
