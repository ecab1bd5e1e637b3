package caddyauth

import (
	"context"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/continue-auth/caddy-continue-auth/keystore/cache"
	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/usage"
)

// peers is what the servers that share a store know of a user's conversations, for one request.
type peers struct {
	shared usage.Shared
	ctx    context.Context // of the request
}

// peersOf returns nil if there is no shared store.
func (h *Handler) peersOf(ctx context.Context) hub.Peers {
	if h.shared == nil {
		return nil
	}
	return peers{h.shared, ctx}
}

// Put keeps a text for some time.
func (p peers) Put(key, text string, keep time.Duration) { p.shared.Put(key, []byte(text), keep) }

// Get returns the text of a key, or "" if there is none, or if the store cannot be reached.
func (p peers) Get(key string) string {
	values, err := p.shared.Get(p.ctx, key)
	if err != nil || len(values) == 0 {
		return ""
	}
	return string(values[0])
}

// sharedBudget returns the budget of calls that all servers with the same store and API token have in common.
func sharedBudget(shared usage.Shared, name string) cache.SharedBudget {
	if shared == nil || name == "" {
		return nil
	}
	return func(perSecond float64, burst int) (time.Duration, bool) {
		wait, err := shared.Take(context.Background(), "calls\x00"+name, perSecond, burst)
		return wait, err == nil
	}
}

// The messages between servers: forgetMessage and the name of a user or provider, or forgetAllMessage alone, or
// failedMessage and what tellFailed appends.
const (
	forgetMessage    = "forget\x00"
	forgetAllMessage = "forget all"
	failedMessage    = "failed\x00"
)

// hear does what a message of another server, or of this one, says. Others are from a newer version.
func hear(message string) {
	switch name, failed := strings.CutPrefix(message, failedMessage); {
	case failed:
		hearFailed(name)
	case message == forgetAllMessage:
		forgetAll()
	case strings.HasPrefix(message, forgetMessage):
		forget(strings.TrimPrefix(message, forgetMessage))
	}
}

// missed forgets everything, because messages may have been lost.
func missed() {
	sharedLog().Info("messages of other servers may have been missed: all users and providers are looked up again")
	forgetAll()
}

// TellForget tells all servers that share a store to forget a user or a provider, or everything if name is "".
func TellForget(ctx context.Context, shared usage.Shared, name string) error {
	if name == "" {
		return shared.Publish(ctx, forgetAllMessage)
	}
	return shared.Publish(ctx, forgetMessage+name)
}

// tellPeers tells the servers of all shared stores in use to forget a user or a provider, or everything.
func tellPeers(ctx context.Context, name string) {
	sharedStores.Range(func(_, value any) bool {
		if err := TellForget(ctx, value.(sharedStore).Shared, name); err != nil {
			sharedLog().Warn("other servers could not be told about a change; they see it after max_age", zap.Error(err))
		}
		return true
	})
}
