package provider

import (
	"bytes"

	"github.com/tidwall/gjson"

	"github.com/continue-auth/caddy-continue-auth/provider/anthropic"
	"github.com/continue-auth/caddy-continue-auth/provider/googleaistudio"
	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
	"github.com/continue-auth/caddy-continue-auth/provider/openai"
)

// UsageScanner finds the token counts in a provider's answer as it passes. The answer may be one object or a
// stream of events, with `usage` as in OpenAI's or Anthropic's format, or Gemini's `usageMetadata`.
// UsageScanner keeps nothing else of the answer and never fails. If an answer has several counts, as when
// every chunk of a stream has some, the last ones count.
//
// It searches for the name alone and ignores nesting. Text cannot contain the name, because its quotes are
// escaped there. The arguments of a call can contain it, but they come before the real counts.
type UsageScanner struct {
	// Messages says that the answer is in Anthropic's format.
	Messages bool

	state   scanState
	matched int  // how many bytes of usageKey have passed, or of geminiEnd after it
	before  byte // the last byte that has passed

	depth   int
	text    bool // within a string
	escaped bool

	found, last []byte
	anthropic   anthropic.Usage
}

type scanState int

const (
	seeking   scanState = iota // usageKey; matched bytes of it have passed
	ending                     // the end of the name
	colon                      // the colon after the name
	beginning                  // the beginning of the value
	capturing                  // the end of the value
)

var (
	usageKey    = []byte(`"usage`)
	usageNeedle = jsontext.NewNeedle(`"`, `usage`)
	geminiEnd   = []byte(`Metadata`)
)

// maxUsage bounds an object of token counts.
const maxUsage = 2 << 10

// Write takes the next piece of the answer. It keeps no reference to p.
func (s *UsageScanner) Write(p []byte) {
	for len(p) > 0 {
		switch s.state {
		case seeking:
			p = s.seek(p)
		case capturing:
			p = s.capture(p)
		default:
			p = s.step(p)
		}
	}
}

// seek searches for the name.
func (s *UsageScanner) seek(p []byte) (rest []byte) {
	if s.matched > 0 {
		if p[0] != usageKey[s.matched] {
			s.matched = 0
			return p
		}
		if s.matched++; s.matched == len(usageKey) {
			s.state, s.matched = ending, 0
		}
		s.before = p[0]
		return p[1:]
	}
	i := usageNeedle.Index(p)
	if i < 0 {
		s.beginning(p)
		return nil
	}
	escaped := s.before == '\\'
	if i > 0 {
		escaped = p[i-1] == '\\'
	}
	if !escaped {
		s.state = ending
	}
	i += len(usageKey)
	s.before = p[i-1]
	return p[i:]
}

// beginning notes how much of the name is at the end of p.
func (s *UsageScanner) beginning(p []byte) {
	for n := min(len(usageKey)-1, len(p)); n > 0; n-- {
		if !bytes.HasSuffix(p, usageKey[:n]) {
			continue
		}
		before := s.before
		if n < len(p) {
			before = p[len(p)-n-1]
		}
		if before != '\\' {
			s.matched = n
		}
		break
	}
	s.before = p[len(p)-1]
}

// step reads the bytes between the name and the counts. If they do not fit, the search goes on.
func (s *UsageScanner) step(p []byte) (rest []byte) {
	c := p[0]
	space := c == ' ' || c == '\n' || c == '\r' || c == '\t'
	switch {
	case s.state == ending && c == '"' && (s.matched == 0 || s.matched == len(geminiEnd)):
		s.state = colon
	case s.state == ending && s.matched < len(geminiEnd) && c == geminiEnd[s.matched]:
		s.matched++
	case s.state == colon && c == ':':
		s.state = beginning
	case s.state == beginning && c == '{':
		s.state, s.found = capturing, s.found[:0]
		return p
	case s.state != ending && space:
	default:
		s.state, s.matched = seeking, 0
		return p
	}
	s.before = c
	return p[1:]
}

// capture copies the object, as far as it has arrived.
func (s *UsageScanner) capture(p []byte) (rest []byte) {
	room := p[:min(len(p), maxUsage-len(s.found))]
	depth, text, escaped := s.depth, s.text, s.escaped
	for i, c := range room {
		switch {
		case !structural[c] && !escaped: // almost all bytes
		case escaped:
			escaped = false
		case c == '"':
			text = !text
		case c == '\\':
			escaped = text
		case text:
		case c == '{':
			depth++
		case c == '}':
			if depth--; depth == 0 {
				s.keep(append(s.found, p[:i+1]...))
				s.seekOn(c)
				return p[i+1:]
			}
		}
	}
	s.depth, s.text, s.escaped = depth, text, escaped
	s.found = append(s.found, room...)
	if len(s.found) == maxUsage {
		s.seekOn(s.found[maxUsage-1])
	}
	return p[len(room):]
}

// structural marks the characters that can change where an object ends.
var structural = [256]bool{'"': true, '\\': true, '{': true, '}': true}

// seekOn continues the search after the byte before.
func (s *UsageScanner) seekOn(before byte) {
	s.state, s.matched, s.depth, s.text, s.escaped, s.before = seeking, 0, 0, false, false, before
}

// keep takes an object if it has counts other than zero, because some streams end with zeros. Anthropic's
// objects add to each other. Of all others, the last one counts.
func (s *UsageScanner) keep(found []byte) {
	s.found = found
	switch {
	case !bytes.ContainsAny(found, "123456789") || !bytes.Contains(found, []byte("oken")):
	case s.Messages:
		s.anthropic.Read(found)
	default:
		s.found, s.last = s.last, s.found
	}
}

// Found reports whether there are counts so far.
func (s *UsageScanner) Found() bool {
	return len(s.last) > 0 || s.anthropic != anthropic.Usage{}
}

// Usage returns the counts so far. ok is false if there are none.
func (s *UsageScanner) Usage() (u hub.Usage, ok bool) {
	switch {
	case s.Messages:
		u = s.anthropic.Counts()
	case len(s.last) == 0:
	case bytes.Contains(s.last, []byte(`TokenCount"`)):
		u = googleaistudio.ParseUsage(s.last)
	default:
		u = openai.ParseUsage(gjson.ParseBytes(s.last))
	}
	return u, u != hub.Usage{}
}
