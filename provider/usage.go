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

// UsageScanner finds the token counts in a provider's answer as it passes, of whatever shape: one
// object or events, OpenAI's or Anthropic's `usage` or Gemini's `usageMetadata`. It keeps nothing else and never
// fails. Of several counts, as in streams that count on every chunk, the last is the one.
//
// It looks for the name alone, without regard to depth: within text, whose quotes are escaped, it
// cannot stand, and what the model makes up as arguments of a call comes before the counts.
type UsageScanner struct {
	// Messages says that the answer is one of Anthropic's.
	Messages bool

	state   scanState
	matched int  // of usageKey, or of what follows it in Gemini's name
	before  byte // the last byte of what has passed

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
	colon                      // what stands between the name and its value
	beginning                  // the value
	capturing                  // the value's end
)

var (
	usageKey    = []byte(`"usage`)
	usageNeedle = jsontext.NewNeedle(`"`, `usage`)
	geminiEnd   = []byte(`Metadata`)
)

// maxUsage bounds an object that is taken for token counts.
const maxUsage = 2 << 10

// Write takes the next piece of the answer. It keeps nothing of p.
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

// seek looks for the name.
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

// beginning notes how much of the name stands at the end of p.
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

// step reads what stands between the name and the counts. What is no usage goes on as something else.
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

// capture copies the object, as far as it is there.
func (s *UsageScanner) capture(p []byte) (rest []byte) {
	room := p[:min(len(p), maxUsage-len(s.found))]
	depth, text, escaped := s.depth, s.text, s.escaped
	for i, c := range room {
		switch {
		case !structural[c] && !escaped: // as almost all are
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

// structural are the characters that tell where an object ends.
var structural = [256]bool{'"': true, '\\': true, '{': true, '}': true}

// seekOn looks for the name again, behind that byte.
func (s *UsageScanner) seekOn(before byte) {
	s.state, s.matched, s.depth, s.text, s.escaped, s.before = seeking, 0, 0, false, false, before
}

// keep takes an object that counts something: some streams end with zeros. Anthropic's objects complete
// each other; of all others the last one counts.
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

// Usage returns what has been counted so far; ok is false where nothing has.
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
