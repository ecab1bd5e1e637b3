package cache

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/continue-auth/caddy-continue-auth/keystore"
)

// snapshot is the content of the cache as JSON. It contains no user's key, but it contains the
// secrets of the providers' settings.
type snapshot struct {
	APIKeys   map[string]saved `json:"api_keys"`
	Settings  map[string]saved `json:"provider_settings"`
	Providers map[string]saved `json:"providers"`
}

// saved is an entry of a snapshot.
type saved struct {
	Asked time.Time       `json:"asked"`
	Value json.RawMessage `json:"value"`
}

// Snapshot returns all records that were looked up after the given time, for Restore. The result
// contains secrets: encrypt it before you store it.
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

// Restore adds the entries of a snapshot unless newer ones are known. Whatever their age, they are
// used only if the store cannot be asked, because they may have been invalidated since.
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

// Changes counts what has been kept or forgotten. If the count is the same, so is a new snapshot.
func (c *Cache) Changes() uint64 {
	return c.APIKeys.changes.Load() + c.Settings.changes.Load() + c.Providers.changes.Load()
}

// Forgotten returns a channel that receives after an invalidation, because an older snapshot still
// has what was forgotten. Invalidations that come together are sent once. Call end to stop.
func (c *Cache) Forgotten() (forgotten <-chan struct{}, end func()) {
	l := make(chan struct{}, 1)
	c.forgotten.add(l)
	return l, func() { c.forgotten.remove(l) }
}

// save returns the entries that have a record.
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

// restore skips values that cannot be read and names that are not valid. It skips times in the
// future, because such entries would never age. It also skips time zones that JSON can read but not
// write.
func (t *Table[V]) restore(all map[string]saved) {
	for name, s := range all {
		value, err := t.parse(s.Value)
		if err != nil || s.Asked.After(time.Now()) || !keystore.ValidName(name) {
			continue
		}
		t.present.SetIfAbsent(name, &entry[V]{value: value, asked: s.Asked.UTC(), restored: true})
	}
}
