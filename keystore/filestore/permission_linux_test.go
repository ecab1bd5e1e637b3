package filestore

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/zap"

	"github.com/continue-auth/caddy-continue-auth/keystore"
)

const (
	server = 65533 // the server's user
	admin  = 65532 // the user who runs the commands
)

// as runs f with the rights of a user and a group.
func as(t *testing.T, user, group int, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread ends with its rights
		for _, take := range []struct {
			call  uintptr
			value int
		}{{syscall.SYS_SETGROUPS, 0}, {syscall.SYS_SETREGID, group}, {syscall.SYS_SETREUID, user}} {
			a, b := uintptr(take.value), uintptr(take.value)
			if take.call == syscall.SYS_SETGROUPS {
				a, b = 0, 0
			}
			if _, _, errno := syscall.RawSyscall(take.call, a, b, 0); errno != 0 {
				t.Error(errno)
				return
			}
		}
		f()
	}()
	<-done
}

// owned makes a store whose files belong to the server and have the given mode, in a folder that
// every user may write to.
func owned(t *testing.T, mode os.FileMode) *store {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can be several users")
	}
	s := open(t, entryA("1"))
	folder := filepath.Dir(s.keys)
	for path, mode := range map[string]os.FileMode{s.keys: mode, filepath.Join(folder, "providers.json"): mode, folder: 0o777, filepath.Dir(folder): 0o755} {
		if err := errors.Join(os.Chown(path, server, server), os.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func TestAnUnreadableFileIsUnavailable(t *testing.T) {
	s := owned(t, 0o600)
	as(t, server, server, func() { s.want("1") })
	if err := errors.Join(os.WriteFile(s.keys, []byte(entryA("2")), 0o600), os.Chown(s.keys, admin, admin)); err != nil {
		t.Fatal(err)
	}
	want := "the keystore is unavailable: api_keys: " + s.keys + ": permission denied"
	as(t, server, server, func() {
		for range 2 {
			if values, err := s.Get(t.Context(), keystore.APIKeys, []string{"a"}); !errors.Is(err, keystore.ErrUnavailable) || err.Error() != want || values != nil {
				t.Errorf("Get: %q, %v, want %s", values, err, want)
			}
			if names, err := s.List(t.Context(), keystore.APIKeys); !errors.Is(err, keystore.ErrUnavailable) || names != nil {
				t.Errorf("List: %q, %v", names, err)
			}
		}
	})
	if err := os.Chown(s.keys, server, server); err != nil {
		t.Fatal(err)
	}
	as(t, server, server, func() { s.want("2") })
	s.wantLogs("error: keystore file may not be read by the server: permission denied", goodAgain)
}

func TestAnEditThatTheServerCouldNotReadIsRefused(t *testing.T) {
	for name, test := range map[string]struct {
		mode        os.FileMode
		user, group int
		refused     bool
	}{
		"the owner":                  {0o600, server, server, false},
		"the owner in another group": {0o600, server, admin, false},
		"the owner, of a file that another group reads": {0o640, server, admin, true},
		"another of the group":                          {0o640, admin, server, false},
		"another, of a file for all":                    {0o644, admin, admin, true},
		"of the group of a file for all":                {0o644, admin, server, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := owned(t, test.mode)
			var err error
			as(t, test.user, test.group, func() {
				var mine *Store // opened as the command does
				if mine, err = Open(s.keys, s.keys, zap.NewNop); err == nil {
					err = mine.Edit(t.Context(), keystore.APIKeys, []string{"a"}, to("2"))
				}
			})
			if test.refused {
				if err == nil || !strings.Contains(err.Error(), "could not be given to the owner and the group of the file") {
					t.Error(err)
				}
				s.wantFiles("keys.json", "providers.json")
			} else if err != nil {
				t.Error(err)
			}
			as(t, server, server, func() { s.want(map[bool]string{true: "1", false: "2"}[test.refused]) })
		})
	}
}
