package redis

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/continue-auth/caddy-continue-auth/usage"
)

func TestOnlySoManyRequestsAreInFlightAtOnce(t *testing.T) {
	server := contract(t)
	limits := []usage.Scope{scope(t, "u", "parallel 2")}
	a, b := asker{t, store(t, server.Addr()), limits}, asker{t, store(t, server.Addr()), limits}
	first, states := a.admit(0)
	if s := states[0]; s.Kind != usage.Parallel || s.Max != 2 || s.Used != 1 || !s.Resets.IsZero() || !s.Free.IsZero() {
		t.Errorf("%+v", s)
	}
	b.admits(true)
	b.admits(false)
	a.store.Settle(a.scopes, first, 10)
	b.wantUsed(1)
	b.admits(true)
	a.admits(false)
}

func TestALeaseEndsUnlessItIsRenewed(t *testing.T) {
	server := contract(t)
	limits := []usage.Scope{scope(t, "u", "parallel 1", "tokens 1000/day")}
	a, b := asker{t, store(t, server.Addr()), limits}, asker{t, store(t, server.Addr()), limits}
	if lease, _ := a.admit(50); lease == "" {
		t.Fatal("refused")
	}
	for range 10 {
		server.pass(leaseLength - time.Millisecond)
		a.store.renew(a.store.conn.Load())
		b.admits(false)
	}
	b.wantUsed(50, 1)
	server.pass(leaseLength - time.Millisecond)
	b.wantUsed(50, 1)
	server.pass(time.Millisecond)
	b.wantUsed(0, 0)
	a.store.renew(a.store.conn.Load()) // a lease that has ended stays so
	b.wantUsed(0, 0)
	b.admits(true)
}

func TestManyLeasesAreRenewed(t *testing.T) {
	server := contract(t)
	a := asker{t, store(t, server.Addr()), []usage.Scope{scope(t, "u", "parallel 1000"), scope(t, "t", "parallel 1000")}}
	const many = 2*batch + 1
	for range many {
		a.admits(true)
	}
	server.pass(leaseLength - time.Second)
	a.store.renew(a.store.conn.Load())
	server.pass(leaseLength - time.Second)
	a.wantUsed(many, many)
	server.pass(time.Second)
	a.wantUsed(0, 0)
}

func TestTokensOfALeaseThatHasEndedCountOnce(t *testing.T) {
	server := contract(t)
	a := asker{t, store(t, server.Addr()), []usage.Scope{scope(t, "u", "tokens 1000/day")}}
	lease, _ := a.admit(50)
	server.pass(leaseLength)
	a.wantUsed(0)
	a.store.Settle(a.scopes, lease, 30)
	a.wantUsed(30)
	a.store.Settle(a.scopes, lease, 30)
	a.store.Settle(a.scopes, "made up", 30)
	other, _ := a.admit(0)
	a.store.Settle(a.scopes, other, 5) // comes after the others
	a.wantUsed(35)
}

func TestASettlementThatIsSentAgainCountsOnce(t *testing.T) {
	server := contract(t)
	a := asker{t, store(t, server.Addr()), []usage.Scope{scope(t, "u", "tokens 1000/day")}}
	lease, _ := a.admit(50)
	conn := a.store.conn.Load()
	h := a.store.hold(&a.scopes[0], lease, 50)
	settle := h.settle(30)
	again, ok := settle.again()
	if !ok {
		t.Fatal("a settlement is not sent again")
	}
	if settle.args[3] != "first" {
		t.Error("again changes the command")
	}
	for _, c := range []command{settle, again, again} {
		if _, _, err := conn.run(t.Context(), []command{c}); err != nil {
			t.Fatal(err)
		}
	}
	a.wantUsed(30)
	lease, _ = a.admit(50) // the first attempt never came
	h = a.store.hold(&a.scopes[0], lease, 50)
	again, _ = func() (command, bool) { c := h.settle(7); return c.again() }()
	if _, _, err := conn.run(t.Context(), []command{again}); err != nil {
		t.Fatal(err)
	}
	a.wantUsed(37)
}

func TestCloseEndsTheLeases(t *testing.T) {
	server := contract(t)
	limits := []usage.Scope{scope(t, "u", "parallel 1", "tokens 1000/day")}
	a, b := asker{t, store(t, server.Addr()), limits}, asker{t, store(t, server.Addr()), limits}
	lease, _ := a.admit(50)
	if err := a.store.Close(); err != nil {
		t.Fatal(err)
	}
	b.wantUsed(0, 0)
	a.store.Settle(limits, lease, 10) // must do nothing bad
	if a.store.Up() {
		t.Error("a store that is closed is up")
	}
}

func TestAClientMaySendItsNextRequestAtOnce(t *testing.T) {
	server := contract(t)
	a := asker{t, store(t, server.Addr()), []usage.Scope{scope(t, "u", "tokens 1000000/day", "parallel 1"), scope(t, "t", "parallel 1")}}
	const many = 100
	for n := range many {
		lease, states := a.admit(10)
		if lease == "" {
			t.Fatalf("request %d is refused: %+v", n, states)
		}
		a.store.Settle(a.scopes, lease, 3)
	}
	a.wantUsed(3*many, 0, 0)
	eventually(t, func() bool {
		a.store.mu.Lock()
		defer a.store.mu.Unlock()
		return len(a.store.ended) == 0
	}, func() string { return "leases that have ended are kept" })
}

func TestARequestThatAnotherScopeRefusesHoldsNobodyBack(t *testing.T) {
	server := contract(t)
	user, team := scope(t, "u", "parallel 1"), scope(t, "t", "requests 1/1h")
	s := store(t, server.Addr())
	asker{t, s, []usage.Scope{team}}.admits(true)
	for range 50 {
		asker{t, s, []usage.Scope{user, team}}.admits(false)
		lease, states := asker{t, s, []usage.Scope{user}}.admit(0)
		if lease == "" {
			t.Fatalf("%+v", states)
		}
		s.Settle(nil, lease, 0)
	}
}

// Redis may admit a request although the server has given up waiting.
func TestARequestThatRedisAdmittedTooLateHoldsNobodyBack(t *testing.T) {
	r := startRelay(t, simulate(t).Addr())
	a := asker{t, store(t, r.address), []usage.Scope{scope(t, "u", "requests 9/1h", "tokens 1000/day", "parallel 1")}}
	asker{t, a.store, []usage.Scope{scope(t, "another", "requests 9/1h")}}.admits(true) // Redis has the script now
	a.store.Timeout = 50 * time.Millisecond
	r.stall()
	if _, _, _, err := a.store.Admit(t.Context(), a.scopes, 10, nil); !errors.Is(err, usage.ErrAway) {
		t.Errorf("%v", err)
	}
	a.store.Timeout = 10 * time.Second
	r.resume()
	back(t, a.store)
	a.wantUsed(1, 0, 0)
}

// A refused request must hold nobody back, even if Redis fails when the request is taken back from a scope that
// had admitted it.
func TestWhatCannotBeTakenBackIsReleasedLater(t *testing.T) {
	server := simulate(t)
	user, team := scope(t, "u", "requests 9/1h", "tokens 1000/day", "parallel 1"), scope(t, "t", "requests 1/1h")
	s := store(t, server.Addr())
	asker{t, s, []usage.Scope{team}}.admits(true)
	s.close() // nothing is sent in the background
	s.tasks.Wait()
	conn := s.conn.Load()
	a := asker{t, s, []usage.Scope{user, team}}
	a.admits(false)
	server.SetError("LOADING")
	s.flush(conn)
	server.SetError("")
	s.conn.Store(conn)
	a.wantUsed(1, 0, 1, 1)
	s.flush(conn)
	a.wantUsed(1, 0, 0, 1)
}

func TestNumbersTooLargeForAnAnswerAreCounted(t *testing.T) {
	server := contract(t)
	a := asker{t, store(t, server.Addr()), []usage.Scope{scope(t, "u", "tokens 9223372036854775807/day", "tokens 9223372036854775807/1h")}}
	for range 3 {
		lease, _ := a.admit(0)
		a.store.Settle(a.scopes, lease, math.MaxInt64)
	}
	a.wantUsed(3*math.MaxUint32, 3*math.MaxUint32)
}

// The counters and the leases are two keys. Redis may remove one of them when it is short of memory.
func TestALostKeyHealsByItself(t *testing.T) {
	for name, index := range map[string]int{"the counters": 0, "the leases": 1} {
		t.Run(name, func(t *testing.T) {
			server := contract(t)
			a := asker{t, store(t, server.Addr()), []usage.Scope{scope(t, "u", "tokens 1000/day", "parallel 5")}}
			lease, _ := a.admit(100)
			server.Del(a.store.keys("u")[index])
			other, _ := a.admit(100)
			a.store.Settle(a.scopes, lease, 1)
			a.store.Settle(a.scopes, other, 1)
			a.wantUsed(2, 0)
			a.admits(true)
		})
	}
}
