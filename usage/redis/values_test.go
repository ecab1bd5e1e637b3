package redis

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/continue-auth/caddy-continue-auth/usage"
)

func TestACounterBeginsAnewAfterItsWindow(t *testing.T) {
	server := simulate(t)
	a, b := store(t, server.Addr()), store(t, server.Addr())
	count := func(s *Store, key string, want int64, wantLeft time.Duration) {
		t.Helper()
		if n, left, err := s.Count(t.Context(), key, time.Minute); err != nil || n != want || left != wantLeft {
			t.Errorf("%d, %v, %v, want %d, %v", n, left, err, want, wantLeft)
		}
	}
	count(a, "x", 1, time.Minute)
	server.pass(20 * time.Second)
	count(b, "x", 2, 40*time.Second)
	count(b, "y", 1, time.Minute)
	server.pass(40 * time.Second)
	count(a, "x", 1, time.Minute)
}

func TestServersShareABucket(t *testing.T) {
	server := simulate(t)
	a, b := store(t, server.Addr()), store(t, server.Addr())
	take := func(s *Store, want time.Duration) {
		t.Helper()
		wait, err := s.Take(t.Context(), "x", 4, 3)
		if err != nil || math.Abs((wait-want).Seconds()) > 0.001 {
			t.Errorf("%v, %v, want %v", wait, err, want)
		}
	}
	take(a, 0)
	take(b, 0)
	take(a, 0)
	take(b, 250*time.Millisecond)
	server.pass(100 * time.Millisecond)
	take(a, 150*time.Millisecond) // the attempt before took nothing
	server.pass(150 * time.Millisecond)
	take(a, 0)
	take(a, 250*time.Millisecond)
	server.pass(time.Hour)
	for range 3 {
		take(b, 0)
	}
	take(b, 250*time.Millisecond)
	server.SetTime(server.now.Add(-time.Hour))
	take(b, 250*time.Millisecond) // a clock that is set back gives nothing
	server.SetTime(server.now.Add(-time.Hour + 250*time.Millisecond))
	take(b, 0) // and takes nothing
}

func TestAValueIsKeptForItsTime(t *testing.T) {
	server := simulate(t)
	a, b := store(t, server.Addr()), store(t, server.Addr())
	binary := "\x00\r\n\xff" + strings.Repeat("long", 50_000)
	a.Put("x", []byte(binary), time.Hour)
	a.Put("empty", nil, time.Hour)
	get := func(keys ...string) []string {
		t.Helper()
		values, err := b.Get(t.Context(), keys...)
		if err != nil || len(values) != len(keys) {
			t.Fatalf("%q, %v", values, err)
		}
		var texts []string
		for _, value := range values {
			texts = append(texts, map[bool]string{true: "absent", false: string(value)}[value == nil])
		}
		return texts
	}
	eventually(t, func() bool { return slices.Equal(get("missing", "x", "empty"), []string{"absent", binary, ""}) },
		func() string { return "the values never come" })
	server.pass(time.Hour - time.Millisecond)
	if got := get("x"); got[0] != binary {
		t.Errorf("before its end the value is %.10q", got)
	}
	server.pass(time.Millisecond)
	if got := get("x"); got[0] != "absent" {
		t.Errorf("after its end the value is %.10q", got)
	}
	if got := get(); len(got) != 0 {
		t.Errorf("%q", got)
	}
}

// TestNothingOfUsersIsStored looks at all that is stored after every operation.
func TestNothingOfUsersIsStored(t *testing.T) {
	server := simulate(t)
	useEverything(t, store(t, server.Addr()))
	checkKeys(t, server.Keys(), func(key string) time.Duration { return server.TTL(key) })
	dump := server.Dump()
	for _, secret := range []string{email, "someone", "example", team} {
		if strings.Contains(dump, secret) {
			t.Errorf("%s is in\n%s", secret, dump)
		}
	}
}

const email, team = "someone@example.com", "core-team"

// useEverything uses all that stores something.
func useEverything(t *testing.T, s *Store) {
	t.Helper()
	a := asker{t, s, []usage.Scope{
		scope(t, email, "requests 5/24h", "requests 9/day", "tokens 1000/month", "parallel 3"),
		scope(t, team, "requests 1/24h"),
		scope(t, "other "+email, "tokens 50/24h"),
	}}
	lease, _ := a.admit(100)
	s.Settle(a.scopes, lease, 30)
	a.admits(false)
	in := asker{t, s, a.scopes[2:]}
	in.admits(true)
	s.renew(s.conn.Load())
	if _, _, err := s.Count(t.Context(), "sign-ins of "+email, time.Minute); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Take(t.Context(), email, 3, 60); err != nil {
		t.Fatal(err)
	}
	s.Put(email, []byte("value"), time.Hour)
	a.wantUsed(1, 1, 30, 0, 1, 30)
	eventually(t, func() bool { v, _ := s.Get(t.Context(), email); return v[0] != nil }, func() string { return "no value" })
}

// checkKeys checks that there are keys of every kind, and that all of them expire.
func checkKeys(t *testing.T, keys []string, ttl func(key string) time.Duration) {
	t.Helper()
	kinds := make(map[string]bool)
	for _, key := range keys {
		kind, tag, ok := strings.Cut(strings.TrimPrefix(key, "cca:"), ":{")
		if !ok || !strings.HasSuffix(tag, "}") {
			t.Errorf("key %s", key)
		}
		kinds[kind] = true
		if left := ttl(key); left <= 0 || left > 35*24*time.Hour {
			t.Errorf("%s expires after %v", key, left)
		}
	}
	for _, kind := range []string{"use", "leases", "count", "bucket", "value", "probe"} {
		if !kinds[kind] {
			t.Errorf("no key of the kind %s in %q", kind, keys)
		}
	}
}

func TestACounterLivesAsLongAsItIsNeeded(t *testing.T) {
	for window, least := range map[string]time.Duration{
		"1s": time.Second, "24h": 24 * time.Hour, "day": 24 * time.Hour, "month": 31 * 24 * time.Hour,
	} {
		server := simulate(t)
		a := asker{t, store(t, server.Addr()), []usage.Scope{scope(t, "u", "requests 5/"+window, "tokens 5/"+window)}}
		a.admits(true)
		for _, key := range a.store.keys("u") {
			if ttl := server.TTL(key); ttl < least+least/30 || ttl < 2*leaseLength {
				t.Errorf("%s: %s lives for %v", window, key, ttl)
			}
		}
	}
}

// A request can be in flight for longer than its window.
func TestTheKeysOfARequestInFlightAreKept(t *testing.T) {
	server := simulate(t)
	a := asker{t, store(t, server.Addr()), []usage.Scope{scope(t, "u", "tokens 100/1s")}}
	lease, _ := a.admit(10)
	for range 20 {
		server.pass(renewEvery)
		a.store.renew(a.store.conn.Load())
	}
	a.wantUsed(10)
	a.store.Settle(a.scopes, lease, 3)
	a.wantUsed(3)
}

func TestAnEndedContextIsNoFailureOfTheStore(t *testing.T) {
	s := store(t, simulate(t).Addr())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := s.Count(ctx, "x", time.Minute); err != context.Canceled {
		t.Errorf("%v", err)
	}
	if _, _, _, err := s.Admit(ctx, []usage.Scope{scope(t, "u", "parallel 1")}, 0, nil); err != context.Canceled {
		t.Errorf("%v", err)
	}
	if !s.Up() {
		t.Error("the store is away")
	}
	asker{t, s, []usage.Scope{scope(t, "u", "parallel 1")}}.admits(true)
}
