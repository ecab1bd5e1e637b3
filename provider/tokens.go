package provider

import (
	"bytes"
	"slices"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
)

// bytesPerToken is how many bytes of text count as a token if no provider has counted.
const bytesPerToken = 4

// PromptTokens estimates the tokens of a request by the size of its body. Images and other files in it do not
// count.
func PromptTokens(endpoint hub.Endpoint, body []byte) int64 {
	if !mayHaveFile(body) {
		return int64(len(body)) / bytesPerToken
	}
	files := dataURLs(body)
	if endpoint == hub.Gemini || endpoint == hub.Messages && base64Needle.In(body) {
		files += dataMembers(body)
	}
	return int64(len(body)-files) / bytesPerToken
}

// Files are in base64: in data URLs in OpenAI's formats, and in a member `data` in Anthropic's and Gemini's.
// Anthropic's are marked as base64. Code has few digits, so a search for them is quick.
var (
	dataURLNeedle = jsontext.NewNeedle(`;base`, `64,`)
	base64Needle  = jsontext.NewNeedle(`"base`, `64"`)
	dataNeedle    = jsontext.NewNeedle(`"`, `data"`)
)

// mayHaveFile reports whether a body may have a file in it. It looks at a few bytes in every minFile/2, so each file
// contains some of them. If none of them can be base64, the rest of the body need not be read.
func mayHaveFile(body []byte) bool {
	for ; len(body) >= minFile/2; body = body[minFile/2:] {
		if !slices.ContainsFunc(body[:fileSample], isNotBase64) {
			return true
		}
	}
	return false
}

// fileSample is how many bytes are looked at. Few words are that long.
const fileSample = 40

// dataURLs returns how many bytes of a body are files in data URLs.
func dataURLs(body []byte) (n int) {
	for {
		i := dataURLNeedle.Index(body)
		if i < 0 {
			return n
		}
		body = body[i+len(`;base64,`):]
		n += base64Length(body)
	}
}

// dataMembers returns how many bytes of a body are files in members `data`.
func dataMembers(body []byte) (n int) {
	for {
		i := dataNeedle.Index(body)
		if i < 0 {
			return n
		}
		body = bytes.TrimLeft(body[i+len(`"data"`):], ": \t\r\n")
		if len(body) > 0 && body[0] == '"' {
			body = body[1:]
			n += base64Length(body)
		}
	}
}

// minFile is the length from which a string in base64 is taken for a file. Shorter ones hardly matter.
const minFile = 512

// base64Length returns the length of the string in base64 that text begins with, up to its closing quote. It
// returns 0 if there is none of at least minFile bytes.
func base64Length(text []byte) int {
	n := bytes.IndexByte(text, '"')
	if n < minFile || slices.ContainsFunc(text[:minFile], isNotBase64) {
		return 0
	}
	return n
}

func isNotBase64(c byte) bool {
	return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '+' || c == '/' || c == '\\' || c == '-' || c == '_')
}

// TextCounter counts the bytes of the text in an answer, for an answer whose provider gives no token counts.
// The text is in one of the clients' formats. Reasoning and the arguments of calls count too.
type TextCounter struct {
	deltas bool // only members `delta` are text

	text    bool // within such a value
	escaped bool // the last byte was a backslash
	bytes   int64
}

// NewTextCounter returns a TextCounter for an answer to a request for endpoint. The events that end a stream of
// responses repeat the text, so only the pieces count there.
func NewTextCounter(endpoint hub.Endpoint, stream bool) TextCounter {
	return TextCounter{deltas: endpoint == hub.Responses && stream}
}

// textNeedle is the end of a name, and the beginning of a string.
var textNeedle = jsontext.NewNeedle(`"`, `:"`)

// Write takes the next piece of the answer. A name that is cut into two pieces is not found.
func (c *TextCounter) Write(p []byte) {
	for len(p) > 0 {
		if c.text {
			p = c.read(p)
			continue
		}
		i := textNeedle.Index(p)
		if i < 0 {
			return
		}
		c.text = c.isText(p[:i])
		p = p[i+len(`":"`):]
	}
}

// isText reports whether b ends with the name of a member whose value is text.
func (c *TextCounter) isText(b []byte) bool {
	name := b[bytes.LastIndexByte(b, '"')+1:]
	switch string(name) {
	case "delta":
		return c.deltas
	case "content", "text", "reasoning_content", "reasoning", "refusal", "arguments", "thinking", "partial_json":
		return !c.deltas
	}
	return false
}

// read counts the bytes of a value up to its closing quote.
func (c *TextCounter) read(p []byte) (rest []byte) {
	from := 0
	if c.escaped {
		from = 1
	}
	for end := from; ; end++ {
		i := bytes.IndexByte(p[end:], '"')
		if i < 0 {
			c.escaped = endsEscaped(p[from:])
			c.bytes += int64(len(p))
			return nil
		}
		end += i
		if !endsEscaped(p[from:end]) {
			c.text, c.escaped = false, false
			c.bytes += int64(end)
			return p[end+1:]
		}
	}
}

// endsEscaped reports whether text ends with a backslash that escapes what follows.
func endsEscaped(text []byte) bool {
	return (len(text)-len(bytes.TrimRight(text, `\`)))%2 == 1
}

// Tokens estimates the tokens of the text so far.
func (c *TextCounter) Tokens() int64 { return c.bytes / bytesPerToken }
