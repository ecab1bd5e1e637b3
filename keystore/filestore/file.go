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
	// maxSize is the largest size of a file, in bytes.
	maxSize = 256 << 20

	// granularity is the coarsest time stamp of the file systems that are in use: FAT's. If a file
	// was last written longer ago than that, another write gives it another time.
	granularity = 2 * time.Second
)

var errTooLarge = fmt.Errorf("must not be larger than %d MB", maxSize>>20)

// seed is for the sums that identify a file's content.
var seed = maphash.MakeSeed()

// file is one of the two files, with what was last read from it.
type file struct {
	setting, path string
	log           func() *zap.Logger

	mu       sync.Mutex
	entries  map[string]entry // from the last good content; replaced as a whole, never changed
	seen     os.FileInfo      // when the file was last read, good or not; nil means that it must be read again
	sum      uint64
	modified time.Time
	fault    error  // of the content with that sum and time; nil if it is good
	logged   string // the last failure that was logged, or ""
}

// current returns the entries of the file as it is now. If the file is broken or missing, it
// returns the entries of the last good content. If the server may not read the file, it fails:
// nobody else would notice that, and disabled users would stay in.
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

// same reports whether a and b describe a file that was not written between them.
func same(a, b os.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// read reads the file and keeps its entries if it has no fault.
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
	// Opening a named pipe would wait until another program writes to it.
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
	if _, err = buffer.ReadFrom(io.LimitReader(file, maxSize)); err != nil { // the file may be growing
		return nil, nil, withoutPath(err)
	}
	return buffer.Bytes(), info, nil
}

// withoutPath removes the path from an error, because the caller's message has it already.
func withoutPath(err error) error {
	if wrapped, ok := errors.AsType[*os.LinkError](err); ok {
		return wrapped.Err
	}
	if wrapped, ok := errors.AsType[*fs.PathError](err); ok {
		return wrapped.Err
	}
	return err
}

// report logs a failure once, and logs once when it is over.
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
