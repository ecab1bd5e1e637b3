package redis

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/continue-auth/caddy-continue-auth/usage"
)

func TestASlidingWindowCountsARequestUntilItsLengthHasPassed(t *testing.T) {
	server := contract(t)
	a := asker{t, store(t, server.Addr()), []usage.Scope{scope(t, "u", "requests 3/1m")}}
	began := server.now
	for range 3 {
		a.admits(true)
	}
	states := a.admits(false)
	end := began.Add(time.Minute)
	if s := states[0]; s.Used != 3 || !s.Free.Equal(end) || !s.Resets.Equal(end) {
		t.Errorf("%+v, want 3 used until %v", s, end)
	}
	server.pass(time.Minute - time.Millisecond)
	a.admits(false)
	server.pass(time.Millisecond)
	states = a.admits(true)
	if s := states[0]; s.Used != 1 || !s.Free.IsZero() || !s.Resets.Equal(server.now.Add(time.Minute)) {
		t.Errorf("%+v, want 1 used until %v", s, server.now.Add(time.Minute))
	}
}

// A request that comes between two milliseconds must not leave before its time.
func TestTheFractionOfAMillisecondDoesNotLetARequestLeaveEarly(t *testing.T) {
	server := contract(t)
	a := asker{t, store(t, server.Addr()), []usage.Scope{scope(t, "u", "requests 1/1s")}}
	server.pass(900 * time.Microsecond)
	a.admits(true)
	server.pass(time.Second - 100*time.Microsecond)
	a.admits(false)
	server.pass(200 * time.Microsecond)
	a.admits(true)
}

// TestASlidingWindowIsExact sends requests at random times. No window may have more than the limit, and a
// request may be refused only if the limit is reached in a window that is a thirtieth longer.
func TestASlidingWindowIsExact(t *testing.T) {
	server := contract(t)
	s := store(t, server.Addr())
	for round := range 8 {
		limit, window := 1+rand.IntN(40), time.Duration(1+rand.IntN(100))*time.Second
		a := asker{t, s, []usage.Scope{scope(t, fmt.Sprint(round), fmt.Sprintf("requests %d/%s", limit, window))}}
		var admitted []time.Time
		within := func(d time.Duration) (n int) {
			for _, at := range admitted {
				if server.now.Sub(at) < d {
					n++
				}
			}
			return n
		}
		for range 200 {
			server.pass(time.Duration(rand.ExpFloat64() * float64(window) / float64(limit) * 2 / 3).Truncate(time.Microsecond))
			before := within(window)
			lease, _ := a.admit(0)
			switch {
			case lease != "" && before >= limit:
				t.Fatalf("%d requests within %v, of %d", before+1, window, limit)
			case lease == "" && within(window+window/30+2*time.Millisecond) < limit:
				t.Fatalf("refused although %d of %d are used within %v", before, limit, window)
			case lease != "":
				admitted = append(admitted, server.now)
			}
		}
	}
}

func TestASlidingWindowTakesLittleRoom(t *testing.T) {
	server := contract(t)
	s := store(t, server.Addr())
	a := asker{t, s, []usage.Scope{scope(t, "u", "requests 100000/1m")}}
	for range 600 {
		server.pass(150 * time.Millisecond)
		a.admits(true)
	}
	text := server.HGet(s.keys("u")[0], "requests/1m")
	if parts := (strings.Count(text, ",") + 1) / 3; parts > 32 {
		t.Errorf("%d parts: %s", parts, text)
	}
}

func TestAClockThatIsSetBackLosesNothing(t *testing.T) {
	server := contract(t)
	a := asker{t, store(t, server.Addr()), []usage.Scope{scope(t, "u", "requests 2/1m")}}
	a.admits(true)
	server.SetTime(server.now.Add(-10 * time.Second))
	a.admits(true)
	a.admits(false)
	server.SetTime(server.now.Add(time.Minute))
	a.admits(true)
}

func TestADayAndAMonthBeginAtMidnightUTC(t *testing.T) {
	for name, test := range map[string]struct{ window, at, ends string }{
		"a day":                       {"day", "2027-03-05T12:00:00Z", "2027-03-06T00:00:00Z"},
		"a day that has just begun":   {"day", "2027-03-05T00:00:00Z", "2027-03-06T00:00:00Z"},
		"the last moment of a day":    {"day", "2027-03-05T23:59:59Z", "2027-03-06T00:00:00Z"},
		"a leap day":                  {"day", "2028-02-29T12:00:00Z", "2028-03-01T00:00:00Z"},
		"a month":                     {"month", "2027-03-31T12:00:00Z", "2027-04-01T00:00:00Z"},
		"February":                    {"month", "2027-02-01T00:00:00Z", "2027-03-01T00:00:00Z"},
		"February with a leap day":    {"month", "2028-02-28T00:00:00Z", "2028-03-01T00:00:00Z"},
		"December":                    {"month", "2027-12-31T23:59:59Z", "2028-01-01T00:00:00Z"},
		"February of a year like any": {"month", "2100-02-28T00:00:00Z", "2100-03-01T00:00:00Z"},
	} {
		t.Run(name, func(t *testing.T) {
			server := contract(t)
			server.now, _ = time.Parse(time.RFC3339, test.at)
			server.SetTime(server.now)
			ends, _ := time.Parse(time.RFC3339, test.ends)
			a := asker{t, store(t, server.Addr()), []usage.Scope{scope(t, "u", "requests 1/"+test.window)}}
			a.admits(true)
			if s := a.admits(false)[0]; s.Used != 1 || !s.Free.Equal(ends) || !s.Resets.Equal(ends) {
				t.Errorf("%+v, want 1 used until %v", s, ends)
			}
			server.pass(ends.Sub(server.now) - time.Millisecond)
			a.admits(false)
			server.pass(time.Millisecond)
			a.admits(true)
		})
	}
}

// The script has a calendar of its own.
func TestEachMonthOfACenturyIsCountedByItself(t *testing.T) {
	server := contract(t)
	a := asker{t, store(t, server.Addr()), []usage.Scope{scope(t, "u", "requests 1/month")}}
	for month := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC); month.Year() < 2124; month = month.AddDate(0, 1, 0) {
		server.SetTime(month)
		a.admits(true)
		server.SetTime(month.AddDate(0, 1, 0).Add(-time.Millisecond))
		a.admits(false)
	}
}

func TestEveryLimitMustHaveRoom(t *testing.T) {
	for name, test := range map[string]struct {
		limits []string
		tokens int64
	}{
		"requests":               {[]string{"requests 2/1m", "tokens 1000/1m", "parallel 9"}, 1},
		"requests of a day":      {[]string{"requests 9/1m", "requests 2/day", "tokens 1000/1m"}, 1},
		"tokens":                 {[]string{"requests 9/1m", "tokens 100/1m"}, 50},
		"tokens of a month":      {[]string{"tokens 1000/1m", "tokens 100/month"}, 50},
		"the smaller of two":     {[]string{"requests 9/1m", "requests 2/1m"}, 1},
		"the smaller of tokens":  {[]string{"tokens 100/1m", "tokens 900/1m"}, 50},
		"tokens past the limit":  {[]string{"tokens 60/1m"}, 50},
		"tokens and nothing but": {[]string{"tokens 100/24h"}, 50},
	} {
		t.Run(name, func(t *testing.T) {
			server := contract(t)
			a := asker{t, store(t, server.Addr()), []usage.Scope{scope(t, "u", test.limits...)}}
			for n := range int64(2) {
				lease, states := a.admit(0)
				if lease == "" {
					t.Fatalf("request %d is refused: %+v", n, states)
				}
				a.store.Settle(a.scopes, lease, test.tokens)
				eventually(t, func() bool {
					for i, s := range states {
						if want := map[usage.Kind]int64{usage.Requests: n + 1, usage.Tokens: (n + 1) * test.tokens}[s.Kind]; a.used()[i] != want {
							return false
						}
					}
					return true
				}, func() string { return fmt.Sprintf("used: %v", a.used()) })
			}
			before := a.used()
			a.admits(false)
			a.wantUsed(before...) // what is refused is not counted
		})
	}
}

func TestThePromptIsReservedUntilTheTokensAreKnown(t *testing.T) {
	server := contract(t)
	a := asker{t, store(t, server.Addr()), []usage.Scope{scope(t, "u", "tokens 1000/1m", "tokens 5000/day")}}
	first, states := a.admit(80)
	if states[0].Used != 80 || states[1].Used != 80 {
		t.Errorf("reserved: %+v", states)
	}
	second, states := a.admit(1_000_000) // at most a tenth of each limit
	if states[0].Used != 180 || states[1].Used != 580 {
		t.Errorf("reserved: %+v", states)
	}
	server.pass(10 * time.Second)
	a.store.Settle(a.scopes, first, 7)
	a.wantUsed(107, 507)
	a.store.Settle(a.scopes, second, 2000)
	a.wantUsed(2007, 2007)
	settled := server.now
	if s := a.admits(false)[0]; !s.Free.Equal(settled.Add(time.Minute)) {
		t.Errorf("free at %v, want a minute after the tokens were counted at %v", s.Free, settled)
	}
	server.pass(time.Minute)
	a.wantUsed(0, 2007)
	a.admits(true)
}

func TestReservationsCanFillALimit(t *testing.T) {
	server := contract(t)
	a := asker{t, store(t, server.Addr()), []usage.Scope{scope(t, "u", "tokens 100/1m")}}
	for range 10 {
		if lease, _ := a.admit(10); lease == "" {
			t.Fatal("refused")
		}
	}
	s := a.admits(false)[0]
	if s.Used != 100 || !s.Resets.Equal(server.now.Add(time.Minute)) {
		t.Errorf("%+v", s)
	}
	if !s.Free.Equal(server.now.Add(inFlightGuess)) { // a request in flight may end soon
		t.Errorf("free at %v", s.Free)
	}
}

func TestLimitsForTheSameWindowReserveOnce(t *testing.T) {
	server := contract(t)
	a := asker{t, store(t, server.Addr()), []usage.Scope{scope(t, "u", "tokens 100/1m", "tokens 1000/1m")}}
	first, _ := a.admit(50)
	second, _ := a.admit(50)
	a.wantUsed(20, 20)
	a.store.Settle(a.scopes, first, 0)
	a.wantUsed(10, 10)
	a.store.Settle(a.scopes, second, -5) // as if it were 0
	a.wantUsed(0, 0)
}

func TestALimitThatChangesKeepsWhatIsUsed(t *testing.T) {
	server := contract(t)
	s := store(t, server.Addr())
	asker{t, s, []usage.Scope{scope(t, "u", "requests 2/1m")}}.admits(true)
	asker{t, s, []usage.Scope{scope(t, "u", "requests 1/1m")}}.admits(false)
	asker{t, s, []usage.Scope{scope(t, "u", "requests 2/1m", "requests 5/1h")}}.admits(true)
	asker{t, s, []usage.Scope{scope(t, "u", "requests 2/1m")}}.admits(false)
}

func TestScopesDoNotShareTheirCounters(t *testing.T) {
	server := contract(t)
	s := store(t, server.Addr())
	for _, name := range []string{"u", "U", "u ", "team:u"} {
		a := asker{t, s, []usage.Scope{scope(t, name, "requests 1/1m")}}
		a.admits(true)
		a.admits(false)
	}
}

func TestARequestIsAdmittedToAllScopesOrToNone(t *testing.T) {
	server := contract(t)
	s := store(t, server.Addr())
	user := scope(t, "u", "requests 5/1m", "requests 9/day", "tokens 1000/1m", "parallel 3")
	team := scope(t, "t", "requests 2/1m")
	team.Team = "core"
	both := asker{t, s, []usage.Scope{user, team}}
	lease, _ := both.admit(100)
	both.store.Settle(both.scopes, lease, 30)
	both.wantUsed(1, 1, 30, 0, 1)
	both.admits(true)
	before := both.used()
	refused := both.admits(false)
	for i, state := range refused {
		if state.Used != before[i] {
			t.Errorf("the states of a request that is refused: %+v, want %v used", refused, before)
			break
		}
	}
	if got := refused[len(refused)-1]; got.Team != "core" || refused[0].Team != "" {
		t.Errorf("teams in %+v", refused)
	}
	both.wantUsed(before...)

	// The same where the part of the window has ended since.
	server.pass(time.Minute)
	alone := asker{t, s, []usage.Scope{team}}
	alone.admits(true)
	alone.admits(true)
	both.admits(false)
	both.wantUsed(0, 2, 0, 0, 2) // the leases have ended
}

func TestNoScopesAreAlwaysAdmitted(t *testing.T) {
	lease, states := asker{t, store(t, contract(t).Addr()), nil}.admit(5)
	if lease == "" || len(states) != 0 {
		t.Errorf("lease %q, %v", lease, states)
	}
}

func TestStatesCountsNothing(t *testing.T) {
	server := contract(t)
	a := asker{t, store(t, server.Addr()), []usage.Scope{scope(t, "u", "requests 1/1m", "tokens 10/day", "parallel 1")}}
	for range 3 {
		a.wantUsed(0, 0, 0)
	}
	states, err := a.store.States(context.Background(), a.scopes, []usage.State{{Used: 42}})
	if err != nil || len(states) != 4 || states[0].Used != 42 || !states[1].Resets.Equal(server.now) {
		t.Errorf("%+v, %v", states, err)
	}
	a.admits(true)
}

func TestTwoServersTogetherAdmitExactlyTheLimit(t *testing.T) {
	address := contract(t).Addr()
	limited := scope(t, "u", "requests 100/1h")
	var admitted atomic.Int64
	var all sync.WaitGroup
	for _, s := range []*Store{store(t, address), store(t, address)} {
		for range 4 { // few at once: the race detector makes the simulated Redis slow
			all.Go(func() {
				for range 125 {
					_, ok, _, err := s.Admit(context.Background(), []usage.Scope{limited}, 0, nil)
					if err != nil {
						t.Error(err)
					}
					if ok {
						admitted.Add(1)
					}
				}
			})
		}
	}
	all.Wait()
	if n := admitted.Load(); n != 100 {
		t.Errorf("%d requests are admitted, want 100", n)
	}
}
