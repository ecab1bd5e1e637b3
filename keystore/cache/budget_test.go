package cache

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"

	"github.com/continue-auth/caddy-continue-auth/keystore"
)

// budgeted is a store with a budget.
type budgeted struct {
	reads
	limiter *rate.Limiter
}

func (b *budgeted) Budget() *rate.Limiter { return b.limiter }

// The flood must not use up the budget either.
func TestAFloodOfMadeUpNamesDoesNotHarmKnownUsers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &budgeted{reads: reads{delay: 50 * time.Millisecond}, limiter: rate.NewLimiter(3, 60)}
		c := New(store, Options{MaxEntries: 10_000})
		ask(t, c, 20)
		time.Sleep(61 * time.Second) // now all of them must be looked up again
		before, began := store.count(), time.Now()
		var flood sync.WaitGroup
		var refused atomic.Int64
		for i := range 20_000 {
			flood.Go(func() {
				_, err := c.APIKeys.Get(t.Context(), fmt.Sprintf("made-up-%d", i), ages, true)
				if limited, ok := errors.AsType[*keystore.RateLimitError](err); ok && limited.RetryAfter > 0 {
					refused.Add(1)
				}
			})
		}
		time.Sleep(time.Millisecond)
		if let := ask(t, c, 20); let != 20 {
			t.Errorf("%d known users are let in", let)
		}
		if waited := time.Since(began); waited > time.Second {
			t.Errorf("known users wait for %v", waited)
		}
		flood.Wait()
		if refused.Load() < 10_000 {
			t.Errorf("%d made-up names were refused, want those beyond the queue", refused.Load())
		}
		seconds := time.Since(began).Seconds()
		if calls := store.count() - before; float64(calls) > 60+3*seconds+1 {
			t.Errorf("%d calls in %.0f s, beyond the budget", calls, seconds)
		}
		settle()
	})
}

// A user who waits for the budget must not wait for renewals that gather.
func TestAUserWhoWaitsForTheBudgetWaitsForNothingElse(t *testing.T) {
	for _, maxAge := range []time.Duration{time.Minute, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			rarely := Ages{RefreshAfter: 30 * time.Second, MaxAge: maxAge, StaleIfError: 2 * time.Hour, Absent: 10 * time.Second}
			store := &budgeted{limiter: rate.NewLimiter(3, 60)}
			c := New(store, Options{MaxEntries: 1000})
			get := func(name string) {
				if _, err := c.APIKeys.Get(t.Context(), name, rarely, true); err != nil {
					t.Error(err)
				}
			}
			get("old")
			time.Sleep(maxAge - 32*time.Second)
			get("a")
			get("b")
			time.Sleep(31 * time.Second)
			get("a") // renewed at once
			synctest.Wait()
			get("b") // its renewal waits for others
			time.Sleep(2 * time.Second)
			for store.limiter.Allow() { // use up the budget
			}
			began := time.Now()
			get("old")
			if waited := time.Since(began); waited > time.Second {
				t.Errorf("with max_age %v, %v", maxAge, waited)
			}
			time.Sleep(time.Hour)
		})
	}
}

// slow is a store that takes some time to answer.
type slow struct {
	*store
	limiter *rate.Limiter
}

func (s *slow) Budget() *rate.Limiter { return s.limiter }

func (s *slow) Get(ctx context.Context, ns keystore.Namespace, names []string) (map[string][]byte, error) {
	time.Sleep(2 * time.Second)
	return s.store.Get(ctx, ns, names)
}

func TestAFloodIsNotMistakenForAStoreThatIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &slow{newStore(map[string]string{"dev@example.com": enabled}), rate.NewLimiter(3, 60)}
		c := New(store, Options{MaxEntries: 100_000})
		user(t, c)
		store.set("dev@example.com", disabled)
		time.Sleep(30 * time.Minute)
		for i := range maxStrangers + 1000 {
			go func() { _, _ = c.APIKeys.Get(t.Context(), fmt.Sprint("made-up", i), ages, true) }()
		}
		synctest.Wait()
		if _, from, err := c.APIKeys.Look(t.Context(), "dev@example.com", ages, true); from != Loaded || err != nil {
			t.Errorf("the answer is %s, %v", from, err)
		}
		if s := c.APIKeys.Stats(); s.LastError != nil {
			t.Errorf("a failure of the store is told of: %v", s.LastError)
		}
		time.Sleep(10 * time.Minute)
	})
}

func TestTheLongestRetryAfterCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(&reads{})
		g.learn(&keystore.RateLimitError{RetryAfter: 5 * time.Minute})
		g.learn(&keystore.RateLimitError{}) // from another read that was under way
		time.Sleep(5*time.Minute - time.Second)
		if ok, _, _ := g.pass(); ok {
			t.Error("it is asked before that")
		}
		time.Sleep(time.Second)
		if ok, _, err := g.pass(); !ok {
			t.Errorf("it is not asked after that: %v", err)
		}
	})
}

func TestAClosedCacheDoesNotAskTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &budgeted{reads: reads{delay: time.Millisecond}, limiter: rate.NewLimiter(3, 1)}
		c := New(store, Options{MaxEntries: 1000})
		var all sync.WaitGroup
		var failed atomic.Int64
		for i := range 1000 {
			all.Go(func() {
				if _, err := c.APIKeys.Get(t.Context(), fmt.Sprint(i), ages, true); errors.Is(err, keystore.ErrUnavailable) {
					failed.Add(1)
				}
			})
		}
		time.Sleep(900 * time.Millisecond) // the time between two calls
		synctest.Wait()
		before := store.count()
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		all.Wait()
		settle()
		if calls := store.count() - before; calls > 0 || failed.Load() == 0 {
			t.Errorf("%d calls after the end, %d who wait were told", calls, failed.Load())
		}
	})
}

func TestAStoreThatRefusesCallsIsNotAsked(t *testing.T) {
	for name, test := range map[string]struct{ retryAfter, pause time.Duration }{
		"for as long as it asks for": {5 * time.Minute, 5 * time.Minute},
		"when it names no time":      {0, pauseAfterRefusal},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &reads{}
				c := New(store, Options{MaxEntries: 100})
				ask(t, c, 1)
				time.Sleep(61 * time.Second)
				store.err = &keystore.RateLimitError{RetryAfter: test.retryAfter}
				if ask(t, c, 2) != 1 {
					t.Error("the known user is refused, or the unknown is not")
				}
				store.err = nil
				calls := store.count()
				time.Sleep(test.pause - time.Second)
				if ask(t, c, 2) != 1 || store.count() != calls {
					t.Errorf("%d calls while it wants to be left alone", store.count()-calls)
				}
				_, err := c.Providers.Get(t.Context(), AllProviders, ages, true)
				if limited, ok := errors.AsType[*keystore.RateLimitError](err); !ok || limited.RetryAfter != time.Second {
					t.Errorf("the list: %v", err)
				}
				time.Sleep(time.Second)
				if ask(t, c, 2) != 2 {
					t.Error("afterwards a user is refused")
				}
			})
		})
	}
}

func TestTheBudgetIsNeverExceeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &budgeted{limiter: rate.NewLimiter(3, 60)}
		c := New(store, Options{MaxEntries: 10_000})
		if c.Budget() != 60 {
			t.Errorf("the budget is %v", c.Budget())
		}
		began := time.Now()
		for i := range 200 { // one after the other, so that no names share a read
			if _, err := c.APIKeys.Get(t.Context(), fmt.Sprint(i), ages, true); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(began); took < 46*time.Second || took > 48*time.Second {
			t.Errorf("200 calls take %v, want the 140 beyond the first 60 to take a third of a second each", took)
		}
		settle()
	})
	if New(&reads{}, Options{MaxEntries: 1}).Budget() != -1 {
		t.Error("a store without a budget has one")
	}
}

// If there are more known users than the budget can serve, the rest get what was last known of
// them, as if the store could not answer.
func TestKnownUsersDoNotWaitForTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &budgeted{reads: reads{delay: 50 * time.Millisecond}, limiter: rate.NewLimiter(3, 60)}
		c := New(store, Options{MaxEntries: 10_000})
		if let := ask(t, c, 3000); let != 3000 {
			t.Fatalf("%d are let in at first", let)
		}
		time.Sleep(61 * time.Second)
		store.limiter.AllowN(time.Now(), int(store.limiter.Tokens())) // use up the budget
		before, began := store.count(), time.Now()
		if let := ask(t, c, 3000); let != 3000 {
			t.Errorf("%d are let in", let)
		}
		if took := time.Since(began); took > budgetPatience+time.Second || store.count() == before {
			t.Errorf("it took %v and %d calls", took, store.count()-before)
		}
		settle()
	})
}

func TestKnownUsersWaitForTheBudgetIfItServesThemSoon(t *testing.T) {
	for name, lately := range map[string]error{
		"of a store that answers":         nil,
		"of a store that failed long ago": keystore.ErrUnavailable,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &budgeted{reads: reads{delay: 50 * time.Millisecond}, limiter: rate.NewLimiter(3, 60)}
				c := New(store, Options{MaxEntries: 10_000})
				const users = 800 // the budget serves 900 in three seconds
				if let := ask(t, c, users); let != users {
					t.Fatalf("%d are let in at first", let)
				}
				store.err = lately
				_, _ = c.APIKeys.Get(t.Context(), "somebody else", ages, true)
				store.err = nil
				time.Sleep(ages.MaxAge)
				store.limiter.AllowN(time.Now(), int(store.limiter.Tokens()))
				var stale atomic.Int64
				var all sync.WaitGroup
				for i := range users {
					all.Go(func() {
						if _, from, _ := c.APIKeys.Look(t.Context(), fmt.Sprint("user", i), ages, true); from != Loaded {
							stale.Add(1)
						}
					})
				}
				all.Wait()
				if n := stale.Load(); n > 0 {
					t.Errorf("of %d users the store is not asked", n)
				}
				settle()
			})
		})
	}
}

func TestKnownUsersDoNotWaitForTheBudgetOfAFailingStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &budgeted{reads: reads{delay: time.Millisecond}, limiter: rate.NewLimiter(3, 10)}
		c := New(store, Options{MaxEntries: 1000})
		ask(t, c, 20)
		time.Sleep(ages.MaxAge)
		store.mu.Lock()
		store.err = keystore.ErrUnavailable
		store.mu.Unlock()
		began := time.Now()
		for range 100 {
			if let := ask(t, c, 20); let != 20 {
				t.Fatalf("%d known users are let in", let)
			}
		}
		if waited := time.Since(began); waited > time.Second {
			t.Errorf("a hundred requests of each known user wait for %v", waited)
		}
		store.mu.Lock()
		store.err = nil
		store.mu.Unlock()
		time.Sleep(time.Second)
		before := store.count()
		ask(t, c, 20)
		if store.count() == before {
			t.Error("once the store is back, it is not asked")
		}
		settle()
	})
}
