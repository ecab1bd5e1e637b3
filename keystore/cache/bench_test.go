package cache

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/continue-auth/caddy-continue-auth/keystore"
)

// everyone is a store that knows every user, except those with made-up names.
type everyone struct{ keystore.Store }

func (everyone) Get(_ context.Context, _ keystore.Namespace, names []string) (map[string][]byte, error) {
	found := make(map[string][]byte, len(names))
	for _, name := range names {
		if !strings.HasPrefix(name, "made-up") {
			found[name] = []byte(enabled)
		}
	}
	return found, nil
}

// benchmark looks up names on all processors at once, in random order.
func benchmark(b *testing.B, c *Cache, ages Ages, names []string) {
	b.ReportAllocs()
	var next atomic.Int64
	b.RunParallel(func(pb *testing.PB) {
		for i := int(next.Add(1)); pb.Next(); i++ {
			if _, from, err := c.APIKeys.Look(b.Context(), names[i*7919%len(names)], ages, true); err != nil && from != Absent {
				b.Error(err)
			}
		}
	})
}

func named(format string, n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf(format, i)
	}
	return names
}

// BenchmarkLook looks up users that are in the cache, and users that are in the store only.
func BenchmarkLook(b *testing.B) {
	for _, users := range []int{1, 50_000} {
		names := named("user%d@example.com", users)
		for _, source := range []struct {
			name string
			age  time.Duration
		}{{"cache", time.Hour}, {"store", 0}} {
			c, aged := filled(b, users, names), Ages{RefreshAfter: source.age, MaxAge: source.age, StaleIfError: time.Hour, Absent: time.Second}
			b.Run(fmt.Sprintf("source=%s/users=%d", source.name, users), func(b *testing.B) {
				benchmark(b, c, aged, names)
			})
		}
	}
}

// BenchmarkLookMadeUp looks up names that do not exist: one that the cache knows to be absent, a
// flood of different ones, and one that is not valid.
func BenchmarkLookMadeUp(b *testing.B) {
	hour := Ages{RefreshAfter: time.Hour, MaxAge: time.Hour, StaleIfError: time.Hour, Absent: time.Hour}
	for _, made := range []struct {
		kind  string
		names []string
	}{
		{"one", named("made-up%d@example.com", 1)},
		{"flood", named("made-up%d@example.com", 1_000_000)},
		{"invalid", []string{strings.Repeat("a", 1<<20)}},
	} {
		c := filled(b, 1000, named("user%d@example.com", 1000))
		b.Run("names="+made.kind, func(b *testing.B) { benchmark(b, c, hour, made.names) })
	}
}

// BenchmarkLookEvicting looks up more users than the cache has room for.
func BenchmarkLookEvicting(b *testing.B) {
	hour := Ages{RefreshAfter: time.Hour, MaxAge: time.Hour, StaleIfError: time.Hour, Absent: time.Hour}
	for _, times := range []int{2, 10} {
		names := named("user%d@example.com", times*1000)
		c := filled(b, 1000, names)
		b.Run(fmt.Sprintf("users=%dxroom", times), func(b *testing.B) { benchmark(b, c, hour, names) })
	}
}

// filled returns a cache that has looked up all names but has room for fewer.
func filled(b *testing.B, room int, names []string) *Cache {
	c := New(everyone{}, Options{MaxEntries: room})
	b.Cleanup(func() { _ = c.Close() })
	for _, name := range names {
		if _, _, err := c.APIKeys.Look(b.Context(), name, Ages{RefreshAfter: time.Hour, MaxAge: time.Hour}, true); err != nil {
			b.Fatal(err)
		}
	}
	return c
}
