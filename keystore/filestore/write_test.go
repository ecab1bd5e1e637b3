package filestore

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/continue-auth/caddy-continue-auth/keystore"
)

func TestOnlyTheOwnerMayReadAnEditedFile(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no permission bits")
	}
	s := open(t, "[]")
	if err := os.Chmod(s.keys, 0o644); err != nil {
		t.Fatal(err)
	}
	s.edit("a", "1")
	for _, path := range []string{s.keys, beside(s.keys, "lock")} {
		if mode := stat(t, path).Mode(); mode != 0o600 {
			t.Errorf("%s: %v", path, mode)
		}
	}
}

func TestTheGroupMayStillReadAnEditedFile(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no permission bits")
	}
	for mode, want := range map[os.FileMode]os.FileMode{0o600: 0o600, 0o640: 0o640, 0o660: 0o640, 0o644: 0o600, 0o604: 0o600} {
		s := open(t, "[]")
		if err := os.Chmod(s.keys, mode); err != nil {
			t.Fatal(err)
		}
		s.edit("a", "1")
		if got := stat(t, s.keys).Mode(); got != want {
			t.Errorf("%v has become %v, want %v", mode, got, want)
		}
	}
}

func TestAnEditFollowsASymbolicLink(t *testing.T) {
	s := open(t, entryA("1"))
	folder := t.TempDir()
	link := filepath.Join(folder, "link.json")
	if err := os.Symlink(s.keys, link); err != nil {
		t.Skip("no links here:", err)
	}
	linked, err := Open(link, link, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := linked.Edit(t.Context(), keystore.APIKeys, []string{"a"}, to("2")); err != nil {
		t.Error(err)
	}
	s.want("2")
	s.wantFiles(".keys.json.lock", "keys.json", "providers.json")
	if points, err := os.Readlink(link); err != nil || points != s.keys {
		t.Error(points, err)
	}
	if entries, err := os.ReadDir(folder); err != nil || len(entries) != 1 {
		t.Error(entries, err)
	}
}

func TestAnEditRemovesTheTemporaryFileOfACrash(t *testing.T) {
	s := open(t, entryA("1"))
	write(t, beside(s.keys, "tmp"), `[{"key":"a","value":"half`)
	write(t, beside(s.keys, "lock"), "")
	s.want("1")
	s.edit("a", "2")
	s.want("2")
	s.wantFiles(".keys.json.lock", "keys.json", "providers.json")
}

func TestAnEditThatFailsChangesNothing(t *testing.T) {
	s := open(t, entryA("1"))
	taken := beside(s.keys, "tmp")
	if err := os.MkdirAll(filepath.Join(taken, "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	before := read(t, s.keys)
	err := s.Edit(t.Context(), keystore.APIKeys, []string{"a"}, to("2"))
	if !errors.Is(err, keystore.ErrUnavailable) || !strings.HasPrefix(err.Error(), "the keystore is unavailable: api_keys: "+s.keys+": .keys.json.tmp: ") || read(t, s.keys) != before {
		t.Error(err)
	}
	s.want("1")
	if err := os.RemoveAll(taken); err != nil {
		t.Fatal(err)
	}
	s.edit("a", "2")
	s.want("2")
}

func TestAFileThatCannotBeReplacedStays(t *testing.T) {
	folder := t.TempDir()
	inside := filepath.Join(folder, "keys.json", "inside")
	if err := os.MkdirAll(inside, 0o700); err != nil {
		t.Fatal(err)
	}
	err := replace(filepath.Dir(inside), nil, []byte("[]"))
	if err == nil || !strings.HasPrefix(err.Error(), "cannot be replaced: ") || strings.Contains(err.Error(), folder) {
		t.Error(err)
	}
	stat(t, inside)
	if entries, err := os.ReadDir(folder); err != nil || len(entries) != 1 {
		t.Error("the temporary file stays:", entries, err)
	}

	err = replace(filepath.Join(folder, "missing", "keys.json"), nil, []byte("[]"))
	if !errors.Is(err, os.ErrNotExist) || !strings.HasPrefix(err.Error(), ".keys.json.tmp: ") {
		t.Error(err)
	}
}

func TestAFileWithATooLongNameForALockIsNotEdited(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("other limits")
	}
	path := filepath.Join(t.TempDir(), strings.Repeat("k", 250)) // the limit is 255
	write(t, path, entryA("1"))
	s, err := Open(path, path, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = s.Edit(t.Context(), keystore.APIKeys, []string{"a"}, to("2"))
	if !errors.Is(err, keystore.ErrUnavailable) || !strings.HasSuffix(err.Error(), "k.lock: file name too long") || read(t, path) != entryA("1") {
		t.Error(err)
	}
}

func TestAChangeByHandDuringAnEditIsNotOverwritten(t *testing.T) {
	s := open(t, entryA("1"))
	err := s.Edit(t.Context(), keystore.APIKeys, []string{"a"}, func(string, []byte) ([]byte, error) {
		write(t, s.keys, entryA("by hand"))
		return []byte("2"), nil
	})
	want := "the keystore is unavailable: api_keys: " + s.keys + ": has been changed meanwhile, by a program that does not wait for the lock; nothing is written"
	if !errors.Is(err, keystore.ErrUnavailable) || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	s.want("by hand")
	s.wantFiles(".keys.json.lock", "keys.json", "providers.json")

	err = s.Edit(t.Context(), keystore.APIKeys, []string{"a"}, func(string, []byte) ([]byte, error) {
		return []byte("2"), os.Remove(s.keys)
	})
	if err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	s.wantFiles(".keys.json.lock", "providers.json")
}

func TestAnEditWaitsForTheLockUntilItsContextIsDone(t *testing.T) {
	s := open(t, entryA("1"))
	unlock, err := lock(t.Context(), s.keys)
	if err != nil {
		t.Fatal(err)
	}
	edit := func(ctx context.Context) error {
		return s.Edit(ctx, keystore.APIKeys, []string{"a"}, to("2"))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*poll)
	defer cancel()
	if err := edit(ctx); err != keystore.ErrTimeout {
		t.Error(err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	time.AfterFunc(10*poll, cancel)
	if err := edit(ctx); err != context.Canceled {
		t.Error(err)
	}
	s.want("1")

	// The namespaces have different locks.
	if err := s.Edit(t.Context(), keystore.ProviderSettings, []string{"a"}, to("2")); err != nil {
		t.Error(err)
	}
	waiting := make(chan error, 1)
	go func() { waiting <- edit(t.Context()) }()
	select {
	case err := <-waiting:
		t.Fatal("did not wait:", err)
	case <-time.After(10 * poll):
	}
	unlock()
	if err := <-waiting; err != nil {
		t.Error(err)
	}
	s.want("2")
}

func TestAPanicInAnEditReleasesTheLock(t *testing.T) {
	s := open(t, entryA("1"))
	func() {
		defer func() { _ = recover() }()
		_ = s.Edit(t.Context(), keystore.APIKeys, []string{"a"}, func(string, []byte) ([]byte, error) { panic("no") })
	}()
	s.edit("a", "2")
}

func TestCreateMakesAMissingFile(t *testing.T) {
	t.Chdir(t.TempDir())
	for range 2 {
		if err := Create("keys.json"); err != nil {
			t.Fatal(err)
		}
		if got := read(t, "keys.json"); got != "[]\n" {
			t.Errorf("%q", got)
		}
	}
	if mode := stat(t, "keys.json").Mode(); runtime.GOOS != "windows" && mode != 0o600 {
		t.Error(mode)
	}
	if _, err := Open("keys.json", "keys.json", nil); err != nil {
		t.Error(err)
	}
	write(t, "keys.json", "half of a fi")
	if err := Create("keys.json"); err != nil || read(t, "keys.json") != "half of a fi" {
		t.Error("what is there must stay:", err)
	}
}

func TestCreateNamesThePathThatItCannotMake(t *testing.T) {
	folder := t.TempDir()
	missing := filepath.Join(folder, "missing", "keys.json")
	if err := Create(missing); err == nil || !errors.Is(err, os.ErrNotExist) || !strings.HasPrefix(err.Error(), missing+": .keys.json.lock: ") {
		t.Error(err)
	}
	path := filepath.Join(folder, "keys.json")
	if err := os.MkdirAll(filepath.Join(beside(path, "tmp"), "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Create(path); err == nil || !strings.HasPrefix(err.Error(), path+": .keys.json.tmp: ") {
		t.Error(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}
