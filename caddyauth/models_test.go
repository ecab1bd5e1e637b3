package caddyauth

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"

	"github.com/continue-auth/caddy-continue-auth/keystore"
	"github.com/continue-auth/caddy-continue-auth/keystore/cache"
	"github.com/continue-auth/caddy-continue-auth/provider"
)

// market is a keystore of 50 providers with one model each. Each call takes a tenth of a second.
type market struct{ calls atomic.Int64 }

func (m *market) Get(_ context.Context, _ keystore.Namespace, names []string) (map[string][]byte, error) {
	m.calls.Add(1)
	time.Sleep(100 * time.Millisecond)
	found := make(map[string][]byte)
	for _, name := range names {
		found[name] = []byte(`{"models":["m"]}`)
	}
	return found, nil
}

func (m *market) List(context.Context, keystore.Namespace) (names []string, err error) {
	m.calls.Add(1)
	time.Sleep(100 * time.Millisecond)
	for i := range 50 {
		names = append(names, fmt.Sprintf("provider%02d", 49-i))
	}
	return names, nil
}

func (m *market) Budget() *rate.Limiter { return rate.NewLimiter(3, 60) }

func TestTheProvidersOfAListOfModelsAreLookedUpTogether(t *testing.T) {
	providers := provider.New() // made here, because its memory lives longer than the test
	synctest.Test(t, func(t *testing.T) {
		m := new(market)
		h := &Handler{cache: cache.New(m, cache.Options{MaxEntries: 100}), providers: providers}
		began := time.Now()
		models, err := h.models(t.Context(), user{"dev@example.com", new(keystore.APIKey)})
		var names []string
		for _, model := range models {
			names = append(names, model.Name)
		}
		if err != nil || len(names) != 50 || !slices.IsSorted(names) {
			t.Errorf("%d models, %v: %v", len(names), err, names)
		}
		if took := time.Since(began); took > 250*time.Millisecond || m.calls.Load() > 3 {
			t.Errorf("it takes %v and %d calls, want the list, and two reads at once", took, m.calls.Load())
		}
	})
}
