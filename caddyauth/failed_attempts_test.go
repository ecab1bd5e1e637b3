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
	"github.com/continue-auth/caddy-continue-auth/provider/openai"
)

// team is a keystore that knows user0 to user1999, whose key is "right". It answers once it may.
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

// restarted is a handler with nobody in memory, in front of that keystore.
func restarted(s *team) *Handler {
	s.may = make(chan struct{})
	return &Handler{
		settings: settings{emailHeader: "X-User-Email", ages: cache.Ages{RefreshAfter: time.Minute, MaxAge: time.Hour, StaleIfError: time.Hour, Absent: time.Minute}},
		attempts: newFailedAttempts(100, time.Minute),
		cache:    cache.New(s, cache.Options{MaxEntries: 10_000}),
	}
}

// signInFrom is a sign-in of that name, and its status: 0 if the client has hung up.
func (h *Handler) signInFrom(ctx context.Context, address, name, key string) int {
	r := asCaddy(httptest.NewRequestWithContext(ctx, http.MethodGet, "/v1/models", nil), address)
	r.Header.Set("Authorization", "Bearer "+name+":"+key)
	_, err := h.identify(r, new(record))
	if e, ok := errors.AsType[*openai.Error](err); ok {
		return e.Status
	}
	if err != nil {
		return 0
	}
	return http.StatusOK
}

// signIns are those of many names from one address at once. It counts their statuses.
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

func TestWhoeverHangsUpBeforeTheAnswerHasTriedAllTheSame(t *testing.T) {
	for name, test := range map[string]struct {
		name, key string
		err       error
		want      int // the status of the next of that address
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
					t.Errorf("the next of that address: status %d, want %d", got, test.want)
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

func TestOneAddressDoesNotFillTheQueueForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(team)
		h := restarted(s)
		wait := h.signIns(t.Context(), "192.0.2.1", "nobody", "x", 10_000)
		other := h.signIns(t.Context(), "192.0.2.2", "user", "right", 500)
		synctest.Wait()
		close(s.may)
		if got := wait(); got[401] != maxUnderWay || got[503] != 10_000-maxUnderWay {
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

func TestFailedAttemptsAreForgottenWithTheirWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFailedAttempts(2, time.Minute)
		a := netip.MustParsePrefix("192.0.2.1/32")
		f.add(a)
		if wait := f.wait(a); wait != 0 {
			t.Errorf("after one attempt the wait is %v", wait)
		}
		time.Sleep(10 * time.Second)
		f.add(a)
		if wait := f.wait(a); wait != 50*time.Second {
			t.Errorf("after two attempts the wait is %v, want what is left of the window", wait)
		}
		time.Sleep(50 * time.Second)
		if wait := f.wait(a); wait != 0 {
			t.Errorf("in the next window the wait is %v", wait)
		}
	})
}

func TestAFloodFromManyAddressesIsNotRemembered(t *testing.T) {
	f := newFailedAttempts(1, time.Hour)
	address := netip.MustParseAddr("10.0.0.0")
	for range maxAddresses + 1000 {
		f.add(netip.PrefixFrom(address, 32))
		address = address.Next()
	}
	if len(f.counts) != maxAddresses {
		t.Errorf("%d addresses are remembered, want %d", len(f.counts), maxAddresses)
	}
	if f.wait(netip.MustParsePrefix("10.0.0.7/32")) == 0 {
		t.Error("an address that was counted before the flood is forgotten")
	}
}
