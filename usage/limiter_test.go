package usage_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/continue-auth/caddy-continue-auth/usage"
)

// sharedStore is a Shared of several servers in one process. Only what a Limiter calls works.
type sharedStore struct {
	usage.Shared
	mu       sync.Mutex
	away     bool
	counters *usage.Counters
	held     map[usage.Lease]usage.Ticket
	leases   int
}

func newSharedStore() *sharedStore {
	return &sharedStore{counters: usage.NewCounters(), held: map[usage.Lease]usage.Ticket{}}
}

func (s *sharedStore) fail(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.away {
		return fmt.Errorf("dial: %w", usage.ErrAway)
	}
	return nil
}

// Admit returns half an answer with an error, as a store may that fails while it reads.
func (s *sharedStore) Admit(ctx context.Context, scopes []usage.Scope, prompt int64, states []usage.State) (usage.Lease, bool, []usage.State, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.fail(ctx); err != nil {
		return "half", true, append(states, usage.State{Used: -1}), err
	}
	ticket, admitted, all := s.counters.Admit(scopes, prompt, states)
	if !admitted {
		return "", false, all, nil
	}
	s.leases++
	lease := usage.Lease(fmt.Sprint("lease ", s.leases))
	s.held[lease] = ticket
	return lease, true, all, nil
}

func (s *sharedStore) Settle(scopes []usage.Scope, lease usage.Lease, tokens int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ticket, ok := s.held[lease]
	if !ok {
		panic(fmt.Sprintf("lease %q is not held", lease))
	}
	delete(s.held, lease)
	s.counters.Settle(scopes, ticket, tokens)
}

func (s *sharedStore) States(ctx context.Context, scopes []usage.Scope, states []usage.State) ([]usage.State, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.fail(ctx); err != nil {
		return append(states, usage.State{Used: -1}), err
	}
	return s.counters.States(scopes, states), nil
}

func (s *sharedStore) goAway(away bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = away
}

// serve makes requests one after another and returns how many of them were admitted.
func serve(l *usage.Limiter, scopes []usage.Scope, requests int, tokens int64) (admitted int) {
	for range requests {
		if a, ok, _ := l.Admit(context.Background(), scopes, 0, nil); ok {
			admitted++
			a.Settle(tokens)
		}
	}
	return admitted
}

func wantLimiterUsed(t *testing.T, l *usage.Limiter, scopes []usage.Scope, want ...int64) {
	t.Helper()
	states := l.States(context.Background(), scopes, nil)
	if len(states) != len(want) {
		t.Fatalf("there are %d states, want %d", len(states), len(want))
	}
	for i, s := range states {
		if s.Used != want[i] {
			t.Errorf("%d of %s %s are used, want %d", s.Used, s.Rate, s.Kind, want[i])
		}
	}
}

func TestALimiterWithoutShared(t *testing.T) {
	l := usage.NewLimiter(usage.NewCounters(), nil)
	scopes := []usage.Scope{scope(t, "user", "requests=3/1h", "tokens=1000/1h", "parallel=5"), scope(t, "team", "requests=9/1h")}
	a, admitted, states := l.Admit(context.Background(), scopes, 50, nil)
	if !admitted || len(states) != 4 || states[1].Used != 50 {
		t.Fatalf("admitted is %v, the states are %+v", admitted, states)
	}
	wantLimiterUsed(t, l, scopes, 1, 50, 1, 1)
	a.Settle(70)
	wantLimiterUsed(t, l, scopes, 1, 70, 0, 1)
	if n := serve(l, scopes, 5, 0); n != 2 {
		t.Errorf("%d more requests were admitted, want 2", n)
	}
}

func TestServersShareLimits(t *testing.T) {
	store := newSharedStore()
	here, there := usage.NewLimiter(usage.NewCounters(), store), usage.NewLimiter(usage.NewCounters(), store)
	scopes := []usage.Scope{scope(t, "user", "requests=10/1h", "tokens=1000/1h", "parallel=9")}
	if n := serve(here, scopes, 6, 10) + serve(there, scopes, 6, 10); n != 10 {
		t.Errorf("%d requests were admitted, want 10", n)
	}
	wantLimiterUsed(t, here, scopes, 10, 100, 0)
	wantLimiterUsed(t, there, scopes, 10, 100, 0)
	if len(store.held) > 0 {
		t.Errorf("leases are held: %v", store.held)
	}
}

func TestAServerThatLosesTheSharedGoesOnWithWhatItSaw(t *testing.T) {
	store := newSharedStore()
	here, there := usage.NewLimiter(usage.NewCounters(), store), usage.NewLimiter(usage.NewCounters(), store)
	scopes := []usage.Scope{scope(t, "user", "requests=10/1h", "tokens=1000/1h", "parallel=9")}
	serve(here, scopes, 4, 10)
	serve(there, scopes, 3, 10)

	store.goAway(true)
	wantLimiterUsed(t, here, scopes, 4, 40, 0)
	wantLimiterUsed(t, there, scopes, 3, 30, 0)
	if n := serve(here, scopes, 20, 10); n != 6 {
		t.Errorf("%d requests were admitted by the server alone, want 6", n)
	}

	store.goAway(false)
	wantLimiterUsed(t, here, scopes, 7, 70, 0)
	if n := serve(here, scopes, 20, 10); n != 3 {
		t.Errorf("%d requests were admitted when the store was back, want 3", n)
	}

	store.goAway(true)
	if n := serve(here, scopes, 20, 10); n != 0 {
		t.Errorf("%d requests were admitted, but this server has seen 13", n)
	}
}

// The local counters count what the Shared admits even beyond a limit: another server may have given back what
// this one still counts.
func TestWhatTheSharedAdmitsIsCountedWithoutACheck(t *testing.T) {
	store := newSharedStore()
	local := usage.NewCounters()
	l := usage.NewLimiter(local, store)
	scopes := []usage.Scope{scope(t, "user", "requests=5/1h")}
	store.goAway(true)
	serve(l, scopes, 5, 0)
	store.goAway(false)
	if n := serve(l, scopes, 9, 0); n != 5 {
		t.Errorf("the store admitted %d requests, want 5", n)
	}
	wantUsed(t, local, scopes[0], 10)
}

func TestWhatTheSharedRefusesIsNotCounted(t *testing.T) {
	store := newSharedStore()
	local := usage.NewCounters()
	l := usage.NewLimiter(local, store)
	scopes := []usage.Scope{scope(t, "user", "requests=1/1h", "tokens=1000/1h", "parallel=3")}
	serve(usage.NewLimiter(usage.NewCounters(), store), scopes, 1, 10)
	a, admitted, states := l.Admit(context.Background(), scopes, 100, nil)
	if admitted || len(states) != 3 || states[0].Used != 1 {
		t.Fatalf("admitted is %v, the states are %+v", admitted, states)
	}
	a.Settle(500)
	wantUsed(t, local, scopes[0], 0, 0, 0)
	wantLimiterUsed(t, l, scopes, 1, 10, 0)
}

// A request may be admitted while the store is there and end while it is away, and the other way round.
func TestSettlementWhileTheSharedComesAndGoes(t *testing.T) {
	store := newSharedStore()
	local := usage.NewCounters()
	l := usage.NewLimiter(local, store)
	scopes := []usage.Scope{scope(t, "user", "tokens=1000/1h", "parallel=3")}

	byShared, _, _ := l.Admit(context.Background(), scopes, 50, nil)
	store.goAway(true)
	alone, _, states := l.Admit(context.Background(), scopes, 50, []usage.State{{Team: "before"}})
	if len(states) != 3 || states[0].Team != "before" || states[1].Used != 100 {
		t.Errorf("the states are %+v", states)
	}
	byShared.Settle(70)
	store.goAway(false)
	alone.Settle(80)

	wantUsed(t, local, scopes[0], 150, 0)
	wantLimiterUsed(t, l, scopes, 70, 0)
}

func TestAnAdmissionIsSettledOnce(t *testing.T) {
	store := newSharedStore()
	for _, shared := range []usage.Shared{nil, store} {
		local := usage.NewCounters()
		l := usage.NewLimiter(local, shared)
		scopes := []usage.Scope{scope(t, "user", "tokens=1000/1h", "parallel=3")}
		other, _, _ := l.Admit(context.Background(), scopes, 50, nil)
		a, _, _ := l.Admit(context.Background(), scopes, 50, nil)
		a.Settle(70)
		a.Settle(70)
		wantLimiterUsed(t, l, scopes, 120, 1)
		wantUsed(t, local, scopes[0], 120, 1)
		other.Settle(0)
	}
	var zero usage.Admission
	zero.Settle(5)
}

func TestTheLocalCountersDecideIfTheContextHasEnded(t *testing.T) {
	l := usage.NewLimiter(usage.NewCounters(), newSharedStore())
	scopes := []usage.Scope{scope(t, "user", "requests=1/1h")}
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(errors.New("the client hung up"))
	for i, want := range []bool{true, false} {
		a, admitted, states := l.Admit(ctx, scopes, 0, nil)
		if admitted != want || len(states) != 1 || states[0].Used != 1 {
			t.Errorf("request %d: admitted is %v, the states are %+v", i, admitted, states)
		}
		a.Settle(0)
	}
	if states := l.States(ctx, scopes, nil); len(states) != 1 || states[0].Used != 1 || states[0].Free.Before(time.Now()) {
		t.Errorf("the states are %+v", states)
	}
}
