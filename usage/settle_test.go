package usage_test

import (
	"math"
	"math/rand/v2"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/continue-auth/caddy-continue-auth/usage"
)

// A request is admitted under one configuration and ends later, maybe under another one.
func TestSettlement(t *testing.T) {
	for _, test := range []struct {
		name          string
		before, after []string // limits when the request is admitted and when it ends
		takes         time.Duration
		tokens        int64
		during, used  []int64 // used by the limits of after
	}{
		{
			"the answer is complete",
			[]string{"tokens=1000/1m", "tokens=5000/day", "parallel=2"}, nil, time.Second, 700,
			[]int64{100, 500, 1}, []int64{700, 700, 0},
		},
		{
			"the client hung up before anything came",
			[]string{"tokens=1000/1m", "requests=5/1m", "parallel=2"}, nil, time.Second, 0,
			[]int64{1, 100, 1}, []int64{1, 0, 0},
		},
		{
			"the stream was cut after a few tokens",
			[]string{"tokens=1000/1m"}, nil, time.Second, 3,
			[]int64{100}, []int64{3},
		},
		{
			"the answer had no usage and its estimate is what was reserved",
			[]string{"tokens=1000/1m"}, nil, time.Second, 100,
			[]int64{100}, []int64{100},
		},
		{
			"the answer has more tokens than the limit",
			[]string{"tokens=1000/1m"}, nil, time.Second, 5000,
			[]int64{100}, []int64{5000},
		},
		{
			"the number of tokens is negative",
			[]string{"tokens=1000/1m"}, nil, time.Second, math.MinInt64,
			[]int64{100}, []int64{0},
		},
		{
			"the window that slides ends in between",
			[]string{"tokens=1000/1m", "requests=5/1m"}, nil, time.Hour, 700,
			[]int64{1, 100}, []int64{0, 700},
		},
		{
			"the day ends in between",
			[]string{"tokens=1000/day", "requests=5/day"}, nil, 25 * time.Hour, 700,
			[]int64{1, 100}, []int64{0, 700},
		},
		{
			"the month ends in between",
			[]string{"tokens=1000/month", "requests=5/month"}, nil, 32 * 24 * time.Hour, 700,
			[]int64{1, 100}, []int64{0, 700},
		},
		{
			"a reload makes the maximum larger",
			[]string{"tokens=1000/1m"}, []string{"tokens=90000/1m"}, time.Second, 700,
			[]int64{100}, []int64{700},
		},
		{
			"a reload makes the maximum smaller",
			[]string{"tokens=1000/1m"}, []string{"tokens=10/1m"}, time.Second, 700,
			[]int64{100}, []int64{700},
		},
		{
			"a reload changes the window",
			[]string{"tokens=1000/1m"}, []string{"tokens=1000/2m"}, time.Second, 700,
			[]int64{0}, []int64{700},
		},
		{
			"a reload adds limits",
			[]string{"requests=9/1m"}, []string{"tokens=1000/1m", "tokens=1000/day", "requests=9/1m", "parallel=9"}, time.Second, 700,
			[]int64{1, 0, 0, 1}, []int64{1, 700, 700, 0},
		},
		{
			"a reload removes limits",
			[]string{"tokens=1000/1m", "tokens=1000/day", "parallel=9"}, []string{"tokens=1000/day"}, time.Second, 700,
			[]int64{100}, []int64{700},
		},
		{
			"a reload replaces tokens by requests",
			[]string{"tokens=1000/1m"}, []string{"requests=9/1m"}, time.Second, 700,
			[]int64{0}, []int64{0},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := usage.NewCounters()
				before := scope(t, "user", test.before...)
				after := before
				if test.after != nil {
					after = scope(t, "user", test.after...)
				}
				ticket, admitted, _ := c.Admit([]usage.Scope{before}, 500, nil)
				if !admitted {
					t.Fatal("refused")
				}
				wantUsed(t, c, after, test.during...)
				time.Sleep(test.takes)
				c.Settle([]usage.Scope{after}, ticket, test.tokens)
				wantUsed(t, c, after, test.used...)
				wantNothingReserved(t, c, before)
			})
		})
	}
}

// wantNothingReserved looks at the limits after all windows have ended. Only a reservation can be left then.
func wantNothingReserved(t *testing.T, c *usage.Counters, scopes ...usage.Scope) {
	t.Helper()
	time.Sleep(32 * 24 * time.Hour)
	for _, s := range c.States(scopes, nil) {
		if s.Used != 0 {
			t.Errorf("%d of %s %s stay used in %s%s", s.Used, s.Rate, s.Kind, s.Team, s.Window)
		}
	}
}

// The tokens count when the request ends, because only then are they known.
func TestTokensLeaveAWindowAfterTheEndOfTheirRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := usage.NewCounters()
		s := scope(t, "user", "tokens=1000/1m")
		ticket, _, _ := c.Admit([]usage.Scope{s}, 50, nil)
		time.Sleep(50 * time.Second)
		c.Settle([]usage.Scope{s}, ticket, 1000)
		time.Sleep(time.Minute - time.Nanosecond)
		wantUsed(t, c, s, 1000)
		time.Sleep(time.Nanosecond)
		wantUsed(t, c, s, 0)
	})
}

func TestReservationsKeepALimitReached(t *testing.T) {
	c := usage.NewCounters()
	scopes := []usage.Scope{scope(t, "user", "tokens=1000/1m")}
	var tickets []usage.Ticket
	for range 20 {
		if ticket, admitted, _ := c.Admit(scopes, 100_000, nil); admitted {
			tickets = append(tickets, ticket)
		}
	}
	if len(tickets) != 10 {
		t.Fatalf("%d long prompts were admitted at once, want 10", len(tickets))
	}
	c.Settle(scopes, tickets[0], 0)
	if _, admitted, _ := c.Admit(scopes, 0, nil); !admitted {
		t.Error("refused although a request has ended that used nothing")
	}
}

func TestReservationsNeverOverflow(t *testing.T) {
	c := usage.NewCounters()
	scopes := []usage.Scope{scope(t, "user", "tokens=9223372036854775807/1m")}
	for range 20 {
		if _, admitted, states := c.Admit(scopes, math.MaxInt64, nil); !admitted || states[0].Used <= 0 {
			t.Fatalf("admitted is %v, %d tokens are used", admitted, states[0].Used)
		}
	}
}

// The configuration at the end of a request may have no limits for teams any more.
func TestSettlementWithoutOneOfTheScopes(t *testing.T) {
	c := usage.NewCounters()
	user, team := scope(t, "user", "tokens=1000/1m", "parallel=2"), scope(t, "team", "tokens=1000/1m", "parallel=2")
	ticket, _, _ := c.Admit([]usage.Scope{user, team}, 50, nil)
	c.Settle([]usage.Scope{user}, ticket, 70)
	wantUsed(t, c, user, 70, 0)
	wantUsed(t, c, team, 0, 0)
}

func TestAChangedMaximumKeepsWhatWasCounted(t *testing.T) {
	c := usage.NewCounters()
	admitAndSettle(c, []usage.Scope{scope(t, "user", "requests=5/1m", "tokens=100/day")}, 4, 10)
	wantUsed(t, c, scope(t, "user", "tokens=30/day", "tokens=1/1h", "requests=3/1m", "requests=9/1h"), 4, 0, 40, 0)
	if n := admitAndSettle(c, []usage.Scope{scope(t, "user", "requests=3/1m")}, 5, 0); n != 0 {
		t.Errorf("%d requests were admitted beyond a lower maximum", n)
	}
	if n := admitAndSettle(c, []usage.Scope{scope(t, "user", "requests=10/1m")}, 9, 0); n != 6 {
		t.Errorf("%d requests were admitted below a higher maximum, want 6", n)
	}
}

func TestSettlingARefusedRequestDoesNothing(t *testing.T) {
	c := usage.NewCounters()
	scopes := []usage.Scope{scope(t, "user", "requests=1/1m", "tokens=1000/1m", "parallel=3")}
	c.Admit(scopes, 50, nil)
	ticket, admitted, _ := c.Admit(scopes, 50, nil)
	if admitted {
		t.Fatal("admitted")
	}
	c.Settle(scopes, ticket, 700)
	wantUsed(t, c, scopes[0], 1, 50, 1)
}

// Requests of users and teams are admitted and end in any order, while limits come, go and change.
func TestNothingLeaksOverChangesOfLimits(t *testing.T) {
	seed := rand.Uint64()
	t.Log("the seed is", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	all := []string{
		"requests=50/1m", "requests=500/1h", "requests=900/day", "tokens=1000/1m", "tokens=77777/1m", "tokens=9999/1h", "tokens=5000/24h",
		"tokens=100000/day", "tokens=100000/month", "parallel=20",
	}
	anyLimits := func(name string) usage.Scope {
		return scope(t, name, all[random.IntN(5)], all[random.IntN(len(all))], all[random.IntN(len(all))], all[5+random.IntN(5)])
	}
	synctest.Test(t, func(t *testing.T) {
		type flight struct {
			scopes []usage.Scope
			ticket usage.Ticket
		}
		c := usage.NewCounters()
		var inFlight []flight
		var admissions int
		for range 20_000 {
			time.Sleep(time.Duration(random.Int64N(int64(20 * time.Second))))
			scopes := []usage.Scope{anyLimits("user" + strconv.Itoa(random.IntN(5))), anyLimits("team")}
			if ticket, admitted, _ := c.Admit(scopes, random.Int64N(20_000), nil); admitted {
				inFlight = append(inFlight, flight{scopes, ticket})
				admissions++
			}
			if len(inFlight) > random.IntN(15) {
				i := random.IntN(len(inFlight))
				f := inFlight[i]
				inFlight = append(inFlight[:i], inFlight[i+1:]...)
				if random.IntN(2) == 0 {
					f.scopes = []usage.Scope{anyLimits(f.scopes[0].Name), anyLimits("team")}
				}
				c.Settle(f.scopes, f.ticket, random.Int64N(200))
			}
		}
		if admissions < 1000 {
			t.Errorf("only %d requests were admitted", admissions)
		}
		for _, f := range inFlight {
			c.Settle(f.scopes, f.ticket, 1)
		}
		for i := range 5 {
			wantNothingReserved(t, c, scope(t, "user"+strconv.Itoa(i), all...), scope(t, "team", all...))
		}
		sweep(t, c)
		if n := c.Scopes(); n != 0 {
			t.Errorf("%d scopes stay in memory", n)
		}
	})
}
