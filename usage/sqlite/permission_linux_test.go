package sqlite

import (
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
)

// unprivileged runs f with the rights of a user who owns nothing, if the test runs as root.
func unprivileged(t *testing.T, f func()) {
	t.Helper()
	if os.Getuid() != 0 {
		f()
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread ends with its rights
		for _, call := range []uintptr{syscall.SYS_SETREGID, syscall.SYS_SETREUID} {
			if _, _, errno := syscall.RawSyscall(call, 65533, 65533, 0); errno != 0 {
				t.Error(errno)
				return
			}
		}
		f()
	}()
	<-done
}

func TestAFolderThatCannotBeWrittenIsTold(t *testing.T) {
	l := newLedger(t)
	folder := filepath.Dir(l.path)
	if err := os.Chmod(filepath.Dir(folder), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(folder, 0o555); err != nil {
		t.Fatal(err)
	}
	unprivileged(t, func() { fails(t, l, 1, "permission denied") })
	if err := os.Chmod(folder, 0o777); err != nil {
		t.Fatal(err)
	}
	unprivileged(t, func() {
		works(t, l, 1, 200)
		_ = l.Close()
	})
}

func TestAFileThatCannotBeWrittenIsTold(t *testing.T) {
	l := newLedger(t)
	works(t, l, 1, 200)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	folder := filepath.Dir(l.path)
	for path, mode := range map[string]os.FileMode{l.path: 0o444, folder: 0o777, filepath.Dir(folder): 0o755} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	unprivileged(t, func() {
		fails(t, l, 2, "must be writable for the user that the server runs as")
		_ = l.Close()
	})
}
