package usage_test

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/continue-auth/caddy-continue-auth/usage"
)

// slack is how much longer than its window an event may count because times are rounded.
const slack = 300 * time.Microsecond

// exactLog is what a window that slides must agree with: a list of all events.
type exactLog []event

type event struct {
	at time.Time
	n  int64
}

// within returns what came within a time until now.
func (l exactLog) within(d time.Duration) (n int64) {
	for i := len(l) - 1; i >= 0 && time.Since(l[i].at) < d; i-- {
		n += l[i].n
	}
	return n
}

// Requests come at random times: in bursts, evenly, and around the times at which buckets and windows end.
func TestNeverMoreThanTheLimitWithinAnyWindow(t *testing.T) {
	rounds := 20
	if testing.Short() { // with the race detector, which makes it slow and finds nothing in one goroutine
		rounds = 1
	}
	for _, kind := range []usage.Kind{usage.Requests, usage.Tokens} {
		for _, window := range []string{"1s", "7s", "1m", "1h", "23h59m59.999999999s", "24h"} {
			t.Run(string(kind)+" in "+window, func(t *testing.T) {
				seed := rand.Uint64()
				random := rand.New(rand.NewPCG(seed, 0))
				for range rounds {
					synctest.Test(t, func(t *testing.T) { compareWithLog(t, random, kind, window) })
				}
				if t.Failed() {
					t.Log("the seed is", seed)
				}
			})
		}
	}
}

func compareWithLog(t *testing.T, random *rand.Rand, kind usage.Kind, window string) {
	c := usage.NewCounters()
	w, err := usage.ParseWindow(window)
	if err != nil {
		t.Fatal(err)
	}
	length := w.Sliding()
	rates := []usage.Rate{{Max: 1 + random.Int64N(100), Window: w}}
	limits := &usage.Limits{Requests: rates}
	if kind == usage.Tokens {
		limits = &usage.Limits{Tokens: rates}
	}
	scopes := []usage.Scope{{Name: "user", Limits: limits}}
	var log exactLog

	for range 500 {
		time.Sleep(pause(random, length))
		if random.IntN(2) == 0 && c.Scopes() > 0 {
			sweep(t, c)
		}
		exact := log.within(length)
		most := log.within(length + length/30 + slack)
		before := c.States(scopes, nil)[0]
		if before.Used < exact || before.Used > most {
			t.Fatalf("%d used, want from %d to %d", before.Used, exact, most)
		}
		ticket, admitted, _ := c.Admit(scopes, 0, nil)
		switch {
		case admitted && exact >= rates[0].Max:
			t.Fatalf("admitted although %d of %d are used", exact, rates[0].Max)
		case !admitted && most < rates[0].Max:
			t.Fatalf("refused although only %d of %d are used", most, rates[0].Max)
		case !admitted && random.IntN(2) == 0:
			waitUntilFree(t, c, scopes, before.Free)
		case admitted:
			n := int64(1)
			if kind == usage.Tokens {
				n = random.Int64N(20)
			}
			c.Settle(scopes, ticket, n)
			log = append(log, event{time.Now(), n})
		}
		if n := c.Buckets("user"); n > 32 {
			t.Fatalf("%d buckets", n)
		}
	}
}

// waitUntilFree checks that Free is exact.
func waitUntilFree(t *testing.T, c *usage.Counters, scopes []usage.Scope, free time.Time) {
	t.Helper()
	time.Sleep(time.Until(free) - time.Nanosecond)
	if s := c.States(scopes, nil)[0]; !s.Reached() {
		t.Fatalf("%d of %d are used before the time that Free says", s.Used, s.Max)
	}
	time.Sleep(time.Nanosecond)
	if s := c.States(scopes, nil)[0]; s.Reached() {
		t.Fatalf("%d of %d are used at the time that Free says", s.Used, s.Max)
	}
}

func pause(random *rand.Rand, length time.Duration) time.Duration {
	switch random.IntN(8) {
	case 0, 1, 2:
		return 0
	case 3:
		return time.Duration(random.Int64N(int64(length / 1000)))
	case 4:
		return time.Duration(random.Int64N(int64(length / 10)))
	case 5:
		return length/30 + time.Duration(random.Int64N(3)-1)
	case 6:
		return length / 100
	}
	if random.IntN(10) > 0 {
		return 0
	}
	return length + time.Duration(random.Int64N(3)-1)*time.Duration(random.Int64N(int64(length/10)))
}

// A peer counts in windows of fixed length, and lets twice the limit pass around the end of one.
func TestABurstBeforeTheMinuteCountsAfterIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := usage.NewCounters()
		scopes := []usage.Scope{scope(t, "user", "requests=10/1m")}
		time.Sleep(59 * time.Second)
		begin := time.Now()
		if n := admitAndSettle(c, scopes, 20, 0); n != 10 {
			t.Fatalf("%d of 20 requests were admitted, want 10", n)
		}
		for _, after := range []time.Duration{time.Second, 2 * time.Second, 30 * time.Second, time.Minute - time.Nanosecond} {
			time.Sleep(time.Until(begin.Add(after)))
			s := c.States(scopes, nil)[0]
			if !s.Resets.Equal(begin.Add(time.Minute)) || !s.Free.Equal(s.Resets) {
				t.Errorf("after %v: resets %v, free %v, want a minute after the burst", after, s.Resets, s.Free)
			}
			if n := admitAndSettle(c, scopes, 1, 0); n != 0 {
				t.Errorf("a request was admitted %v after the burst", after)
			}
		}
		time.Sleep(time.Nanosecond)
		if n := admitAndSettle(c, scopes, 20, 0); n != 10 {
			t.Errorf("%d of 20 requests were admitted a minute after the burst, want 10", n)
		}
	})
}

// Another peer refuses the first request after a window.
func TestTheFirstRequestAfterTheWindowIsAdmitted(t *testing.T) {
	for _, limit := range []string{"1/1s", "1/1.0000001s", "1/1m", "1/24h", "1/day", "1/month"} {
		synctest.Test(t, func(t *testing.T) {
			c := usage.NewCounters()
			scopes := []usage.Scope{scope(t, "user", "requests="+limit, "tokens="+limit)}
			for i := range 10 {
				if admitAndSettle(c, scopes, 1, 5) != 1 {
					t.Fatalf("%s: request %d was refused", limit, i)
				}
				states := c.States(scopes, nil)
				time.Sleep(max(time.Until(states[0].Free), time.Until(states[1].Free)))
			}
		})
	}
}

func TestRequestsThatAreRefusedCountForNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := usage.NewCounters()
		scopes := []usage.Scope{scope(t, "user", "requests=2/1m", "tokens=1000/1m", "parallel=9")}
		admitAndSettle(c, scopes, 2, 10)
		want := c.States(scopes, nil)
		for range 50 {
			time.Sleep(time.Second)
			_, admitted, states := c.Admit(scopes, 100, nil)
			if admitted {
				t.Fatal("admitted")
			}
			for i, s := range states {
				if s != want[i] {
					t.Fatalf("the state is %+v, want %+v", s, want[i])
				}
			}
		}
		time.Sleep(10 * time.Second)
		if admitAndSettle(c, scopes, 2, 10) != 2 {
			t.Error("requests after the window were refused")
		}
	})
}

func TestNumbersTooLargeForABucketAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := usage.NewCounters()
		scopes := []usage.Scope{scope(t, "team", "tokens=9223372036854775807/1m")}
		for _, tokens := range []int64{4_000_000_000, 4_000_000_000, 1 << 40, -7, 5} {
			admitAndSettle(c, scopes, 1, tokens)
		}
		const large = 4_000_000_000 + 4_000_000_000 + (1<<32 - 1) + 5
		wantUsed(t, c, scopes[0], large)
		time.Sleep(30 * time.Second)
		admitAndSettle(c, scopes, 1, 7)
		wantUsed(t, c, scopes[0], large+7)
		time.Sleep(30 * time.Second)
		wantUsed(t, c, scopes[0], 7)
	})
}
