package caddyauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/continue-auth/caddy-continue-auth/keystore"
	"github.com/continue-auth/caddy-continue-auth/keystore/cache"
	"github.com/continue-auth/caddy-continue-auth/provider/hub"
)

// team is a keystore that knows user0 to user1999, each with the key "right". It does not answer before may
// is closed.
type team struct {
	may  chan struct{}
	err  error
	gets atomic.Int64
}

func (s *team) Get(_ context.Context, _ keystore.Namespace, names []string) (map[string][]byte, error) {
	s.gets.Add(1)
	<-s.may
	found := make(map[string][]byte)
	for _, name := range names {
		var n int
		if _, err := fmt.Sscanf(name, "user%d", &n); err == nil && n < 2000 {
			found[name] = []byte(`{"apiKey":"right","status":"Enabled"}`)
		}
	}
	return found, s.err
}

func (s *team) List(context.Context, keystore.Namespace) ([]string, error) { return nil, s.err }

// restarted returns a handler in front of that keystore, with no users in memory.
func restarted(s *team) *Handler {
	s.may = make(chan struct{})
	return &Handler{
		settings: settings{emailHeader: "X-User-Email", ages: cache.Ages{RefreshAfter: time.Minute, MaxAge: time.Hour, StaleIfError: time.Hour, Absent: time.Minute}},
		attempts: newFailedAttempts(100, time.Minute),
		cache:    cache.New(s, cache.Options{MaxEntries: 10_000}),
	}
}

// signInFrom signs in from that address and returns the status. It returns 0 if the client hangs up.
func (h *Handler) signInFrom(ctx context.Context, address, name, key string) int {
	r := asCaddy(httptest.NewRequestWithContext(ctx, http.MethodGet, "/v1/models", nil), address)
	r.Header.Set("Authorization", "Bearer "+name+":"+key)
	_, err := h.identify(r, new(record))
	if e, ok := errors.AsType[*hub.Error](err); ok {
		return e.Status
	}
	if err != nil {
		return 0
	}
	return http.StatusOK
}

// signIns signs in with n names from one address at once. wait returns how often each status occurred.
func (h *Handler) signIns(ctx context.Context, address, name, key string, n int) (wait func() map[int]int) {
	var all sync.WaitGroup
	var mu sync.Mutex
	counts := make(map[int]int)
	for i := range n {
		all.Go(func() {
			status := h.signInFrom(ctx, address, fmt.Sprint(name, i), key)
			mu.Lock()
			defer mu.Unlock()
			counts[status]++
		})
	}
	return func() map[int]int {
		all.Wait()
		return counts
	}
}

func TestASignInCountsEvenIfTheClientHangsUp(t *testing.T) {
	for name, test := range map[string]struct {
		name, key string
		err       error
		want      int // the status of the next sign-in from that address
	}{
		"with made-up names":                 {"nobody", "x", nil, 429},
		"with names of users, a wrong key":   {"user", "wrong", nil, 429},
		"with the right key":                 {"user", "right", nil, 200},
		"while the keystore cannot answer":   {"nobody", "x", keystore.ErrUnavailable, 503},
		"while the keystore wants a pause":   {"nobody", "x", &keystore.RateLimitError{RetryAfter: time.Minute}, 503},
		"with a right key, and the KV fails": {"user", "right", keystore.ErrTimeout, 503},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &team{err: test.err}
				h := restarted(s)
				ctx, hangUp := context.WithCancel(t.Context())
				wait := h.signIns(ctx, "192.0.2.1", test.name, test.key, 150)
				synctest.Wait()
				hangUp()
				if got := wait(); got[0] != 150 {
					t.Errorf("before the keystore has answered: %v", got)
				}
				close(s.may)
				synctest.Wait()
				if got := h.signInFrom(t.Context(), "192.0.2.1", "user1999", "right"); got != test.want {
					t.Errorf("the next from that address: status %d, want %d", got, test.want)
				}
				if len(h.attempts.underWay) > 0 {
					t.Errorf("under way: %v", h.attempts.underWay)
				}
				synctest.Wait()
			})
		})
	}
}

func TestATeamBehindOneAddressSignsInAtOnceAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(team)
		h := restarted(s)
		wait := h.signIns(t.Context(), "192.0.2.1", "user", "right", maxUnderWay)
		synctest.Wait() // the keystore is slow
		close(s.may)
		if got := wait(); got[200] != maxUnderWay {
			t.Errorf("statuses %v", got)
		}
	})
}

func TestOneAddressCannotFillTheQueueForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(team)
		h := restarted(s)
		wait := h.signIns(t.Context(), "192.0.2.1", "nobody", "x", 10_000)
		other := h.signIns(t.Context(), "192.0.2.2", "user", "right", 500)
		synctest.Wait()
		close(s.may)
		if got := wait(); got[401] != 100 || got[429] != maxUnderWay-100 || got[503] != 10_000-maxUnderWay {
			t.Errorf("statuses %v of the flood", got)
		}
		if got := other(); got[200] != 500 {
			t.Errorf("statuses %v of another address", got)
		}
		gets := s.gets.Load()
		if got := h.signIns(t.Context(), "192.0.2.1", "nobody-else", "x", 100)(); got[429] != 100 || s.gets.Load() != gets {
			t.Errorf("afterwards statuses %v, and the keystore is asked %d times", got, s.gets.Load()-gets)
		}
	})
}

// at returns an attempt with that name from that address. n makes the wrong key.
func at(address, name string, n int) attempt {
	return attempt{netip.MustParsePrefix(address + "/32"), name, fmt.Sprint("key", n)}
}

func TestFailedAttemptsAreForgottenWithTheirWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFailedAttempts(2, time.Minute)
		f.judge(at("192.0.2.1", "a", 1), false)
		if name, address := f.waits(at("192.0.2.1", "a", 0)); name != 0 || address != 0 {
			t.Errorf("after one attempt the waits are %v and %v", name, address)
		}
		time.Sleep(10 * time.Second)
		f.judge(at("192.0.2.1", "a", 2), false)
		for _, test := range []struct{ address, name string }{{"192.0.2.1", "a"}, {"192.0.2.1", "b"}, {"192.0.2.2", "a"}} {
			var wantName, wantAddress time.Duration // the rest of the window
			if test.address == "192.0.2.1" {
				wantAddress = 50 * time.Second
				if test.name == "a" {
					wantName = wantAddress
				}
			}
			name, address := f.waits(at(test.address, test.name, 0))
			if name != wantName || address != wantAddress {
				t.Errorf("after two attempts %v waits %v by its name and %v by its address", test, name, address)
			}
			if wait := f.judge(at(test.address, test.name, 0), true); wait != wantName {
				t.Errorf("%v waits %v with the right key, want %v", test, wait, wantName)
			}
		}
		time.Sleep(50 * time.Second)
		if name, address := f.waits(at("192.0.2.1", "a", 0)); name != 0 || address != 0 || f.reached.Load() {
			t.Errorf("in the next window the waits are %v and %v", name, address)
		}
	})
}

func TestARepeatedSignInCountsOnce(t *testing.T) {
	for name, test := range map[string]struct {
		again func(n int) attempt
		every time.Duration
		times int
		want  int // the number of attempts
	}{
		"six times in seven seconds, as Codex does": {func(int) attempt { return at("192.0.2.1", "a", 0) }, 1400 * time.Millisecond, 6, 1},
		"every ten seconds":                         {func(int) attempt { return at("192.0.2.1", "a", 0) }, 10 * time.Second, 3, 3},
		"every six seconds, of which half count":    {func(int) attempt { return at("192.0.2.1", "a", 0) }, 6 * time.Second, 4, 2},
		"with another key each time":                {func(n int) attempt { return at("192.0.2.1", "a", n) }, time.Second, 6, 6},
		"with another name each time":               {func(n int) attempt { return at("192.0.2.1", fmt.Sprint(n), 0) }, time.Second, 6, 6},
		"without a name":                            {func(int) attempt { return at("192.0.2.1", "", 0) }, time.Second, 6, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFailedAttempts(100, time.Hour)
				for n := range test.times {
					f.judge(test.again(n), false)
					time.Sleep(test.every)
				}
				if got := f.addresses[netip.MustParsePrefix("192.0.2.1/32")]; got != test.want {
					t.Errorf("%d attempts are counted, want %d", got, test.want)
				}
			})
		})
	}
	f := newFailedAttempts(100, time.Hour)
	f.judge(at("192.0.2.1", "a", 0), false)
	f.judge(at("192.0.2.2", "a", 0), false)
	if len(f.addresses) != 2 || len(f.names) != 2 {
		t.Error("the same sign-in from another address was not counted")
	}
}

func TestAFloodFromManyAddressesIsBounded(t *testing.T) {
	f := newFailedAttempts(3, time.Hour)
	guesser := func(n int) attempt { return at("192.0.2.1", "victim", n) }
	for n := range 2 {
		f.judge(guesser(n), false)
	}
	address := netip.MustParseAddr("10.0.0.0")
	for range maxCounted + 10_000 {
		f.judge(attempt{netip.PrefixFrom(address, 32), address.String(), "x"}, false)
		address = address.Next()
	}
	for what, n := range map[string]int{"addresses": len(f.addresses), "names": len(f.names), "sign-ins": len(f.repeats.newer)} {
		if n > maxCounted {
			t.Errorf("%d %s are remembered, want at most %d", n, what, maxCounted)
		}
	}
	f.judge(guesser(2), false)
	if name, _ := f.waits(guesser(3)); name == 0 {
		t.Error("the flood made a guesser from before be forgotten")
	}
}

func TestGuessesAtTheSameTimeCannotExceedTheLimit(t *testing.T) {
	for name, known := range map[string]bool{"of a user in memory": true, "of a user who is not": false} {
		t.Run(name, func(t *testing.T) {
			s := new(team)
			h := restarted(s)
			close(s.may)
			if known {
				h.signInFrom(t.Context(), "192.0.2.9", "user1", "right")
			}
			var all sync.WaitGroup
			var refused, waiting atomic.Int64
			for i := range 500 {
				all.Go(func() {
					switch status := h.signInFrom(t.Context(), "192.0.2.1", []string{"user1", "USER1", "User1"}[i%3], fmt.Sprint("guess", i)); status {
					case 401:
						refused.Add(1)
					case 429:
						waiting.Add(1)
					default:
						t.Errorf("status %d", status)
					}
				})
			}
			all.Wait()
			if refused.Load() != 100 || waiting.Load() != 400 {
				t.Errorf("%d guesses were answered and %d had to wait, want 100 and 400", refused.Load(), waiting.Load())
			}
			for _, test := range []struct {
				address, name, key string
				want               int
			}{
				{"192.0.2.1", "user1", "right", 429},  // even with the right key
				{"192.0.2.1", "User1", "right", 429},  // in any case
				{"192.0.2.1", "user2", "right", 429},  // the keystore would have to be asked
				{"192.0.2.2", "user1", "right", 200},  // from another address, nobody waits
				{"192.0.2.2", "user2", "right", 200},  // now in memory
				{"192.0.2.1", "user2", "right", 200},  // so it may sign in
				{"192.0.2.1", "USER2", "right", 200},  // in upper case too
				{"192.0.2.1", "user2", "wrong", 429},  // but a wrong key gets the same answer
				{"192.0.2.1", "nobody", "wrong", 429}, // as a made-up name
				{"192.0.2.2", "user2", "wrong", 401},
			} {
				if got := h.signInFrom(t.Context(), test.address, test.name, test.key); got != test.want {
					t.Errorf("%s from %s with the %s key: status %d, want %d", test.name, test.address, test.key, got, test.want)
				}
			}
		})
	}
}

func TestAWrongKeyDoesNotReachTheKeystoreWhileItsAddressMustWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(team)
		h := restarted(s)
		h.settings.failedCount, h.attempts = 1, newFailedAttempts(1, 24*time.Hour)
		close(s.may)
		h.signInFrom(t.Context(), "192.0.2.9", "user1", "right")
		h.signInFrom(t.Context(), "192.0.2.1", "nobody", "x")
		time.Sleep(2 * time.Hour) // now the record of user1 is too old to be used
		asked, began := s.gets.Load(), time.Now()
		for _, name := range []string{"user1", "nobody", "USER1", "NOBODY"} {
			if got := h.signInFrom(t.Context(), "192.0.2.1", name, "wrong"); got != 429 {
				t.Errorf("%s: status %d, want 429", name, got)
			}
		}
		if s.gets.Load() != asked || time.Since(began) != 0 {
			t.Error("the keystore was asked, so the time shows who exists")
		}
		h.attempts = newFailedAttempts(1, 24*time.Hour)
		h.signInFrom(t.Context(), "192.0.2.1", "nobody", "x")
		asked = s.gets.Load()
		if got := h.signInFrom(t.Context(), "192.0.2.1", "user1", "right"); got != 200 || s.gets.Load() != asked+1 {
			t.Errorf("the right key of a known user: status %d, %d reads, want 200 after one", got, s.gets.Load()-asked)
		}
	})
}

func TestGuessesCountEvenIfTheirAddressMustWait(t *testing.T) {
	s := new(team)
	h := restarted(s)
	close(s.may)
	h.signInFrom(t.Context(), "192.0.2.9", "user1", "right")
	h.signIns(t.Context(), "192.0.2.1", "nobody", "x", 100)()
	if got := h.signInFrom(t.Context(), "192.0.2.1", "user1", "right"); got != 200 {
		t.Errorf("a known user: status %d, want 200", got)
	}
	for i := range 100 {
		if got := h.signInFrom(t.Context(), "192.0.2.1", "user1", fmt.Sprint("guess", i)); got != 429 {
			t.Errorf("guess %d: status %d, want 429", i, got)
		}
	}
	if got := h.signInFrom(t.Context(), "192.0.2.1", "user1", "right"); got != 429 {
		t.Errorf("after 100 guesses: status %d for the right key, want 429", got)
	}
}

// BenchmarkSignIn identifies a user who is in memory.
func BenchmarkSignIn(b *testing.B) {
	for _, bench := range []struct {
		name, email string
		waits       bool // whether another address must wait
	}{{"usual", "user1", false}, {"capitals", "User1", false}, {"while others wait", "user1", true}} {
		b.Run(bench.name, func(b *testing.B) {
			s := new(team)
			h := restarted(s)
			close(s.may)
			r := asCaddy(httptest.NewRequest(http.MethodGet, "/v1/models", nil), "192.0.2.1")
			r.Header = http.Header{"Authorization": {"Bearer right"}, "X-User-Email": {bench.email}}
			if bench.waits {
				h.signIns(b.Context(), "192.0.2.2", "nobody", "x", 100)()
			}
			rec := new(record)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := h.identify(r, rec); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
