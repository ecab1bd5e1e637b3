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

// createTimeout bounds how long Create waits for the lock.
const createTimeout = 10 * time.Second

// Edit is keystore.Editor's. However many programs edit a file at once by Edit, no change is lost:
// each waits, until ctx is done, for the file's lock (.keys.json.lock beside keys.json), and changes
// the file as it is then. All changes of a call are made at once or, if it fails, not at all.
//
// A file with a fault in it is not touched, and the error names the path and the place. The file
// is replaced by a new one of mode 0600 and, if we may, the same owner; of a symbolic link the file
// that it points to. So the folder must be writable, and the file not be a mount of its own. Entries
// that are not edited stay as they are, byte for byte, except that "expiration_ttl", which counts
// from when the file is written, becomes "expiration". An edited entry keeps its other properties,
// less "base64".
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

// Create makes a file without entries and of mode 0600, unless there is something of that name.
// Errors name the path.
func Create(path string) error {
	ctx, cancel := context.WithTimeout(context.Background(), createTimeout)
	defer cancel()
	unlock, err := lock(ctx, path)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	defer unlock()
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return nil // what is wrong with it, if anything, Open says
	}
	if err := replace(path, nil, []byte("[]\n")); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// unavailable is keystore.ErrUnavailable with the file and the reason.
func (f *file) unavailable(err error) error {
	return fmt.Errorf("%w: %s: %s: %w", keystore.ErrUnavailable, f.setting, f.path, withoutPath(err))
}
