package cache

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/continue-auth/caddy-continue-auth/keystore"
)

// pauseAfterRefusal is how long the cache does not ask a store that refuses calls without a
// Retry-After.
const pauseAfterRefusal = 10 * time.Second

// gate decides when the store may be called.
type gate struct {
	budget *rate.Limiter // nil if there is no limit

	mu     sync.Mutex
	closed time.Time // the store refuses calls until then
	ended  bool      // the store must not be called any more
}

// newGate returns the gate of a store. A store with a method Budget has a budget.
func newGate(store keystore.Store) *gate {
	if bounded, ok := store.(interface{ Budget() *rate.Limiter }); ok {
		return &gate{budget: bounded.Budget()}
	}
	return new(gate)
}

// pass reports whether a call may be made now. If not, wait is the time until the next attempt. err
// means that the store refuses calls, or that the gate has ended.
func (g *gate) pass() (ok bool, wait time.Duration, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	switch {
	case g.ended:
		return false, 0, keystore.ErrUnavailable
	case now.Before(g.closed):
		return false, 0, &keystore.RateLimitError{RetryAfter: g.closed.Sub(now)}
	case g.budget == nil || g.budget.AllowN(now, 1):
		return true, 0, nil
	}
	r := g.budget.ReserveN(now, 1)
	defer r.CancelAt(now)
	return false, r.DelayFrom(now), nil
}

// wait waits until a call may be made.
func (g *gate) wait(ctx context.Context) error {
	for {
		ok, wait, err := g.pass()
		if ok || err != nil {
			return err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// learn makes the gate pause if err says that the store refuses calls.
func (g *gate) learn(err error) {
	var limited *keystore.RateLimitError
	if !errors.As(err, &limited) {
		return
	}
	pause := limited.RetryAfter
	if pause <= 0 {
		pause = pauseAfterRefusal
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if until := time.Now().Add(pause); until.After(g.closed) { // another read may have got a shorter time
		g.closed = until
	}
}

// end stops all further calls.
func (g *gate) end() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ended = true
}

// calls returns how many calls the budget allows in a time, if it is used up at the start.
func (g *gate) calls(within time.Duration) int {
	return int(float64(g.budget.Limit()) * within.Seconds())
}

// tokens returns how many calls could be made now, or -1 if there is no limit.
func (g *gate) tokens() float64 {
	if g.budget == nil {
		return -1
	}
	return g.budget.Tokens()
}
