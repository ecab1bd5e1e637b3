package cache

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/continue-auth/caddy-continue-auth/keystore"
)

var ages = Ages{
	RefreshAfter: 30 * time.Second,
	MaxAge:       60 * time.Second,
	StaleIfError: time.Hour,
	Absent:       10 * time.Second,
}

const (
	enabled  = `{"apiKey":"k","status":"Enabled"}`
	disabled = `{"apiKey":"k","status":"Disabled"}`
)

// store is a keystore.Store with answers that a test sets and can hold back.
type store struct {
	mu     sync.Mutex
	values map[string]string
	err    error
	gate   chan struct{} // if not nil, each Get waits until it can receive

	gets atomic.Int64
}

func newStore(values map[string]string) *store { return &store{values: values} }

func (s *store) set(name, value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.values[name] = value
}

func (s *store) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *store) Get(_ context.Context, _ keystore.Namespace, names []string) (map[string][]byte, error) {
	s.gets.Add(1)
	s.mu.Lock()
	gate, err, values := s.gate, s.err, maps.Clone(s.values)
	s.mu.Unlock()
	if gate != nil {
		<-gate
	}
	if err != nil {
		return nil, err
	}
	found := map[string][]byte{}
	for _, name := range names {
		if value, ok := values[name]; ok {
			found[name] = []byte(value)
		}
	}
	return found, nil
}

func (s *store) List(context.Context, keystore.Namespace) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return []string{"workers-ai"}, s.err
}

// user looks up dev@example.com and returns the result in one word.
func user(t *testing.T, c *Cache) string {
	t.Helper()
	key, err := c.APIKeys.Get(t.Context(), "dev@example.com", ages, true)
	switch {
	case errors.Is(err, ErrAbsent):
		return "absent"
	case errors.As(err, new(*BrokenRecordError)):
		return "broken"
	case err != nil:
		return "error"
	case key.Check("k", time.Now()):
		return "enabled"
	}
	return "disabled"
}

func TestAnswersAreUsedUntilTheirAgeLimits(t *testing.T) {
	down := errors.New("down")
	type step struct {
		after time.Duration // since the previous step
		kv    string        // the store's answer from then on; "" means absent, "down" an error
		want  string
		gets  int64 // look-ups so far, including those in the background
	}
	for name, steps := range map[string][]step{
		"a look-up younger than refresh_after costs nothing": {
			{0, enabled, "enabled", 1}, {29 * time.Second, disabled, "enabled", 1},
		},
		"between refresh_after and max_age an answer is used, and renewed in the background": {
			{0, enabled, "enabled", 1}, {30 * time.Second, disabled, "enabled", 2}, {time.Millisecond, disabled, "disabled", 2},
		},
		"a disabled key is refused on its first use after max_age, not one request later": {
			{0, enabled, "enabled", 1}, {60 * time.Second, disabled, "disabled", 2},
		},
		"a removed user is refused on the first use after max_age": {
			{0, enabled, "enabled", 1}, {time.Hour, "", "absent", 2},
		},
		"if the store cannot answer, the last known answer is used up to stale_if_error": {
			{0, enabled, "enabled", 1}, {60 * time.Second, "down", "enabled", 2}, {59 * time.Minute, "down", "enabled", 3}, {time.Second, "down", "error", 4},
		},
		"after an outage the store is asked again at once": {
			{0, enabled, "enabled", 1}, {60 * time.Second, "down", "enabled", 2}, {time.Second, disabled, "disabled", 3},
		},
		"a failed renewal in the background changes nothing": {
			{0, enabled, "enabled", 1}, {40 * time.Second, "down", "enabled", 2}, {10 * time.Second, enabled, "enabled", 3},
		},
		"an unknown user is not let in": {
			{0, "down", "error", 1}, {time.Second, "down", "error", 2},
		},
		"an absent answer is believed for as long as absent says": {
			{0, "", "absent", 1}, {9 * time.Second, enabled, "absent", 1}, {time.Second, enabled, "enabled", 2},
		},
		"an absent answer ages like others": {
			{0, "", "absent", 1}, {time.Hour, "down", "absent", 2}, {time.Second, "down", "error", 3},
		},
		"a disabled answer ages like others": {
			{0, disabled, "disabled", 1}, {29 * time.Second, enabled, "disabled", 1}, {30 * time.Second, "down", "disabled", 2},
			{time.Hour, "down", "error", 3}, {time.Second, enabled, "enabled", 4},
		},
		"a broken record is kept like others": {
			{0, "{", "broken", 1}, {29 * time.Second, enabled, "broken", 1}, {31 * time.Second, enabled, "enabled", 2},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStore(map[string]string{})
				c := New(s, Options{MaxEntries: 10})
				for i, step := range steps {
					time.Sleep(step.after)
					s.fail(nil)
					delete(s.values, "dev@example.com")
					switch step.kv {
					case "":
					case "down":
						s.fail(down)
					default:
						s.set("dev@example.com", step.kv)
					}
					if got := user(t, c); got != step.want {
						t.Errorf("step %d: %s, want %s", i+1, got, step.want)
					}
					synctest.Wait()
					if got := s.gets.Load(); got != step.gets {
						t.Errorf("step %d: %d look-ups so far, want %d", i+1, got, step.gets)
					}
				}
			})
		})
	}
}

func TestAgeCountsFromWhenTheStoreWasAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(map[string]string{"dev@example.com": enabled})
		s.gate = make(chan struct{})
		c := New(s, Options{MaxEntries: 10})
		go func() {
			time.Sleep(5 * time.Second)
			s.gate <- struct{}{}
			close(s.gate)
		}()
		user(t, c)
		time.Sleep(55 * time.Second)
		s.set("dev@example.com", disabled)
		if got := user(t, c); got != "disabled" {
			t.Errorf("60 s after the store was asked: %s, want disabled", got)
		}
	})
}

func TestMadeUpNamesNeverPushOutKnownUsers(t *testing.T) {
	ages := Ages{RefreshAfter: time.Hour, MaxAge: time.Hour, Absent: time.Hour} // also on a busy machine
	s := newStore(map[string]string{})
	c := New(s, Options{MaxEntries: 100})
	known := func(i int) string { return fmt.Sprintf("user%d@example.com", i) }
	for i := range 50 {
		s.set(known(i), enabled)
		if _, err := c.APIKeys.Get(t.Context(), known(i), ages, true); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 5000 {
		_, err := c.APIKeys.Get(t.Context(), fmt.Sprintf("made-up%d@example.com", i), ages, true)
		if !errors.Is(err, ErrAbsent) {
			t.Fatal(err)
		}
	}
	before := s.gets.Load()
	for i := range 50 {
		if _, err := c.APIKeys.Get(t.Context(), known(i), ages, true); err != nil {
			t.Fatal(err)
		}
	}
	if asked := s.gets.Load() - before; asked != 0 {
		t.Errorf("%d of 50 known users had to be asked for again", asked)
	}
	c.APIKeys.absent.CleanUp()
	if size := c.APIKeys.absent.EstimatedSize(); size > 100 {
		t.Errorf("%d made-up names are kept, want at most max_entries, 100", size)
	}
}

func TestASmallerMaxEntriesDropsEntries(t *testing.T) {
	ages := Ages{RefreshAfter: time.Hour, MaxAge: time.Hour, Absent: time.Hour}
	s := newStore(map[string]string{})
	c := New(s, Options{MaxEntries: 10})
	kept := func() (present, absent int) {
		for i := range 50 {
			s.set(fmt.Sprintf("user%d@example.com", i), enabled)
			_, _ = c.APIKeys.Get(t.Context(), fmt.Sprintf("user%d@example.com", i), ages, true)
			_, _ = c.APIKeys.Get(t.Context(), fmt.Sprintf("made-up%d@example.com", i), ages, true)
		}
		c.APIKeys.present.CleanUp()
		c.APIKeys.absent.CleanUp()
		stats := c.APIKeys.Stats()
		return stats.Entries, stats.Absent
	}
	for _, bound := range []int{10, 100, 5} {
		c.SetMaxEntries(bound)
		if present, absent := kept(); present != min(50, bound) || absent != min(50, bound) {
			t.Errorf("with a bound of %d, %d of 50 users and %d of 50 made-up names are kept", bound, present, absent)
		}
	}
}

func TestACachedAnswerCostsNoAllocation(t *testing.T) {
	c := New(newStore(map[string]string{"dev@example.com": enabled}), Options{MaxEntries: 10})
	user(t, c)
	ctx := t.Context()
	if n := testing.AllocsPerRun(100, func() {
		_, _ = c.APIKeys.Get(ctx, "dev@example.com", ages, true)
	}); n > 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

func TestTheListOfProvidersAgesToo(t *testing.T) {
	c := New(newStore(nil), Options{MaxEntries: 10})
	names, err := c.Providers.Get(t.Context(), AllProviders, ages, true)
	if err != nil || len(names) != 1 || names[0] != "workers-ai" {
		t.Errorf("providers %v, error %v, want workers-ai", names, err)
	}
}
