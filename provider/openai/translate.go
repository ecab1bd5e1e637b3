package openai

import (
	"bytes"
	"errors"
	"io"
)

// maxObject bounds a JSON object that is translated as a whole.
const maxObject = 64 << 20

// Decode reads one message of an upstream, an event's data or a whole JSON object, and says it on
// a. Its errors are *Error; they end the answer.
type Decode func(message []byte, a *Answer) error

// Translate returns a Call's Translate for a provider whose messages decode understands,
// whether they come as events or as one JSON object.
func Translate(form Form, decode Decode) func(dst io.Writer, sse bool) Translator {
	return func(dst io.Writer, sse bool) Translator {
		return &answerTranslator{answer: NewAnswer(dst, form), decode: decode, sse: sse}
	}
}

type answerTranslator struct {
	answer *Answer
	decode Decode
	sse    bool
	events Splitter
	object []byte
	err    *Error // what ended the answer early
}

func (t *answerTranslator) Stream() bool { return t.answer.form.Stream }

// Done is true before the upstream's end only after a stop word of ours or an error: what the
// provider sends behind its finish reason, the usage, is still wanted.
func (t *answerTranslator) Done() bool {
	if t.err != nil {
		return true
	}
	return t.answer.stopped()
}

func (t *answerTranslator) Write(p []byte) (int, error) {
	if t.Done() {
		return len(p), nil
	}
	switch {
	case t.sse:
		t.note(t.events.Write(p, t.event))
	case len(t.object)+len(p) > maxObject:
		t.note(UpstreamBroken("Try again: the provider's answer is larger than 64 MB."))
	default:
		t.object = append(t.object, p...)
	}
	if !t.Stream() {
		return len(p), nil
	}
	if err := t.answer.Flush(); err != nil {
		return 0, err
	}
	return len(p), nil
}

// note keeps the first error that ended the answer. In a stream the client learns of it at once.
func (t *answerTranslator) note(err error) {
	if err == nil || t.err != nil {
		return
	}
	if !errors.As(err, &t.err) {
		t.err = UpstreamBroken("Try again: the provider's answer could not be read.")
	}
	if t.Stream() {
		_ = t.answer.Fail(t.err) // that the client is gone, the next Write will tell
	}
}

func (t *answerTranslator) event(data []byte) error {
	if t.Done() || len(data) == 0 {
		return nil
	}
	if string(data) == "[DONE]" {
		t.answer.End()
		return nil
	}
	return t.decode(data, t.answer)
}

func (t *answerTranslator) Close() error {
	if !t.Done() {
		if t.sse {
			t.note(t.events.Close(t.event))
		} else if err := t.decode(t.object, t.answer); err != nil {
			t.note(err)
		} else {
			t.answer.End() // an object that could be read is whole
		}
	}
	if t.err != nil {
		return t.answer.Fail(t.err)
	}
	return t.answer.Close()
}

func (t *answerTranslator) Abort(e *Error) error {
	if t.Stream() && t.Done() {
		return t.Close()
	}
	return t.answer.Fail(e)
}

// TranslateBody returns a Call's Translate for an answer that is one JSON object on both sides.
// The errors of convert are *Error.
func TranslateBody(convert func(body []byte) ([]byte, error)) func(dst io.Writer, sse bool) Translator {
	return func(dst io.Writer, _ bool) Translator {
		return &bodyTranslator{dst: dst, convert: convert}
	}
}

type bodyTranslator struct {
	dst     io.Writer
	convert func([]byte) ([]byte, error)
	body    bytes.Buffer
}

func (t *bodyTranslator) Stream() bool { return false }

func (t *bodyTranslator) Done() bool { return t.body.Len() > maxObject }

func (t *bodyTranslator) Write(p []byte) (int, error) { return t.body.Write(p) }

func (t *bodyTranslator) Close() error {
	if t.Done() {
		return UpstreamBroken("Try again: the provider's answer is larger than 64 MB.")
	}
	converted, err := t.convert(t.body.Bytes())
	if err != nil {
		return err
	}
	_, err = t.dst.Write(converted)
	return err
}

func (t *bodyTranslator) Abort(e *Error) error { return e }
