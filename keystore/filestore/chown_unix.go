//go:build unix

package filestore

import (
	"os"
	"syscall"
)

// chown gives file the owner and the group of like. Without the right to do so it does nothing.
func chown(file *os.File, like os.FileInfo) {
	if owner, ok := like.Sys().(*syscall.Stat_t); ok {
		_ = file.Chown(int(owner.Uid), int(owner.Gid))
	}
}
