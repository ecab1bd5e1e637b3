package openai

import (
	"bytes"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
)

var (
	choicesMember = []byte(`"choices"`)
	finishReason  = jsontext.NewNeedle(`"`, `finish_reason"`)
)

// Look looks at an event of a chat.
func (Format) Look(data []byte, p *hub.Progress) *hub.Error {
	answers := bytes.Contains(data, choicesMember)
	if !answers && string(data) == "[DONE]" {
		p.Ended = true
		return nil
	}
	if !answers || hub.ErrorMember.In(data) {
		if e := hub.ReportedIn(data); e != nil {
			return e
		}
	}
	p.Begun = p.Begun || answers
	for rest := data; answers && !p.Finished; {
		i := finishReason.Index(rest)
		if i < 0 {
			break
		}
		rest = bytes.TrimLeft(rest[i+len(`"finish_reason"`):], ": ")
		p.Finished = jsontext.IsSaid(rest) && rest[1] != '"'
	}
	return nil
}
