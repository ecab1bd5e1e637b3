package redis

import (
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
