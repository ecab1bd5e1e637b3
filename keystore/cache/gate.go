package cache

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/continue-auth/caddy-continue-auth/keystore"
)

// pauseAfterRefusal is how long a store is left alone that refuses calls without saying for how long.
const pauseAfterRefusal = 10 * time.Second

// gate keeps the calls of a store within what it allows.
type gate struct {
	budget *rate.Limiter // nil: no bound

	mu     sync.Mutex
	closed time.Time // until when the store wants to be left alone
	ended  bool      // the store is not to be asked any more
}

// newGate returns the gate of a store, which may have a budget.
func newGate(store keystore.Store) *gate {
	if bounded, ok := store.(interface{ Budget() *rate.Limiter }); ok {
		return &gate{budget: bounded.Budget()}
	}
	return new(gate)
}

// pass reports whether a call may be made now, and if not, after how long to try again. The error
// says that the store refuses calls, and for how long.
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

// learn takes notice of what came of a call.
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
	if until := time.Now().Add(pause); until.After(g.closed) { // reads that were under way may be told less
		g.closed = until
	}
}

// end has no call pass any more.
func (g *gate) end() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ended = true
}

// calls is how many calls the budget allows within that time, once it is used up.
func (g *gate) calls(within time.Duration) int {
	return int(float64(g.budget.Limit()) * within.Seconds())
}

// tokens is how many calls could be made at once; -1 where there is no bound.
func (g *gate) tokens() float64 {
	if g.budget == nil {
		return -1
	}
	return g.budget.Tokens()
}
