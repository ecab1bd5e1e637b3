package usage

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
)

// threeLimits are those of the figures in this file.
func threeLimits(t testing.TB) *Limits {
	return &Limits{
		Requests: []Rate{mustRate(t, "1000000000/1m")},
		Tokens:   []Rate{mustRate(t, "1000000000000/1h"), mustRate(t, "1000000000000/day")},
	}
}

func mustRate(t testing.TB, s string) Rate {
	t.Helper()
	r, err := ParseRate(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func BenchmarkAdmitAndSettle(b *testing.B) {
	limits := threeLimits(b)
	for _, bench := range []struct {
		name   string
		scopes []Scope
	}{
		{"user", []Scope{{Name: "user", Limits: limits}}},
		{"user and team", []Scope{{Name: "user", Limits: limits}, {Name: "team", Team: "team", Limits: limits}}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			l := NewLimiter(NewCounters(), nil)
			states := make([]State, 0, 8)
			for b.Loop() {
				a, admitted, _ := l.Admit(context.Background(), bench.scopes, 1000, states)
				if !admitted {
					b.Fatal("refused")
				}
				a.Settle(1200)
			}
		})
	}
}

// Everyone is in one team, so everyone waits for one lock.
func BenchmarkAdmitAndSettleOfOneTeamInParallel(b *testing.B) {
	limits := threeLimits(b)
	l := NewLimiter(NewCounters(), nil)
	var users atomic.Int64
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		scopes := []Scope{{Name: fmt.Sprint("user", users.Add(1)), Limits: limits}, {Name: "team", Team: "team", Limits: limits}}
		states := make([]State, 0, 8)
		for pb.Next() {
			a, _, _ := l.Admit(context.Background(), scopes, 1000, states)
			a.Settle(1200)
		}
	})
}

func TestAdmitAndSettleDoNotAllocate(t *testing.T) {
	limits := threeLimits(t)
	scopes := []Scope{{Name: "user", Limits: limits}, {Name: "team", Team: "team", Limits: limits}}
	l := NewLimiter(NewCounters(), nil)
	states := make([]State, 0, 8)
	allocations := testing.AllocsPerRun(1000, func() {
		a, _, _ := l.Admit(context.Background(), scopes, 1000, states)
		a.Settle(1200)
	})
	if allocations != 0 {
		t.Errorf("%v allocations for Admit and Settle, want 0", allocations)
	}
}
