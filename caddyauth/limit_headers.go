package caddyauth

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/usage"
)

// shownKinds are the kinds of limits that headers tell clients about.
var shownKinds = [...]usage.Kind{usage.Requests, usage.Tokens}

// shownLimit is the tightest limit of a kind. The zero value says that there is none.
type shownLimit struct {
	max, remaining int64
	resets         time.Time
}

// tightest returns, of each kind, the limit of which the least remains.
func tightest(states []usage.State) (limits [len(shownKinds)]shownLimit) {
	for i, kind := range shownKinds {
		for j := range states {
			s, least := &states[j], &limits[i]
			if s.Kind == kind && (least.max == 0 || s.Remaining() < least.remaining) {
				*least = shownLimit{s.Max, s.Remaining(), s.Resets}
			}
		}
	}
	return limits
}

// limitHeaders are the names of the headers that tell a client about one limit.
type limitHeaders struct{ limit, remaining, reset string }

// OpenAI's headers (https://platform.openai.com/docs/guides/rate-limits) and Anthropic's
// (https://docs.anthropic.com/en/api/rate-limits) for each of shownKinds, in the form that http.Header has.
var (
	openAILimits = [len(shownKinds)]limitHeaders{
		{"X-Ratelimit-Limit-Requests", "X-Ratelimit-Remaining-Requests", "X-Ratelimit-Reset-Requests"},
		{"X-Ratelimit-Limit-Tokens", "X-Ratelimit-Remaining-Tokens", "X-Ratelimit-Reset-Tokens"},
	}
	anthropicLimits = [len(shownKinds)]limitHeaders{
		{"Anthropic-Ratelimit-Requests-Limit", "Anthropic-Ratelimit-Requests-Remaining", "Anthropic-Ratelimit-Requests-Reset"},
		{"Anthropic-Ratelimit-Tokens-Limit", "Anthropic-Ratelimit-Tokens-Remaining", "Anthropic-Ratelimit-Tokens-Reset"},
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
	names := &openAILimits
	if rec.endpoint == hub.Messages {
		names = &anthropicLimits
	}
	now := time.Now()
	for i := range shownKinds {
		l := &rec.used.tightest[i]
		if l.max == 0 {
			continue
		}
		values := rec.used.values[3*i : 3*i+3]
		values[0], values[1] = strconv.FormatInt(l.max, 10), strconv.FormatInt(l.remaining, 10)
		if rec.endpoint == hub.Messages {
			values[2] = l.resets.Add(time.Second - 1).UTC().Format(time.RFC3339)
		} else {
			values[2] = (time.Duration(max(0, seconds(l.resets.Sub(now)))) * time.Second).String()
		}
		header[names[i].limit], header[names[i].remaining], header[names[i].reset] = values[0:1:1], values[1:2:2], values[2:3:3]
	}
}
