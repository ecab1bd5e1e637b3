package filestore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
)

// poll is between two attempts to take a lock.
const poll = 5 * time.Millisecond

// lock waits for the lock of the file at path, in which no symbolic link is left. The lock is on a
// file of its own beside it, which stays: an edit puts another file in the place of the one at path,
// and a lock on that one would then be on a file that nobody sees. Beside it every program finds
// the lock, by whichever link it came, and may make it where it may edit at all.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	name := beside(path, "lock")
	like, _ := os.Stat(path)
	err = writeNew(name, like, nil)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		_ = os.Remove(name) // who may edit could else not lock
	}
	l := flock.New(name)
	if err == nil || errors.Is(err, fs.ErrExist) {
		_, err = l.TryLockContext(ctx, poll)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Base(name), withoutPath(err))
	}
	return func() { _ = l.Unlock() }, nil
}

// replace puts a new file with that content into the place of the one at path, which before is
// from; nil: there is none. Whoever calls it has the lock. After a crash there is the one or the
// other, whole, and at most a temporary file, which the next call takes away.
func replace(path string, before os.FileInfo, content []byte) error {
	if err := check(content); err != nil {
		return fmt.Errorf("would have a fault if it were written: %w", err)
	}
	temporary := beside(path, "tmp")
	if err := os.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w", filepath.Base(temporary), withoutPath(err))
	}
	err := writeNew(temporary, before, content)
	if err != nil {
		err = fmt.Errorf("%s: %w", filepath.Base(temporary), withoutPath(err))
	} else if now, _ := os.Stat(path); before != nil && !same(now, before) {
		err = errors.New("has been changed meanwhile, by a program that does not wait for the lock; nothing is written")
	} else if err = os.Rename(temporary, path); err != nil {
		err = fmt.Errorf("cannot be replaced: %w", withoutPath(err))
	}
	if err != nil {
		_ = os.Remove(temporary)
		return err
	}
	syncFolder(filepath.Dir(path))
	return nil
}

// check refuses what could not be read back.
func check(content []byte) error {
	if len(content) > maxSize {
		return errTooLarge
	}
	_, err := parse(content, time.Time{})
	return err
}

// writeNew makes a file and has it on the disk when it returns. Its owner, its group and whether that
// may read it are those of like, if there is one: what the administrator edits, the server must still
// be able to read. Nobody else may.
func writeNew(path string, like os.FileInfo, content []byte) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if like != nil {
		err = chown(file, like)
		if err == nil && groupReads(like) {
			err = file.Chmod(0o640)
		}
	}
	if err == nil {
		_, err = file.Write(content)
	}
	return errors.Join(err, file.Sync(), file.Close())
}

// groupReads reports whether the server may read a file through its group, and others may not.
func groupReads(info os.FileInfo) bool { return info.Mode().Perm()&0o047 == 0o040 }

// syncFolder has the names in a folder on the disk, where the system can do that at all. Windows and
// some file systems cannot; the file is in its place all the same.
func syncFolder(path string) {
	if folder, err := os.Open(path); err == nil {
		_ = folder.Sync()
		_ = folder.Close()
	}
}

// beside returns the path of a hidden file that belongs to the one at path.
func beside(path, kind string) string {
	folder, name := filepath.Split(path)
	return filepath.Join(folder, "."+name+"."+kind)
}
