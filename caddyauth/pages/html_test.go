package pages

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// void are the elements without an end tag (https://html.spec.whatwg.org/#void-elements).
var void = []string{"meta", "link", "img", "input"}

// sound checks what a browser would forgive.
type sound struct {
	t          *testing.T
	open       []string // the elements that are not closed yet
	ids        []string
	references []string
	headings   int // of level 1
}

// TestPagesAreSound looks for tags that do not match, IDs that are there twice, references to IDs that are not there,
// and fields without a label.
func TestPagesAreSound(t *testing.T) {
	for name, page := range every {
		t.Run(name, func(t *testing.T) {
			s := &sound{t: t}
			tokens := html.NewTokenizer(bytes.NewReader(write(t, page.frame, page.content).Body.Bytes()))
			for kind := tokens.Next(); kind != html.ErrorToken; kind = tokens.Next() {
				s.read(kind, tokens.Token())
			}
			if len(s.open) > 0 || s.headings != 1 {
				t.Errorf("not closed: %v; %d headings of level 1", s.open, s.headings)
			}
			for _, reference := range s.references {
				if !slices.Contains(s.ids, reference) {
					t.Errorf("there is no %s", reference)
				}
			}
		})
	}
}

func (s *sound) read(kind html.TokenType, token html.Token) {
	switch kind {
	case html.EndTagToken:
		if len(s.open) == 0 || s.open[len(s.open)-1] != token.Data {
			s.t.Fatalf("</%s> after %v", token.Data, s.open)
		}
		s.open = s.open[:len(s.open)-1]
	case html.StartTagToken:
		if !slices.Contains(void, token.Data) {
			s.open = append(s.open, token.Data)
		}
		if token.Data == "h1" {
			s.headings++
		}
		s.attributes(token)
	}
}

func (s *sound) attributes(token html.Token) {
	all := make(map[string]string)
	for _, a := range token.Attr {
		all[a.Key] = a.Val
	}
	id := all["id"]
	if id != "" && slices.Contains(s.ids, id) {
		s.t.Errorf("the ID %s is there twice", id)
	}
	s.ids = append(s.ids, id)
	for _, name := range []string{"for", "aria-labelledby", "aria-describedby", "data-copy"} {
		s.references = append(s.references, strings.Fields(all[name])...)
	}
	switch kind := all["type"]; {
	case token.Data == "label":
		s.ids = append(s.ids, "label of "+all["for"])
	case kind == "hidden" || kind == "radio": // a radio button is within its label
	case token.Data == "input" || token.Data == "textarea":
		s.references = append(s.references, "label of "+id)
	}
}
