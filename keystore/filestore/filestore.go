// Package filestore is a keystore.Editor that uses two JSON files, one for each namespace. Their
// format is that of `wrangler kv bulk put`, so they can be uploaded to Workers KV:
//
//	[{"key": "dev@example.com", "value": "{\"status\":\"Enabled\", …}"}]
//
// An entry may have these properties too:
//
//   - "base64": true means that the value is in base64.
//   - "expiration": from this time on the entry counts as absent, in Unix seconds.
//   - "expiration_ttl": the same, in seconds from when the file was last written.
//
// All other properties are ignored, but kept
// (https://github.com/cloudflare/workers-sdk/blob/main/packages/wrangler/src/kv/helpers.ts).
package filestore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"go.uber.org/zap"

	"github.com/continue-auth/caddy-continue-auth/keystore"
)

// Store is a keystore.Editor. The next Get or List sees a change to its files. If a file is missing
// or broken, the Store logs that and uses the file's last good content. If the server may not read
// a file, the Store logs that and is unavailable.
type Store struct {
	apiKeys, providerSettings *file
}

// Open reads both files. Both must exist and be without a fault. Errors name the setting, the path
// and the place, but no content.
//
// The store calls log each time it logs, because it can outlive the configuration that it was
// opened under, and so the configuration's logger. If log is nil, the store logs nothing.
func Open(apiKeysPath, providerSettingsPath string, log func() *zap.Logger) (*Store, error) {
	if log == nil {
		log = zap.NewNop
	}
	s := &Store{
		apiKeys:          &file{setting: keystore.APIKeys.String(), path: apiKeysPath, log: log},
		providerSettings: &file{setting: keystore.ProviderSettings.String(), path: providerSettingsPath, log: log},
	}
	for _, f := range []*file{s.apiKeys, s.providerSettings} {
		if err := f.read(); err != nil {
			return nil, fmt.Errorf("%s: %s: %w", f.setting, f.path, err)
		}
		f.warnIfShared()
	}
	return s, nil
}

// Get returns copies of the values of names. Names that do not exist are not in the result. It
// fails only if ctx is done, or if the server may not read the file.
func (s *Store) Get(ctx context.Context, ns keystore.Namespace, names []string) (map[string][]byte, error) {
	if err := done(ctx); err != nil {
		return nil, err
	}
	entries, err := s.file(ns).current()
	if err != nil {
		return nil, err
	}
	return values(entries, names, time.Now()), nil
}

// values returns the values of those names that have an entry at the time now.
func values(entries map[string]entry, names []string, now time.Time) map[string][]byte {
	found := make(map[string][]byte, len(names))
	for _, name := range names {
		if e, ok := entries[name]; ok && e.live(now) {
			found[name] = []byte(e.value)
		}
	}
	return found
}

// List returns all names, in no order. It fails only if ctx is done, or if the server may not read
// the file.
func (s *Store) List(ctx context.Context, ns keystore.Namespace) ([]string, error) {
	if err := done(ctx); err != nil {
		return nil, err
	}
	entries, err := s.file(ns).current()
	if err != nil {
		return nil, err
	}
	now := time.Now()
	names := make([]string, 0, len(entries))
	for name, e := range entries {
		if e.live(now) {
			names = append(names, name)
		}
	}
	return names, nil
}

func (s *Store) file(ns keystore.Namespace) *file {
	if ns == keystore.ProviderSettings {
		return s.providerSettings
	}
	return s.apiKeys
}

// done returns an error if ctx is done.
func done(ctx context.Context) error {
	err := ctx.Err()
	if errors.Is(err, context.DeadlineExceeded) {
		return keystore.ErrTimeout
	}
	return err
}

// warnIfShared logs a warning if anyone but the file's owner may read or write the file. Windows
// has no such permission bits.
func (f *file) warnIfShared() {
	info, err := os.Stat(f.path)
	if err == nil && runtime.GOOS != "windows" && info.Mode()&0o077 != 0 {
		f.log().Warn("users other than its owner may read or write the keystore file, which may hold secrets",
			zap.String("setting", f.setting), zap.String("path", f.path), zap.Stringer("mode", info.Mode()))
	}
}
