package command

import (
	"context"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/continue-auth/caddy-continue-auth/caddyauth"
)

// sharedTimeout limits how long a command tells other servers about changes.
const sharedTimeout = 30 * time.Second

// tellShared tells all servers that share a store with the site's to forget users or providers. told is false
// if the site has no such store.
func (a *administration) tellShared(names []string) (told bool, err error) {
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	defer cancel()
	source, err := a.site.handler.LoadShared(ctx)
	if source == nil || err != nil {
		return false, err
	}
	store, err := source.Open()
	if err != nil {
		return false, fmt.Errorf("shared: %w", err)
	}
	defer func() { _ = store.Close() }()
	limited, stop := context.WithTimeout(ctx, sharedTimeout)
	defer stop()
	for _, name := range names {
		if err := caddyauth.TellForget(limited, store, name); err != nil {
			return false, err
		}
	}
	return true, nil
}
