package caddyauth

import (
	"context"
	"errors"
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/continue-auth/caddy-continue-auth/keystore"
	"github.com/continue-auth/caddy-continue-auth/keystore/cache"
	"github.com/continue-auth/caddy-continue-auth/provider/openai"
)

// user is who a request is from.
type user struct {
	email string
	*keystore.APIKey
}

// invalidKey is the one answer to all faults of credentials, so that nobody learns from it who
// has an account. Continue's IDE adds a hint on API keys where it reads "Invalid API key".
var invalidKey = &openai.Error{
	Status: http.StatusUnauthorized, Code: "invalid_api_key", Final: true,
	Message: "Invalid API key. Check the API key and the email in your client's configuration, or ask whoever gave you the key.",
}

// identify finds the user whose key the request presents. It does not touch the body.
func (h *Handler) identify(r *http.Request, rec *record) (user, error) {
	email, key, ok := credentials(r.Header, h.settings.emailHeader)
	if !ok || !keystore.ValidName(email) {
		h.attempts.add(clientAddress(r))
		return user{}, invalidKey
	}
	rec.email, rec.named = email, r.Header.Get(h.settings.emailHeader) != ""
	record, from, err := h.cache.APIKeys.Look(r.Context(), email, h.settings.ages, false)
	asked := err == cache.ErrMayNotAsk
	if asked {
		address := clientAddress(r)
		if wait := h.attempts.wait(address); wait > 0 {
			return user{}, tooManyFailedAttempts(wait)
		}
		if !h.attempts.begin(address) {
			return user{}, keystoreUnavailable(nil)
		}
		record, from, err = h.ask(r.Context(), address, email, key)
	}
	rec.key, rec.lookup = record, from
	if from != cache.NotAsked {
		keyLookups[from].Inc()
	}
	switch {
	case r.Context().Err() != nil:
		return user{}, clientGone(r.Context())
	case !answered(err):
		return user{}, keystoreUnavailable(err)
	}
	if !record.Check(key, time.Now()) {
		if !asked { // else it has been counted
			h.attempts.add(clientAddress(r))
		}
		return user{}, invalidKey
	}
	rec.signedIn, rec.keyID = true, keystore.IDOf(key)
	return user{email, record}, nil
}

// ask has the keystore asked for a user who is not in memory, by a sign-in that h.attempts has begun.
// It ends with the keystore's answer, not with its client: who hangs up has asked all the same, and a
// key that is right is held against nobody. Nor is a keystore that cannot answer.
func (h *Handler) ask(ctx context.Context, address netip.Prefix, email, key string) (*keystore.APIKey, cache.Source, error) {
	done := make(chan struct{})
	var record *keystore.APIKey
	var from cache.Source
	var err error
	go func() {
		defer close(done)
		record, from, err = h.cache.APIKeys.Look(context.WithoutCancel(ctx), email, h.settings.ages, true)
		h.attempts.end(address, answered(err) && !record.Check(key, time.Now()))
	}()
	select {
	case <-done:
		return record, from, err
	case <-ctx.Done():
		return nil, cache.NotAsked, ctx.Err()
	}
}

// answered reports whether a look-up that ended with err has said what there is of the user.
func answered(err error) bool {
	return err == nil || err == cache.ErrAbsent || errors.As(err, new(*cache.BrokenRecordError))
}

// credentials reads `Authorization: Bearer <key>` with the email in a header of its own, or
// `Authorization: Bearer <email>:<key>` alone. A key may hold colons: beside the header, what stands
// before one is an email only if it is the header's. Another email is so part of a key, and a wrong one.
func credentials(header http.Header, emailHeader string) (email, key string, ok bool) {
	emails, authorizations := header[emailHeader], header["Authorization"]
	if len(authorizations) != 1 || len(emails) > 1 {
		return "", "", false
	}
	scheme, token, _ := strings.Cut(authorizations[0], " ")
	token = strings.TrimSpace(token)
	if !strings.EqualFold(scheme, "Bearer") {
		return "", "", false
	}
	first, rest, colon := strings.Cut(token, ":")
	switch {
	case len(emails) == 0 || emails[0] == "":
		email, key = first, rest
	case colon && first == emails[0]:
		email, key = first, rest
	default:
		email, key = emails[0], token
	}
	return email, key, email != "" && key != ""
}

func tooManyFailedAttempts(wait time.Duration) *openai.Error {
	return &openai.Error{
		Status: http.StatusTooManyRequests, Code: "too_many_failed_attempts",
		RetryAfter: strconv.Itoa(int(math.Ceil(wait.Seconds()))),
		Message:    "Wait before you try again: too many sign-ins from your address have failed.",
	}
}

// keystoreUnavailable is for when nothing is known and the keystore cannot be asked. The reason is
// in the log, where the cache has put it.
func keystoreUnavailable(err error) error {
	e := &openai.Error{
		Status: http.StatusServiceUnavailable, Code: "keystore_unavailable", RetryAfter: "5",
		Message: "Try again in a moment: API keys cannot be checked right now.",
	}
	var limited *keystore.RateLimitError
	if errors.As(err, &limited) && limited.RetryAfter > 0 {
		e.RetryAfter = strconv.Itoa(int(math.Ceil(limited.RetryAfter.Seconds())))
	}
	return e
}
