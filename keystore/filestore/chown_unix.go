//go:build unix

package filestore

import (
	"errors"
	"os"
	"syscall"
)

var errOwner = errors.New("could not be given to the owner and the group of the file, who could then not read it: run this as that user or as root")

// chown gives file the owner and the group of like. If only root may do that, it sets the group
// alone, provided that the group may read the file. It returns errOwner if the server could then
// not read the file.
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
