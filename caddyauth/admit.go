package caddyauth

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"github.com/continue-auth/caddy-continue-auth/keystore"
	"github.com/continue-auth/caddy-continue-auth/provider"
	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/usage"
)

// consumption is what is known about the limits of a request.
type consumption struct {
	admission usage.Admission
	tightest  [len(shownKinds)]shownLimit
	tokens    bool                 // whether a limit counts tokens; if not, the next two are not used
	prompt    int64                // an estimate of the prompt's tokens
	text      provider.TextCounter // counts the text of the answer

	// Room for what most requests need, so that it is allocated all at once.
	scopes [2]usage.Scope
	values [3 * len(shownKinds)]string // of headers
}

// statePool has room for states. A request needs them only until it is admitted or refused.
var statePool = sync.Pool{New: func() any { return new([6]usage.State) }}

// admit checks the limits of the user and of the user's team, and counts the request. Its errors are
// *hub.Error.
func (h *Handler) admit(ctx context.Context, u user, request *hub.Request, rec *record) error {
	if request.Endpoint == hub.MessageTokens || request.Endpoint == hub.GeminiTokens {
		return nil // counting tokens is free
	}
	limits, team := h.limitsOf(u), h.teamLimits(rec.team)
	if limits.Empty() && team.Empty() {
		return nil
	}
	used := new(consumption)
	scopes := appendScopes(used.scopes[:0], u, limits, rec.team, team)
	if used.tokens = countsTokens(scopes); used.tokens {
		used.prompt = provider.PromptTokens(request.Endpoint, request.Body)
		used.text = provider.NewTextCounter(request.Endpoint, request.Stream)
	}
	room := statePool.Get().(*[6]usage.State)
	defer statePool.Put(room)
	var admitted bool
	var all []usage.State
	used.admission, admitted, all = h.limiter.Admit(ctx, scopes, used.prompt, room[:0])
	used.tightest = tightest(all)
	rec.used = used
	if admitted {
		return nil
	}
	reached := refusing(all)
	rec.limit = nameOf(reached)
	limitedTotal.WithLabelValues(string(reached.Kind)).Inc()
	return limitReached(reached)
}

// scopes returns whose limits apply to a user.
func (h *Handler) scopes(u user, team string) []usage.Scope {
	return appendScopes(nil, u, h.limitsOf(u), team, h.teamLimits(team))
}

func appendScopes(scopes []usage.Scope, u user, limits *usage.Limits, team string, teamLimits *usage.Limits) []usage.Scope {
	if !limits.Empty() {
		scopes = append(scopes, usage.Scope{Name: u.email, Limits: limits})
	}
	if !teamLimits.Empty() {
		scopes = append(scopes, usage.Scope{Name: teamPrefix + team, Team: team, Limits: teamLimits})
	}
	return scopes
}

// teamLimits returns the limits of a team, or nil.
func (h *Handler) teamLimits(team string) *usage.Limits {
	if q := &h.settings.limits; q.teamEntry != "" && team != "" {
		return &q.team
	}
	return nil
}

// teamPrefix distinguishes teams from users, because no header can contain it.
const teamPrefix = "team\x00"

// limitsOf returns the limits of a user: the handler's, and each kind that the user's record has instead.
func (h *Handler) limitsOf(u user) *usage.Limits {
	if u.Limits == nil {
		return &h.settings.limits.user
	}
	limits := h.settings.limits.user
	if err := replaceLimits(&limits, u.Limits); err != nil {
		badLimits.Do(func() {
			h.logger.Warn("a user's record has limits that cannot be read; the server's apply instead", zap.String("user", u.email), zap.Error(err))
		})
	}
	return &limits
}

// badLimits keeps records that cannot be read from filling the log.
var badLimits = rate.Sometimes{Interval: time.Minute}

// replaceLimits replaces the kinds of limits that a record sets. A kind that cannot be read is left as it is.
func replaceLimits(limits *usage.Limits, own *keystore.Limits) (err error) {
	replace := func(rates *[]usage.Rate, written []string) {
		parsed, e := usage.ParseRates(written)
		switch {
		case e != nil:
			err = e
		case written != nil:
			*rates = parsed
		}
	}
	replace(&limits.Requests, own.Requests)
	replace(&limits.Tokens, own.Tokens)
	if own.Parallel != nil {
		limits.Parallel = max(0, *own.Parallel)
	}
	return err
}

func countsTokens(scopes []usage.Scope) bool {
	for i := range scopes {
		if len(scopes[i].Limits.Tokens) > 0 {
			return true
		}
	}
	return false
}

// refusing returns the limit that refuses a request: of those that are reached, the one that is so the longest.
func refusing(states []usage.State) *usage.State {
	var longest *usage.State
	for i := range states {
		s := &states[i]
		if s.Reached() && (longest == nil || s.Free.After(longest.Free)) {
			longest = s
		}
	}
	return longest
}

// nameOf returns the name of a limit for the log, such as "requests 120/1m" or "team tokens 5000/day".
func nameOf(s *usage.State) string {
	name := string(s.Kind) + " "
	if s.Team != "" {
		name = "team " + name
	}
	if s.Kind == usage.Parallel {
		return name + strconv.FormatInt(s.Max, 10)
	}
	return name + s.String()
}

// limitReached returns the error for a request that a limit refuses.
func limitReached(s *usage.State) *hub.Error {
	whose := "you have"
	if s.Team != "" {
		whose = "your team has"
	}
	if s.Kind == usage.Parallel {
		return &hub.Error{
			Status: http.StatusTooManyRequests, Code: "too_many_parallel_requests", RetryAfter: "1",
			Message: fmt.Sprintf("Wait until a request has ended: %s %d requests in flight, and %d are allowed.", whose, s.Used, s.Max),
		}
	}
	// If requests in flight have reserved what is left, there may be room again when they end.
	soon := time.Until(s.Free) < time.Minute
	return &hub.Error{
		Status: http.StatusTooManyRequests, Code: "limit_reached", Final: s.Window.Long() && !soon,
		RetryAfter: strconv.Itoa(max(1, seconds(time.Until(s.Free)))),
		Message: fmt.Sprintf("Wait until %s: %s used %d of %d %s %s.",
			s.Free.Add(time.Second-1).UTC().Format(time.RFC3339), whose, s.Used, s.Max, s.Kind, s.Window.Phrase()),
	}
}

// seconds rounds up.
func seconds(d time.Duration) int { return int(math.Ceil(d.Seconds())) }

// settle counts the tokens that the request has used. Where no provider has counted, it counts the prompt's
// and the text's size. Of an answer that ended early it counts at least the text, because some providers count
// that only at the end. An answer that is an error uses nothing.
func (rec *record) settle() {
	if rec.used == nil {
		return
	}
	var tokens int64
	if rec.counter != nil || rec.outcome == outcomeCanceled {
		tokens = rec.usage.Prompt + rec.usage.Completion
		switch {
		case !rec.used.tokens:
		case tokens == 0:
			tokens = rec.used.prompt + rec.used.text.Tokens()
		case rec.partial():
			tokens = rec.usage.Prompt + max(rec.usage.Completion, rec.used.text.Tokens())
		}
	}
	rec.used.admission.Settle(tokens)
}

// said counts the text in a part of the answer, if a limit counts tokens.
func (rec *record) said(p []byte) {
	if rec.used != nil && rec.used.tokens {
		rec.used.text.Write(p)
	}
}

// translated counts the text in a part of a translated answer. The text of an object need not be counted if the
// provider has counted its tokens.
func (rec *record) translated(p []byte, t hub.Translator) {
	if rec.used != nil && rec.used.tokens && (t.Stream() || !hasCounts(t)) {
		rec.used.text.Write(p)
	}
}

// hasCounts reports whether the provider has counted tokens.
func hasCounts(t hub.Translator) bool {
	u, _ := t.Usage()
	return u.Prompt+u.Completion > 0
}
