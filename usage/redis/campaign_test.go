package redis

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/continue-auth/caddy-continue-auth/usage"
)

const (
	// cappedRequests is the limit of the user who always reaches it. Nothing leaves its window during a campaign.
	cappedRequests = 30

	// tokensEach is how many tokens each request uses.
	tokensEach = 7

	// stickyClients send their requests to one server, one after another. Their user has room for some more at
	// once: what a server sent and gave up can reach Redis a moment after the server has taken it back.
	stickyClients = 6
)

// watched is a Store that notes who decided about requests.
type watched struct {
	*Store
	admitted, failed atomic.Int64
	slowest          atomic.Int64
}

func (w *watched) Admit(ctx context.Context, scopes []usage.Scope, prompt int64, states []usage.State) (usage.Lease, bool, []usage.State, error) {
	began := time.Now()
	lease, admitted, all, err := w.Store.Admit(ctx, scopes, prompt, states)
	for took := int64(time.Since(began)); ; {
		if before := w.slowest.Load(); took <= before || w.slowest.CompareAndSwap(before, took) {
			break
		}
	}
	switch {
	case err != nil:
		w.failed.Add(1)
	case admitted && scopes[0].Name == "capped":
		w.admitted.Add(1)
	}
	return lease, admitted, all, err
}

// campaigner is one of the servers in a campaign.
type campaigner struct {
	*usage.Limiter
	store  *watched
	relay  *relay
	capped atomic.Int64 // how many requests of the user who reaches the limits this server has admitted

	mu    sync.Mutex
	knows map[int64]bool // the changes that it has heard of, or looked up anew
}

// campaign lets several servers use a Redis that keeps failing in different ways.
type campaign struct {
	testing.TB
	seed     uint64
	redis    *miniredis.Miniredis
	servers  []*campaigner
	teller   *Store // tells the servers of changes, and is not cut off
	restarts int64  // how often Redis lost everything
	changes  atomic.Int64
	asked    atomic.Int64
	roomy    atomic.Int64 // how many requests the user has made who never reaches a limit
}

// faults are what can go wrong with Redis, or between it and one server. Each waits and puts it right again.
var faults = map[string]func(c *campaign, r *relay, wait func()){
	"it hangs":                  func(_ *campaign, r *relay, wait func()) { r.hang(); wait(); r.pass() },
	"it is slow":                func(_ *campaign, r *relay, wait func()) { r.stall(); wait(); wait(); r.resume() },
	"it refuses connections":    func(_ *campaign, r *relay, wait func()) { r.refuse(); wait(); r.pass() },
	"its connections are cut":   func(_ *campaign, r *relay, wait func()) { r.cut(); wait() },
	"a web server answers":      nonsense("HTTP/1.1 400 Bad Request\r\n\r\n"),
	"numbers that mean nothing": nonsense(strings.Repeat("*8\r\n"+strings.Repeat(":0\r\n", 8), 2)),
	"answers that nobody waits": nonsense(strings.Repeat("+OK\r\n", 100)),
	"a wrong length":            nonsense("$99999999999\r\n"),
	"out of memory":             refusal("OOM command not allowed when used memory > 'maxmemory'."),
	"another password":          refusal("NOAUTH Authentication required."),
	"a replica":                 refusal("READONLY You can't write against a read only replica."),
	"it is loading":             refusal("LOADING Redis is loading the dataset in memory"),
	"it stops":                  func(c *campaign, _ *relay, wait func()) { c.redis.Close(); wait(); c.restart() },
	"it is restarted empty": func(c *campaign, _ *relay, wait func()) {
		c.redis.Close()
		c.redis.FlushAll()
		c.restarts++
		wait()
		c.restart()
	},
}

func nonsense(answer string) func(*campaign, *relay, func()) {
	return func(_ *campaign, r *relay, wait func()) { r.answer(answer); wait(); r.pass() }
}

func refusal(message string) func(*campaign, *relay, func()) {
	return func(c *campaign, _ *relay, wait func()) { c.redis.SetError(message); wait(); c.redis.SetError("") }
}

// refuse makes the relay close every connection.
func (r *relay) refuse() {
	r.set(func(client net.Conn) { _ = client.Close() })
	r.cut()
}

func (c *campaign) restart() {
	if err := c.redis.Restart(); err != nil {
		c.Fatal(err)
	}
}

// The test takes as long as the environment variable CAMPAIGN says, and two seconds without it.
func TestNoFaultOfRedisRefusesAnyoneOrLiftsALimit(t *testing.T) {
	length := 2 * time.Second
	if wanted, err := time.ParseDuration(os.Getenv("CAMPAIGN")); err == nil {
		length = wanted
	}
	before := runtime.NumGoroutine()
	t.Run("campaign", func(t *testing.T) {
		c := startCampaign(t, 3)
		over, clients := c.send()
		met := c.fail(length)
		over.Store(true)
		clients.Wait()
		c.recovers()
		c.checkBounds()
		c.checkExact()
		c.checkChanges()
		c.checkLeases()
		t.Logf("seed %d: %d requests, %d changes, %d faults: %s", c.seed, c.asked.Load(), c.changes.Load(), len(met), strings.Join(met, ", "))
	})
	eventually(t, func() bool { return runtime.NumGoroutine() <= before+2 },
		func() string { return fmt.Sprintf("%d goroutines are left of %d", runtime.NumGoroutine(), before) })
}

// startCampaign returns a campaign whose servers can reach Redis.
func startCampaign(t *testing.T, servers int) *campaign {
	t.Helper()
	c := &campaign{TB: t, seed: rand.Uint64(), redis: miniredis.RunT(t)}
	c.teller = store(t, c.redis.Addr())
	for range servers {
		one := &campaigner{relay: startRelay(t, c.redis.Addr()), knows: make(map[int64]bool)}
		one.store = &watched{Store: open(t, Config{Addresses: []string{one.relay.address}, Timeout: 100 * time.Millisecond})}
		one.Limiter = usage.NewLimiter(usage.NewCounters(), one.store)
		one.store.Listen(t.Context(), one.hear, func() {
			for n := range c.changes.Load() { // everything is looked up anew
				one.hear(strconv.FormatInt(n+1, 10))
			}
		})
		c.servers = append(c.servers, one)
	}
	return c
}

func (s *campaigner) hear(change string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, _ := strconv.ParseInt(change, 10, 64)
	s.knows[n] = true
}

// request makes a request and reports whether it was admitted.
func (c *campaign) request(s *campaigner, random *rand.Rand, scopes ...usage.Scope) bool {
	c.asked.Add(1)
	a, admitted, states := s.Admit(context.Background(), scopes, 30, nil)
	if !admitted {
		if !slices.ContainsFunc(states, func(s usage.State) bool { return s.Reached() }) {
			c.Errorf("seed %d: a request is refused although no limit is reached: %+v", c.seed, states)
		}
		return false
	}
	time.Sleep(time.Duration(random.IntN(int(3 * time.Millisecond))))
	a.Settle(tokensEach)
	return true
}

// send sends requests and changes until over is set.
func (c *campaign) send() (over *atomic.Bool, clients *sync.WaitGroup) {
	over, clients = new(atomic.Bool), new(sync.WaitGroup)
	run := func(number int, do func(random *rand.Rand)) {
		random := rand.New(rand.NewPCG(c.seed, uint64(number)))
		clients.Go(func() {
			for !over.Load() {
				do(random)
				time.Sleep(time.Duration(random.IntN(int(80 * time.Millisecond))))
			}
		})
	}
	roomy := scope(c, "roomy", "requests 1000000000/1h", "tokens 1000000000000/day")
	team := scope(c, "team", "requests 1000000000/1m", "parallel 1000000")
	capped := scope(c, "capped", fmt.Sprintf("requests %d/1h", cappedRequests))
	for i, s := range c.servers {
		sticky := scope(c, fmt.Sprint("sticky", i), fmt.Sprint("parallel ", stickyClients+6), "tokens 1000000000000/1h")
		for client := range stickyClients {
			run(100*i+client, func(random *rand.Rand) {
				if !c.request(s, random, sticky, team) {
					c.Errorf("seed %d: a user is refused although there is room: %+v", c.seed, s.States(context.Background(), []usage.Scope{sticky}, nil))
				}
			})
		}
		run(100*i+50, func(random *rand.Rand) {
			c.roomy.Add(1)
			if !c.request(c.servers[random.IntN(len(c.servers))], random, roomy, team) {
				c.Errorf("seed %d: a user who is far below all limits is refused", c.seed)
			}
		})
		run(100*i+51, func(random *rand.Rand) {
			together := s.store.admitted.Load()
			if c.request(s, random, capped, team) {
				if n := s.capped.Add(1); n > cappedRequests && s.store.admitted.Load() == together {
					c.Errorf("seed %d: a server by itself has admitted request %d, of %d", c.seed, n, cappedRequests)
				}
			}
		})
	}
	run(999, func(*rand.Rand) {
		change := strconv.FormatInt(c.changes.Add(1), 10)
		for c.teller.Publish(context.Background(), change) != nil && !over.Load() {
			time.Sleep(time.Millisecond)
		}
	})
	return over, clients
}

// fail lets things go wrong for a time, and returns what did.
func (c *campaign) fail(length time.Duration) (met []string) {
	random := rand.New(rand.NewPCG(c.seed, 0))
	names := slices.Sorted(maps.Keys(faults))
	for end := time.Now().Add(length); time.Now().Before(end); {
		name, s := names[random.IntN(len(names))], random.IntN(len(c.servers))
		met = append(met, name)
		faults[name](c, c.servers[s].relay, func() { time.Sleep(time.Duration(random.IntN(int(300 * time.Millisecond)))) })
		time.Sleep(time.Duration(random.IntN(int(200 * time.Millisecond))))
	}
	return met
}

// recovers waits until every server shares again, and Redis knows what they have settled.
func (c *campaign) recovers() {
	for i, s := range c.servers {
		eventually(c, func() bool {
			s.store.mu.Lock()
			defer s.store.mu.Unlock()
			return s.store.Up() && len(s.store.queue) == 0 && len(s.store.leases) == 0
		}, func() string { return fmt.Sprintf("seed %d: server %d does not recover", c.seed, i) })
	}
}

// checkBounds checks that no limit was passed by what Redis has admitted, and that nobody has waited for long.
func (c *campaign) checkBounds() {
	var together int64
	for _, s := range c.servers {
		together += s.store.admitted.Load()
		if took := time.Duration(s.store.slowest.Load()); took > s.store.Timeout+time.Second { // the machine may be busy
			c.Errorf("seed %d: a request waited for Redis for %v", c.seed, took)
		}
	}
	if most := cappedRequests * (c.restarts + 1); together > most {
		c.Errorf("seed %d: Redis has admitted %d requests, of %d", c.seed, together, most)
	}
	states, err := c.teller.States(c.Context(), []usage.Scope{scope(c, "roomy", "requests 1000000000/1h", "tokens 1000000000000/day")}, nil)
	if err != nil {
		c.Fatal(err)
	}
	const reserved = 30 * 30 // of leases that have not ended yet
	if made := c.roomy.Load(); states[0].Used > made || states[1].Used > made*tokensEach+reserved {
		c.Errorf("seed %d: Redis counts %d requests and %d tokens of %d requests", c.seed, states[0].Used, states[1].Used, made)
	}
}

// checkExact checks that the servers together admit neither more nor fewer requests than a limit allows.
func (c *campaign) checkExact() {
	var limited asker
	var held []usage.Admission
	eventually(c, func() bool { // a server that a busy machine held up counts by itself for a moment: then once more
		name := fmt.Sprint("exact", c.asked.Add(1))
		limited = asker{c, c.teller, []usage.Scope{scope(c, name, "requests 40/1h", "tokens 100000/day", "parallel 20")}}
		failed := c.failures()
		held = c.together(limited.scopes)
		return c.failures() == failed
	}, func() string { return fmt.Sprintf("seed %d: the servers never share for long", c.seed) })
	if len(held) != 20 {
		c.Errorf("seed %d: %d requests are in flight at once, of 20", c.seed, len(held))
	}
	limited.wantUsed(20, 0, 20)
	for i := range held {
		held[i].Settle(tokensEach)
	}
	limited.wantUsed(20, 20*tokensEach, 0)
}

// together lets all servers admit requests at once, more than there may be.
func (c *campaign) together(scopes []usage.Scope) (held []usage.Admission) {
	var mu sync.Mutex
	var all sync.WaitGroup
	for _, s := range c.servers {
		all.Go(func() {
			for range 15 {
				if a, ok, _ := s.Admit(c.Context(), scopes, 0, nil); ok {
					mu.Lock()
					held = append(held, a)
					mu.Unlock()
				}
			}
		})
	}
	all.Wait()
	return held
}

func (c *campaign) failures() (n int64) {
	for _, s := range c.servers {
		n += s.store.failed.Load()
	}
	return n
}

// checkChanges checks that each server has heard of every change, or has looked up everything since.
func (c *campaign) checkChanges() {
	for i, s := range c.servers {
		var missing []int64
		eventually(c, func() bool {
			s.mu.Lock()
			defer s.mu.Unlock()
			missing = nil
			for n := range c.changes.Load() {
				if !s.knows[n+1] {
					missing = append(missing, n+1)
				}
			}
			return len(missing) == 0
		}, func() string {
			return fmt.Sprintf("seed %d: server %d does not know of the changes %v", c.seed, i, missing)
		})
	}
}

// checkLeases checks that a server that is killed holds nobody back for longer than a lease lasts.
func (c *campaign) checkLeases() {
	held := asker{c, c.teller, []usage.Scope{scope(c, "held", "parallel 3", "tokens 1000000/day")}}
	killed := c.servers[0]
	eventually(c, func() bool { // a request that the server admits by itself is not in flight in Redis
		_, _, _ = killed.Admit(c.Context(), held.scopes, 30, nil)
		return held.used()[1] == 3
	}, func() string { return fmt.Sprintf("seed %d: Redis does not know of the requests in flight", c.seed) })
	killed.relay.refuse()
	now := time.Now()
	c.redis.SetTime(now.Add(leaseLength - time.Second))
	held.admits(false)
	c.redis.SetTime(now.Add(leaseLength + time.Second))
	held.admits(true)
	for i := range c.servers {
		sticky := asker{c, c.teller, []usage.Scope{scope(c, fmt.Sprint("sticky", i), "parallel 1")}}
		sticky.wantUsed(0)
	}
}
