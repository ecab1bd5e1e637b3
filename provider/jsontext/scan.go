package jsontext

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/bits"
)

// maxDepth limits the nesting of JSON. gjson and most upstreams recurse at each level, and Go aborts the
// process when a stack grows beyond 1 GB. 20 MB of "[" would be enough for that.
const maxDepth = 1000

var (
	errNotJSON = errors.New("the request body is not valid JSON")
	errTooDeep = errors.New("the request body nests deeper than 1000 levels")
)

// Member is a name and a value of a JSON object, as offsets into its bytes. The bytes of a string include the
// quotes.
type Member struct {
	NameStart, NameEnd   int
	ValueStart, ValueEnd int
}

// ScanObject checks that b is one valid JSON object (RFC 8259). It calls visit for each member and stops at
// the first error of visit, which may be nil. numbered reports whether a string may have a \u escape.
//
// It takes one pass and allocates nothing. gjson would need one pass to validate and another to read, and its
// validation recurses without a limit.
func ScanObject(b []byte, visit func(m Member) error) (numbered bool, err error) {
	s := scanner{b: b}
	err = s.whole(visit)
	return s.unicode, err
}

// ValidObject reports whether b is one valid JSON object that nests no deeper than 1000 levels.
func ValidObject(b []byte) bool {
	_, err := ScanObject(b, nil)
	return err == nil
}

type scanner struct {
	b []byte
	i int

	// checked says that b is known to be valid JSON. Then the contents of long strings are not validated.
	checked bool

	// unicode says that a string may have a \u escape. It may also be set for an escaped backslash that is
	// followed by "u". It is not set if checked is.
	unicode bool
}

// whole implements ScanObject.
func (s *scanner) whole(visit func(m Member) error) error {
	s.space()
	if s.i >= len(s.b) || s.b[s.i] != '{' {
		return errNotJSON
	}
	if err := s.object(1, visit); err != nil {
		return err
	}
	s.space()
	if s.i != len(s.b) {
		return errNotJSON
	}
	return nil
}

func (s *scanner) space() {
	for s.i < len(s.b) && isSpace(s.b[s.i]) {
		s.i++
	}
}

func isSpace(c byte) bool { return c <= ' ' && (c == ' ' || c == '\n' || c == '\r' || c == '\t') }

// next skips white space and takes c.
func (s *scanner) next(c byte) bool {
	s.space()
	if s.i < len(s.b) && s.b[s.i] == c {
		s.i++
		return true
	}
	return false
}

func (s *scanner) value(depth int) error {
	s.space()
	if s.i >= len(s.b) {
		return errNotJSON
	}
	switch c := s.b[s.i]; {
	case c == '"':
		return s.text()
	case c == '{':
		return s.object(depth+1, nil)
	case c == '[':
		return s.array(depth + 1)
	case c == '-' || c >= '0' && c <= '9':
		return s.number()
	case c == 't':
		return s.literal("true")
	case c == 'f':
		return s.literal("false")
	case c == 'n':
		return s.literal("null")
	}
	return errNotJSON
}

func (s *scanner) object(depth int, visit func(m Member) error) error {
	if depth > maxDepth {
		return errTooDeep
	}
	s.i++
	if s.next('}') {
		return nil
	}
	for {
		var m Member
		s.space()
		m.NameStart = s.i
		if s.i >= len(s.b) || s.b[s.i] != '"' {
			return errNotJSON
		}
		if err := s.text(); err != nil {
			return err
		}
		m.NameEnd = s.i
		if !s.next(':') {
			return errNotJSON
		}
		s.space()
		m.ValueStart = s.i
		if err := s.value(depth); err != nil {
			return err
		}
		m.ValueEnd = s.i
		if visit != nil {
			if err := visit(m); err != nil {
				return err
			}
		}
		if s.next('}') {
			return nil
		}
		if !s.next(',') {
			return errNotJSON
		}
	}
}

func (s *scanner) array(depth int) error {
	if depth > maxDepth {
		return errTooDeep
	}
	s.i++
	if s.next(']') {
		return nil
	}
	for {
		if err := s.value(depth); err != nil {
			return err
		}
		if s.next(']') {
			return nil
		}
		if !s.next(',') {
			return errNotJSON
		}
	}
}

func (s *scanner) literal(word string) error {
	if len(s.b)-s.i < len(word) || string(s.b[s.i:s.i+len(word)]) != word {
		return errNotJSON
	}
	s.i += len(word)
	return nil
}

func (s *scanner) number() error {
	if s.b[s.i] == '-' {
		s.i++
	}
	if s.i < len(s.b) && s.b[s.i] == '0' {
		s.i++
	} else if !s.digits() {
		return errNotJSON
	}
	if s.i < len(s.b) && s.b[s.i] == '.' {
		s.i++
		if !s.digits() {
			return errNotJSON
		}
	}
	if s.i < len(s.b) && (s.b[s.i] == 'e' || s.b[s.i] == 'E') {
		s.i++
		if s.i < len(s.b) && (s.b[s.i] == '+' || s.b[s.i] == '-') {
			s.i++
		}
		if !s.digits() {
			return errNotJSON
		}
	}
	return nil
}

func (s *scanner) digits() bool {
	start := s.i
	for s.i < len(s.b) && s.b[s.i] >= '0' && s.b[s.i] <= '9' {
		s.i++
	}
	return s.i > start
}

// These constants hold the lowest and the highest bit of each byte of a word, to check eight bytes at once:
// (x-ones)&^x&tops has the top bit of the first byte that is zero, and no top bit below it.
const ones, tops = 0x0101010101010101, 0x8080808080808080

// text takes a string. It tries plain first, since most strings of an answer are short names.
func (s *scanner) text() error {
	if s.plain() {
		return nil
	}
	return s.string()
}

// plain takes a string of up to 32 bytes without escapes, and reports whether there is one. It searches for
// the first quote, backslash or control character.
func (s *scanner) plain() bool {
	b := s.b
	for i, end := s.i+1, min(s.i+25, len(b)-8); i <= end; i += 8 {
		x := binary.LittleEndian.Uint64(b[i:])
		quote, backslash := x^'"'*ones, x^'\\'*ones // their top bits are those of x
		found := ((quote - ones) | (backslash - ones) | (x - ' '*ones)) &^ x & tops
		if found == 0 {
			continue
		}
		i += bits.TrailingZeros64(found) / 8
		if b[i] != '"' {
			return false
		}
		s.i = i + 1
		return true
	}
	return false
}

// string searches for the end with bytes.IndexByte, which compares many bytes at a time on most processors.
// Prompts are long strings, and most of the time for a request is spent here.
func (s *scanner) string() error {
	start := s.i + 1
	for end := start; ; end++ {
		length := bytes.IndexByte(s.b[end:], '"')
		if length < 0 {
			return errNotJSON
		}
		end += length
		if escaped(s.b[start:end]) {
			continue
		}
		text := s.b[start : end+1] // with the quote, so that a byte follows each backslash
		if !s.checked && (hasControl(text) || bytes.IndexByte(text, '\\') >= 0 && !s.escapesValid(text)) {
			return errNotJSON
		}
		s.i = end + 1
		return nil
	}
}

// escaped reports whether the byte after text is escaped: text must end with an odd number of backslashes.
func escaped(text []byte) bool {
	return len(text) > 0 && text[len(text)-1] == '\\' && (len(text)-len(bytes.TrimRight(text, `\`)))%2 == 1
}

// escapesValid reports whether all escape sequences in text are valid. text ends with its closing quote.
// Quoted source code has escapes in each line, too many to search for them one by one. So escapesValid marks
// the backslashes of 64 bytes at once, with a bit for each, and checks the byte after each mark. The order
// does not matter.
func (s *scanner) escapesValid(text []byte) bool {
	if len(text) < 64 {
		for i := range len(text) - 1 {
			if !s.escapeValid(text, i) {
				return false
			}
		}
		return true
	}
	for i := 0; i < len(text); i += 64 {
		i = min(i, len(text)-64) // the last 64 bytes, even if some have been checked already
		for marks := backslashes((*[64]byte)(text[i:])); marks != 0; marks &= marks - 1 {
			mark := bits.TrailingZeros64(marks)
			if at := i + mark%8*8 + mark/8; !short[text[at+1]] && !s.escapeValid(text, at) {
				return false
			}
		}
	}
	return true
}

// backslashes returns marks for the backslashes in b. It may also mark a bracket after a backslash. Bit 8i+j
// stands for b[i+8j].
func backslashes(b *[64]byte) (marks uint64) {
	marks = mark(marks, b[:])
	marks = mark(marks, b[8:])
	marks = mark(marks, b[16:])
	marks = mark(marks, b[24:])
	marks = mark(marks, b[32:])
	marks = mark(marks, b[40:])
	marks = mark(marks, b[48:])
	return mark(marks, b[56:])
}

// mark shifts marks by one bit and marks the backslashes among the next eight bytes.
func mark(marks uint64, b []byte) uint64 {
	x := binary.LittleEndian.Uint64(b) ^ '\\'*ones
	return marks>>1 | (x-ones)&^x&tops
}

// escapeValid reports whether text is valid at i: if there is a backslash, it must begin a valid escape
// sequence or be part of one.
func (s *scanner) escapeValid(text []byte, i int) bool {
	if text[i] != '\\' || short[text[i+1]] {
		return true
	}
	numbered := isUnicode(text[i+1:])
	s.unicode = s.unicode || numbered
	return numbered || escaped(text[:i])
}

// hasControl reports whether b contains a control character. It subtracts a space from each of eight bytes at
// once. The top bit of a byte is set afterwards if the byte was below a space or far beyond ASCII. The
// subtraction may borrow from the next byte, so it does not tell which byte was below, but only whether there
// may be one.
func hasControl(b []byte) bool {
	const spaces = ' ' * ones
	var suspicious uint64
	rest := b
	for ; len(rest) >= 32; rest = rest[32:] {
		w := (*[32]byte)(rest)
		x0, x1 := binary.LittleEndian.Uint64(w[:]), binary.LittleEndian.Uint64(w[8:])
		x2, x3 := binary.LittleEndian.Uint64(w[16:]), binary.LittleEndian.Uint64(w[24:])
		suspicious |= (x0 - spaces) | (x1 - spaces) | (x2 - spaces) | (x3 - spaces)
	}
	if suspicious&tops == 0 {
		b = rest
	}
	for ; len(b) >= 8; b = b[8:] {
		if x := binary.LittleEndian.Uint64(b); (x-spaces)&^x&tops != 0 {
			return true
		}
	}
	for _, c := range b {
		if c < ' ' {
			return true
		}
	}
	return false
}

// short are the characters that form an escape sequence together with a backslash.
var short = [256]bool{'"': true, '\\': true, '/': true, 'b': true, 'f': true, 'n': true, 'r': true, 't': true}

// isUnicode reports whether text begins with "u" and four hexadecimal digits.
func isUnicode(text []byte) bool {
	if len(text) < 5 || text[0] != 'u' {
		return false
	}
	for _, c := range text[1:5] {
		if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F') {
			return false
		}
	}
	return true
}
