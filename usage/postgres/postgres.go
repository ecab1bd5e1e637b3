// Package postgres keeps the ledger in PostgreSQL. Any number of servers can write to it.
package postgres

import (
	"context"
	"database/sql"
	"errors"
	"net"
	"os"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/continue-auth/caddy-continue-auth/usage"
	"github.com/continue-auth/caddy-continue-auth/usage/ledgersql"
)

const (
	// connectTimeout is how long a connection may take, unless the connection string says otherwise.
	connectTimeout = 2 * time.Second

	// connections is how many connections there are at most: one writes, and the others answer queries.
	connections = 4
)

var dialect = ledgersql.Dialect{
	ID:          "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
	UserDays:    "day, usr, team",
	Placeholder: "$",
	Alone:       `SELECT pg_advisory_xact_lock(7161929301)`, // any number that other programs do not use
}

// Ledger is a ledger in a database.
type Ledger struct {
	config *pgx.ConnConfig

	mu       sync.Mutex
	db       *sql.DB // nil before the first use and after Close
	migrated bool
}

// New returns the ledger in the database that a connection string names, which is a URL or a list of
// keywords and values. It does not connect yet.
func New(dsn string) (*Ledger, error) {
	config, err := pgx.ParseConfig(dsn)
	if err != nil { // the error shows parts of the string
		return nil, errors.New("is no connection string of PostgreSQL, such as postgres://user:password@host/database, or a file that it names cannot be read")
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = connectTimeout
	}
	// Most statements contain the rows, so it does not pay to prepare them.
	config.DefaultQueryExecMode = pgx.QueryExecModeExec
	return &Ledger{config: config}, nil
}

// open returns the database, after it has brought the schema up to date.
func (l *Ledger) open(ctx context.Context) (*sql.DB, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.db == nil {
		l.db, l.migrated = stdlib.OpenDB(*l.config), false
		l.db.SetMaxOpenConns(connections)
		l.db.SetConnMaxIdleTime(time.Minute)
	}
	if !l.migrated {
		if err := ledgersql.Migrate(ctx, l.db, dialect); err != nil {
			return nil, err
		}
		l.migrated = true
	}
	return l.db, nil
}

// Write adds a batch.
func (l *Ledger) Write(ctx context.Context, batch *usage.Batch) error {
	db, err := l.open(ctx)
	if err == nil {
		err = ledgersql.Write(ctx, db, dialect, batch)
	}
	return explain(err)
}

// Import adds requests of an access log.
func (l *Ledger) Import(ctx context.Context, lines []usage.Line) (added int, err error) {
	db, err := l.open(ctx)
	if err == nil {
		added, err = ledgersql.Import(ctx, db, dialect, lines)
	}
	return added, explain(err)
}

// Prune deletes some old rows.
func (l *Ledger) Prune(ctx context.Context, before time.Time) (deleted int, err error) {
	db, err := l.open(ctx)
	if err == nil {
		deleted, err = ledgersql.Prune(ctx, db, before)
	}
	return deleted, explain(err)
}

// Sum adds up the rows of a query.
func (l *Ledger) Sum(ctx context.Context, query usage.Query) (rows []usage.Row, err error) {
	db, err := l.open(ctx)
	if err == nil {
		rows, err = ledgersql.Sum(ctx, db, dialect, query)
	}
	return rows, explain(err)
}

// Close closes the connections.
func (l *Ledger) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.db == nil {
		return nil
	}
	err := l.db.Close()
	l.db = nil
	return err
}

// explain returns an error without the connection string, of which pgx's errors show parts.
func explain(err error) error {
	var server *pgconn.PgError
	var network *net.OpError
	var syscall *os.SyscallError
	var name *net.DNSError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &server) && server.Code[:2] == "28": // the message names the user
		return errors.New("PostgreSQL refuses the user or the password in dsn (" + server.Code + ")")
	case errors.As(err, &server) && server.Code == "3D000": // the message names the database
		return errors.New("PostgreSQL has no database of the name in dsn (" + server.Code + ")")
	case errors.As(err, &server):
		return errors.New("PostgreSQL answers: " + server.Message + " (" + server.Code + ")")
	case errors.Is(err, context.DeadlineExceeded):
		return errors.New("PostgreSQL does not answer in time")
	case errors.As(err, &name):
		return errors.New("the name of PostgreSQL's host is not known")
	case errors.As(err, &syscall):
		return errors.New("PostgreSQL cannot be reached: " + syscall.Err.Error())
	case errors.As(err, &network):
		return errors.New("PostgreSQL cannot be reached")
	case errors.As(err, new(*pgconn.ConnectError)):
		return errors.New("PostgreSQL accepts no connection: check host, port and sslmode in dsn")
	}
	return err
}

var _ usage.Ledger = (*Ledger)(nil)
