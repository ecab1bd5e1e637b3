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

// reads is a keystore.Store that knows every name and records what it was asked for.
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

// settle waits until all look-ups are done, including those that wait for others.
func settle() {
	time.Sleep(time.Minute)
	synctest.Wait()
}

// ask lets n users ask at once, and counts those who are let in.
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

func TestASingleLookUpDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &reads{delay: time.Second}
		c := New(store, Options{MaxEntries: 1000})
		began := time.Now()
		if ask(t, c, 1) != 1 || time.Since(began) != time.Second || store.count() != 1 {
			t.Errorf("it took %v and %d reads", time.Since(began), store.count())
		}
	})
}

func TestLookUpsThatComeTogetherShareReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &reads{delay: time.Second}
		c := New(store, Options{MaxEntries: 10_000})
		began := time.Now()
		if let := ask(t, c, 1000); let != 1000 {
			t.Errorf("%d are let in", let)
		}
		// The first few look-ups have a read each. All that come during those reads share reads of
		// a hundred.
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

// Few of these look-ups come during another read.
func TestLookUpsOfAQuickStoreShareReads(t *testing.T) {
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

// Active users cost one call for a hundred of them, not one each.
func TestRenewalsShareReads(t *testing.T) {
	for _, users := range []int{1, 10, 100, 1000, 5000} {
		t.Run(fmt.Sprint(users), func(t *testing.T) {
			if testing.Short() && users > 1000 {
				t.Skip("the tests without -short run this")
			}
			synctest.Test(t, func(t *testing.T) {
				store := &reads{delay: 100 * time.Millisecond}
				c := New(store, Options{MaxEntries: 100_000})
				for n := min(users, 1000); n <= users; n += 1000 { // they do not all come at once
					ask(t, c, n)
				}
				synctest.Wait()
				before := store.count()
				const minutes = 5
				for range minutes * 60 / 5 { // each is active every five seconds, at different times
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
				// A user is renewed every 30 to 40 s. A read that is not full starts about every 10
				// s.
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

// If the budget cannot serve all users within max_age, older answers are used, and everyone is
// served.
func TestMoreUsersThanTheBudgetAllowsAreServed(t *testing.T) {
	for name, test := range map[string]struct {
		users int
		ages  Ages
		most  float64 // calls per minute
	}{
		"10,000":                    {10_000, ages, 180},
		"50,000":                    {50_000, ages, 180},
		"50,000, max_age 5 minutes": {50_000, Ages{RefreshAfter: 4 * time.Minute, MaxAge: 5 * time.Minute, StaleIfError: time.Hour}, 180},
	} {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && test.users > 10_000 {
				t.Skip("the tests without -short run this")
			}
			synctest.Test(t, func(t *testing.T) {
				store := &budgeted{reads: reads{delay: 100 * time.Millisecond}, limiter: rate.NewLimiter(3, 60)}
				c := New(store, Options{MaxEntries: 100_000})
				var refused atomic.Int64
				round := func(over time.Duration) { // each user is active once, at different times
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
				round(10 * time.Minute) // so that there is room for an unknown name
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

func TestAWaitingRenewalStartsWhenAUserNeedsIt(t *testing.T) {
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
		get("a") // starts at once: nothing was renewed lately
		get("b") // waits for others
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

func TestARenewalStartsEvenIfNoOtherFollows(t *testing.T) {
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

func TestAReadThatFailsFailsForAllNamesInIt(t *testing.T) {
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

func TestAnInvalidationDiscardsWaitingRenewals(t *testing.T) {
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
		user(t, c) // its renewal is under way
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

func TestAUserInMemoryCostsLittle(t *testing.T) {
	if testing.Short() {
		t.Skip("-short goes with the race detector, which makes this slow and finds nothing in it")
	}
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
	store.all = nil // free what the test itself keeps
	each := (heap() - before) / users
	t.Logf("%d bytes a user", each)
	if held := c.APIKeys.Stats().Entries; held != users || each > 1024 {
		t.Errorf("%d users are held, of %d bytes each, want at most 1024", held, each)
	}
}

// heap returns the memory in use, in bytes.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
