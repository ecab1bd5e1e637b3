package cache

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/continue-auth/caddy-continue-auth/keystore"
)

// snapshot is what is in memory, as JSON. It holds no key of a user, but the secrets of the
// providers' settings.
type snapshot struct {
	APIKeys   map[string]saved `json:"api_keys"`
	Settings  map[string]saved `json:"provider_settings"`
	Providers map[string]saved `json:"providers"`
}

// saved is an entry.
type saved struct {
	Asked time.Time       `json:"asked"`
	Value json.RawMessage `json:"value"`
}

// Snapshot returns what is known that was asked for after that time, for Restore. Whoever keeps it
// has to encrypt it.
func (c *Cache) Snapshot(after time.Time) ([]byte, error) {
	var s snapshot
	var err error
	if s.APIKeys, err = c.APIKeys.save(after); err != nil {
		return nil, err
	}
	if s.Settings, err = c.Settings.save(after); err != nil {
		return nil, err
	}
	if s.Providers, err = c.Providers.save(after); err != nil {
		return nil, err
	}
	return json.Marshal(s)
}

// Restore puts a snapshot's entries in, where nothing newer is known. They are used only where the
// store cannot be asked, however young they are: they may have been invalidated since.
func (c *Cache) Restore(content []byte) error {
	var s snapshot
	if err := json.Unmarshal(content, &s); err != nil {
		return fmt.Errorf("no snapshot: %w", err)
	}
	c.APIKeys.restore(s.APIKeys)
	c.Settings.restore(s.Settings)
	c.Providers.restore(s.Providers)
	return nil
}

// Changes counts what has been kept or forgotten, so that nobody needs a second snapshot of the same.
func (c *Cache) Changes() uint64 {
	return c.APIKeys.changes.Load() + c.Settings.changes.Load() + c.Providers.changes.Load()
}

// Forgotten returns a channel of the caller's own that receives after invalidations, once for all that
// came together, until end: a snapshot from before still has what was forgotten.
func (c *Cache) Forgotten() (forgotten <-chan struct{}, end func()) {
	l := make(chan struct{}, 1)
	c.forgotten.add(l)
	return l, func() { c.forgotten.remove(l) }
}

// save returns the entries that are there.
func (t *Table[V]) save(after time.Time) (map[string]saved, error) {
	all := make(map[string]saved)
	for name, e := range t.present.All() {
		if e.err != nil || !e.asked.After(after) {
			continue
		}
		value, err := json.Marshal(e.value)
		if err != nil {
			return nil, err
		}
		all[name] = saved{e.asked, value}
	}
	return all, nil
}

// restore leaves out what cannot be read, or claims to be from the future: it would never age. So it
// does names that no store can hold, for which Look would have to ask. Not every zone that JSON is read
// with can be written again.
func (t *Table[V]) restore(all map[string]saved) {
	for name, s := range all {
		value, err := t.parse(s.Value)
		if err != nil || s.Asked.After(time.Now()) || !keystore.ValidName(name) {
			continue
		}
		t.present.SetIfAbsent(name, &entry[V]{value: value, asked: s.Asked.UTC(), restored: true})
	}
}
