package cache

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"

	"github.com/continue-auth/caddy-continue-auth/keystore"
)

// reads is a keystore.Store that knows every name and keeps what it was asked for.
type reads struct {
	mu    sync.Mutex
	all   [][]string
	delay time.Duration
	err   error
}

func (r *reads) Get(_ context.Context, _ keystore.Namespace, names []string) (map[string][]byte, error) {
	r.mu.Lock()
	r.all = append(r.all, slices.Clone(names))
	delay, err := r.delay, r.err
	r.mu.Unlock()
	time.Sleep(delay)
	values := make(map[string][]byte)
	for _, name := range names {
		values[name] = []byte(`{"apiKey":"` + name + `","status":"Enabled"}`)
	}
	return values, err
}

func (r *reads) List(context.Context, keystore.Namespace) ([]string, error) { return nil, nil }

func (r *reads) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.all)
}

// settle waits until every look-up has been made, those that gather included.
func settle() {
	time.Sleep(time.Minute)
	synctest.Wait()
}

// ask has n users ask at once, and counts those who are let in.
func ask(t *testing.T, c *Cache, n int) (let int) {
	t.Helper()
	var all sync.WaitGroup
	var mu sync.Mutex
	for i := range n {
		all.Go(func() {
			name := fmt.Sprintf("user%d", i)
			key, err := c.APIKeys.Get(t.Context(), name, ages, true)
			if err == nil && key.Check(name, time.Now()) {
				mu.Lock()
				let++
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return let
}

func TestALookUpThatIsAloneWaitsForNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &reads{delay: time.Second}
		c := New(store, Options{MaxEntries: 1000})
		began := time.Now()
		if ask(t, c, 1) != 1 || time.Since(began) != time.Second || store.count() != 1 {
			t.Errorf("it took %v and %d reads", time.Since(began), store.count())
		}
	})
}

func TestLookUpsThatComeTogetherTravelTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &reads{delay: time.Second}
		c := New(store, Options{MaxEntries: 10_000})
		began := time.Now()
		if let := ask(t, c, 1000); let != 1000 {
			t.Errorf("%d are let in", let)
		}
		// The first few go alone; all who come while those are under way go by the hundred.
		if most := maxReads + 10; store.count() > most || time.Since(began) > 5*time.Second {
			t.Errorf("%d reads in %v, want at most %d", store.count(), time.Since(began), most)
		}
		for _, names := range store.all {
			if sorted := slices.Sorted(slices.Values(names)); len(names) > batch || len(slices.Compact(sorted)) != len(names) {
				t.Errorf("a read of %d names", len(names))
			}
		}
	})
}

// TestThoseWhoComeOneAfterTheOtherToAQuickStoreTravelTogether, though few of them find a read under way.
func TestThoseWhoComeOneAfterTheOtherToAQuickStoreTravelTogether(t *testing.T) {
	for _, over := range []time.Duration{20 * time.Millisecond, 100 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			store := &budgeted{reads: reads{delay: 500 * time.Microsecond}, limiter: rate.NewLimiter(3, 60)}
			c := New(store, Options{MaxEntries: 10_000})
			var all sync.WaitGroup
			var late atomic.Int64
			for i := range 1000 {
				all.Go(func() {
					began := time.Now()
					if _, err := c.APIKeys.Get(t.Context(), fmt.Sprint("user", i), ages, true); err != nil {
						t.Error(err)
					}
					if time.Since(began) > 12*time.Millisecond {
						late.Add(1)
					}
				})
				time.Sleep(over / 1000)
			}
			all.Wait()
			if n := store.count(); n > 12 {
				t.Errorf("%d reads for 1,000 users in %v", n, over)
			}
			if n := late.Load(); n > 0 {
				t.Errorf("of 1,000 users in %v, %d wait for others", over, n)
			}
			time.Sleep(10 * time.Millisecond)
			began := time.Now()
			if ask(t, c, 1001) != 1001 || time.Since(began) != store.delay {
				t.Errorf("who is alone waits for %v", time.Since(began))
			}
		})
	}
}

// TestRenewalsGather: active users cost calls by the hundred, not each.
func TestRenewalsGather(t *testing.T) {
	for _, users := range []int{1, 10, 100, 1000, 5000} {
		t.Run(fmt.Sprint(users), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &reads{delay: 100 * time.Millisecond}
				c := New(store, Options{MaxEntries: 100_000})
				for n := min(users, 1000); n <= users; n += 1000 { // they do not come all at once
					ask(t, c, n)
				}
				synctest.Wait()
				before := store.count()
				const minutes = 5
				for range minutes * 60 / 5 { // each is active every five seconds, at times of its own
					for i := range users {
						if rand.IntN(users) == 0 || i%100 == 0 {
							time.Sleep(5 * time.Second / time.Duration(users/100+2))
						}
						if _, err := c.APIKeys.Get(t.Context(), fmt.Sprintf("user%d", i), ages, true); err != nil {
							t.Fatal(err)
						}
					}
				}
				synctest.Wait()
				perMinute := float64(store.count()-before) / minutes
				// A user is renewed every 30 to 40 s; what does not fill a read goes every 10 s or so.
				most := float64(users)/100*2.2 + 8
				settle()
				t.Logf("%d users: %.1f calls a minute, at most %.1f", users, perMinute, most)
				if perMinute > most {
					t.Errorf("%d users: %.1f calls a minute, want at most %.1f", users, perMinute, most)
				}
			})
		})
	}
}

// TestMoreUsersThanTheBudgetServes are all served, within the budget: what is known of them is used
// for longer than max_age then.
func TestMoreUsersThanTheBudgetServes(t *testing.T) {
	for name, test := range map[string]struct {
		users int
		ages  Ages
		most  float64 // calls a minute
	}{
		"10,000":                    {10_000, ages, 180},
		"50,000":                    {50_000, ages, 180},
		"50,000, max_age 5 minutes": {50_000, Ages{RefreshAfter: 4 * time.Minute, MaxAge: 5 * time.Minute, StaleIfError: time.Hour}, 180},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &budgeted{reads: reads{delay: 100 * time.Millisecond}, limiter: rate.NewLimiter(3, 60)}
				c := New(store, Options{MaxEntries: 100_000})
				var refused atomic.Int64
				round := func(over time.Duration) { // each user is active once, at times of their own
					for i := range test.users {
						if i%100 == 0 {
							time.Sleep(over / time.Duration(test.users/100))
						}
						go func() {
							if _, err := c.APIKeys.Get(t.Context(), fmt.Sprintf("user%d", i), test.ages, true); err != nil {
								refused.Add(1)
							}
						}()
					}
					synctest.Wait()
				}
				round(10 * time.Minute) // so that a stranger finds room
				time.Sleep(time.Minute)
				if n := refused.Load(); n > 0 {
					t.Fatalf("%d users could not come in", n)
				}
				before := store.count()
				const minutes = 5
				for range minutes * 2 {
					round(30 * time.Second)
				}
				perMinute := float64(store.count()-before) / minutes
				settle()
				t.Logf("%s users: %.1f calls a minute", name, perMinute)
				if perMinute > test.most+60.0/minutes {
					t.Errorf("%.1f calls a minute, want at most %.0f", perMinute, test.most)
				}
				if n := refused.Load(); n > 0 {
					t.Errorf("%d requests of known users were refused", n)
				}
			})
		})
	}
}

func TestARenewalThatGathersIsHurriedByWhoNeedsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &reads{}
		c := New(store, Options{MaxEntries: 1000})
		get := func(name string) {
			t.Helper()
			if _, err := c.APIKeys.Get(t.Context(), name, ages, true); err != nil {
				t.Error(err)
			}
			synctest.Wait()
		}
		get("a")
		get("b")
		time.Sleep(59 * time.Second)
		get("a") // goes at once: none was renewed lately
		get("b") // gathers
		if store.count() != 3 {
			t.Fatalf("%d reads", store.count())
		}
		time.Sleep(time.Second)
		began := time.Now()
		get("b") // is too old to be used now
		if store.count() != 4 || time.Since(began) > 0 {
			t.Errorf("%d reads, after %v", store.count(), time.Since(began))
		}
		settle()
	})
}

func TestARenewalGoesEvenIfNobodyComesAfterIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &reads{}
		c := New(store, Options{MaxEntries: 1000})
		ask(t, c, 2)
		time.Sleep(40 * time.Second)
		ask(t, c, 2)
		synctest.Wait()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		names := map[string]int{}
		for _, read := range store.all {
			for _, name := range read {
				names[name]++
			}
		}
		if names["user0"] != 2 || names["user1"] != 2 {
			t.Errorf("reads %v", store.all)
		}
	})
}

func TestAReadThatFailsFailsForAllInIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &reads{delay: time.Second}
		c := New(store, Options{MaxEntries: 1000})
		ask(t, c, 150)
		store.err = errors.New("down")
		time.Sleep(2 * time.Minute)
		if let := ask(t, c, 300); let != 150 {
			t.Errorf("%d are let in during the outage, want the 150 who are known", let)
		}
		store.err = nil
		if let := ask(t, c, 300); let != 300 {
			t.Errorf("%d are let in after it", let)
		}
		settle()
	})
}

func TestAnInvalidationKeepsOutWhatIsGathering(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(map[string]string{"dev@example.com": enabled})
		c := New(s, Options{MaxEntries: 100})
		if got := user(t, c); got != "enabled" {
			t.Fatal(got)
		}
		time.Sleep(31 * time.Second)
		if _, err := c.APIKeys.Get(t.Context(), "other", ages, true); !errors.Is(err, ErrAbsent) {
			t.Fatal(err)
		}
		user(t, c) // renewed at once
		synctest.Wait()
		time.Sleep(31 * time.Second)
		s.gate = make(chan struct{})
		user(t, c) // renewal under way
		synctest.Wait()
		s.set("dev@example.com", disabled)
		c.APIKeys.Invalidate("dev@example.com")
		answered := make(chan string)
		go func() { answered <- user(t, c) }()
		synctest.Wait()
		close(s.gate)
		if got := <-answered; got != "disabled" {
			t.Errorf("after the invalidation: %s", got)
		}
		synctest.Wait()
		if got := user(t, c); got != "disabled" {
			t.Errorf("once the older look-up has ended: %s", got)
		}
	})
}

// budgeted is a store that allows so many calls.
type budgeted struct {
	reads
	limiter *rate.Limiter
}

func (b *budgeted) Budget() *rate.Limiter { return b.limiter }

// TestAFloodOfMadeUpNamesLeavesKnownUsersAlone, and the budget whole.
func TestAFloodOfMadeUpNamesLeavesKnownUsersAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &budgeted{reads: reads{delay: 50 * time.Millisecond}, limiter: rate.NewLimiter(3, 60)}
		c := New(store, Options{MaxEntries: 10_000})
		ask(t, c, 20)
		time.Sleep(61 * time.Second) // from now on the store has to be asked again for each of them
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

// TestWhoWaitsForTheBudgetWaitsForNothingElse, not for renewals that gather.
func TestWhoWaitsForTheBudgetWaitsForNothingElse(t *testing.T) {
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
			get("a") // is renewed at once
			synctest.Wait()
			get("b") // is to be renewed, together with others
			time.Sleep(2 * time.Second)
			for store.limiter.Allow() { // the budget goes elsewhere
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

// slow is a store that takes its time.
type slow struct {
	*store
	limiter *rate.Limiter
}

func (s *slow) Budget() *rate.Limiter { return s.limiter }

func (s *slow) Get(ctx context.Context, ns keystore.Namespace, names []string) (map[string][]byte, error) {
	time.Sleep(2 * time.Second)
	return s.store.Get(ctx, ns, names)
}

func TestAFloodDoesNotPassForAStoreThatIsDown(t *testing.T) {
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

func TestTheLongestPauseThatAStoreAsksForCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(&reads{})
		g.learn(&keystore.RateLimitError{RetryAfter: 5 * time.Minute})
		g.learn(&keystore.RateLimitError{}) // of another read that was under way
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

func TestAClosedCacheAsksNoMore(t *testing.T) {
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
		time.Sleep(900 * time.Millisecond) // between two calls
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

func TestAStoreThatWantsToBeLeftAloneIs(t *testing.T) {
	for name, test := range map[string]struct{ retryAfter, pause time.Duration }{
		"for as long as it says": {5 * time.Minute, 5 * time.Minute},
		"without a word":         {0, pauseAfterRefusal},
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
		for i := range 200 { // one after the other, so that nothing gathers
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

// TestKnownUsersDoNotWaitForTheBudget where there are more of them than it is for: they go by what
// is known, as if the store could not answer.
func TestKnownUsersDoNotWaitForTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &budgeted{reads: reads{delay: 50 * time.Millisecond}, limiter: rate.NewLimiter(3, 60)}
		c := New(store, Options{MaxEntries: 10_000})
		if let := ask(t, c, 3000); let != 3000 {
			t.Fatalf("%d are let in at first", let)
		}
		time.Sleep(61 * time.Second)
		store.limiter.AllowN(time.Now(), int(store.limiter.Tokens())) // somebody else has used it up
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

func TestKnownUsersWaitForTheBudgetWhereItServesThemSoon(t *testing.T) {
	for name, lately := range map[string]error{
		"of a store that answers":         nil,
		"of a store that failed long ago": keystore.ErrUnavailable,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &budgeted{reads: reads{delay: 50 * time.Millisecond}, limiter: rate.NewLimiter(3, 60)}
				c := New(store, Options{MaxEntries: 10_000})
				const users = 800 // of 900 in three seconds
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

func TestKnownUsersDoNotWaitForTheBudgetOfAStoreThatFails(t *testing.T) {
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

func TestAUserInMemoryCostsLittle(t *testing.T) {
	const users = 20_000
	store := &reads{}
	c := New(store, Options{MaxEntries: 100_000})
	before := heap()
	for start := 0; start < users; start += 1000 {
		var all sync.WaitGroup
		for i := range 1000 {
			all.Go(func() {
				_, _ = c.APIKeys.Get(t.Context(), fmt.Sprintf("developer%06d@example.com", start+i), ages, true)
			})
		}
		all.Wait()
	}
	store.all = nil // what the test itself keeps
	each := (heap() - before) / users
	t.Logf("%d bytes a user", each)
	if held := c.APIKeys.Stats().Entries; held != users || each > 1024 {
		t.Errorf("%d users are held, of %d bytes each, want at most 1024", held, each)
	}
}

// heap is the memory in use.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
