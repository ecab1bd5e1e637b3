package caddyauth

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"github.com/tidwall/gjson"
	"go.uber.org/zap"

	"github.com/continue-auth/caddy-continue-auth/keystore"
	"github.com/continue-auth/caddy-continue-auth/keystore/cache"
	"github.com/continue-auth/caddy-continue-auth/provider"
)

// Keystore is what a module in the namespace `continue_auth.keystores` must be.
type Keystore interface {
	caddy.Module

	// Identity holds everything that shapes what the store reads, secrets included. Handlers
	// whose keystores have the same identity share one cache, over reloads too.
	Identity() string

	// Open opens the store. If it is an io.Closer, it is closed when no configuration uses it any
	// more, which may be long after the module's own Cleanup.
	Open() (keystore.Store, error)
}

// caches holds the caches in use, so that a reload does not make every user ask the keystore again.
// What is in it outlives the configuration that made it, and knows nothing of it.
var caches = caddy.NewUsagePool()

// pooled is a cache as a caddy.UsagePool holds it, and what the providers remember of the users
// that are in it.
type pooled struct {
	*cache.Cache
	providers *provider.Providers
	bound     *bound
	module    string // the keystore's
}

// Destruct closes the cache's store.
func (p pooled) Destruct() error { return p.Close() }

// bound is how many entries a cache may have: as many as one of its handlers wants, at most. During a
// reload those of both configurations are there, so that one that fails to load drops nothing.
type bound struct {
	mu     sync.Mutex
	wanted map[*Handler]int
	set    func(maxEntries int)
}

// raise makes room for what h wants, until ctx ends.
func (b *bound) raise(ctx context.Context, h *Handler) {
	b.change(func() { b.wanted[h] = h.settings.maxEntries })
	context.AfterFunc(ctx, func() { b.change(func() { delete(b.wanted, h) }) })
}

func (b *bound) change(change func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change()
	if len(b.wanted) > 0 { // else nobody uses the cache any more
		b.set(slices.Max(slices.Collect(maps.Values(b.wanted))))
	}
}

// accountIDKey is the key of the handler's account id in the context that a keystore is provisioned
// with, for keystores of the same Cloudflare account.
type accountIDKey struct{}

// LoadKeystore provisions the keystore of a handler that is not provisioned itself, for a command that
// works on the keystore. The other settings of the handler need not be complete.
//
// The keystore is cleaned up when ctx is cancelled.
func (h *Handler) LoadKeystore(ctx caddy.Context) (Keystore, error) {
	return h.loadKeystore(ctx, caddy.NewReplacer().ReplaceKnown(h.AccountID, ""))
}

// loadKeystore provisions the handler's keystore, for the Cloudflare account of that id.
func (h *Handler) loadKeystore(ctx caddy.Context, accountID string) (Keystore, error) {
	if len(h.KeystoreRaw) == 0 {
		return nil, errors.New("keystore: is missing; set it to cloudflare_kv or file")
	}
	if gjson.GetBytes(h.KeystoreRaw, "module").Str == "" { // Caddy's own error would show all settings
		return nil, errors.New("keystore: lacks its module; set it to cloudflare_kv or file")
	}
	ctx.Context = context.WithValue(ctx.Context, accountIDKey{}, accountID)
	module, err := ctx.LoadModule(h, "KeystoreRaw")
	if err != nil {
		return nil, fmt.Errorf("keystore: %w", err)
	}
	source, ok := module.(Keystore)
	if !ok {
		return nil, fmt.Errorf("keystore: %T is no keystore", module)
	}
	return source, nil
}

func (h *Handler) openKeystore(ctx caddy.Context) error {
	source, err := h.loadKeystore(ctx, h.settings.accountID)
	if err != nil {
		return err
	}
	identity := fmt.Sprintf("%T %s", source, source.Identity())
	key := fmt.Sprintf("%x", sha256.Sum256([]byte(identity))) // a pool's keys can be listed; secrets must not be
	value, loaded, err := caches.LoadOrNew(key, func() (caddy.Destructor, error) {
		store, err := source.Open()
		if err != nil {
			return nil, err
		}
		made := cache.New(store, cache.Options{MaxEntries: h.settings.maxEntries, Log: keystoreLog, Asked: countKeystoreRequest})
		return pooled{
			Cache:     made,
			providers: provider.New(),
			bound:     &bound{wanted: make(map[*Handler]int), set: made.SetMaxEntries},
			module:    string(source.CaddyModule().ID),
		}, nil
	})
	if err != nil {
		return fmt.Errorf("keystore: %w", err)
	}
	shared := value.(pooled)
	h.cache, h.providers, h.cacheKey = shared.Cache, shared.providers, key
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

// keystoreLog is the logger of the configuration that is running now.
func keystoreLog() *zap.Logger { return caddy.Log().Named("continue_auth.keystore") }
