package filestore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/continue-auth/caddy-continue-auth/keystore"
)

// createTimeout is the longest time that Create waits for the lock.
const createTimeout = 10 * time.Second

// Edit changes the file of the namespace ns, as keystore.Editor describes. It makes all changes of
// one call, or none if it fails.
//
// Several programs can call Edit on one file at once, and no change is lost. Each call waits for
// the file's lock (.keys.json.lock beside keys.json) until ctx is done, then reads the file and
// changes it.
//
// Edit does not change a file that has a fault. The error then names the path and the place.
//
// Edit replaces the file by a new one of mode 0600, or 0640 if only the group could read the old
// one. The new file has the same owner if the system allows that. If the path is a symbolic link,
// Edit replaces the file that it points to. So the folder must be writable, and the file must not
// be a mount.
//
// Other entries stay as they are, byte for byte. One thing changes: "expiration_ttl" counts from
// the time of the last write, so Edit replaces it by "expiration". An edited entry keeps its other
// properties, except "base64".
func (s *Store) Edit(ctx context.Context, ns keystore.Namespace, names []string, edit func(name string, value []byte) ([]byte, error)) error {
	if err := done(ctx); err != nil {
		return err
	}
	f := s.file(ns)
	path, err := filepath.EvalSymlinks(f.path)
	if err != nil {
		return f.unavailable(err)
	}
	unlock, err := lock(ctx, path)
	if err != nil {
		if gone := done(ctx); gone != nil {
			return gone
		}
		return f.unavailable(err)
	}
	defer unlock()

	data, info, err := load(path)
	if err != nil {
		return f.unavailable(err)
	}
	entries, err := parse(data, info.ModTime())
	if err != nil {
		return f.unavailable(err)
	}
	now := time.Now()
	changes, err := keystore.Changes(names, values(entries, names, now), edit)
	if err != nil || len(changes) == 0 {
		return err
	}
	if err := replace(path, info, rewrite(data, info.ModTime(), now, changes)); err != nil {
		return f.unavailable(err)
	}
	return nil
}

// Create makes a file without entries, with mode 0600. If path exists already, it does nothing. Its
// errors name the path.
func Create(path string) error {
	ctx, cancel := context.WithTimeout(context.Background(), createTimeout)
	defer cancel()
	unlock, err := lock(ctx, path)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	defer unlock()
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return nil // Open reports what is wrong with it
	}
	if err := replace(path, nil, []byte("[]\n")); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// unavailable returns a keystore.ErrUnavailable that names the file and the reason.
func (f *file) unavailable(err error) error {
	return fmt.Errorf("%w: %s: %s: %w", keystore.ErrUnavailable, f.setting, f.path, withoutPath(err))
}
