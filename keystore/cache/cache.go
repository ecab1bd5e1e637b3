// Package cache keeps a store's answers in memory.
package cache

import (
	"context"
	"encoding/json"
	"io"
	"time"

	"go.uber.org/zap"

	"github.com/continue-auth/caddy-continue-auth/keystore"
)

// Ages are time limits for cached answers. The age of an answer counts from when the store was
// asked.
type Ages struct {
	// RefreshAfter is the age from which an answer is renewed in the background when it is used.
	RefreshAfter time.Duration

	// MaxAge is the age from which an answer is used only after the store has been asked again.
	MaxAge time.Duration

	// StaleIfError is the age up to which an answer is used if the store cannot answer.
	StaleIfError time.Duration

	// Absent replaces both RefreshAfter and MaxAge if the answer is that the name does not exist.
	Absent time.Duration
}

// Options configure a Cache.
type Options struct {
	// MaxEntries is the size of each table: the number of existing names, and also the number of
	// absent ones.
	MaxEntries int

	// Log is called for each log message, because a cache can outlive the configuration that it was
	// made under, and so the configuration's logger. If Log is nil, nothing is logged.
	Log func() *zap.Logger

	// Asked is called after each call of the store. operation is "read" or "list", took is the
	// duration, and err the result. Asked may be nil.
	Asked func(operation string, took time.Duration, err error)
}

// AllProviders is the name of the only entry of a Cache's Providers.
const AllProviders = "*"

// Cache caches the answers of one store.
type Cache struct {
	// APIKeys has users by email. Settings has providers by name.
	APIKeys  *Table[*keystore.APIKey]
	Settings *Table[*keystore.Settings]

	// Providers has one entry, AllProviders, with the names of all providers.
	Providers *Table[[]string]

	store     keystore.Store
	gate      *gate
	forgotten *listeners
}

// New returns a cache for store.
func New(store keystore.Store, o Options) *Cache {
	if o.Log == nil {
		o.Log = zap.NewNop
	}
	if o.Asked == nil {
		o.Asked = func(string, time.Duration, error) {}
	}
	g := newGate(store)
	look := func(ns keystore.Namespace) *gatherer {
		return &gatherer{store: store, ns: ns, gate: g, log: o.Log, told: o.Asked}
	}
	forgotten := new(listeners)
	return &Cache{
		APIKeys:   newTable(o, keystore.APIKeys, records(look(keystore.APIKeys), keystore.ParseAPIKey), keystore.ParseAPIKey, forgotten),
		Settings:  newTable(o, keystore.ProviderSettings, records(look(keystore.ProviderSettings), keystore.ParseSettings), keystore.ParseSettings, forgotten),
		Providers: newTable(o, keystore.ProviderSettings, names(store, g, o), parseNames, forgotten),
		store:     store,
		gate:      g,
		forgotten: forgotten,
	}
}

func parseNames(value []byte) (all []string, err error) {
	err = json.Unmarshal(value, &all)
	return all, err
}

// SetMaxEntries changes the size of each table. If a table has more entries, it drops some at once.
func (c *Cache) SetMaxEntries(n int) {
	c.APIKeys.setMaximum(n)
	c.Settings.setMaximum(n)
	c.Providers.setMaximum(n)
}

// Budget returns how many calls of the store could be made now, or -1 if there is no limit.
func (c *Cache) Budget() float64 { return c.gate.tokens() }

// ShareBudget makes the cache take the calls of its store out of a budget that several servers have in common.
// Nil ends that.
func (c *Cache) ShareBudget(shared SharedBudget) {
	if shared == nil {
		c.gate.shared.Store(nil)
		return
	}
	c.gate.shared.Store(&shared)
}

// Close closes the store. The cache does not ask it again, and whoever waits for an answer gets an
// error.
func (c *Cache) Close() error {
	c.gate.end()
	if closer, ok := c.store.(io.Closer); ok {
		return closer.Close()
	}
	return nil
}

// records returns a load for a table whose records parse reads.
func records[V any](g *gatherer, parse func([]byte) (V, error)) load[V] {
	return func(names []string, c class, patience time.Duration) pending[V] {
		l := g.look(names, c, patience)
		return pending[V]{
			hurry: func() { g.hurry(l) },
			wait: func(name string) (value V, ok bool, asked time.Time, err error) {
				<-l.done
				text, ok := l.values[name]
				if l.err != nil || !ok {
					return value, false, l.asked, l.err
				}
				if value, err = parse(text); err != nil {
					err = &BrokenRecordError{Reason: err}
				}
				return value, true, l.asked, err
			},
		}
	}
}

// names returns a load for the table of one entry, the list of all providers.
func names(store keystore.Store, g *gate, o Options) load[[]string] {
	return func([]string, class, time.Duration) pending[[]string] {
		return pending[[]string]{
			hurry: func() {},
			wait: func(string) (all []string, ok bool, asked time.Time, err error) {
				if err = g.wait(context.Background()); err == nil {
					asked = time.Now()
					all, err = store.List(context.Background(), keystore.ProviderSettings)
					o.Asked("list", time.Since(asked), err)
				}
				if err != nil {
					o.Log().Error("keystore cannot answer", zap.Stringer("namespace", keystore.ProviderSettings), zap.Error(err))
					g.learn(err)
				}
				return all, err == nil, asked, err
			},
		}
	}
}

// BrokenRecordError means that the store has a record that cannot be read. It is cached and ages
// like any other answer.
type BrokenRecordError struct{ Reason error }

// Error returns a text that names the field at fault.
func (e *BrokenRecordError) Error() string { return "broken record: " + e.Reason.Error() }

// Unwrap returns the reason.
func (e *BrokenRecordError) Unwrap() error { return e.Reason }
