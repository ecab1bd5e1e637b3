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

// poll is the time between two attempts to take a lock.
const poll = 5 * time.Millisecond

// lock waits for the lock of the file at path, which must have no symbolic links. The lock is a
// file of its own beside that file, and it stays there. A lock on the file itself would not work,
// because an edit replaces the file. A program that may edit the file can create the lock, since it
// may write to the folder, and every program finds the same lock, whatever link it was given.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	name := beside(path, "lock")
	like, _ := os.Stat(path)
	err = writeNew(name, like, nil)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		_ = os.Remove(name) // otherwise users who may edit could not lock
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

// replace replaces the file at path by one with the given content. before describes the file that
// is replaced, or is nil if there is none. The caller holds the lock. After a crash, either the old
// or the new file is there, complete. A temporary file may be left, which the next call removes.
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

// check refuses content that could not be read back.
func check(content []byte) error {
	if len(content) > maxSize {
		return errTooLarge
	}
	_, err := parse(content, time.Time{})
	return err
}

// writeNew makes a file, and returns when its content is on the disk. If there is a file like, the
// new one gets its owner and its group, and the group may read it if it could read like: the server
// must be able to read what the administrator has edited. No one else may read the file.
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

// groupReads reports whether the group may read a file, and others may not.
func groupReads(info os.FileInfo) bool { return info.Mode().Perm()&0o047 == 0o040 }

// syncFolder makes sure that the names in a folder are on the disk. Windows and some file systems
// cannot do that. The file is in its place all the same.
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
