package anthropic

// braces follows the braces of a JSON object that comes in pieces, to tell when it is complete.
type braces struct {
	depth                  int
	begun, string, escaped bool
}

func (s *braces) read(piece string) {
	for _, c := range []byte(piece) {
		switch {
		case s.escaped:
			s.escaped = false
		case s.string && c == '\\':
			s.escaped = true
		case c == '"':
			s.string = !s.string
		case s.string:
		case c == '{', c == '[':
			s.depth++
			s.begun = true
		case c == '}', c == ']':
			s.depth--
		}
	}
}

// closed reports whether the object is complete.
func (s *braces) closed() bool { return s.begun && s.depth <= 0 }
