// Package sqlite keeps the ledger in a file. Other programs can read it while the server runs.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"github.com/continue-auth/caddy-continue-auth/usage"
	"github.com/continue-auth/caddy-continue-auth/usage/ledgersql"
)

// busyTimeout is how long a write waits for another program's write.
const busyTimeout = 2 * time.Second

// readers is how many queries run at once. Others wait.
const readers = 4

var dialect = ledgersql.Dialect{ID: "INTEGER PRIMARY KEY", Table: " WITHOUT ROWID", UserDays: "usr, day, team", Placeholder: "?"}

// Ledger is a ledger in a file.
type Ledger struct {
	path string
	made bool // whether a file that does not exist is made

	mu    sync.Mutex
	file  os.FileInfo // of the file that is open
	write *sql.DB     // nil if no file is open; has one connection
	read  *sql.DB
}

// New returns the ledger in a file. The path must be absolute. The first call of a method opens the file, and makes it if it does not
// exist. Only its owner can read it.
func New(path string) *Ledger { return &Ledger{path: path, made: true} }

// Existing is like New for a file that must exist.
func Existing(path string) *Ledger { return &Ledger{path: path} }

// Write adds a batch.
func (l *Ledger) Write(ctx context.Context, batch *usage.Batch) error {
	return l.with(ctx, func(db *sql.DB) error { return ledgersql.Write(ctx, db, dialect, batch) })
}

// Import adds requests of an access log.
func (l *Ledger) Import(ctx context.Context, lines []usage.Line) (added int, err error) {
	err = l.with(ctx, func(db *sql.DB) error {
		added, err = ledgersql.Import(ctx, db, dialect, lines)
		return err
	})
	return added, err
}

// Prune deletes some old rows.
func (l *Ledger) Prune(ctx context.Context, before time.Time) (deleted int, err error) {
	err = l.with(ctx, func(db *sql.DB) error {
		deleted, err = ledgersql.Prune(ctx, db, before)
		return err
	})
	return deleted, err
}

// Sum adds up the rows of a query. It does not wait for writers, except to open the file.
func (l *Ledger) Sum(ctx context.Context, query usage.Query) (rows []usage.Row, err error) {
	db, err := l.reader(ctx)
	if err == nil {
		rows, err = ledgersql.Sum(ctx, db, dialect, query)
	}
	if err != nil {
		return nil, l.explain(err)
	}
	return rows, nil
}

// with calls do with a connection that can write. After an error that another file may not have, it closes the
// file.
func (l *Ledger) with(ctx context.Context, do func(db *sql.DB) error) error {
	db, err := l.writer(ctx)
	if err == nil {
		err = do(db)
	}
	if err == nil {
		return nil
	}
	if code := codeOf(err); code != lib.SQLITE_BUSY && code != lib.SQLITE_FULL {
		_ = l.Close()
	}
	return l.explain(err)
}

func (l *Ledger) writer(ctx context.Context) (*sql.DB, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	err := l.open(ctx)
	return l.write, err
}

func (l *Ledger) reader(ctx context.Context) (*sql.DB, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var err error
	if l.made {
		err = l.open(ctx) // the file may be new
	} else {
		err = l.find()
	}
	if err != nil || l.read != nil {
		return l.read, err
	}
	l.read, err = connect(l.path, readers, "&_pragma=query_only(1)", func(db *sql.DB) error { return ledgersql.Check(ctx, db) })
	return l.read, err
}

// open opens the file for writing, unless it is open. While another program opens the file for the first time,
// SQLite does not wait, so open does.
func (l *Ledger) open(ctx context.Context) error {
	err := l.find()
	for deadline := time.Now().Add(busyTimeout); err == nil && l.write == nil; time.Sleep(10 * time.Millisecond) {
		l.write, err = connect(l.path, 1, "&_txlock=immediate", func(db *sql.DB) error { return ledgersql.Migrate(ctx, db, dialect) })
		if codeOf(err) == lib.SQLITE_BUSY && time.Now().Before(deadline) {
			err = nil
		}
	}
	return err
}

// find looks which file is at the path. If somebody has moved the open file away, it closes that.
func (l *Ledger) find() error {
	file, err := os.Stat(l.path)
	if errors.Is(err, fs.ErrNotExist) && l.made {
		if err = l.make(); err == nil {
			file, err = os.Stat(l.path)
		}
	}
	if l.file != nil && (err != nil || !os.SameFile(file, l.file)) {
		_ = l.close()
	}
	l.file = file
	return err
}

// make makes an empty file that only its owner can read. SQLite gives its other files the same mode.
func (l *Ledger) make() error {
	if err := os.MkdirAll(filepath.Dir(l.path), 0o700); err != nil {
		return err
	}
	file, err := os.OpenFile(l.path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	return file.Close()
}

// connect makes connections that have passed a check.
func connect(path string, connections int, options string, check func(db *sql.DB) error) (*sql.DB, error) {
	if path = filepath.ToSlash(path); path[0] != '/' {
		path = "/" + path // the drive of Windows
	}
	name := url.URL{Scheme: "file", Path: path}
	db, err := sql.Open("sqlite", fmt.Sprintf("%s?mode=rw&_dqs=0&_pragma=busy_timeout(%d)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=cache_size(-16000)%s", name.String(), busyTimeout.Milliseconds(), options))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(connections)
	if err := check(db); err != nil {
		_ = db.Close()
		return nil, err
	}
	return db, nil
}

// Close closes the file.
func (l *Ledger) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.close()
}

func (l *Ledger) close() error {
	var failed error
	for _, db := range []*sql.DB{l.read, l.write} {
		if db != nil {
			failed = errors.Join(failed, db.Close())
		}
	}
	l.read, l.write, l.file = nil, nil, nil
	return failed
}

// codeOf returns the SQLite code of an error, without its details, or 0.
func codeOf(err error) int {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return 0
	}
	return e.Code() & 0xFF
}

// explain says what to do about an error.
func (l *Ledger) explain(err error) error {
	switch codeOf(err) {
	case lib.SQLITE_ERROR:
		if !l.made {
			return fmt.Errorf("%s is no ledger: start the server with it first: %w", l.path, err)
		}
	case lib.SQLITE_CORRUPT, lib.SQLITE_NOTADB:
		return fmt.Errorf("%s is damaged: stop the server, move the file away with its -wal and -shm, start the server, and fill the new ledger with `caddy continue-auth usage import`: %w", l.path, err)
	case lib.SQLITE_FULL:
		return fmt.Errorf("%s: the disk is full: %w", l.path, err)
	case lib.SQLITE_BUSY, lib.SQLITE_LOCKED:
		return fmt.Errorf("%s: another program has locked it: %w", l.path, err)
	case lib.SQLITE_READONLY, lib.SQLITE_CANTOPEN, lib.SQLITE_PERM, lib.SQLITE_AUTH:
		return fmt.Errorf("%s: it and its folder must be writable for the user that the server runs as: %w", l.path, err)
	}
	if errors.As(err, new(*fs.PathError)) { // it has the path already
		return fmt.Errorf("ledger: %w", err)
	}
	return fmt.Errorf("ledger %s: %w", l.path, err)
}

var _ usage.Ledger = (*Ledger)(nil)
