package redis

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/continue-auth/caddy-continue-auth/usage"
)

// TestRedisCountsLikeTheLocalCounters makes the same random requests with the counters of one server and with
// Redis. Both must admit the same requests and say the same of the limits. Each request has one scope: where another
// one refuses a request, Redis counts it for a moment, and earlier ones may then count a thirtieth of the window
// longer. A thirtieth of each window is no whole number of milliseconds: Redis's parts may last just that long, and
// those of the local counters may not.
func TestRedisCountsLikeTheLocalCounters(t *testing.T) {
	server := miniredis.RunT(t)
	synctest.Test(t, func(t *testing.T) {
		seed := rand.Uint64()
		random := rand.New(rand.NewPCG(seed, 0))
		server.SetTime(time.Now())
		s := store(t, server.Addr())
		local := usage.NewCounters()
		both := differential{t, seed, s, local}
		for round := range 6 {
			both.compare(random, fmt.Sprint(round), server)
		}
	})
}

// differential is one server's own counters and Redis, which must agree.
type differential struct {
	*testing.T
	seed  uint64
	redis *Store
	local *usage.Counters
}

// flight is a request in flight.
type flight struct {
	scopes []usage.Scope
	ticket usage.Ticket
	lease  usage.Lease
}

func (d differential) compare(random *rand.Rand, round string, server *miniredis.Miniredis) {
	d.Helper()
	some := func(all ...string) string { return all[random.IntN(len(all))] }
	user := func() usage.Scope {
		return scope(d, "user"+round, some("requests 3/1s", "requests 20/7s"), some("requests 40/day", "requests 30/10s"),
			some("tokens 400/1s", "tokens 2000/7s"), some("tokens 9000/day", "tokens 20000/month"), some("parallel 2", "parallel 6"))
	}
	team := func() usage.Scope {
		s := scope(d, "team"+round, some("requests 5/1s", "requests 30/10s"), some("tokens 3000/10s", "parallel 3"))
		s.Team = "core"
		return s
	}
	var flights []flight
	for step := range 150 {
		time.Sleep(time.Duration(random.IntN(random.IntN(700)+1)) * time.Millisecond)
		server.SetTime(time.Now())
		if n := len(flights); n > 0 && random.IntN(2) == 0 {
			i := random.IntN(n)
			f := flights[i]
			flights = slices.Delete(flights, i, i+1)
			tokens := int64(random.IntN(300))
			d.local.Settle(f.scopes, f.ticket, tokens)
			d.redis.Settle(f.scopes, f.lease, tokens)
			synctest.Wait()
			continue
		}
		scopes := [][]usage.Scope{{user()}, {team()}}[random.IntN(2)]
		prompt := int64(random.IntN(500))
		before := d.local.States(scopes, nil)
		ticket, admitted, want := d.local.Admit(scopes, prompt, nil)
		lease, shared, got, err := d.redis.Admit(context.Background(), scopes, prompt, nil)
		if err != nil {
			d.Fatalf("seed %d: %v", d.seed, err)
		}
		if admitted != shared || !slices.EqualFunc(want, got, same) {
			d.Fatalf("seed %d, round %s, step %d: this server's counters say %v and\n%s\nRedis says %v and\n%s\nbefore:\n%s", d.seed, round, step,
				admitted, described(want), shared, described(got), described(before))
		}
		if admitted {
			flights = append(flights, flight{scopes, ticket, lease})
		}
	}
	for _, f := range flights {
		d.local.Settle(f.scopes, f.ticket, 0)
		d.redis.Settle(f.scopes, f.lease, 0)
	}
}

// same reports whether two states are the same, but for what rounding makes of times.
func same(a, b usage.State) bool {
	near := func(a, b time.Time) bool { return a.Sub(b).Abs() <= time.Millisecond }
	return a.Kind == b.Kind && a.Rate == b.Rate && a.Team == b.Team && a.Used == b.Used && near(a.Resets, b.Resets) && near(a.Free, b.Free)
}

func described(states []usage.State) (text string) {
	for _, s := range states {
		text += fmt.Sprintf("  %s %s %s: %d used, resets in %v, free in %v\n", s.Team, s.Kind, s.Rate, s.Used, time.Until(s.Resets), time.Until(s.Free))
	}
	return text
}
