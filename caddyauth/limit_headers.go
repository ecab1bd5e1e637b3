package caddyauth

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/usage"
)

// limitHeaders are the names of the headers that tell a client about one limit.
type limitHeaders struct{ limit, remaining, reset string }

// OpenAI's headers (https://platform.openai.com/docs/guides/rate-limits) and Anthropic's
// (https://docs.anthropic.com/en/api/rate-limits), in the form that http.Header has.
var (
	openAILimits = map[usage.Kind]limitHeaders{
		usage.Requests: {"X-Ratelimit-Limit-Requests", "X-Ratelimit-Remaining-Requests", "X-Ratelimit-Reset-Requests"},
		usage.Tokens:   {"X-Ratelimit-Limit-Tokens", "X-Ratelimit-Remaining-Tokens", "X-Ratelimit-Reset-Tokens"},
	}
	anthropicLimits = map[usage.Kind]limitHeaders{
		usage.Requests: {"Anthropic-Ratelimit-Requests-Limit", "Anthropic-Ratelimit-Requests-Remaining", "Anthropic-Ratelimit-Requests-Reset"},
		usage.Tokens:   {"Anthropic-Ratelimit-Tokens-Limit", "Anthropic-Ratelimit-Tokens-Remaining", "Anthropic-Ratelimit-Tokens-Reset"},
	}
)

// setHeaders tells the client about the tightest limit of each kind. It removes upstream's headers of this
// sort, because they are about the key that all users share.
func (c *consumption) setHeaders(header http.Header, endpoint hub.Endpoint) {
	for name := range header {
		if strings.HasPrefix(name, "X-Ratelimit-") || strings.HasPrefix(name, "Anthropic-Ratelimit-") {
			delete(header, name)
		}
	}
	now := time.Now()
	for _, kind := range []usage.Kind{usage.Requests, usage.Tokens} {
		s := tightest(c.states, kind)
		if s == nil {
			continue
		}
		names, reset := openAILimits[kind], (time.Duration(max(0, seconds(s.Resets.Sub(now)))) * time.Second).String()
		if endpoint == hub.Messages {
			names, reset = anthropicLimits[kind], s.Resets.Add(time.Second-1).UTC().Format(time.RFC3339)
		}
		header[names.limit] = []string{strconv.FormatInt(s.Max, 10)}
		header[names.remaining] = []string{strconv.FormatInt(s.Remaining(), 10)}
		header[names.reset] = []string{reset}
	}
}

// tightest returns the limit of a kind of which the least remains, or nil.
func tightest(states []usage.State, kind usage.Kind) *usage.State {
	var least *usage.State
	for i := range states {
		if s := &states[i]; s.Kind == kind && (least == nil || s.Remaining() < least.Remaining()) {
			least = s
		}
	}
	return least
}
