package anthropic

import (
	"strconv"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
)

// Usage adds up the token counts of an answer. A stream has those of the prompt at its beginning and those
// of the answer at its end; the latter are cumulative. What comes later replaces what came before
// (https://docs.anthropic.com/en/api/messages-streaming).
type Usage struct{ input, cacheCreation, cacheRead, output int64 }

// Read reads a `usage` object.
func (u *Usage) Read(raw []byte) {
	r := jsontext.NewReader(raw)
	r.Object(func(name []byte) {
		switch string(name) {
		case "input_tokens":
			u.input = r.Int()
		case "cache_creation_input_tokens":
			u.cacheCreation = r.Int()
		case "cache_read_input_tokens":
			u.cacheRead = r.Int()
		case "output_tokens":
			u.output = r.Int()
		}
	})
}

// Counts returns the counts. Anthropic's input excludes what the cache took and gave.
func (u *Usage) Counts() hub.Usage {
	prompt := u.input + u.cacheCreation + u.cacheRead
	return hub.Usage{Prompt: prompt, Completion: u.output, Total: prompt + u.output, Cached: u.cacheRead}
}

// appendUsage appends a `usage` object. The hub's prompt includes what came from a cache. nil: nothing is known,
// and the counts are zero, because the object is required.
func appendUsage(b []byte, u *hub.Usage) []byte {
	if u == nil {
		u = new(hub.Usage)
	}
	b = strconv.AppendInt(append(b, `{"input_tokens":`...), max(u.Prompt-u.Cached, 0), 10)
	b = strconv.AppendInt(append(b, `,"cache_creation_input_tokens":0,"cache_read_input_tokens":`...), u.Cached, 10)
	b = strconv.AppendInt(append(b, `,"output_tokens":`...), u.Completion, 10)
	return append(b, '}')
}
