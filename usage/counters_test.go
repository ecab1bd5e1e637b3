package usage_test

import (
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/continue-auth/caddy-continue-auth/usage"
)

// scope returns a scope with limits such as requests=10/1m and parallel=3. A scope whose name begins with team
// is a team.
func scope(t testing.TB, name string, limits ...string) usage.Scope {
	t.Helper()
	s := usage.Scope{Name: name, Limits: &usage.Limits{}}
	if strings.HasPrefix(name, "team") {
		s.Team = name
	}
	for _, limit := range limits {
		kind, value, _ := strings.Cut(limit, "=")
		if kind == string(usage.Parallel) {
			n, err := strconv.ParseInt(value, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			s.Limits.Parallel = n
			continue
		}
		rate, err := usage.ParseRate(value)
		if err != nil {
			t.Fatal(err)
		}
		rates := map[string]*[]usage.Rate{"requests": &s.Limits.Requests, "tokens": &s.Limits.Tokens}[kind]
		*rates = append(*rates, rate)
	}
	return s
}

// admitAndSettle makes requests one after another and returns how many of them were admitted.
func admitAndSettle(c *usage.Counters, scopes []usage.Scope, requests int, tokens int64) (admitted int) {
	for range requests {
		if ticket, ok, _ := c.Admit(scopes, 0, nil); ok {
			c.Settle(scopes, ticket, tokens)
			admitted++
		}
	}
	return admitted
}

func used(c *usage.Counters, scopes ...usage.Scope) (used []int64) {
	for _, s := range c.States(scopes, nil) {
		used = append(used, s.Used)
	}
	return used
}

func wantUsed(t *testing.T, c *usage.Counters, s usage.Scope, want ...int64) {
	t.Helper()
	got := used(c, s)
	if len(got) != len(want) {
		t.Fatalf("there are %d states, want %d", len(got), len(want))
	}
	for i := range got {
		if got[i] != want[i] {
			t.Errorf("used are %v, want %v", got, want)
			return
		}
	}
}

func TestWindowsOfTheCalendar(t *testing.T) {
	for _, test := range []struct{ name, limit, full, last, free string }{
		{"a day", "day", "2000-01-05T10:00:00Z", "2000-01-05T23:59:59.999999999Z", "2000-01-06T00:00:00Z"},
		{"a day used up at its end", "day", "2000-01-05T23:59:59.999999999Z", "2000-01-05T23:59:59.999999999Z", "2000-01-06T00:00:00Z"},
		{"before a leap day", "day", "2004-02-28T00:00:00Z", "2004-02-28T23:59:59Z", "2004-02-29T00:00:00Z"},
		{"a leap day", "day", "2004-02-29T00:00:00Z", "2004-02-29T23:59:59Z", "2004-03-01T00:00:00Z"},
		{"no leap day", "day", "2100-02-28T12:00:00Z", "2100-02-28T23:59:59Z", "2100-03-01T00:00:00Z"},
		{"the last day of a year", "day", "2026-12-31T12:00:00Z", "2026-12-31T23:59:59Z", "2027-01-01T00:00:00Z"},
		{"a month of 31 days", "month", "2026-01-01T00:00:00Z", "2026-01-31T23:59:59Z", "2026-02-01T00:00:00Z"},
		{"a month of 28 days", "month", "2026-02-01T00:00:00Z", "2026-02-28T23:59:59Z", "2026-03-01T00:00:00Z"},
		{"a month of 29 days", "month", "2028-02-28T00:00:00Z", "2028-02-29T23:59:59Z", "2028-03-01T00:00:00Z"},
		{"the last month of a year", "month", "2026-12-31T23:00:00Z", "2026-12-31T23:59:59Z", "2027-01-01T00:00:00Z"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := usage.NewCounters()
				scopes := []usage.Scope{scope(t, "user", "requests=3/"+test.limit)}
				time.Sleep(time.Until(date(t, test.full)))
				if n := admitAndSettle(c, scopes, 5, 0); n != 3 {
					t.Fatalf("%d requests were admitted, want 3", n)
				}
				time.Sleep(time.Until(date(t, test.last)))
				if admitAndSettle(c, scopes, 1, 0) != 0 {
					t.Error("a request was admitted before the window's end")
				}
				s := c.States(scopes, nil)[0]
				if s.Resets != date(t, test.free) || s.Free != date(t, test.free) {
					t.Errorf("resets %v, free %v, want %s", s.Resets, s.Free, test.free)
				}
				time.Sleep(time.Until(date(t, test.free)))
				if n := admitAndSettle(c, scopes, 5, 0); n != 3 {
					t.Errorf("%d requests were admitted in the next window, want 3", n)
				}
			})
		})
	}
}

func TestStatesOfAScope(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := usage.NewCounters()
		user := scope(t, "user", "requests=2/1m", "requests=5/day", "tokens=1000/1h", "tokens=9000/month", "parallel=2")
		team := scope(t, "team", "requests=9/1m")
		scopes := []usage.Scope{user, team}
		time.Sleep(90 * time.Minute)
		now := time.Now().UTC()
		minute, hour, day, month := now.Add(time.Minute), now.Add(time.Hour), date(t, "2000-01-02T00:00:00Z"), date(t, "2000-02-01T00:00:00Z")

		state := func(s usage.Scope, kind usage.Kind, r usage.Rate, used int64, resets, free time.Time) usage.State {
			return usage.State{Kind: kind, Rate: r, Team: s.Team, Used: used, Resets: resets, Free: free}
		}
		u, none := user.Limits, time.Time{}
		want := []usage.State{
			state(user, usage.Requests, u.Requests[0], 0, now, none),
			state(user, usage.Requests, u.Requests[1], 0, day, none),
			state(user, usage.Tokens, u.Tokens[0], 0, now, none),
			state(user, usage.Tokens, u.Tokens[1], 0, month, none),
			state(user, usage.Parallel, usage.Rate{Max: 2}, 0, none, none),
			state(team, usage.Requests, team.Limits.Requests[0], 0, now, none),
		}
		compare := func(what string, got []usage.State) {
			t.Helper()
			for i := range max(len(want), len(got)) {
				if i >= len(want) || i >= len(got) || got[i] != want[i] {
					t.Fatalf("%s: the states are\n%+v, want\n%+v", what, got, want)
				}
			}
		}
		compare("nothing used", c.States(scopes, nil))

		want[0].Used, want[1].Used, want[2].Used, want[3].Used, want[4].Used, want[5].Used = 1, 1, 100, 500, 1, 1
		want[0].Resets, want[2].Resets, want[5].Resets = minute, hour, minute
		ticket, _, states := c.Admit(scopes, 500, nil)
		compare("one request in flight", states)

		c.Settle(scopes, ticket, 700)
		want[2].Used, want[3].Used, want[4].Used = 700, 700, 0
		compare("one request settled", c.States(scopes, nil))

		want[0].Used, want[1].Used, want[2].Used, want[3].Used, want[4].Used, want[5].Used = 2, 2, 700, 700, 1, 2
		want[0].Free = minute
		_, _, states = c.Admit(scopes, 0, nil)
		compare("the limit reached", states)
		_, admitted, states := c.Admit(scopes, 0, nil)
		compare("a request refused", states)
		if admitted {
			t.Error("admitted")
		}
	})
}

func TestStatesAreAppended(t *testing.T) {
	c := usage.NewCounters()
	scopes := []usage.Scope{scope(t, "user", "requests=1/1m")}
	states := []usage.State{{Team: "before"}}
	for range 2 {
		if _, _, all := c.Admit(scopes, 0, states); len(all) != 2 || all[0] != states[0] || all[1].Used != 1 {
			t.Errorf("the states are %+v", all)
		}
	}
	if all := c.States(scopes, states); len(all) != 2 || all[0] != states[0] || all[1].Used != 1 {
		t.Errorf("the states are %+v", all)
	}
}

func TestFreeWithRequestsInFlight(t *testing.T) {
	const guess = 10 * time.Second
	for _, test := range []struct {
		name, limit    string
		settled        [2]int64 // tokens used 15 and 10 seconds ago
		inFlight       int      // requests in flight that reserve a tenth each
		resets, freeIn time.Duration
	}{
		{"below the limit", "100/1m", [2]int64{30, 20}, 4, time.Minute, 0},
		{"what is used leaves the window soon", "100/16s", [2]int64{60, 30}, 1, 16 * time.Second, time.Second},
		{"the first tokens that leave are too few", "100/16s", [2]int64{1, 74}, 3, 16 * time.Second, 6 * time.Second},
		{"requests in flight may end before", "100/1m", [2]int64{45, 45}, 1, time.Minute, guess},
		{"reached without those in flight", "100/1m", [2]int64{99, 1}, 0, 50 * time.Second, 45 * time.Second},
		{"only reservations", "100/1m", [2]int64{}, 10, time.Minute, guess},
		{"only reservations in a short window", "100/2s", [2]int64{}, 10, 2 * time.Second, 2 * time.Second},
		{"a day reached because of reservations", "100/day", [2]int64{90, 5}, 1, 24*time.Hour - 15*time.Second, guess},
		{"a day reached without them", "100/day", [2]int64{0, 100}, 0, 24*time.Hour - 15*time.Second, 24*time.Hour - 15*time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := usage.NewCounters()
				scopes := []usage.Scope{scope(t, "user", "tokens="+test.limit)}
				admitAndSettle(c, scopes, 1, test.settled[0])
				time.Sleep(5 * time.Second)
				admitAndSettle(c, scopes, 1, test.settled[1])
				time.Sleep(10 * time.Second)
				for range test.inFlight {
					if _, admitted, _ := c.Admit(scopes, 1_000_000, nil); !admitted {
						t.Fatal("refused")
					}
				}
				now := time.Now()
				var free time.Time
				if test.freeIn > 0 {
					free = now.Add(test.freeIn)
				}
				if s := c.States(scopes, nil)[0]; !s.Free.Equal(free) || !s.Resets.Equal(now.Add(test.resets)) {
					t.Errorf("with %d used: free in %v, resets in %v; want %v, %v", s.Used, s.Free.Sub(now), s.Resets.Sub(now), test.freeIn, test.resets)
				}
			})
		})
	}
}

func TestParallel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := usage.NewCounters()
		scopes := []usage.Scope{scope(t, "user", "parallel=2")}
		first, admitted, _ := c.Admit(scopes, 0, nil)
		_, second, _ := c.Admit(scopes, 0, nil)
		_, third, states := c.Admit(scopes, 0, nil)
		if !admitted || !second || third || states[0].Used != 2 || !states[0].Reached() {
			t.Fatalf("admitted %v, %v, %v, then %+v", admitted, second, third, states)
		}
		time.Sleep(100 * time.Hour)
		if _, admitted, _ := c.Admit(scopes, 0, nil); admitted {
			t.Error("a request in flight was forgotten")
		}
		c.Settle(scopes, first, 0)
		if _, admitted, _ := c.Admit(scopes, 0, nil); !admitted {
			t.Error("refused after a request has ended")
		}
	})
}

// What a refusal of one scope counted in the other would stay until the window ends.
func TestUserAndTeamAreDecidedTogether(t *testing.T) {
	for _, test := range []struct{ name, user, team string }{
		{"the user's requests", "requests=3/1m", "requests=99/1m"},
		{"the team's requests", "requests=99/1m", "requests=3/1m"},
		{"the user's tokens", "tokens=30/1m", "tokens=99/1m"},
		{"the team's tokens", "tokens=99/1m", "tokens=30/1m"},
	} {
		c := usage.NewCounters()
		user, team := scope(t, "user", test.user), scope(t, "team", test.team)
		if n := admitAndSettle(c, []usage.Scope{user, team}, 10, 10); n != 3 {
			t.Errorf("%s: %d requests were admitted, want 3", test.name, n)
		}
		if u := used(c, user, team); u[0] != u[1] {
			t.Errorf("%s: the user has used %d, the team %d", test.name, u[0], u[1])
		}
	}
}

func TestAWindowThatIsNamedTwiceCountsOnce(t *testing.T) {
	c := usage.NewCounters()
	s := scope(t, "user", "requests=9/1m", "requests=5/60s", "tokens=1000/1m", "tokens=900/60s")
	ticket, _, _ := c.Admit([]usage.Scope{s}, 50, nil)
	other, _, _ := c.Admit([]usage.Scope{s}, 30, nil)
	wantUsed(t, c, s, 2, 2, 80, 80)
	c.Settle([]usage.Scope{s}, ticket, 70)
	wantUsed(t, c, s, 2, 2, 100, 100)
	c.Settle([]usage.Scope{s}, other, 0)
	wantUsed(t, c, s, 2, 2, 70, 70)
	if n := admitAndSettle(c, []usage.Scope{s}, 10, 0); n != 3 {
		t.Errorf("%d more requests were admitted, want 3", n)
	}
}

func TestExactlyTheLimitPassesAmongManyGoroutines(t *testing.T) {
	c := usage.NewCounters()
	team := scope(t, "team", "requests=100/24h", "tokens=1000000/month")
	var group sync.WaitGroup
	var admitted atomic.Int64
	for i := range 1000 {
		scopes := []usage.Scope{scope(t, "user"+strconv.Itoa(i%7), "requests=1000/24h", "parallel=1000"), team}
		if i%2 == 0 {
			scopes[0], scopes[1] = scopes[1], scopes[0]
		}
		group.Go(func() {
			if ticket, ok, _ := c.Admit(scopes, 9, nil); ok {
				admitted.Add(1)
				c.Settle(scopes, ticket, 3)
			}
		})
	}
	group.Wait()
	if n := admitted.Load(); n != 100 {
		t.Errorf("%d of 1000 requests were admitted, want 100", n)
	}
	wantUsed(t, c, team, 100, 300)
	var users int64
	for i := range 7 {
		u := used(c, scope(t, "user"+strconv.Itoa(i), "requests=1000/24h", "parallel=1000"))
		users += u[0]
		if u[1] != 0 {
			t.Errorf("%d requests of user %d are in flight", u[1], i)
		}
	}
	if users != 100 {
		t.Errorf("the users have made %d requests, want 100", users)
	}
}

func TestNeverMoreInFlightThanAllowed(t *testing.T) {
	c := usage.NewCounters()
	scopes := []usage.Scope{scope(t, "user", "parallel=5")}
	var group sync.WaitGroup
	var inFlight, most, admitted atomic.Int64
	for range 50 {
		group.Go(func() {
			for range 200 {
				ticket, ok, _ := c.Admit(scopes, 0, nil)
				if !ok {
					continue
				}
				admitted.Add(1)
				n := inFlight.Add(1)
				for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
				}
				inFlight.Add(-1)
				c.Settle(scopes, ticket, 0)
			}
		})
	}
	group.Wait()
	if most.Load() > 5 || admitted.Load() == 0 {
		t.Errorf("up to %d of %d requests were in flight, want at most 5", most.Load(), admitted.Load())
	}
	wantUsed(t, c, scopes[0], 0)
}
