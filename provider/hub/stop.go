package hub

import "strings"

// stopper ends a text before the first of its words. A word may be spread over several pieces. stopper holds
// back only text that could be the beginning of a word.
type stopper struct {
	words   []string
	held    string
	stopped bool
	word    string // the word that ended the text
}

// next takes a piece of text and returns what may be said now. stopped reports that the text has ended. After
// that, nothing more is said.
func (s *stopper) next(text string) (say string, stopped bool) {
	switch {
	case s.stopped:
		return "", true
	case len(s.words) == 0:
		return text, false
	}
	text = s.held + text
	s.held = ""
	keep := 0
	for _, word := range s.words {
		keep = max(keep, overlap(text, word))
	}
	hold := len(text) - keep
	// The first word ends the text, unless another word may have begun before it.
	if end, word := firstOf(text, s.words); end >= 0 && end <= hold {
		s.stopped, s.word = true, word
		return text[:end], true
	}
	s.held = text[hold:]
	return text[:hold], false
}

// clear reports whether text may be said unchanged, with nothing to hold back or leave out.
func (s *stopper) clear(text string) bool {
	if first, _ := firstOf(text, s.words); s.held != "" || s.stopped || first >= 0 {
		return false
	}
	for _, word := range s.words {
		if overlap(text, word) > 0 {
			return false
		}
	}
	return true
}

// rest returns the text that is held back, when no more text can come.
func (s *stopper) rest() string {
	rest := s.held
	s.held = ""
	if end, word := firstOf(rest, s.words); end >= 0 {
		s.stopped, s.word = true, word
		rest = rest[:end]
	}
	return rest
}

// firstOf returns the first of the words in text and where it begins, or -1 if there is none.
func firstOf(text string, words []string) (first int, found string) {
	first = -1
	for _, word := range words {
		if i := strings.Index(text, word); i >= 0 && (first < 0 || i < first) {
			first, found = i, word
		}
	}
	return first, found
}

// overlap returns the length of the longest end of text that is a beginning of word, but not all of word.
func overlap(text, word string) int {
	for n := min(len(text), len(word)-1); n > 0; n-- {
		if strings.HasSuffix(text, word[:n]) {
			return n
		}
	}
	return 0
}
