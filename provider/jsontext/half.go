package jsontext

import (
	"unicode/utf16"
	"unicode/utf8"
)

// Half joins the pieces of a text. A piece may end within a character, because providers split their answers
// into tokens. Half keeps the beginning of that character until the next piece brings the rest.
//
// JSON writes a character beyond the basic plane as two escapes. Reader.String turns an escape that stands
// alone into three bytes, as WTF-8 does (https://simonsapin.github.io/wtf-8/).
type Half struct {
	bytes [3]byte
	n     int
}

// Join takes the next piece and returns the text up to the end of the last complete character.
func (h *Half) Join(text string) string {
	if text == "" || h.n == 0 && text[len(text)-1] < utf8.RuneSelf {
		return text
	}
	if h.n > 0 {
		text = joinSurrogates(string(h.bytes[:h.n]) + text)
	}
	whole := len(text) - unfinished(text)
	h.n = copy(h.bytes[:], text[whole:])
	return text[:whole]
}

// Rest returns the kept bytes, when no more text can come.
func (h *Half) Rest() string {
	rest := string(h.bytes[:h.n])
	h.n = 0
	return rest
}

// Empty reports whether no bytes are kept.
func (h *Half) Empty() bool { return h.n == 0 }

// unfinished returns how many bytes at the end of text are the beginning of a character.
func unfinished(text string) int {
	for n := 1; n <= min(3, len(text)); n++ {
		tail := text[len(text)-n:]
		if !utf8.RuneStart(tail[0]) {
			continue
		}
		if !utf8.FullRuneInString(tail) || n == 3 && isSurrogate(tail) && tail[1] < 0xB0 {
			return n
		}
		break
	}
	return 0
}

// surrogateLength is the length of half a surrogate pair in bytes.
const surrogateLength = 3

// isSurrogate reports whether s begins with half a surrogate pair, from U+D800 to U+DFFF.
func isSurrogate(s string) bool {
	return len(s) >= surrogateLength && s[0] == 0xED && s[1] >= 0xA0 && s[1] <= 0xBF && s[2] >= 0x80 && s[2] <= 0xBF
}

// joinSurrogates joins the two halves of a surrogate pair at the beginning of text into one character. It
// returns text unchanged if there are none.
func joinSurrogates(text string) string {
	if !isSurrogate(text) || !isSurrogate(text[surrogateLength:]) {
		return text
	}
	r := utf16.DecodeRune(surrogate(text), surrogate(text[surrogateLength:]))
	if r == utf8.RuneError {
		return text
	}
	return string(r) + text[2*surrogateLength:]
}

// surrogate returns the half of a surrogate pair that s begins with.
func surrogate(s string) rune {
	return rune(s[0]&0x0F)<<12 | rune(s[1]&0x3F)<<6 | rune(s[2]&0x3F)
}

// appendSurrogate appends half a surrogate pair.
func appendSurrogate(b []byte, r rune) []byte {
	return append(b, 0xE0|byte(r>>12), 0x80|byte(r>>6)&0xBF, 0x80|byte(r)&0xBF)
}
