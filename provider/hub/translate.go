package hub

import (
	"bytes"
	"errors"
	"io"
)

// maxObject bounds a JSON object that is translated as a whole.
const maxObject = 64 << 20

// Decode reads one message of an upstream, the data of an event or a JSON object, and reports what it says to
// a. Its errors are *Error and end the answer.
type Decode func(message []byte, a *Answer) error

// Translate returns a function for Call.Translate. It calls newDecode once for each answer, and the Decode
// that it gets reads all messages of the answer, whether they arrive as events or as JSON.
func Translate(form Form, newDecode func() Decode) func(dst io.Writer, sse bool) Translator {
	return func(dst io.Writer, sse bool) Translator { return NewTranslator(dst, sse, form, newDecode()) }
}

// NewTranslator makes the translator of one answer. sse says that the answer is a stream of events. If false,
// it is JSON.
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
	events   *Splitter          // messages, if the answer is a stream of events
	each     func([]byte) error // the method message; kept because each Write would allocate it
	err      *Error             // the error that ended the answer early
	complete bool               // a stream has ended normally
}

// splitter cuts an upstream's body into messages.
type splitter interface {
	Write(p []byte, message func([]byte) error) error
	Close(message func([]byte) error) error
}

func (t *answerTranslator) Stream() bool { return t.answer.form.Stream }

// Done is true only after a stop word that this server applies, or after an error. It is false after a finish
// reason, because the token counts follow.
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

// note keeps the first error that ended the answer. A client that reads a stream of events gets it at once.
func (t *answerTranslator) note(err error) {
	if err == nil || t.err != nil {
		return
	}
	if !errors.As(err, &t.err) {
		t.err = UpstreamBroken("Try again: the provider's answer could not be read.")
	}
	if t.Stream() && t.sse {
		_ = t.answer.Fail(t.err) // if the client is gone, the next Write reports it
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
	case data[0] == '[': // Google may wrap messages in a list
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

// countOnly reads only the token counts of a message that came after a stop word had ended the answer.
func (t *answerTranslator) countOnly(message []byte) {
	rest := NewAnswer(io.Discard, Form{Format: t.answer.form.Format})
	if t.decode(message, rest) == nil && rest.usage != nil {
		t.answer.Usage(*rest.usage)
	}
}

// end is called when the provider says that the answer is complete. A stream ends now, even if the connection
// stays open.
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
	case t.complete: // by the event that messages.Close completed
		return t.answer.Flush()
	case !t.sse && !t.answer.begun():
		return ErrEmpty
	case !t.sse:
		t.answer.End() // JSON that could be read to its end is complete
	}
	return t.answer.Close()
}

// fail ends the answer with e. If the client has not seen anything, the error is returned: an HTTP status is
// clearer to a client than an event.
func (t *answerTranslator) fail(e *Error) error {
	if t.unseen() {
		return e
	}
	return t.answer.Fail(e)
}

// unseen reports whether the client has not seen anything yet, not even a header. Headers wait for JSON,
// because it may turn out not to be an answer.
func (t *answerTranslator) unseen() bool { return !t.sse && !t.answer.out }

func (t *answerTranslator) Abort(e *Error) error {
	if t.complete || t.Stream() && t.Done() {
		return t.Close()
	}
	return t.fail(e)
}

// TranslateBody returns a function for Call.Translate, for answers that become one JSON object. convert gets
// the upstream's whole body. Its errors are *Error.
func TranslateBody(convert func(body []byte) ([]byte, error)) func(dst io.Writer, sse bool) Translator {
	return func(dst io.Writer, _ bool) Translator { return &BodyTranslator{Dst: dst, Convert: convert} }
}

// BodyTranslator translates an answer when all of it has arrived.
type BodyTranslator struct {
	Dst     io.Writer
	Convert func([]byte) ([]byte, error)

	// Count reads the token counts of the upstream's body. If nil, they are not known.
	Count func(body []byte) Usage

	body bytes.Buffer
}

// Stream returns false: a BodyTranslator writes no events.
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

// Abort returns e, because nothing has been written yet.
func (t *BodyTranslator) Abort(e *Error) error { return e }
