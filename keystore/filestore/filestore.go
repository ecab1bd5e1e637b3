// Package filestore is a keystore.Editor of two JSON files, one for each namespace, in the format
// of `wrangler kv bulk put`: the same files can be uploaded to Workers KV.
//
//	[{"key": "dev@example.com", "value": "{\"status\":\"Enabled\", …}"}]
//
// An entry may have "base64": true, for a value in base64, and "expiration", Unix seconds from
// when it counts as absent, or "expiration_ttl", seconds from when the file was last written. All
// other properties are ignored, and kept
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

// Store is a keystore.Editor. Changes to its files are seen by the next Get or List; a file that is
// missing or broken is logged, and its last good content stays. A file that may not be read is logged
// too, and unavailable.
type Store struct {
	apiKeys, providerSettings *file
}

// Open reads both files, which must be there and without a fault. Errors name the setting, the
// path and the place, and none of the content.
//
// log is asked for a logger each time there is something to say: a store outlives the
// configuration, and so the logger, that it was opened under. Nil logs nothing.
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

// Get returns the values of those of names that are there, as copies. It fails only if ctx is done or
// the file may not be read.
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

// values returns the values of those of names that are there now.
func values(entries map[string]entry, names []string, now time.Time) map[string][]byte {
	found := make(map[string][]byte, len(names))
	for _, name := range names {
		if e, ok := entries[name]; ok && e.live(now) {
			found[name] = []byte(e.value)
		}
	}
	return found
}

// List returns all names, in no order. It fails only if ctx is done or the file may not be read.
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

// done returns nil as long as the caller waits.
func done(ctx context.Context) error {
	err := ctx.Err()
	if errors.Is(err, context.DeadlineExceeded) {
		return keystore.ErrTimeout
	}
	return err
}

// warnIfShared logs if others than the file's owner may read it or write to it. Windows has no such
// permission bits.
func (f *file) warnIfShared() {
	info, err := os.Stat(f.path)
	if err == nil && runtime.GOOS != "windows" && info.Mode()&0o077 != 0 {
		f.log().Warn("keystore file is open to others than its owner, and may hold secrets",
			zap.String("setting", f.setting), zap.String("path", f.path), zap.Stringer("mode", info.Mode()))
	}
}
