package redis

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"go.uber.org/zap"

	"github.com/continue-auth/caddy-continue-auth/usage"
)

// clocked is a Redis whose clock the test sets.
type clocked interface {
	Addr() string
	SetTime(now time.Time)
	HGet(key, field string) string
	Del(key string) bool
}

// contracted is the Redis of a test that every Redis must pass.
type contracted struct {
	clocked
	now time.Time
}

// begin is when the clock of a Redis begins.
var begin = time.Date(2028, 2, 29, 12, 0, 0, 0, time.UTC)

// start starts a Redis for a test that every Redis must pass. It is simulated, unless the tests run on a real one.
var start = func(t *testing.T) clocked { return simulate(t) }

func contract(t *testing.T) *contracted {
	t.Helper()
	c := &contracted{start(t), begin}
	c.SetTime(c.now)
	return c
}

// pass lets time pass.
func (c *contracted) pass(d time.Duration) {
	c.now = c.now.Add(d)
	c.SetTime(c.now)
}

// simulated is a simulated Redis. Keys expire in it only when the test lets time pass.
type simulated struct {
	*miniredis.Miniredis
	now time.Time
}

func simulate(t *testing.T) *simulated {
	t.Helper()
	c := &simulated{miniredis.RunT(t), begin}
	c.SetTime(c.now)
	return c
}

// pass lets time pass, for the keys too.
func (c *simulated) pass(d time.Duration) {
	c.now = c.now.Add(d)
	c.SetTime(c.now)
	c.FastForward(d)
}

// store returns a store for a server, with time enough for a busy machine.
func store(t testing.TB, addresses ...string) *Store {
	t.Helper()
	s := open(t, Config{Addresses: addresses, Timeout: 10 * time.Second})
	if !s.Up() {
		t.Fatalf("the store is away: it %s", *s.why.Load())
	}
	return s
}

// open returns a store that is closed when the test ends.
func open(t testing.TB, c Config) *Store {
	t.Helper()
	c.Prefix = "cca:"
	if c.Log == nil {
		c.Log = zap.NewNop
	}
	if c.Observe == nil {
		c.Observe = func(time.Duration) {}
	}
	s := openAt(c, pace{probe: 50 * time.Millisecond, ping: 200 * time.Millisecond})
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func rate(t testing.TB, text string) usage.Rate {
	t.Helper()
	r, err := usage.ParseRate(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// scope returns a user's scope. A limit is "requests 3/1m", "tokens 100/day" or "parallel 2".
func scope(t testing.TB, name string, limits ...string) usage.Scope {
	t.Helper()
	l := new(usage.Limits)
	for _, limit := range limits {
		switch kind, text, _ := strings.Cut(limit, " "); kind {
		case "requests":
			l.Requests = append(l.Requests, rate(t, text))
		case "tokens":
			l.Tokens = append(l.Tokens, rate(t, text))
		case "parallel":
			if _, err := fmt.Sscan(text, &l.Parallel); err != nil {
				t.Fatal(err)
			}
		}
	}
	return usage.Scope{Name: name, Limits: l}
}

// asker admits requests to some scopes.
type asker struct {
	testing.TB
	store  *Store
	scopes []usage.Scope
}

// admit returns the lease, or "" if the request is refused.
func (a asker) admit(prompt int64) (usage.Lease, []usage.State) {
	a.Helper()
	lease, admitted, states, err := a.store.Admit(context.Background(), a.scopes, prompt, nil)
	if err != nil {
		a.Fatal(err)
	}
	if admitted != (lease != "") {
		a.Errorf("admitted is %v with the lease %q", admitted, lease)
	}
	return lease, states
}

// admits checks whether the next request is admitted.
func (a asker) admits(want bool) []usage.State {
	a.Helper()
	lease, states := a.admit(0)
	if (lease != "") != want {
		a.Errorf("admitted: %v, want %v; %+v", lease != "", want, states)
	}
	return states
}

// used returns what is used of each limit.
func (a asker) used() []int64 {
	a.Helper()
	states, err := a.store.States(context.Background(), a.scopes, nil)
	if err != nil {
		a.Fatal(err)
	}
	var used []int64
	for _, s := range states {
		used = append(used, s.Used)
	}
	return used
}

// wantUsed waits until that much is used of the limits. What the store does in the background takes a moment.
func (a asker) wantUsed(want ...int64) {
	a.Helper()
	var got []int64
	eventually(a, func() bool {
		got = a.used()
		return slices.Equal(got, want)
	}, func() string { return fmt.Sprintf("used: %v, want %v", got, want) })
}

// eventually waits until something is so.
func eventually(t testing.TB, so func() bool, what func() string) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !so(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(what())
		}
	}
}
