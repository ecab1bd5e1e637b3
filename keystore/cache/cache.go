// Package cache keeps what a store has said in memory, for as long as it may be believed.
package cache

import (
	"context"
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
}

// Cache stands in front of one store.
type Cache struct {
	// APIKeys are users by their email, Settings are providers by their name.
	APIKeys  *Table[*keystore.APIKey]
	Settings *Table[*keystore.Settings]

	// Providers are the names of all providers, in one entry named "".
	Providers *Table[[]string]

	store keystore.Store
}

// New makes a cache that asks store.
func New(store keystore.Store, o Options) *Cache {
	if o.Log == nil {
		o.Log = zap.NewNop
	}
	return &Cache{
		APIKeys:  newTable(o, keystore.APIKeys, get(store, keystore.APIKeys, keystore.ParseAPIKey)),
		Settings: newTable(o, keystore.ProviderSettings, get(store, keystore.ProviderSettings, keystore.ParseSettings)),
		Providers: newTable(o, keystore.ProviderSettings, func(ctx context.Context, _ string) ([]string, bool, error) {
			names, err := store.List(ctx, keystore.ProviderSettings)
			return names, err == nil, err
		}),
		store: store,
	}
}

// Close closes the store.
func (c *Cache) Close() error {
	if closer, ok := c.store.(io.Closer); ok {
		return closer.Close()
	}
	return nil
}

// get returns a load for a table of the records that parse reads.
func get[V any](store keystore.Store, ns keystore.Namespace, parse func([]byte) (V, error)) load[V] {
	return func(ctx context.Context, name string) (value V, ok bool, err error) {
		values, err := store.Get(ctx, ns, []string{name})
		if err != nil {
			return value, false, err
		}
		record, ok := values[name]
		if !ok {
			return value, false, nil
		}
		if value, err = parse(record); err != nil {
			err = &BrokenRecordError{Reason: err}
		}
		return value, true, err
	}
}

// BrokenRecordError says that there is a record but that it makes no sense. It is an answer of the
// store like any other: it is kept, and ages.
type BrokenRecordError struct{ Reason error }

// Error names the field at fault.
func (e *BrokenRecordError) Error() string { return "broken record: " + e.Reason.Error() }

// Unwrap returns the reason.
func (e *BrokenRecordError) Unwrap() error { return e.Reason }
