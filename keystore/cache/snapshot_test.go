package cache

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// restarted returns a new cache with the knowledge of c, for a store that is down.
func restarted(t *testing.T, c *Cache) (*Cache, *store) {
	t.Helper()
	content, err := c.Snapshot(time.Now().Add(-ages.StaleIfError))
	if err != nil {
		t.Fatal(err)
	}
	s := newStore(map[string]string{})
	s.fail(errors.New("down"))
	again := New(s, Options{MaxEntries: 10})
	if err := again.Restore(content); err != nil {
		t.Fatal(err)
	}
	return again, s
}

func TestARestartDuringAnOutageStillKnowsItsUsers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(newStore(map[string]string{"dev@example.com": enabled, "openai": `{"headers":{"a":"b"},"models":["m"]}`}), Options{MaxEntries: 10})
		if got := user(t, c); got != "enabled" {
			t.Fatal(got)
		}
		if _, err := c.Settings.Get(t.Context(), "openai", ages, true); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Providers.Get(t.Context(), AllProviders, ages, true); err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Minute)
		again, _ := restarted(t, c)
		if got := user(t, again); got != "enabled" {
			t.Errorf("the user is %s", got)
		}
		settings, err := again.Settings.Get(t.Context(), "openai", ages, true)
		if err != nil || settings.Header.Get("a") != "b" || len(settings.Models) != 1 {
			t.Errorf("the settings are %+v, %v", settings, err)
		}
		if names, err := again.Providers.Get(t.Context(), AllProviders, ages, true); err != nil || len(names) != 1 {
			t.Errorf("the providers are %q, %v", names, err)
		}
		if _, err := again.APIKeys.Get(t.Context(), "nobody@example.com", ages, true); err == nil || errors.Is(err, ErrAbsent) {
			t.Errorf("who was not known: %v", err)
		}
		time.Sleep(10*time.Minute + time.Second)
		if got := user(t, again); got != "error" {
			t.Errorf("after stale_if_error, counted from the look-up before the restart, the user is %s", got)
		}
	})
}

func TestASnapshotIsNotUsedWhileTheStoreAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(newStore(map[string]string{"dev@example.com": enabled}), Options{MaxEntries: 10})
		_ = user(t, c)
		again, s := restarted(t, c) // within refresh_after
		s.fail(nil)
		s.set("dev@example.com", disabled)
		if got := user(t, again); got != "disabled" {
			t.Errorf("a user who was disabled before the restart is %s", got)
		}
	})
}

func TestASnapshotHasOnlyRecentRecordsAndNoKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(map[string]string{"old": enabled, "broken": "{", "forgotten": enabled, "dev@example.com": `{"apiKey":"the-key-itself","status":"Enabled"}`})
		c := New(s, Options{MaxEntries: 10})
		look := func(name string) { _, _ = c.APIKeys.Get(context.Background(), name, ages, true) }
		look("old")
		time.Sleep(2 * time.Hour)
		for _, name := range []string{"absent", "broken", "forgotten", "dev@example.com"} {
			look(name)
		}
		c.APIKeys.Invalidate("forgotten")
		content, err := c.Snapshot(time.Now().Add(-time.Hour))
		if err != nil || !strings.Contains(string(content), "dev@example.com") {
			t.Fatalf("%s, %v", content, err)
		}
		for _, word := range []string{`"old"`, "absent", "broken", "forgotten", "the-key-itself"} {
			if strings.Contains(string(content), word) {
				t.Errorf("%s is in %s", word, content)
			}
		}
	})
}

func TestInvalidEntriesOfASnapshotAreSkipped(t *testing.T) {
	good := `{"api_keys":{"dev@example.com":{"asked":"2000-01-01T00:00:00Z","value":` + enabled + `}}}`
	synctest.Test(t, func(t *testing.T) { // time begins at 2000-01-01
		for name, content := range map[string]string{
			"from the future":    strings.Replace(good, "2000", "2001", 1),
			"of a broken user":   strings.Replace(good, `"k"`, `7`, 1),
			"without a value":    strings.Replace(good, enabled, "null", 1),
			"of an invalid name": strings.Replace(good, "dev@example.com", "..", 1),
		} {
			s := newStore(nil)
			s.fail(errors.New("down"))
			c := New(s, Options{MaxEntries: 10})
			if err := c.Restore([]byte(content)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if got := user(t, c); got != "error" {
				t.Errorf("%s: the user is %s", name, got)
			}
			if n := c.APIKeys.Stats().Entries; n > 0 {
				t.Errorf("%s: %d users are in memory", name, n)
			}
		}
		c := New(newStore(nil), Options{MaxEntries: 10})
		if err := c.Restore([]byte("[")); err == nil {
			t.Error("no error for what is no snapshot")
		}
	})
}

func TestInvalidationsAreReportedAndChangesCounted(t *testing.T) {
	c := New(newStore(map[string]string{"dev@example.com": enabled}), Options{MaxEntries: 10})
	first, end := c.Forgotten()
	second, _ := c.Forgotten()
	listeners := []<-chan struct{}{first, second}
	if n := c.Changes(); n != 0 {
		t.Errorf("%d changes of nothing", n)
	}
	_ = user(t, c)
	kept := c.Changes()
	if kept == 0 {
		t.Error("a new user is no change")
	}
	c.APIKeys.Invalidate("dev@example.com")
	c.Settings.InvalidateAll()
	if c.Changes() <= kept {
		t.Error("an invalidation is no change")
	}
	for i, each := range listeners {
		select {
		case <-each:
		default:
			t.Errorf("listener %d is not told", i)
		}
		select {
		case <-each:
			t.Errorf("listener %d is told twice", i)
		default:
		}
	}
	end()
	c.APIKeys.InvalidateAll()
	if len(listeners[0]) > 0 || len(listeners[1]) == 0 {
		t.Error("who listens no more is told, or who does is not")
	}
}

// FuzzRestore checks two things about any content of a storage: it lets no one in while the store
// answers, and what was restored can be saved again.
func FuzzRestore(f *testing.F) {
	f.Add([]byte(`{"api_keys":{"dev@example.com":{"asked":"2026-01-31T12:00:00+01:00","value":` + enabled + `}},` +
		`"provider_settings":{"openai":{"asked":"2026-01-31T12:00:00Z","value":{"headers":{"a":"b"},"body":{"c":1},"models":[]}}},` +
		`"providers":{"*":{"asked":"2026-01-31T12:00:00Z","value":["openai"]}}}`))
	f.Add([]byte(`{"api_keys":{"old@example.com":{"asked":"2026-01-31T12:00:00+24:60","value":{}},"..":null}}`))
	f.Add([]byte(`{"providers":{"*":{"asked":"0001-01-01T00:00:00Z","value":null}}}`))
	f.Fuzz(func(t *testing.T, content []byte) {
		c := New(newStore(map[string]string{}), Options{MaxEntries: 1000})
		if err := c.Restore(content); err != nil {
			if n := c.APIKeys.Len() + c.Settings.Len() + c.Providers.Len(); n > 0 {
				t.Errorf("%d entries of what is no snapshot", n)
			}
			return
		}
		if got := user(t, c); got != "absent" {
			t.Errorf("a user whom the store does not know is %s", got)
		}
		kept, err := c.Snapshot(time.Time{}.AddDate(-9, 0, 0)) // JSON can express the year 0
		if err != nil {
			t.Fatal(err)
		}
		again := New(newStore(nil), Options{MaxEntries: 1000})
		if err := again.Restore(kept); err != nil {
			t.Fatalf("%s: %v", kept, err)
		}
		for ns, counts := range map[string][2]int{
			"users":     {c.APIKeys.Stats().Entries, again.APIKeys.Stats().Entries},
			"settings":  {c.Settings.Stats().Entries, again.Settings.Stats().Entries},
			"providers": {c.Providers.Stats().Entries, again.Providers.Stats().Entries},
		} {
			if counts[0] != counts[1] {
				t.Errorf("of %d %s %d are restored from %s", counts[0], ns, counts[1], kept)
			}
		}
	})
}
