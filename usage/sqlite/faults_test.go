package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/continue-auth/caddy-continue-auth/usage"
)

func batch(number int64) *usage.Batch {
	rows := make([]usage.Row, 200)
	for i := range rows {
		rows[i] = usage.Row{Hour: time.Now().Truncate(time.Hour), User: strings.Repeat("x", i), Requests: 1}
	}
	return &usage.Batch{Run: "run", Number: number, Rows: rows}
}

func newLedger(t *testing.T) *Ledger {
	t.Helper()
	l := New(filepath.Join(t.TempDir(), "usage.db"))
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// works writes a batch and checks how many requests the ledger has then.
func works(t *testing.T, l *Ledger, number, want int64) {
	t.Helper()
	if err := l.Write(t.Context(), batch(number)); err != nil {
		t.Fatal(err)
	}
	has(t, l, want)
}

func has(t *testing.T, l *Ledger, want int64) {
	t.Helper()
	rows, err := l.Sum(t.Context(), usage.Query{})
	if err != nil || len(rows) != 1 || rows[0].Requests != want {
		t.Errorf("sum %+v, error %v, want %d requests", rows, err, want)
	}
}

// fails writes a batch and checks the error.
func fails(t *testing.T, l *Ledger, number int64, says string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	err := l.Write(ctx, batch(number))
	if err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), l.path) {
		t.Errorf("error %v, want %q and the path", err, says)
	}
}

func content(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestADamagedFileStaysAsItIs(t *testing.T) {
	valid := newLedger(t)
	works(t, valid, 1, 200)
	if err := valid.Close(); err != nil {
		t.Fatal(err)
	}
	whole := content(t, valid.path)
	for name, damaged := range map[string]string{
		"text":            strings.Repeat("this is no database. ", 1000),
		"a broken header": "SQLite format 4" + whole[15:],
		"a broken schema": whole[:100] + strings.Repeat("\xFF", 3996) + whole[4096:],
		"half a file":     whole[:len(whole)/2/4096*4096],
	} {
		t.Run(name, func(t *testing.T) {
			l := newLedger(t)
			if err := os.WriteFile(l.path, []byte(damaged), 0o600); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				fails(t, l, 1, "is damaged: stop the server, move the file away")
			}
			if _, err := l.Sum(t.Context(), usage.Query{}); err == nil || !strings.Contains(err.Error(), "is damaged") {
				t.Errorf("Sum: error %v", err)
			}
			if content(t, l.path) != damaged {
				t.Error("the file has changed")
			}
			if err := os.Rename(l.path, l.path+".damaged"); err != nil {
				t.Fatal(err)
			}
			works(t, l, 1, 200)
		})
	}
}

// The largest number of pages stands for the size of the disk.
func TestAFullDiskIsToldAndNothingIsCountedTwice(t *testing.T) {
	l := newLedger(t)
	works(t, l, 1, 200)
	limit := func(pages string) {
		if _, err := l.write.ExecContext(t.Context(), "PRAGMA max_page_count = "+pages); err != nil {
			t.Fatal(err)
		}
	}
	limit("1") // becomes the number of pages that there are
	more := batch(2)
	for i := range more.Rows {
		more.Rows[i].Model = strings.Repeat("y", 500)
		more.Rows[i].Team = strings.Repeat("z", i)
		more.Rows[i].Hour = more.Rows[i].Hour.Add(-time.Duration(i) * time.Hour)
	}
	for range 3 {
		if err := l.Write(t.Context(), more); err == nil || !strings.Contains(err.Error(), "the disk is full") {
			t.Fatalf("error %v", err)
		}
		has(t, l, 200)
	}
	limit("1000000")
	for range 2 {
		if err := l.Write(t.Context(), more); err != nil {
			t.Fatal(err)
		}
	}
	has(t, l, 400)
}

func TestALockedFileIsToldAndCanBeRead(t *testing.T) {
	l := newLedger(t)
	works(t, l, 1, 200)
	other, err := sql.Open("sqlite", l.path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	other.SetMaxOpenConns(1)
	if _, err := other.ExecContext(t.Context(), "BEGIN EXCLUSIVE"); err != nil {
		t.Fatal(err)
	}
	written := make(chan struct{})
	go func() {
		defer close(written)
		fails(t, l, 2, "another program has locked it")
	}()
	has(t, l, 200) // meanwhile
	<-written
	if _, err := other.ExecContext(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	works(t, l, 2, 400)
}

func TestAFileThatWasMovedAwayIsMadeAnew(t *testing.T) {
	l := newLedger(t)
	works(t, l, 1, 200)
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Rename(l.path+suffix, l.path+".old"+suffix); err != nil {
			t.Fatal(err)
		}
	}
	works(t, l, 2, 200)
	if err := os.Remove(l.path); err != nil {
		t.Fatal(err)
	}
	rows, err := l.Sum(t.Context(), usage.Query{})
	if err != nil || len(rows) != 0 {
		t.Errorf("a new ledger has %+v, error %v", rows, err)
	}
	old := Existing(l.path + ".old")
	defer func() { _ = old.Close() }()
	has(t, old, 200)
}

func TestANewerSchemaIsNotTouched(t *testing.T) {
	l := newLedger(t)
	works(t, l, 1, 200)
	if _, err := l.write.ExecContext(t.Context(), "INSERT INTO usage_migrations (version) VALUES (99)"); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	fails(t, l, 2, "version 99 of its schema")
	if _, err := Existing(l.path).Sum(t.Context(), usage.Query{}); err == nil || !strings.Contains(err.Error(), "version 99 of its schema") {
		t.Errorf("error %v", err)
	}
}

func TestExistingMakesNoFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "usage.db")
	l := Existing(path)
	if _, err := l.Sum(t.Context(), usage.Query{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Sum: error %v", err)
	}
	if _, err := l.Import(t.Context(), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Import: error %v", err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Sum(t.Context(), usage.Query{}); err == nil || !strings.Contains(err.Error(), "is no ledger: start the server with it first") {
		t.Errorf("an empty file: error %v", err)
	}
}

func TestOnlyTheOwnerCanReadTheFiles(t *testing.T) {
	l := newLedger(t)
	l.path = filepath.Join(filepath.Dir(l.path), "new folder", "usage.db")
	works(t, l, 1, 200)
	for path, want := range map[string]os.FileMode{l.path: 0o600, l.path + "-wal": 0o600, l.path + "-shm": 0o600, filepath.Dir(l.path): 0o700} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: mode %v, error %v, want %v", path, info.Mode().Perm(), err, want)
		}
	}
}
