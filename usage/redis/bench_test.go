//go:build redis

package redis

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/continue-auth/caddy-continue-auth/usage"
)

// BenchmarkAdmit admits and settles requests with three limits, in one round trip each.
func BenchmarkAdmit(b *testing.B) {
	server := startReal(b)
	s := store(b, server.Address)
	scopes := []usage.Scope{scope(b, "u", "requests 1000000000/1m", "tokens 1000000000000/1m", "tokens 1000000000000/day")}
	admit := func() {
		lease, ok, _, err := s.Admit(context.Background(), scopes, 1000, nil)
		if err != nil || !ok {
			b.Error(ok, err)
		}
		s.Settle(scopes, lease, 500)
	}
	b.Run("one at a time", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			admit()
		}
	})
	b.Run("32 at a time", func(b *testing.B) {
		b.ReportAllocs()
		var left atomic.Int64
		left.Store(int64(b.N))
		done := make(chan bool)
		for range 32 {
			go func() {
				for left.Add(-1) >= 0 {
					admit()
				}
				done <- true
			}()
		}
		for range 32 {
			<-done
		}
	})
}
