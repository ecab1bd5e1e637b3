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
type limitHeaders struct {
	kind                    usage.Kind
	limit, remaining, reset string
}

// OpenAI's headers (https://platform.openai.com/docs/guides/rate-limits) and Anthropic's
// (https://docs.anthropic.com/en/api/rate-limits), in the form that http.Header has.
var (
	openAILimits = []limitHeaders{
		{usage.Requests, "X-Ratelimit-Limit-Requests", "X-Ratelimit-Remaining-Requests", "X-Ratelimit-Reset-Requests"},
		{usage.Tokens, "X-Ratelimit-Limit-Tokens", "X-Ratelimit-Remaining-Tokens", "X-Ratelimit-Reset-Tokens"},
	}
	anthropicLimits = []limitHeaders{
		{usage.Requests, "Anthropic-Ratelimit-Requests-Limit", "Anthropic-Ratelimit-Requests-Remaining", "Anthropic-Ratelimit-Requests-Reset"},
		{usage.Tokens, "Anthropic-Ratelimit-Tokens-Limit", "Anthropic-Ratelimit-Tokens-Remaining", "Anthropic-Ratelimit-Tokens-Reset"},
	}
)

// showLimits tells the client about the tightest limit of each kind, if there are limits. It removes upstream's
// headers of this sort, because they are about the key that all users share.
func (rec *record) showLimits(header http.Header) {
	if rec.used == nil {
		return
	}
	for name := range header {
		if strings.HasPrefix(name, "X-Ratelimit-") || strings.HasPrefix(name, "Anthropic-Ratelimit-") {
			delete(header, name)
		}
	}
	limits, values := openAILimits, rec.used.values[:0]
	if rec.endpoint == hub.Messages {
		limits = anthropicLimits
	}
	for _, names := range limits {
		s := tightest(rec.used.states, names.kind)
		if s == nil {
			continue
		}
		reset := (time.Duration(max(0, seconds(time.Until(s.Resets)))) * time.Second).String()
		if rec.endpoint == hub.Messages {
			reset = s.Resets.Add(time.Second - 1).UTC().Format(time.RFC3339)
		}
		for _, set := range [][2]string{
			{names.limit, strconv.FormatInt(s.Max, 10)},
			{names.remaining, strconv.FormatInt(s.Remaining(), 10)},
			{names.reset, reset},
		} {
			n := len(values)
			values = append(values, set[1])
			header[set[0]] = values[n : n+1 : n+1]
		}
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
