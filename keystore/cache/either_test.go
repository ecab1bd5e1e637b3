package cache

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/continue-auth/caddy-continue-auth/keystore"
)

const (
	capitals = "Dev@Example.com"
	small    = "dev@example.com"
)

// asked is a store that records what it was asked for.
type asked struct {
	*store
	mu    sync.Mutex
	reads []string // has the names of each read
}

func (s *asked) Get(ctx context.Context, ns keystore.Namespace, names []string) (map[string][]byte, error) {
	s.mu.Lock()
	names = slices.Clone(names)
	slices.Sort(names)
	s.reads = append(s.reads, strings.Join(names, "+"))
	s.mu.Unlock()
	return s.store.Get(ctx, ns, names)
}

// take returns the reads since its last call.
func (s *asked) take() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := strings.Join(s.reads, " ")
	s.reads = nil
	return all
}

// either looks up a name and then its lower case. It returns the result and which of the two was
// found.
func either(t *testing.T, c *Cache, name string, by Asker) string {
	t.Helper()
	key, found, _, err := c.APIKeys.Either(t.Context(), name, strings.ToLower(name), ages, by)
	switch {
	case err == ErrAbsent:
		return "absent"
	case err == ErrMayNotAsk:
		return "may not ask"
	case errors.As(err, new(*BrokenRecordError)):
		return found + " broken"
	case err != nil:
		return "error"
	case key.Check("k", time.Now()):
		return found + " enabled"
	}
	return found + " disabled"
}

func TestANameInCapitalsFindsTheRecordInLowerCase(t *testing.T) {
	const both = capitals + "+" + small
	type values = map[string]string
	type step struct {
		after time.Duration // since the previous step
		store values        // from then on; nil means that it cannot answer
		want  string
		reads string // including those in the background
	}
	for name, steps := range map[string][]step{
		"is looked up in small letters too, in one read": {
			{0, values{small: enabled}, small + " enabled", both},
		},
		"is looked up once, if neither is there": {
			{0, values{}, "absent", both}, {9 * time.Second, values{small: enabled}, "absent", ""}, {time.Second, values{small: enabled}, small + " enabled", both},
		},
		"wins as it was given": {
			{0, values{small: enabled, capitals: disabled}, capitals + " disabled", both}, {29 * time.Second, values{small: enabled}, capitals + " disabled", ""},
		},
		"wins as it was given, even if it is broken": {
			{0, values{small: enabled, capitals: "{"}, capitals + " broken", both},
		},
		"gives way once its own record has gone": {
			{0, values{small: enabled, capitals: enabled}, capitals + " enabled", both}, {time.Minute, values{small: enabled}, small + " enabled", capitals + " " + small},
		},
		"costs nothing while it is fresh, also beyond the time for absent names": {
			{0, values{small: enabled}, small + " enabled", both}, {29 * time.Second, values{small: disabled}, small + " enabled", ""},
		},
		"is renewed in the background in one read": {
			{0, values{small: enabled}, small + " enabled", both}, {30 * time.Second, values{small: disabled}, small + " enabled", both},
			{time.Millisecond, values{small: disabled}, small + " disabled", ""},
		},
		"is refused at most max_age after it was disabled, in one read": {
			{0, values{small: enabled}, small + " enabled", both}, {time.Minute, values{small: disabled}, small + " disabled", both},
		},
		"is seen at most max_age after it was added as it was given": {
			{0, values{small: enabled}, small + " enabled", both}, {time.Minute, values{small: enabled, capitals: disabled}, capitals + " disabled", both},
		},
		"is used for stale_if_error while the store cannot answer": {
			{0, values{small: enabled}, small + " enabled", both}, {time.Minute, nil, small + " enabled", both}, {59 * time.Minute, nil, small + " enabled", both}, {time.Second, nil, "error", both},
		},
		"is let in by nothing that was not known": {
			{0, nil, "error", both}, {0, nil, "error", both},
		},
		"stays absent while the store cannot answer": {
			{0, values{}, "absent", both}, {time.Minute, nil, "absent", both}, {time.Hour, nil, "error", both},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &asked{store: newStore(nil)}
				c := New(s, Options{MaxEntries: 10})
				for i, step := range steps {
					time.Sleep(step.after)
					s.fail(nil)
					if s.values = step.store; step.store == nil {
						s.fail(errors.New("down"))
					}
					if got := either(t, c, capitals, Stranger); got != step.want {
						t.Errorf("step %d: %s, want %s", i+1, got, step.want)
					}
					synctest.Wait()
					if got := s.take(); got != step.reads {
						t.Errorf("step %d: reads %q, want %q", i+1, got, step.reads)
					}
				}
			})
		})
	}
}

func TestTheAskerDecidesWhetherCapitalsAreLookedUp(t *testing.T) {
	for name, test := range map[string]struct {
		known         []string // looked up earlier
		after         time.Duration
		by            Asker
		want, readsOf string
	}{
		"nobody asks, and nothing is known":                  {nil, 0, Nobody, "may not ask", ""},
		"nobody asks in new capitals":                        {[]string{small}, 0, Nobody, "may not ask", ""},
		"nobody asks in known capitals":                      {[]string{capitals}, 0, Nobody, small + " enabled", ""},
		"nobody asks in known capitals that must be renewed": {[]string{capitals}, time.Minute, Nobody, small + " enabled", capitals + "+" + small},
		"a stranger asks in new capitals":                    {[]string{small}, 0, Stranger, small + " enabled", capitals},
		"a vouched user asks in new capitals":                {[]string{small}, 0, Vouched, small + " enabled", capitals},
		"a vouched user asks after a long time":              {[]string{small}, time.Hour, Vouched, small + " enabled", capitals + "+" + small},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &asked{store: newStore(map[string]string{small: enabled})}
				c := New(s, Options{MaxEntries: 10})
				for _, name := range test.known {
					either(t, c, name, Stranger)
				}
				s.take()
				time.Sleep(test.after)
				if got := either(t, c, capitals, test.by); got != test.want {
					t.Errorf("%s, want %s", got, test.want)
				}
				synctest.Wait()
				if got := s.take(); got != test.readsOf {
					t.Errorf("reads %q, want %q", got, test.readsOf)
				}
			})
		})
	}
}

func TestAnInvalidationReachesOtherSpellings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &asked{store: newStore(map[string]string{small: enabled})}
		c := New(s, Options{MaxEntries: 10})
		for _, name := range []string{capitals, "DEV@EXAMPLE.COM"} {
			either(t, c, name, Stranger)
		}
		s.set(small, disabled)
		c.APIKeys.Invalidate(small)
		for _, name := range []string{capitals, "DEV@EXAMPLE.COM"} {
			if got := either(t, c, name, Stranger); got != small+" disabled" {
				t.Errorf("%s: %s, want disabled", name, got)
			}
		}
		s.set(capitals, enabled)
		c.APIKeys.Invalidate(capitals)
		if got := either(t, c, capitals, Stranger); got != capitals+" enabled" {
			t.Errorf("%s, want the record that was added", got)
		}
	})
}

func TestAnAnswerFromBeforeAnInvalidationIsNotUsedAfterIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &asked{store: newStore(map[string]string{small: enabled})}
		s.gate = make(chan struct{})
		c := New(s, Options{MaxEntries: 10})
		go either(t, c, capitals, Stranger)
		synctest.Wait()
		s.set(small, disabled)
		c.APIKeys.Invalidate(small)
		after := make(chan string)
		go func() { after <- either(t, c, capitals, Stranger) }()
		synctest.Wait()
		close(s.gate)
		if got := <-after; got != small+" disabled" {
			t.Errorf("%s, want disabled", got)
		}
		if got := either(t, c, capitals, Stranger); got != small+" disabled" {
			t.Errorf("afterwards %s, want disabled", got)
		}
	})
}

func TestOtherSpellingsPushOutNoUser(t *testing.T) {
	s := newStore(map[string]string{small: enabled, "ops@example.com": enabled})
	c := New(s, Options{MaxEntries: 2})
	either(t, c, "ops@example.com", Stranger)
	for i := range 1 << 10 {
		name := []byte(small)
		for bit := range 10 {
			if i>>bit&1 == 1 && name[bit] >= 'a' && name[bit] <= 'z' {
				name[bit] -= 'a' - 'A'
			}
		}
		either(t, c, string(name), Stranger)
	}
	before := s.gets.Load()
	for _, name := range []string{small, "ops@example.com"} {
		if got := either(t, c, name, Nobody); got != name+" enabled" {
			t.Errorf("%s: %s", name, got)
		}
	}
	if s.gets.Load() != before {
		t.Error("a known user was pushed out")
	}
}

func TestARestoredRecordIsFoundInCapitalsWhileTheStoreIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		before := New(newStore(map[string]string{small: enabled}), Options{MaxEntries: 10})
		either(t, before, capitals, Stranger)
		content, err := before.Snapshot(time.Now().Add(-time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		s := newStore(nil)
		s.fail(keystore.ErrUnavailable)
		c := New(s, Options{MaxEntries: 10})
		if err := c.Restore(content); err != nil {
			t.Fatal(err)
		}
		if got := either(t, c, capitals, Nobody); got != small+" enabled" {
			t.Errorf("%s, want what the snapshot says", got)
		}
	})
}

func TestAVouchedUserInCapitalsWaitsOnlyAMomentForAStoreThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(map[string]string{small: enabled})
		c := New(s, Options{MaxEntries: 10})
		either(t, c, small, Stranger)
		s.gate = make(chan struct{})
		began := time.Now()
		if got := either(t, c, capitals, Vouched); got != small+" enabled" || time.Since(began) != patienceWhileDown {
			t.Errorf("%s after %v", got, time.Since(began))
		}
		close(s.gate)
	})
}

func TestBothSpellingsAreAlwaysInTheSameRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &asked{store: newStore(map[string]string{})}
		s.gate = make(chan struct{})
		c := New(s, Options{MaxEntries: 10_000})
		var all sync.WaitGroup
		look := func(n int, format string) {
			for i := range n {
				all.Go(func() { either(t, c, fmt.Sprintf(format, i), Stranger) })
			}
		}
		look(maxReads, "first%d") // all reads are under way, so further names wait
		synctest.Wait()
		look(99, "odd%d")
		look(150, "User%d")
		synctest.Wait()
		close(s.gate)
		all.Wait()
		for _, read := range s.reads {
			names := strings.Split(read, "+")
			if len(names) > batch {
				t.Errorf("a read of %d names", len(names))
			}
			for _, name := range names {
				if !slices.Contains(names, strings.ToLower(name)) {
					t.Errorf("%s travels without its small letters", name)
				}
			}
		}
	})
}

func TestAnInvalidLowerCaseIsNotLookedUp(t *testing.T) {
	s := &asked{store: newStore(nil)}
	c := New(s, Options{MaxEntries: 10})
	name := strings.Repeat("Ⱥ", 200) // two bytes each, but three in lower case
	if got := either(t, c, name, Stranger); got != "absent" {
		t.Error(got)
	}
	if got := s.take(); got != name {
		t.Errorf("reads %q", got)
	}
}
