package cache

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/continue-auth/caddy-continue-auth/keystore"
)

// everyone is a store that knows every user.
type everyone struct{ keystore.Store }

func (everyone) Get(_ context.Context, _ keystore.Namespace, names []string) (map[string][]byte, error) {
	found := make(map[string][]byte, len(names))
	for _, name := range names {
		found[name] = []byte(enabled)
	}
	return found, nil
}

// BenchmarkLook looks up users: in the cache, by all processors at once, or in the store.
func BenchmarkLook(b *testing.B) {
	for _, users := range []int{1, 50_000} {
		names := make([]string, users)
		for i := range names {
			names[i] = fmt.Sprintf("user%d@example.com", i)
		}
		for _, source := range []struct {
			name string
			age  time.Duration
		}{{"cache", time.Hour}, {"store", 0}} {
			c := New(everyone{}, Options{MaxEntries: users})
			b.Cleanup(func() { _ = c.Close() })
			aged := Ages{RefreshAfter: source.age, MaxAge: source.age, StaleIfError: time.Hour, Absent: time.Second}
			look := func(name string) {
				if _, _, err := c.APIKeys.Look(b.Context(), name, aged, true); err != nil {
					b.Error(err)
				}
			}
			for _, name := range names {
				look(name)
			}
			b.Run(fmt.Sprintf("source=%s/users=%d", source.name, users), func(b *testing.B) {
				b.ReportAllocs()
				b.RunParallel(func(pb *testing.PB) {
					for i := 0; pb.Next(); i++ {
						look(names[i*7919%users])
					}
				})
			})
		}
	}
}
