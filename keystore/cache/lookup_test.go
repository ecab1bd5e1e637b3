package cache

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/continue-auth/caddy-continue-auth/keystore"
)

func TestAllWhoWaitForAKeyShareOneLookUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(map[string]string{"dev@example.com": enabled})
		s.gate = make(chan struct{})
		c := New(s, Options{MaxEntries: 10})
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				if got := user(t, c); got != "enabled" {
					t.Errorf("%s, want enabled", got)
				}
			})
		}
		synctest.Wait()
		close(s.gate)
		all.Wait()
		if got := s.gets.Load(); got != 1 {
			t.Errorf("%d look-ups, want 1", got)
		}
	})
}

func TestOnlyTheFirstRequestWaitsForAStoreThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &reads{}
		c := New(s, Options{MaxEntries: 10})
		waited := func() time.Duration {
			began := time.Now()
			if let := ask(t, c, 1); let != 1 {
				t.Error("a known user is refused")
			}
			return time.Since(began)
		}
		set := func(delay time.Duration, err error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.delay, s.err = delay, err
		}
		_ = waited()
		time.Sleep(ages.MaxAge)
		set(5*time.Second, keystore.ErrTimeout)
		if got := waited(); got != 5*time.Second {
			t.Errorf("the first request waits for %v", got)
		}
		for i, want := range []time.Duration{patienceWhileDown, 0, 0, 0} {
			if got := waited(); got != want {
				t.Errorf("request %d after it waits for %v, want %v", i, got, want)
			}
		}
		time.Sleep(10 * time.Second)
		set(time.Millisecond, nil)
		before := s.count()
		if got := waited(); got != time.Millisecond || s.count() != before+1 {
			t.Errorf("once the store is back, a request waits for %v, with %d calls", got, s.count()-before)
		}
	})
}

func TestALookUpGoesOnWhenItsWaiterLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(map[string]string{"dev@example.com": enabled})
		s.gate = make(chan struct{})
		c := New(s, Options{MaxEntries: 10})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.APIKeys.Get(ctx, "dev@example.com", ages, true); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v, want the context's", err)
		}
		close(s.gate)
		synctest.Wait()
		if got := user(t, c); got != "enabled" || s.gets.Load() != 1 {
			t.Errorf("%s after %d look-ups, want enabled after 1", got, s.gets.Load())
		}
	})
}

func TestALookUpFromBeforeAnInvalidationIsNotKept(t *testing.T) {
	for name, invalidate := range map[string]func(*Cache){
		"of one name": func(c *Cache) { c.APIKeys.Invalidate("dev@example.com") },
		"of all":      func(c *Cache) { c.APIKeys.InvalidateAll() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStore(map[string]string{"dev@example.com": enabled})
				s.gate = make(chan struct{})
				c := New(s, Options{MaxEntries: 10})
				early := make(chan string)
				go func() { early <- user(t, c) }()
				synctest.Wait() // the early look-up has read the old record and hangs

				s.set("dev@example.com", disabled)
				invalidate(c)
				late := make(chan string)
				go func() { late <- user(t, c) }()
				synctest.Wait() // the late one must not have joined the early one

				s.gate <- struct{}{}
				s.gate <- struct{}{}
				<-early
				if got := <-late; got != "disabled" {
					t.Errorf("asked after the invalidation: %s, want disabled", got)
				}
				if got := user(t, c); got != "disabled" || s.gets.Load() != 2 {
					t.Errorf("in the cache: %s after %d look-ups, want disabled after 2", got, s.gets.Load())
				}
			})
		})
	}
}

func TestAnInvalidatedNameIsLookedUpAgain(t *testing.T) {
	s := newStore(map[string]string{"dev@example.com": enabled})
	c := New(s, Options{MaxEntries: 10})
	user(t, c)
	s.set("dev@example.com", disabled)
	c.APIKeys.Invalidate("dev@example.com")
	if got := user(t, c); got != "disabled" {
		t.Errorf("%s, want disabled", got)
	}
}

func TestWithoutMayAskOnlyKnownNamesAreAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(map[string]string{"dev@example.com": enabled})
		c := New(s, Options{MaxEntries: 10})
		get := func(name string) error {
			_, err := c.APIKeys.Get(t.Context(), name, ages, false)
			return err
		}
		if err := get("dev@example.com"); err != ErrMayNotAsk {
			t.Errorf("a name nothing is known of: error %v, want ErrMayNotAsk", err)
		}
		user(t, c)
		time.Sleep(2 * time.Minute)
		if err := get("dev@example.com"); err != nil || s.gets.Load() != 2 {
			t.Errorf("a known name past max_age: error %v after %d look-ups, want none after 2", err, s.gets.Load())
		}
		if _, err := c.APIKeys.Get(t.Context(), "gone@example.com", ages, true); err != ErrAbsent {
			t.Fatal(err)
		}
		if err := get("gone@example.com"); err != ErrAbsent {
			t.Errorf("a name known to be absent: error %v, want ErrAbsent", err)
		}
		time.Sleep(10 * time.Second)
		if err := get("gone@example.com"); err != ErrMayNotAsk {
			t.Errorf("an absent answer past its age: error %v, want ErrMayNotAsk", err)
		}
	})
}

func TestAnInvalidNameIsAbsentAndIsNotKept(t *testing.T) {
	for name, invalid := range map[string]string{
		"empty":             "",
		"a dot":             ".",
		"a line feed":       "a\nb",
		"not UTF-8":         "caf\xe9",
		"one byte too long": strings.Repeat("a", 513),
		"20 MB":             strings.Repeat("a", 20<<20),
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(map[string]string{invalid: enabled})
			c := New(s, Options{MaxEntries: 10})
			for _, mayAsk := range []bool{true, false} {
				if _, from, err := c.APIKeys.Look(t.Context(), invalid, ages, mayAsk); from != Absent || err != ErrAbsent {
					t.Errorf("a user is %s, %v", from, err)
				}
				if _, err := c.Settings.Get(t.Context(), invalid, ages, mayAsk); err != ErrAbsent {
					t.Errorf("settings: %v", err)
				}
			}
			if n := s.gets.Load(); n > 0 {
				t.Errorf("the store is asked %d times", n)
			}
			if n := c.APIKeys.Stats().Absent + c.Settings.Stats().Absent; n > 0 {
				t.Errorf("%d names are kept", n)
			}
		})
	}
}
