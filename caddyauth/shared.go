package caddyauth

import (
	"context"
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/continue-auth/caddy-continue-auth/usage"
)

// Shared must be implemented by modules in the namespace `continue_auth.shared`.
type Shared interface {
	caddy.Module

	// Identity returns everything that determines what is shared, secrets included. Handlers with the same
	// identity share one connection, also across reloads.
	Identity() string

	// Open prepares the store. A store that cannot be reached is no error. The store is closed when no
	// configuration uses it any more.
	Open() (usage.Shared, error)
}

// sharedStores holds the shared stores in use, so that requests in flight stay counted during a reload. Its
// values live longer than the configuration that made them and have no reference to it.
var sharedStores = caddy.NewUsagePool()

// sharedStore is a value of a caddy.UsagePool.
type sharedStore struct {
	usage.Shared
	deafen context.CancelFunc // ends the listening
}

// Destruct closes the store.
func (s sharedStore) Destruct() error {
	s.deafen()
	return s.Close()
}

// quietKey is the context key that says that a store must not log, because whoever uses it says what is wrong.
type quietKey struct{}

// LoadShared provisions the shared store of a handler that is not provisioned itself. It is for commands that
// tell the servers something. The result is nil if the handler has no shared store.
//
// The module is cleaned up when ctx is cancelled.
func (h *Handler) LoadShared(ctx caddy.Context) (Shared, error) {
	ctx.Context = context.WithValue(ctx.Context, quietKey{}, true)
	return h.loadShared(ctx)
}

func (h *Handler) loadShared(ctx caddy.Context) (Shared, error) {
	return loadModule[Shared](ctx, h, "SharedRaw", h.SharedRaw, "shared", "redis")
}

// openShared opens the store that several servers share, if the configuration has one.
func (h *Handler) openShared(ctx caddy.Context) error {
	source, err := h.loadShared(ctx)
	if source == nil || err != nil {
		return err
	}
	if err := register(ctx.GetMetricsRegistry(), sharedStoreUp, sharedStoreDuration); err != nil {
		return err
	}
	key := poolKey(identityOf(source))
	value, _, err := sharedStores.LoadOrNew(key, func() (caddy.Destructor, error) {
		store, err := source.Open()
		if err != nil {
			return nil, err
		}
		listening, deafen := context.WithCancel(context.Background())
		store.Listen(listening, hear, missed)
		return sharedStore{store, deafen}, nil
	})
	if err != nil {
		return fmt.Errorf("shared: %w", err)
	}
	h.shared, h.sharedKey = value.(sharedStore).Shared, key
	return nil
}

// sharedLog returns the logger of the current configuration.
func sharedLog() *zap.Logger { return caddy.Log().Named("continue_auth.shared") }
