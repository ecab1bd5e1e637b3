// Package cache keeps what a store has said in memory, for as long as it may be believed.
package cache

import (
	"context"
	"encoding/json"
	"io"
	"time"

	"go.uber.org/zap"

	"github.com/continue-auth/caddy-continue-auth/keystore"
)

// Ages say how long an answer of the store is believed, counted from when it was asked.
type Ages struct {
	// RefreshAfter is the age from which an answer is renewed in the background as it is used.
	RefreshAfter time.Duration

	// MaxAge is the age from which the store is asked before an answer is used.
	MaxAge time.Duration

	// StaleIfError is the age up to which an answer is used all the same if the store then
	// cannot answer.
	StaleIfError time.Duration

	// Absent takes the place of both RefreshAfter and MaxAge for the answer that a name is not
	// there.
	Absent time.Duration
}

// Options make a Cache.
type Options struct {
	// MaxEntries bounds each table: that many names that are there, and as many that are not.
	MaxEntries int

	// Log is asked for a logger each time there is something to say: a cache outlives the
	// configuration, and so the logger, that it was made under. Nil logs nothing.
	Log func() *zap.Logger

	// Asked is told of each call of the store, "read" or "list": how long it took, and what came of
	// it. Nil tells nobody.
	Asked func(operation string, took time.Duration, err error)
}

// AllProviders is the name of the one entry of a Cache's Providers.
const AllProviders = "*"

// Cache stands in front of one store.
type Cache struct {
	// APIKeys are users by their email, Settings are providers by their name.
	APIKeys  *Table[*keystore.APIKey]
	Settings *Table[*keystore.Settings]

	// Providers are the names of all providers, in one entry, AllProviders.
	Providers *Table[[]string]

	store     keystore.Store
	gate      *gate
	forgotten *listeners
}

// New makes a cache that asks store.
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

// SetMaxEntries bounds each table anew. What is too much for it is dropped at once.
func (c *Cache) SetMaxEntries(n int) {
	c.APIKeys.setMaximum(n)
	c.Settings.setMaximum(n)
	c.Providers.setMaximum(n)
}

// Budget is how many calls of the store could be made at once; -1 where there is no bound.
func (c *Cache) Budget() float64 { return c.gate.tokens() }

// Close closes the store, and asks it no more: who waits for an answer gets none.
func (c *Cache) Close() error {
	c.gate.end()
	if closer, ok := c.store.(io.Closer); ok {
		return closer.Close()
	}
	return nil
}

// records returns a load for a table of the records that parse reads.
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

// names returns a load for a table of one entry, the list of all providers.
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

// BrokenRecordError says that there is a record but that it makes no sense. It is an answer of the
// store like any other: it is kept, and ages.
type BrokenRecordError struct{ Reason error }

// Error names the field at fault.
func (e *BrokenRecordError) Error() string { return "broken record: " + e.Reason.Error() }

// Unwrap returns the reason.
func (e *BrokenRecordError) Unwrap() error { return e.Reason }
