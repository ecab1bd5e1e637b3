package hub

import (
	"strings"
	"testing"
)

func TestStopper(t *testing.T) {
	for name, test := range map[string]struct {
		words  []string
		pieces []string
		want   []string // what is said after each piece, and at the end
	}{
		"no words":                              {nil, []string{"a", "b"}, []string{"a", "b", ""}},
		"a word in one piece":                   {[]string{"END"}, []string{"a END b", "c"}, []string{"a ", "", ""}},
		"a word over two pieces":                {[]string{"END"}, []string{"a E", "ND b"}, []string{"a ", "", ""}},
		"a word over many pieces":               {[]string{"END"}, []string{"E", "N", "D"}, []string{"", "", "", ""}},
		"what only looked like a word":          {[]string{"END"}, []string{"a E", "x"}, []string{"a ", "Ex", ""}},
		"held back at the end":                  {[]string{"END"}, []string{"a EN"}, []string{"a ", "EN"}},
		"the first of several words":            {[]string{"b", "a"}, []string{"xab"}, []string{"x", ""}},
		"a word that begins like another":       {[]string{"abc", "ab"}, []string{"a", "b", "c"}, []string{"", "", "", ""}},
		"a beginning within a beginning":        {[]string{"aab"}, []string{"aa", "ab"}, []string{"", "a", ""}},
		"a word within one that may have begun": {[]string{"b", "abcd"}, []string{"xab", "cd"}, []string{"x", "", ""}},
		"a word within one that had not begun":  {[]string{"b", "abcd"}, []string{"xab", "ce"}, []string{"x", "a", ""}},
		"a word within one that ends there":     {[]string{"b", "abcd"}, []string{"xab"}, []string{"x", "a"}},
		"a word at the very start":              {[]string{"\n"}, []string{"\nrest"}, []string{"", ""}},
		"no more is held than could be a word":  {[]string{"</fim>"}, []string{"text <"}, []string{"text ", "<"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := stopper{words: test.words}
			stopped := false
			for i, piece := range test.pieces {
				said := ""
				if !stopped {
					said, stopped = s.next(piece)
				}
				if said != test.want[i] {
					t.Errorf("after piece %d: %q, want %q", i+1, said, test.want[i])
				}
			}
			if said := s.rest(); said != test.want[len(test.pieces)] {
				t.Errorf("at the end: %q, want %q", said, test.want[len(test.pieces)])
			}
		})
	}
}

func FuzzStopper(f *testing.F) {
	f.Add("some text END more", "END", "xt", uint8(2))
	f.Fuzz(func(t *testing.T, text, one, two string, step uint8) {
		if one == "" || two == "" {
			return
		}
		words := []string{one, two}
		want := text
		if end, _ := firstOf(text, words); end >= 0 {
			want = text[:end]
		}
		s := stopper{words: words}
		var got strings.Builder
		for rest := text; rest != ""; {
			n := min(len(rest), int(step)+1)
			said, stopped := s.next(rest[:n])
			got.WriteString(said)
			if rest = rest[n:]; stopped {
				break
			}
		}
		got.WriteString(s.rest())
		if got.String() != want {
			t.Errorf("said %q of %q, want %q", got.String(), text, want)
		}
	})
}

func TestNothingIsSaidBehindAStopWord(t *testing.T) {
	s := stopper{words: []string{"STOP"}}
	for _, piece := range []string{"a STOP b", "c", "\xf0\x9f"} {
		said, stopped := s.next(piece)
		if want := map[bool]string{true: "a ", false: ""}[piece[0] == 'a']; said != want || !stopped {
			t.Errorf("%q: says %q, stopped %v", piece, said, stopped)
		}
	}
}
