package jsontext

import (
	"bytes"

	"github.com/tidwall/gjson"
)

// Reader reads JSON and validates it in the same pass. The values are certain to be valid only after Close
// returns nil, so callers must not act on them before that.
//
// Each value can be read once, with the method for its type. A value of another type, or one that is not
// read, is validated and skipped.
type Reader struct {
	s      scanner
	depth  int
	unread bool // whether s is at a value that has not been read
	err    error
}

// NewReader makes a Reader of b. The raw values that it returns are slices of b.
func NewReader(b []byte) Reader {
	r := Reader{s: scanner{b: b}, unread: true}
	r.s.space()
	return r
}

// NewRereader is NewReader for JSON that is known to be valid, such as a part of a parsed request. It does
// not validate the contents of strings again.
func NewRereader(b []byte) Reader {
	r := NewReader(b)
	r.s.checked = true
	return r
}

// Close skips what has not been read, and reports an error if b is not one valid value.
func (r *Reader) Close() error {
	r.pass()
	r.s.space()
	if r.err == nil && r.s.i != len(r.s.b) {
		r.err = errNotJSON
	}
	return r.err
}

// Object calls member with the name of each member of an object. During the call, the Reader is at the
// member's value. Object reports whether the value is an object.
func (r *Reader) Object(member func(name []byte)) bool {
	if !r.open('{') {
		return false
	}
	for more := !r.close('}'); more; more = r.more('}') {
		name := r.name()
		if r.err != nil {
			break
		}
		member(name)
	}
	return true
}

// Array calls element with the Reader at each element of an array. It reports whether the value is an array.
func (r *Reader) Array(element func()) bool {
	if !r.open('[') {
		return false
	}
	for more := !r.close(']'); more; more = r.more(']') {
		r.s.space()
		r.unread = true
		element()
	}
	return true
}

// String reads a string. If the value is not a string, the result is empty. Half a surrogate pair is kept,
// because the string may be a piece of a text; see Half.
func (r *Reader) String() string {
	if !r.unread || !r.at('"') {
		return ""
	}
	r.unread = false
	start := r.s.i
	if r.s.plain() {
		return string(r.s.b[start+1 : r.s.i-1])
	}
	if err := r.s.string(); err != nil {
		r.fail(err)
		return ""
	}
	return PieceOf(r.s.b[start:r.s.i])
}

// PieceOf returns the text of a valid JSON string that may be a piece of a longer text. Half a surrogate pair
// is kept.
func PieceOf(raw []byte) string {
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1])
	}
	var short [128]byte
	return string(AppendPiece(short[:0], raw))
}

// Int reads a number. It also accepts a number in a string, as gjson does.
func (r *Reader) Int() int64 {
	raw := r.Raw()
	var n int64
	for _, c := range raw {
		if c < '0' || c > '9' || n > 1<<53 {
			return gjson.ParseBytes(raw).Int()
		}
		n = n*10 + int64(c-'0')
	}
	return n
}

// True reports whether the value is true.
func (r *Reader) True() bool { return r.unread && r.at('t') && r.Raw() != nil }

// Raw returns the JSON of a value, or nil if the value is not valid.
func (r *Reader) Raw() []byte {
	start := r.s.i
	if !r.unread || !r.pass() {
		return nil
	}
	return r.s.b[start:r.s.i]
}

// pass skips the value that has not been read, if there is one.
func (r *Reader) pass() bool {
	if r.unread {
		r.unread = false
		if err := r.s.value(r.depth); err != nil {
			r.fail(err)
		}
	}
	return r.err == nil
}

func (r *Reader) at(c byte) bool { return r.s.i < len(r.s.b) && r.s.b[r.s.i] == c }

func (r *Reader) open(bracket byte) bool {
	if !r.unread || !r.at(bracket) {
		return false
	}
	r.unread = false
	r.s.i++
	if r.depth++; r.depth > maxDepth {
		r.fail(errTooDeep)
	}
	return r.err == nil
}

func (r *Reader) close(bracket byte) bool {
	if !r.s.next(bracket) {
		return false
	}
	r.depth--
	return true
}

// more goes on to the next member or element.
func (r *Reader) more(bracket byte) bool {
	if !r.pass() || r.close(bracket) {
		return false
	}
	if !r.at(',') { // close has skipped the white space
		r.fail(errNotJSON)
		return false
	}
	r.s.i++
	return true
}

// name reads a name and moves to its value.
func (r *Reader) name() []byte {
	r.s.space()
	if !r.at('"') {
		r.fail(errNotJSON)
		return nil
	}
	name := r.text()
	if !r.s.next(':') {
		r.fail(errNotJSON)
		return nil
	}
	r.s.space()
	r.unread = true
	return name
}

// text returns the text of the next string. It is a slice of the JSON unless the string has escapes.
func (r *Reader) text() []byte {
	start := r.s.i
	if r.s.plain() {
		return r.s.b[start+1 : r.s.i-1]
	}
	if err := r.s.string(); err != nil {
		r.fail(err)
		return nil
	}
	raw := r.s.b[start:r.s.i]
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw[1 : len(raw)-1]
	}
	return AppendUnquoted(nil, raw)
}

// fail ends the reading. Everything that is read after it is empty.
func (r *Reader) fail(err error) { r.err, r.unread = err, false }
