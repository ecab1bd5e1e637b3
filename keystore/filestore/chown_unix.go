//go:build unix

package filestore

import (
	"errors"
	"os"
	"syscall"
)

var errOwner = errors.New("could not be given to the owner and the group of the file, who could then not read it: run this as that user or as root")

// chown gives file the owner and the group of like. Where only root may give files away, the group
// will do, if it is the group that reads.
func chown(file *os.File, like os.FileInfo) error {
	want, ok := like.Sys().(*syscall.Stat_t)
	if !ok || file.Chown(int(want.Uid), int(want.Gid)) == nil {
		return nil
	}
	if groupReads(like) && file.Chown(-1, int(want.Gid)) == nil || !groupReads(like) && os.Geteuid() == int(want.Uid) {
		return nil
	}
	return errOwner
}
