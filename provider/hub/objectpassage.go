package hub

import (
	"bytes"

	"github.com/tidwall/gjson"

	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
)

// ObjectPassage is a JSON object on its way from a provider that speaks OpenAI's format. It is held until
// it is known to be an answer: with status 200 some send an error, a page of HTML, or nothing. An object
// that is longer than any error passes from there on as it comes.
type ObjectPassage struct {
	// List says that a list of objects is a stream, and passes as it comes.
	List bool

	held   []byte
	passed bool
}

// maxHeldObject is more than an error takes.
const maxHeldObject = 64 << 10

// Pass returns what the client is to get of the next piece, which may be the piece itself.
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

// Close returns what is held of an answer, or the error that came in its place.
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

// Content is the form of an upstream's body, by its first byte that is no white space.
type Content int

// The forms that a body may have.
const (
	Unknown Content = iota // nothing has come
	Events                 // server-sent events
	JSON
	Other // HTML or text
)

// ContentOf tells the form of a body by how it begins. Providers label events as text and JSON as events.
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
