//go:build postgres

package postgres

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/continue-auth/caddy-continue-auth/usage"
	"github.com/continue-auth/caddy-continue-auth/usage/postgres/pgtest"
)

func row(user int) *usage.Row {
	return &usage.Row{Hour: time.Now().Truncate(time.Hour), User: fmt.Sprint("user", user), Model: "m", Provider: "p", Requests: 1, Prompt: 10}
}

func wantRequests(t *testing.T, l *Ledger, want int64) {
	t.Helper()
	rows, err := l.Sum(t.Context(), usage.Query{})
	if err != nil || len(rows) != 1 || rows[0].Requests != want || rows[0].Prompt != 10*want {
		t.Errorf("sum %+v, error %v, want %d requests", rows, err, want)
	}
}

// The database is away when the recorder begins, and again later.
func TestARecorderSurvivesThatPostgresIsAway(t *testing.T) {
	server := pgtest.Start(t)
	server.Stop()
	core, logs := observer.New(zapcore.InfoLevel)
	r := usage.NewRecorder(open(t, server.DSN), usage.RecorderOptions{Keep: 24 * time.Hour, Log: func() *zap.Logger { return zap.New(core) }})
	sent := int64(0)
	add := func() {
		for i := range 100 {
			r.Add(time.Now(), row(i))
			sent++
		}
	}
	said := func(message string, times int) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); logs.FilterMessageSnippet(message).Len() < times; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("the log does not say %q %d times: %v", message, times, logs.All())
			}
		}
	}
	for outage := range 2 {
		add()
		said("ledger cannot be written", outage+1)
		add()
		if n := r.Pending(); n < 100 {
			t.Errorf("%d rows are pending, want at least 100", n)
		}
		server.Start()
		said("ledger can be written again", outage+1)
		add()
		if outage == 0 {
			server.Kill()
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	l := open(t, server.DSN)
	defer func() { _ = l.Close() }()
	wantRequests(t, l, sent)
	for _, entry := range logs.All() {
		if strings.Contains(fmt.Sprint(entry.ContextMap()), pgtest.Password) {
			t.Errorf("the log has the password: %v", entry)
		}
	}
}

// A commit whose answer is lost may have happened. The batch is then written again.
func TestABatchIsCountedOnceAlthoughPostgresIsKilledDuringCommits(t *testing.T) {
	server := pgtest.Start(t)
	const rows = 20
	stop, ended := make(chan struct{}), make(chan struct{})
	written, failed := int64(0), 0
	progress := make(chan struct{}, 1)
	go func() {
		defer close(ended)
		l := open(t, server.DSN)
		defer func() { _ = l.Close() }()
		for {
			batch := &usage.Batch{Run: "run", Number: written + 1}
			for i := range rows {
				batch.Rows = append(batch.Rows, *row(i))
			}
			for {
				ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
				err := l.Write(ctx, batch)
				cancel()
				if err == nil {
					break
				}
				failed++
				time.Sleep(5 * time.Millisecond)
			}
			written++
			select {
			case progress <- struct{}{}:
			default:
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	}()
	for round := range 6 {
		for range 5 + round {
			<-progress
		}
		server.Kill()
		server.Start()
	}
	<-progress
	close(stop)
	<-ended
	if failed == 0 {
		t.Error("no write failed, so nothing was tested")
	}
	l := open(t, server.DSN)
	defer func() { _ = l.Close() }()
	wantRequests(t, l, written*rows)
}

func TestErrorsSayWhatIsWrongAndNothingOfTheConnectionString(t *testing.T) {
	server := pgtest.Start(t)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	address := strings.TrimPrefix(server.DSN[strings.Index(server.DSN, "@")+1:], "")
	address, _, _ = strings.Cut(address, "/")
	for says, dsn := range map[string]string{
		"refuses the user or the password in dsn": strings.Replace(server.DSN, pgtest.Password, "wrong-secret", 1),
		"has no database of the name in dsn":      strings.Replace(server.DSN, "/postgres?", "/secret-name?", 1),
		"cannot be reached: connection refused":   "postgres://secret-user:wrong-secret@127.0.0.1:1/x?sslmode=disable",
		"does not answer in time":                 "postgres://secret-user:wrong-secret@" + silent.Addr().String() + "/x?sslmode=disable",
		"accepts no connection: check host, port": strings.Replace(server.DSN, "sslmode=disable", "sslmode=require", 1),
		"host is not known":                       "postgres://secret-user:wrong-secret@secret-host.invalid/x",
	} {
		t.Run(says, func(t *testing.T) {
			l := open(t, dsn)
			defer func() { _ = l.Close() }()
			ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
			defer cancel()
			err := l.Write(ctx, &usage.Batch{Run: "run"})
			if err == nil || !strings.Contains(err.Error(), says) {
				t.Fatalf("error %v, want %q", err, says)
			}
			for _, secret := range []string{"secret", pgtest.Password, address, silent.Addr().String()} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("the error has %q: %v", secret, err)
				}
			}
		})
	}
}
