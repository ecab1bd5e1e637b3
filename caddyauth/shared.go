package caddyauth

import (
	"github.com/caddyserver/caddy/v2"

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

// openShared opens the store that several servers share, if the configuration has one.
func (h *Handler) openShared(caddy.Context) error { return nil }
