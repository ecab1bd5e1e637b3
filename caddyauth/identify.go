package caddyauth

import (
	"context"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/continue-auth/caddy-continue-auth/keystore"
	"github.com/continue-auth/caddy-continue-auth/keystore/cache"
	"github.com/continue-auth/caddy-continue-auth/provider/hub"
)

// user is the user who sent a request.
type user struct {
	email string
	*keystore.APIKey
}

// invalidKey is the only answer to invalid credentials of any kind. So nobody can find out who has an
// account. Continue's IDE adds a hint about API keys if the message contains "Invalid API key".
var invalidKey = &hub.Error{
	Status: http.StatusUnauthorized, Code: "invalid_api_key", Final: true,
	Message: "Invalid API key. Check the API key and the email in your client's configuration, or ask whoever gave you the key.",
}

// identify finds the user whose key the request contains. It does not read the body.
func (h *Handler) identify(r *http.Request, rec *record) (user, error) {
	return h.signIn(r, r.Header, rec)
}

// signIn finds the user whose credentials are in header. r is the request that they came with.
func (h *Handler) signIn(r *http.Request, header http.Header, rec *record) (user, error) {
	email, key, ok := credentials(header, h.settings.emailHeader)
	if !ok || !keystore.ValidName(email) {
		nobody := attempt{address: clientAddress(r), key: email + " " + failedKeys(header)}
		return user{}, refusal(h.attempts.judge(nobody, false))
	}
	rec.email, rec.named = email, header.Get(h.settings.emailHeader) != ""
	c := claim{h: h, r: r, email: email, attempt: attempt{name: strings.ToLower(email), key: key}}
	if wait := c.wait(); wait > 0 {
		return user{}, tooManyFailedAttempts(wait)
	}
	v, err := c.look()
	rec.key, rec.lookup = v.record, v.from
	if v.from != cache.NotAsked {
		keyLookups[v.from].Inc()
	}
	switch {
	case r.Context().Err() != nil:
		return user{}, clientGone(r.Context())
	case err != nil:
		return user{}, keystoreUnavailable(err)
	case !v.right || v.wait > 0:
		return user{}, refusal(v.wait)
	}
	rec.email, rec.signedIn, rec.keyID = v.name, true, keystore.IDOf(key)
	return user{v.name, v.record}, nil
}

// refusal returns the error for a failed sign-in that must wait that long.
func refusal(wait time.Duration) error {
	if wait > 0 {
		return tooManyFailedAttempts(wait)
	}
	return invalidKey
}

// claim is a sign-in with a name that is valid.
type claim struct {
	h       *Handler
	r       *http.Request
	email   string // as the client sent it
	attempt attempt

	// hasAddress says that attempt.address is set.
	hasAddress bool
}

// verdict is the result of a sign-in for which a record was found or is known to be absent.
type verdict struct {
	record *keystore.APIKey
	name   string // the name of the record
	from   cache.Source
	right  bool          // whether the key is right
	wait   time.Duration // more than 0 if too many sign-ins have failed
}

// wait returns how long the sign-in must wait, whatever the keystore would answer, or 0 if it may go on. For
// an address that has failed too often, only the records in memory count. So a wrong key gets the same
// answer, after the same work, whether the user exists or not.
func (c *claim) wait() time.Duration {
	if !c.h.attempts.reached.Load() {
		return 0
	}
	name, address := c.h.attempts.waits(c.located())
	if name > 0 || address == 0 || c.vouched() {
		return name
	}
	return c.h.attempts.judge(c.located(), false)
}

// located returns the attempt with its address. The address is found only when it is needed, since most
// sign-ins succeed.
func (c *claim) located() attempt {
	if !c.hasAddress {
		c.attempt.address, c.hasAddress = clientAddress(c.r), true
	}
	return c.attempt
}

// vouched reports whether the key is right according to the record in memory, of any age.
func (c *claim) vouched() bool {
	return c.h.cache.APIKeys.Known(c.email, c.attempt.name).Check(c.attempt.key, time.Now())
}

// look looks up the user, and asks the keystore if that is allowed.
func (c *claim) look() (verdict, error) {
	v, err := c.either(c.r.Context(), cache.Nobody)
	if err != cache.ErrMayNotAsk {
		return c.judge(v, err)
	}
	if c.vouched() {
		return c.judge(c.either(c.r.Context(), cache.Vouched))
	}
	if !c.h.attempts.begin(c.located().address) {
		return verdict{}, errCrowded
	}
	return c.ask()
}

// errCrowded means that too many sign-ins of one address wait already.
var errCrowded = errors.New("too many sign-ins of that address wait for the keystore")

func (c *claim) either(ctx context.Context, by cache.Asker) (v verdict, err error) {
	v.record, v.name, v.from, err = c.h.cache.APIKeys.Either(ctx, c.email, c.attempt.name, c.h.settings.ages, by)
	return v, err
}

// judge checks the key and counts a wrong one.
func (c *claim) judge(v verdict, err error) (verdict, error) {
	if !answered(err) {
		return v, err
	}
	v.right = v.record.Check(c.attempt.key, time.Now())
	if !v.right || c.h.attempts.reached.Load() {
		v.wait = c.h.attempts.judge(c.located(), v.right)
	}
	return v, nil
}

// ask asks the keystore for a user who is not in memory. h.attempts.begin must have been called. The sign-in
// ends with the keystore's answer, even if the client hangs up before: a wrong key then still counts as an
// attempt. A right key and a keystore that cannot answer do not count.
func (c claim) ask() (verdict, error) {
	ctx := c.r.Context()
	done := make(chan struct{})
	var v verdict
	var err error
	go func() {
		defer close(done)
		defer c.h.attempts.end(c.attempt.address)
		v, err = c.judge(c.either(context.WithoutCancel(ctx), cache.Stranger))
	}()
	select {
	case <-done:
		return v, err
	case <-ctx.Done():
		return verdict{}, ctx.Err()
	}
}

// answered reports whether a look-up that returned err has found out whether the user exists.
func answered(err error) bool {
	return err == nil || err == cache.ErrAbsent || errors.As(err, new(*cache.BrokenRecordError))
}

func tooManyFailedAttempts(wait time.Duration) *hub.Error {
	return &hub.Error{
		Status: http.StatusTooManyRequests, Code: "too_many_failed_attempts",
		RetryAfter: strconv.Itoa(int(math.Ceil(wait.Seconds()))),
		Message:    "Wait before you try again: too many sign-ins from your address have failed.",
	}
}

// keystoreUnavailable returns the error for a record that is not in memory while the keystore cannot answer.
// The cache has logged the reason.
func keystoreUnavailable(err error) error {
	e := &hub.Error{
		Status: http.StatusServiceUnavailable, Code: "keystore_unavailable", RetryAfter: "5",
		Message: "Try again in a moment: API keys cannot be checked right now.",
	}
	var limited *keystore.RateLimitError
	if errors.As(err, &limited) && limited.RetryAfter > 0 {
		e.RetryAfter = strconv.Itoa(int(math.Ceil(limited.RetryAfter.Seconds())))
	}
	return e
}
