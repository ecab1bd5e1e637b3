package openai

import "unicode/utf8"

// AppendString appends s as a JSON string. Characters beyond ASCII stay as they are; what is no
// valid UTF-8 becomes U+FFFD.
func AppendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			return appendEscaped(b, s, i)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// appendEscaped is AppendString for an s whose first i bytes need no escape.
func appendEscaped(b []byte, s string, i int) []byte {
	b = append(b, '"')
	clean := 0 // where the bytes begin that are to be copied as they are
	for i < len(s) {
		c := s[i]
		n := 1
		switch {
		case c >= utf8.RuneSelf:
			var r rune
			if r, n = utf8.DecodeRuneInString(s[i:]); r == utf8.RuneError && n == 1 {
				b = append(append(b, s[clean:i]...), "\uFFFD"...)
				clean = i + 1
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

// appendStrings appends a JSON array of strings.
func appendStrings(b []byte, all []string) []byte {
	b = append(b, '[')
	for i, s := range all {
		if i > 0 {
			b = append(b, ',')
		}
		b = AppendString(b, s)
	}
	return append(b, ']')
}
