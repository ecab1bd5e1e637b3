package jsontext

import (
	"bytes"
	"encoding/binary"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// AppendString appends s as a JSON string. Characters beyond ASCII are not escaped. Invalid UTF-8 becomes
// U+FFFD, and so does half a surrogate pair, which Reader.String may return.
func AppendString(b []byte, s string) []byte {
	if i := plainLength(s); i < len(s) {
		return appendEscaped(b, s, i)
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// plainLength returns how many bytes at the beginning of s are ASCII and need no escape. It checks eight
// bytes at a time, since strings may hold whole files.
func plainLength(s string) int {
	i := 0
	for ; i+8 <= len(s); i += 8 {
		w := s[i : i+8]
		x := uint64(w[0]) | uint64(w[1])<<8 | uint64(w[2])<<16 | uint64(w[3])<<24 |
			uint64(w[4])<<32 | uint64(w[5])<<40 | uint64(w[6])<<48 | uint64(w[7])<<56
		quote, backslash := x^'"'*ones, x^'\\'*ones
		if ((quote-ones)|(backslash-ones)|(x-' '*ones)|x)&tops != 0 {
			break
		}
	}
	for ; i < len(s); i++ {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			break
		}
	}
	return i
}

// appendEscaped is AppendString for a string whose first i bytes need no escape.
func appendEscaped(b []byte, s string, i int) []byte {
	b = append(b, '"')
	clean := 0 // where the bytes begin that are copied unchanged
	for i < len(s) {
		c := s[i]
		n := 1
		switch {
		case c >= utf8.RuneSelf:
			var r rune
			if r, n = utf8.DecodeRuneInString(s[i:]); r == utf8.RuneError && n == 1 {
				if isSurrogate(s[i:]) {
					n = surrogateLength
				}
				b = append(append(b, s[clean:i]...), "\uFFFD"...)
				clean = i + n
			}
		case c < ' ' || c == '"' || c == '\\':
			b = appendEscape(append(b, s[clean:i]...), c)
			clean = i + 1
		}
		i += n
	}
	return append(append(b, s[clean:]...), '"')
}

func appendEscape(b []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(b, '\\', c)
	case '\n':
		return append(b, '\\', 'n')
	case '\t':
		return append(b, '\\', 't')
	case '\r':
		return append(b, '\\', 'r')
	}
	const hex = "0123456789abcdef"
	return append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
}

// AppendStrings appends a JSON array of strings.
func AppendStrings(b []byte, all []string) []byte {
	b = append(b, '[')
	for i, s := range all {
		if i > 0 {
			b = append(b, ',')
		}
		b = AppendString(b, s)
	}
	return append(b, ']')
}

// AppendUnquoted appends the text of a valid JSON string. raw includes the quotes. Half a surrogate pair
// becomes U+FFFD. Invalid UTF-8 is kept.
func AppendUnquoted(b, raw []byte) []byte { return appendUnquoted(b, raw, utf8.AppendRune) }

// AppendPiece is AppendUnquoted for a string that may be a piece of a text. It keeps half a surrogate pair,
// because the next piece may begin with the other half.
func AppendPiece(b, raw []byte) []byte {
	return appendUnquoted(b, raw, func(b []byte, r rune) []byte {
		if utf16.IsSurrogate(r) {
			return appendSurrogate(b, r)
		}
		return utf8.AppendRune(b, r)
	})
}

// appendUnquoted appends the text of a valid JSON string. It calls appendRune for each \u escape.
func appendUnquoted(b, raw []byte, appendRune func(b []byte, r rune) []byte) []byte {
	for raw = raw[1 : len(raw)-1]; ; {
		plain := bytes.IndexByte(raw, '\\')
		if plain < 0 {
			return append(b, raw...)
		}
		b = append(b, raw[:plain]...)
		raw = raw[plain:]
		if raw[1] == 'u' {
			r, n := unescapeRune(raw)
			b, raw = appendRune(b, r), raw[n:]
			continue
		}
		b, raw = append(b, unescape(raw[1])), raw[2:]
	}
}

// CleanString returns a valid JSON string unchanged unless JSON readers could read it differently. In that
// case half a surrogate pair and invalid UTF-8 become U+FFFD. raw includes the quotes.
func CleanString(raw []byte) []byte {
	if utf8.Valid(raw) && !mayHaveSurrogates(raw) {
		return raw
	}
	text := AppendUnquoted(make([]byte, 0, len(raw)), raw)
	return AppendString(make([]byte, 0, len(raw)), string([]rune(string(text))))
}

// CleanStrings returns valid JSON in which CleanString has been applied to each string. numbered says whether
// a string may have a \u escape. If no string changes, the result is raw itself.
func CleanStrings(raw []byte, numbered bool) []byte {
	if validText(raw) && !(numbered && mayHaveSurrogates(raw)) {
		return raw
	}
	clean := make([]byte, 0, len(raw)+len(raw)/8)
	for rest := raw; ; {
		start := bytes.IndexByte(rest, '"')
		if start < 0 {
			return append(clean, rest...)
		}
		s := scanner{b: rest, i: start, checked: true}
		if s.string() != nil { // never happens with valid JSON
			return raw
		}
		clean = append(append(clean, rest[:start]...), CleanString(rest[start:s.i])...)
		rest = rest[s.i:]
	}
}

// validText is utf8.Valid, but it checks 32 bytes at a time as long as they are ASCII. Source code mostly is.
func validText(b []byte) bool {
	for ; len(b) >= 32; b = b[32:] {
		w := (*[32]byte)(b)
		x0, x1 := binary.LittleEndian.Uint64(w[:]), binary.LittleEndian.Uint64(w[8:])
		x2, x3 := binary.LittleEndian.Uint64(w[16:]), binary.LittleEndian.Uint64(w[24:])
		if (x0|x1|x2|x3)&tops != 0 {
			break
		}
	}
	return utf8.Valid(b)
}

// mayHaveSurrogates reports whether a JSON string may have an escape of half a surrogate pair. These are
// \ud800 to \udfff.
func mayHaveSurrogates(raw []byte) bool {
	return bytes.Contains(raw, []byte(`\ud`)) || bytes.Contains(raw, []byte(`\uD`))
}

// unescape returns the character for the letter after a backslash.
func unescape(letter byte) byte {
	switch letter {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return letter
}

// unescapeRune reads a \u escape, or two that are a surrogate pair. Half a pair is returned unchanged.
func unescapeRune(raw []byte) (r rune, n int) {
	r = hexRune(raw)
	if !utf16.IsSurrogate(r) {
		return r, 6
	}
	if len(raw) >= 12 && raw[6] == '\\' && raw[7] == 'u' {
		if r := utf16.DecodeRune(r, hexRune(raw[6:])); r != utf8.RuneError {
			return r, 12
		}
	}
	return r, 6
}

// hexRune returns the number of a \u escape.
func hexRune(raw []byte) rune {
	n, _ := strconv.ParseUint(string(raw[2:6]), 16, 16) // always valid
	return rune(n)
}
