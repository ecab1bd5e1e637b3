package openai

import (
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// inputReader takes the text out of the arguments of a custom tool's call, {"input":"…"}, as they come, torn
// anywhere. Where a model writes something else, all of it is the text.
type inputReader struct {
	at     inputPlace
	all    []byte // everything so far, until the text is found
	name   []byte // of the member, as it is written
	depth  int    // of the value that is passed over
	quoted bool   // within a string of it
	slash  bool   // behind a backslash
	escape []byte // what has come of an escape sequence of the text
}

// inputPlace is where in the arguments the next byte stands.
type inputPlace int

const (
	inputBegin  inputPlace = iota // before the object
	inputMember                   // before a member's name
	inputName                     // within it
	inputColon                    // behind it
	inputValue                    // before the value of a member
	inputOther                    // within the value of another member
	inputText                     // within the text
	inputEnd                      // behind it
	inputNoJSON                   // in arguments that are no object
)

// next takes a piece of the arguments, and returns what it adds to the text.
func (r *inputReader) next(piece string) string {
	if r.at == inputNoJSON {
		return piece
	}
	if r.at < inputText {
		r.all = append(r.all, piece...)
	}
	var text strings.Builder
	for i := 0; i < len(piece); {
		switch r.at {
		case inputText:
			i += r.text(piece[i:], &text)
		case inputEnd:
			return text.String()
		case inputNoJSON:
			all := string(r.all)
			r.all = nil
			return all
		default:
			r.step(piece[i])
			i++
		}
	}
	if r.at == inputNoJSON {
		text.Write(r.all)
		r.all = nil
	}
	return text.String()
}

// rest returns what is left of the text once no more can come.
func (r *inputReader) rest() string {
	var text strings.Builder
	switch {
	case r.at == inputText:
		r.spill(&text)
	case r.at < inputText && strings.Trim(string(r.all), " \t\r\n{}") != "":
		text.Write(r.all)
	}
	r.at, r.all = inputEnd, nil
	return text.String()
}

// step takes a byte outside of the text.
func (r *inputReader) step(c byte) {
	if c == ' ' || c == '\t' || c == '\r' || c == '\n' {
		if r.at != inputName && r.at != inputOther {
			return
		}
	}
	switch r.at {
	case inputBegin:
		r.at = inputMember
		if c != '{' {
			r.at = inputNoJSON
		}
	case inputMember:
		if c == '"' {
			r.at, r.name = inputName, r.name[:0]
		}
	case inputName:
		if c == '"' && !r.slash {
			r.at = inputColon
			return
		}
		r.slash = c == '\\' && !r.slash
		r.name = append(r.name, c)
	case inputColon:
		if c == ':' {
			r.at = inputValue
		}
	case inputValue:
		if c == '"' && string(r.name) == "input" {
			r.at, r.all = inputText, nil
			return
		}
		r.at, r.depth, r.quoted, r.slash = inputOther, 0, false, false
		r.pass(c)
	case inputOther:
		r.pass(c)
	}
}

// pass takes a byte of the value of another member, or the comma behind it.
func (r *inputReader) pass(c byte) {
	switch {
	case r.slash:
		r.slash = false
	case r.quoted && c == '\\':
		r.slash = true
	case c == '"':
		r.quoted = !r.quoted
	case r.quoted:
	case c == '{' || c == '[':
		r.depth++
	case c == '}' || c == ']':
		r.depth--
	case c == ',' && r.depth == 0:
		r.at = inputMember
	}
}

// text takes a part of the text, and returns how many bytes of s that was.
func (r *inputReader) text(s string, text *strings.Builder) int {
	if len(r.escape) > 0 {
		r.unescape(s[0], text)
		return 1
	}
	i := strings.IndexAny(s, `"\`)
	switch {
	case i < 0:
		text.WriteString(s)
		return len(s)
	case s[i] == '\\':
		r.escape = append(r.escape, '\\')
	default:
		r.at = inputEnd
	}
	text.WriteString(s[:i])
	return i + 1
}

// The length of an escape by number, such as \u00e9, and of a pair of them.
const (
	numbered = len(`\u0000`)
	paired   = 2 * numbered
)

// unescape takes a byte of an escape sequence.
func (r *inputReader) unescape(c byte, text *strings.Builder) {
	n := len(r.escape)
	switch {
	case n == numbered && c != '\\', n == numbered+1 && c != 'u': // half a pair stands alone
		text.WriteRune(utf8.RuneError)
		r.escape = r.escape[:n-numbered]
		switch {
		case n == numbered+1:
			r.escape[0] = '\\'
			r.unescape(c, text)
		case c == '"':
			r.at = inputEnd
		default:
			text.WriteByte(c)
		}
		return
	}
	r.escape = append(r.escape, c)
	switch n + 1 {
	case len(`\n`):
		if c != 'u' {
			r.escape = r.escape[:0]
			text.WriteByte(unescaped(c))
		}
	case numbered:
		if !utf16.IsSurrogate(number(r.escape)) {
			r.spill(text)
		}
	case paired:
		first, second := number(r.escape), number(r.escape[numbered:])
		if both := utf16.DecodeRune(first, second); both != utf8.RuneError {
			r.escape = r.escape[:0]
			text.WriteRune(both)
			return
		}
		text.WriteRune(utf8.RuneError)
		r.escape = append(r.escape[:0], r.escape[numbered:]...)
		if !utf16.IsSurrogate(second) {
			r.spill(text)
		}
	}
}

// spill says the escape sequence that has come, or what there is of one.
func (r *inputReader) spill(text *strings.Builder) {
	if len(r.escape) >= numbered {
		text.WriteRune(number(r.escape))
	}
	r.escape = r.escape[:0]
}

// number is that of an escape; what is no number stands for no character.
func number(escape []byte) rune {
	n, err := strconv.ParseUint(string(escape[2:numbered]), 16, 16)
	if err != nil {
		return utf8.RuneError
	}
	return rune(n)
}

// unescaped is the character that a letter behind a backslash stands for.
func unescaped(letter byte) byte {
	if i := strings.IndexByte("bfnrt", letter); i >= 0 {
		return "\b\f\n\r\t"[i]
	}
	return letter
}
