package cache

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
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

	// shared takes a call out of a budget that several servers have in common. It is nil if there is none.
	shared atomic.Pointer[SharedBudget]

	mu     sync.Mutex
	closed time.Time // the store refuses calls until then
	ended  bool      // the store must not be called any more
}

// SharedBudget takes a call out of a budget that several servers have in common, with as many calls a second
// and at once as it is told. It returns the time until there is a call, if there is none now. ok is false if
// the budget cannot be reached.
type SharedBudget func(perSecond float64, burst int) (wait time.Duration, ok bool)

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
	if err := g.refuses(); err != nil {
		return false, 0, err
	}
	if ok, wait, asked := g.passTogether(); asked {
		return ok, wait, nil
	}
	now := time.Now()
	if g.budget == nil || g.budget.AllowN(now, 1) {
		return true, 0, nil
	}
	r := g.budget.ReserveN(now, 1)
	defer r.CancelAt(now)
	return false, r.DelayFrom(now), nil
}

// refuses returns an error if no call may be made at all now.
func (g *gate) refuses() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	switch {
	case g.ended:
		return keystore.ErrUnavailable
	case now.Before(g.closed):
		return &keystore.RateLimitError{RetryAfter: g.closed.Sub(now)}
	}
	return nil
}

// passTogether is pass by the budget of several servers. asked is false if there is none, or if it cannot be
// reached.
func (g *gate) passTogether() (ok bool, wait time.Duration, asked bool) {
	shared := g.shared.Load()
	if g.budget == nil || shared == nil {
		return false, 0, false
	}
	wait, asked = (*shared)(float64(g.budget.Limit()), g.budget.Burst())
	if asked && wait == 0 {
		g.budget.Allow() // this server's own budget is what counts if the other cannot be reached
	}
	return wait == 0, wait, asked
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
