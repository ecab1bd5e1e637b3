package caddyauth

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/continue-auth/caddy-continue-auth/keystore"
	"github.com/continue-auth/caddy-continue-auth/keystore/cache"
	"github.com/continue-auth/caddy-continue-auth/provider"
	"github.com/continue-auth/caddy-continue-auth/usage"
)

// Keystore must be implemented by modules in the namespace `continue_auth.keystores`.
type Keystore interface {
	caddy.Module

	// Identity returns everything that determines what the store reads, secrets included. Handlers whose
	// keystores have the same identity share one cache, also across reloads.
	Identity() string

	// Open opens the store. If the store is an io.Closer, it is closed when no configuration uses it any
	// more. That may be long after the module's Cleanup.
	Open() (keystore.Store, error)
}

// caches holds the caches in use, so that users stay in memory after a reload. Its values live longer than
// the configuration that made them and have no reference to it.
var caches = caddy.NewUsagePool()

// pooled is a value of a caddy.UsagePool: a cache, and what the providers remember of its users.
type pooled struct {
	*cache.Cache
	providers *provider.Providers
	counters  *usage.Counters // of the users' limits
	bound     *bound
	budget    string // the name of the budget of calls; "" if there is none
	module    string // the ID of the keystore's module
}

// Destruct closes the cache's store.
func (p pooled) Destruct() error { return p.Close() }

// bound is the maximum number of entries of a cache: the largest number that one of its handlers wants.
// During a reload the handlers of both configurations count, so that a configuration that fails to load
// removes nothing.
type bound struct {
	mu     sync.Mutex
	wanted map[*Handler]int
	set    func(maxEntries int)
}

// raise adds the number that h wants, until ctx ends.
func (b *bound) raise(ctx context.Context, h *Handler) {
	b.change(func() { b.wanted[h] = h.settings.maxEntries })
	context.AfterFunc(ctx, func() { b.change(func() { delete(b.wanted, h) }) })
}

func (b *bound) change(change func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change()
	if len(b.wanted) > 0 { // otherwise the cache is not used any more
		b.set(slices.Max(slices.Collect(maps.Values(b.wanted))))
	}
}

// handlers returns the handlers that use the cache.
func (b *bound) handlers() []*Handler {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Collect(maps.Keys(b.wanted))
}

// handlers returns all handlers in use.
func handlers() (all []*Handler) {
	caches.Range(func(_, value any) bool {
		all = append(all, value.(pooled).bound.handlers()...)
		return true
	})
	return all
}

// accountIDKey is the context key of the handler's account ID, which keystores of the same Cloudflare account
// use when they are provisioned.
type accountIDKey struct{}

// LoadKeystore provisions the keystore of a handler that is not provisioned itself. It is for commands that
// work on the keystore. The handler's other settings may be incomplete.
//
// The keystore is cleaned up when ctx is cancelled.
func (h *Handler) LoadKeystore(ctx caddy.Context) (Keystore, error) {
	return h.loadKeystore(ctx, caddy.NewReplacer().ReplaceKnown(h.AccountID, ""))
}

// loadKeystore provisions the handler's keystore. accountID is the keystore's default Cloudflare account.
func (h *Handler) loadKeystore(ctx caddy.Context, accountID string) (Keystore, error) {
	if len(h.KeystoreRaw) == 0 {
		return nil, errors.New("keystore: is missing; set it to cloudflare_kv or file")
	}
	ctx.Context = context.WithValue(ctx.Context, accountIDKey{}, accountID)
	return loadModule[Keystore](ctx, h, "KeystoreRaw", h.KeystoreRaw, "keystore", "cloudflare_kv or file")
}

func (h *Handler) openKeystore(ctx caddy.Context) error {
	source, err := h.loadKeystore(ctx, h.settings.accountID)
	if err != nil {
		return err
	}
	identity := identityOf(source)
	key := poolKey(identity)
	value, loaded, err := caches.LoadOrNew(key, func() (caddy.Destructor, error) {
		store, err := source.Open()
		if err != nil {
			return nil, err
		}
		made := cache.New(store, cache.Options{MaxEntries: h.settings.maxEntries, Log: keystoreLog, Asked: countKeystoreRequest})
		return pooled{
			Cache:     made,
			providers: provider.New(),
			counters:  usage.NewCounters(),
			budget:    budgetName(store),
			bound:     &bound{wanted: make(map[*Handler]int), set: made.SetMaxEntries},
			module:    string(source.CaddyModule().ID),
		}, nil
	})
	if err != nil {
		return fmt.Errorf("keystore: %w", err)
	}
	shared := value.(pooled)
	h.cache, h.providers, h.cacheKey = shared.Cache, shared.providers, key
	h.cache.ShareBudget(sharedBudget(h.shared, shared.budget))
	h.limiter = usage.NewLimiter(shared.counters, h.shared)
	shared.bound.raise(ctx, h)
	if !h.Cache.Snapshot {
		return nil
	}
	if h.snapshots, err = newSnapshots(ctx, h, identity); err != nil {
		return fmt.Errorf("cache.snapshot: %w", err)
	}
	if !loaded {
		h.snapshots.restore()
	}
	go h.snapshots.run()
	return nil
}

// budgetName returns the name under which servers share the budget of a store's calls, or "".
func budgetName(store keystore.Store) string {
	if bounded, ok := store.(interface{ BudgetName() string }); ok {
		return bounded.BudgetName()
	}
	return ""
}

// keystoreLog returns the logger of the current configuration.
func keystoreLog() *zap.Logger { return caddy.Log().Named("continue_auth.keystore") }
