package filestore

import (
	"bytes"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"

	"go.uber.org/zap"
)

const (
	// maxSize bounds a file, in bytes.
	maxSize = 256 << 20

	// granularity is the coarsest time stamp of a file system that is still in use: FAT's. A file
	// that was last written longer ago than that cannot change and keep its time.
	granularity = 2 * time.Second
)

var errTooLarge = fmt.Errorf("must not be larger than %d MB", maxSize>>20)

// seed is for the sums by which a file's content is known again.
var seed = maphash.MakeSeed()

// file is one of the two files, and what it last said.
type file struct {
	setting, path string
	log           func() *zap.Logger

	mu       sync.Mutex
	entries  map[string]entry // of the last good content; never changed, only replaced
	seen     os.FileInfo      // of the last content, good or not; nil: read it again
	sum      uint64
	modified time.Time
	fault    error  // of the content with that sum and time; nil: it is good
	logged   string // the failure that has been logged; "": none
}

// current returns the entries of the file as it is now, or of its last good content. It fails where
// the file may not be read: what is broken is mended by whoever broke it, but of this nobody else
// would see anything, and who is disabled would stay in.
func (f *file) current() (map[string]entry, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.unchanged() {
		return f.entries, nil
	}
	err := f.read()
	f.report(err)
	if errors.Is(err, fs.ErrPermission) {
		return nil, f.unavailable(err)
	}
	return f.entries, nil
}

func (f *file) unchanged() bool {
	if f.seen == nil {
		return false
	}
	info, err := os.Stat(f.path)
	return err == nil && same(info, f.seen)
}

// same reports whether nothing has been written between a and b.
func same(a, b os.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// read reads the file and keeps its entries, unless there is a fault in it.
func (f *file) read() error {
	f.seen = nil
	now := time.Now()
	data, info, err := load(f.path)
	if err != nil {
		return err
	}
	if age := now.Sub(info.ModTime()); age > granularity || age < -granularity {
		f.seen = info
	}
	sum := maphash.Bytes(seed, data)
	if sum == f.sum && info.ModTime().Equal(f.modified) {
		return f.fault
	}
	entries, err := parse(data, info.ModTime())
	f.sum, f.modified, f.fault = sum, info.ModTime(), err
	if err == nil {
		f.entries = entries
	}
	return err
}

// load reads a whole file. info is from before the first byte was read.
func load(path string) (data []byte, info os.FileInfo, err error) {
	info, err = os.Stat(path)
	if err != nil {
		return nil, nil, withoutPath(err)
	}
	// Opening a named pipe would wait for its writer.
	if !info.Mode().IsRegular() {
		return nil, nil, errors.New("must be a regular file")
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, nil, withoutPath(err)
	}
	defer func() { _ = file.Close() }()
	if info, err = file.Stat(); err != nil {
		return nil, nil, withoutPath(err)
	}
	if info.Size() > maxSize {
		return nil, nil, errTooLarge
	}
	buffer := bytes.NewBuffer(make([]byte, 0, info.Size()+bytes.MinRead))
	if _, err = buffer.ReadFrom(io.LimitReader(file, maxSize)); err != nil { // it may be growing
		return nil, nil, withoutPath(err)
	}
	return buffer.Bytes(), info, nil
}

// withoutPath takes away what the message that it becomes part of says already.
func withoutPath(err error) error {
	if wrapped, ok := errors.AsType[*os.LinkError](err); ok {
		return wrapped.Err
	}
	if wrapped, ok := errors.AsType[*fs.PathError](err); ok {
		return wrapped.Err
	}
	return err
}

// report logs what has become of the file, once for each failure, and once when it is over.
func (f *file) report(err error) {
	failure := ""
	if err != nil {
		failure = err.Error()
	}
	if failure == f.logged {
		return
	}
	f.logged = failure
	where := []zap.Field{zap.String("setting", f.setting), zap.String("path", f.path)}
	switch {
	case err == nil:
		f.log().Info("keystore file is good again", where...)
	case errors.Is(err, fs.ErrPermission):
		f.log().Error("keystore file may not be read by the server", append(where, zap.Error(err))...)
	default:
		f.log().Error("keystore file cannot be used, its last good content stays", append(where, zap.Error(err))...)
	}
}
