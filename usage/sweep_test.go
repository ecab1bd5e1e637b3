package usage_test

import (
	"runtime"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/continue-auth/caddy-continue-auth/usage"
)

// sweep admits so many requests that all scopes have been looked at, and leaves none of its own.
func sweep(t *testing.T, c *usage.Counters) {
	t.Helper()
	for range usage.SweepRound * (1 + c.Scopes()) {
		c.Admit(nil, 0, nil)
	}
}

func TestIdleScopesLeaveMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("-short goes with the race detector, which makes this slow and finds nothing in it")
	}
	for _, test := range []struct {
		limits []string
		stays  time.Duration
	}{
		{[]string{"requests=9/1s"}, time.Second},
		{[]string{"requests=9/1m", "tokens=999/1h"}, time.Hour},
		{[]string{"tokens=999/day"}, 24 * time.Hour},
		{[]string{"requests=9/month", "tokens=999/1m", "parallel=1"}, 31 * 24 * time.Hour},
	} {
		synctest.Test(t, func(t *testing.T) {
			c := usage.NewCounters()
			for i := range 1000 {
				admitAndSettle(c, []usage.Scope{scope(t, "user"+strconv.Itoa(i), test.limits...)}, 1, 5)
			}
			time.Sleep(test.stays - time.Nanosecond)
			if sweep(t, c); c.Scopes() != 1000 {
				t.Errorf("%v: %d of 1000 scopes are in memory within the window", test.limits, c.Scopes())
			}
			time.Sleep(time.Nanosecond)
			if sweep(t, c); c.Scopes() != 0 {
				t.Errorf("%v: %d scopes are in memory after the window", test.limits, c.Scopes())
			}
		})
	}
}

func TestAScopeWithARequestInFlightStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := usage.NewCounters()
		scopes := []usage.Scope{scope(t, "user", "tokens=1000/1s", "parallel=1"), scope(t, "team", "requests=5/1s", "parallel=1")}
		ticket, _, _ := c.Admit(scopes, 100, nil)
		time.Sleep(48 * time.Hour)
		sweep(t, c)
		wantUsed(t, c, scopes[0], 100, 1)
		wantUsed(t, c, scopes[1], 0, 1)
		c.Settle(scopes, ticket, 0)
		if sweep(t, c); c.Scopes() != 0 {
			t.Error("a scope stays after its request has ended")
		}
	})
}

// New users keep coming. Memory must hold only those of the last window, and about as many that are not swept
// yet.
func TestMemoryIsBoundedWhileNewScopesCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := usage.NewCounters()
		const perWindow = 1000
		var most int
		for i := range 50 * perWindow {
			admitAndSettle(c, []usage.Scope{scope(t, strconv.Itoa(i), "requests=9/1s"), scope(t, "team", "requests=1000000/1s")}, 1, 0)
			time.Sleep(time.Second / perWindow)
			if i%perWindow == 0 {
				most = max(most, c.Scopes())
			}
		}
		if most > 2*perWindow {
			t.Errorf("%d scopes are in memory, want at most twice the %d active ones", most, perWindow+1)
		}
	})
}

func TestReadingStatesKeepsNothing(t *testing.T) {
	c := usage.NewCounters()
	wantUsed(t, c, scope(t, "user", "requests=1/1m", "tokens=1/day", "parallel=1"), 0, 0, 0)
	if n := c.Scopes(); n != 0 {
		t.Errorf("%d scopes are in memory", n)
	}
}

// Contract: 50,000 active users with three limits in well under 100 MB.
func TestMemoryOfUsers(t *testing.T) {
	if testing.Short() {
		t.Skip("-short goes with the race detector, which makes this slow and finds nothing in it")
	}
	for _, test := range []struct {
		name   string
		limits []string
		users  int
		pauses []time.Duration // between the requests of one user
		most   float64         // bytes a user
	}{
		{"three limits and one request", []string{"requests=100000/1m", "tokens=100000/1h", "tokens=100000/day"}, 50_000, []time.Duration{0}, 800},
		{"three windows with as many buckets as possible", []string{"requests=100000/1m", "tokens=100000/1h", "tokens=100000/24h"}, 2000, fillWindows(), 1350},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				limits := scope(t, "user", test.limits...).Limits
				before := heap()
				c := usage.NewCounters()
				for _, pause := range test.pauses {
					time.Sleep(pause)
					for i := range test.users {
						admitAndSettle(c, []usage.Scope{{Name: "user" + strconv.Itoa(i) + "@example.com", Limits: limits}}, 1, 10)
					}
				}
				each := float64(heap()-before) / float64(test.users)
				t.Logf("%.0f bytes a user, %.0f MB for 50,000, %d buckets in a window", each, each*50_000/1e6, c.Buckets("user0@example.com"))
				if each > test.most {
					t.Errorf("%.0f bytes a user, want at most %.0f", each, test.most)
				}
				runtime.KeepAlive(c)
			})
		})
	}
}

// fillWindows returns pauses that are just long enough for a bucket of their own: first in a window of 24
// hours, then in one of an hour, then in one of a minute.
func fillWindows() (pauses []time.Duration) {
	for range 29 {
		pauses = append(pauses, 48*time.Minute)
	}
	for range 29 {
		pauses = append(pauses, 2*time.Minute)
	}
	for range 30 {
		pauses = append(pauses, 2*time.Second)
	}
	return pauses
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
