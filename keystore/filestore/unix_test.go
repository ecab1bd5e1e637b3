//go:build linux || darwin

package filestore

import (
	"errors"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"github.com/continue-auth/caddy-continue-auth/keystore"
)

func TestAnEditedFileKeepsItsOwner(t *testing.T) {
	s := open(t, "[]")
	owner := os.Getuid()
	if owner == 0 { // root edits a file that belongs to the server
		owner = 65534
		if err := os.Chown(s.keys, owner, owner); err != nil {
			t.Fatal(err)
		}
	}
	before := stat(t, s.keys)
	s.edit("a", "1")
	if os.SameFile(before, stat(t, s.keys)) {
		t.Error("the file has not been replaced")
	}
	for _, path := range []string{s.keys, beside(s.keys, "lock")} {
		if got := stat(t, path).Sys().(*syscall.Stat_t).Uid; int(got) != owner {
			t.Errorf("%s is owned by %d, want %d", path, got, owner)
		}
	}
}

func TestAFullDiskChangesNothing(t *testing.T) {
	s := open(t, entryA("1"))
	// A limit on the file size stops a write in its middle, as a full disk does. The limit holds
	// for the whole process, so it must be larger than what go test writes about the test.
	signal.Ignore(syscall.SIGXFSZ)
	defer signal.Reset(syscall.SIGXFSZ)
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 1 << 20, Max: limit.Max}); err != nil {
		t.Fatal(err)
	}
	err := s.Edit(t.Context(), keystore.APIKeys, []string{"a"}, to(strings.Repeat("2", 1<<21)))
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	want := "the keystore is unavailable: api_keys: " + s.keys + ": .keys.json.tmp: file too large"
	if !errors.Is(err, keystore.ErrUnavailable) || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	s.want("1")
	s.wantFiles(".keys.json.lock", "keys.json", "providers.json")
}
