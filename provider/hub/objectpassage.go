package hub

import (
	"bytes"

	"github.com/tidwall/gjson"

	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
)

// ObjectPassage passes a JSON object from a provider that uses OpenAI's format. Some providers send an
// error, an HTML page or nothing with status 200. So the object is held until it is known to be an answer. An
// object that gets longer than any error passes from then on as it arrives.
type ObjectPassage struct {
	// List says that a list of objects is a stream and passes as it arrives.
	List bool

	held   []byte
	passed bool
}

// maxHeldObject is longer than any error.
const maxHeldObject = 64 << 10

// Pass takes the next piece and returns what to send to the client now. That may be the piece itself.
func (p *ObjectPassage) Pass(piece []byte) []byte {
	if p.passed {
		return piece
	}
	p.held = append(p.held, piece...)
	list := p.List && bytes.HasPrefix(bytes.TrimLeft(p.held, " \t\r\n"), []byte("["))
	if len(p.held) <= maxHeldObject && !list {
		return nil
	}
	held := p.held
	p.held, p.passed = nil, true
	return held
}

// Close returns the rest of the answer, or the error that came instead of an answer.
func (p *ObjectPassage) Close() ([]byte, *Error) {
	if p.passed {
		return nil, nil
	}
	held := p.held
	object := bytes.TrimSpace(bytes.TrimPrefix(held, byteOrderMark))
	p.held = nil
	switch {
	case len(object) == 0:
		return nil, ErrEmpty
	case object[0] == '[' && jsontext.ValidObject([]byte(gjson.GetBytes(object, "0").Raw)):
		if e := ReportedIn(object); e != nil {
			return nil, e
		}
		return nil, ErrUnreadable
	case !jsontext.ValidObject(object):
		return nil, ErrUnreadable
	}
	if e := Reported(gjson.ParseBytes(object)); e != nil {
		return nil, e
	}
	return held, nil
}

// Content is the kind of an upstream's body.
type Content int

// The kinds of bodies.
const (
	Unknown Content = iota // nothing but white space so far
	Events                 // server-sent events
	JSON
	Other // HTML or text
)

// ContentOf tells the kind of a body from its beginning. The Content-Type cannot be trusted: some providers
// label events as text, or JSON as events.
func ContentOf(beginning []byte) Content {
	b := bytes.TrimLeft(bytes.TrimPrefix(beginning, byteOrderMark), " \t\r\n")
	if len(b) == 0 || len(b) < len(byteOrderMark) && bytes.HasPrefix(byteOrderMark, b) {
		return Unknown
	}
	switch b[0] {
	case '{', '[':
		return JSON
	case ':':
		return Events
	}
	for _, field := range []string{"data", "event", "id", "retry"} {
		n := min(len(field), len(b))
		if string(b[:n]) == field[:n] && (n == len(b) || b[n] == ':' || b[n] == '\n' || b[n] == '\r') {
			return Events
		}
	}
	return Other
}
