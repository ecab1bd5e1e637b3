// Package ledgersql is the ledger's schema and its SQL, which SQLite and PostgreSQL share.
//
// Names are stored once and have small numbers, so a row takes about 40 bytes. Two tables hold sums by day, so
// that a month need not be added up from its hours: one by user, one by everything else. All tables are written
// in the same transaction.
package ledgersql

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
)

// Dialect is how a database differs.
type Dialect struct {
	// ID is the type of a column that numbers the rows of a table.
	ID string

	// Table is what follows the columns of a table that is read in the order of its primary key.
	Table string

	// UserDays is the primary key of usage_user_days. SQLite reads a table in this order, so the days of a user
	// must follow each other. PostgreSQL must find the days of all users.
	UserDays string

	// Placeholder is the character before the number of a parameter.
	Placeholder string

	// Alone is a statement that lets only one transaction at a time go on, or "" if a transaction that writes
	// is alone anyway.
	Alone string
}

// migrations are the versions of the schema, oldest first. A migration that was released never changes.
var migrations = []func(d Dialect) []string{
	func(d Dialect) []string {
		const counts = `requests BIGINT NOT NULL, refused BIGINT NOT NULL, prompt BIGINT NOT NULL, completion BIGINT NOT NULL, cached BIGINT NOT NULL`
		return []string{
			// day is the last day that the name was used on.
			`CREATE TABLE usage_names (id ` + d.ID + `, name TEXT NOT NULL UNIQUE, day BIGINT NOT NULL)`,
			// hour and day are numbers since 1970.
			`CREATE TABLE usage_hours (hour BIGINT NOT NULL, usr BIGINT NOT NULL, team BIGINT NOT NULL, provider BIGINT NOT NULL, model BIGINT NOT NULL, client BIGINT NOT NULL, ` + counts + `, PRIMARY KEY (hour, usr, team, provider, model, client))` + d.Table,
			`CREATE TABLE usage_user_days (day BIGINT NOT NULL, usr BIGINT NOT NULL, team BIGINT NOT NULL, ` + counts + `, PRIMARY KEY (` + d.UserDays + `))` + d.Table,
			`CREATE TABLE usage_model_days (day BIGINT NOT NULL, team BIGINT NOT NULL, provider BIGINT NOT NULL, model BIGINT NOT NULL, client BIGINT NOT NULL, ` + counts + `, PRIMARY KEY (day, team, provider, model, client))` + d.Table,
			// batch is the number of the last batch that the run has written.
			`CREATE TABLE usage_runs (day BIGINT NOT NULL, run TEXT NOT NULL PRIMARY KEY, batch BIGINT NOT NULL)`,
			// hash is the hash of a line of an access log.
			`CREATE TABLE usage_imported (day BIGINT NOT NULL, hash BIGINT NOT NULL, PRIMARY KEY (day, hash))` + d.Table,
		}
	},
}

// Migrate brings the schema to the current version. It returns an error if a newer version of this program
// made it.
func Migrate(ctx context.Context, db *sql.DB, d Dialect) error {
	return transaction(ctx, db, func(tx *sql.Tx) error {
		if d.Alone != "" {
			if _, err := tx.ExecContext(ctx, d.Alone); err != nil {
				return err
			}
		}
		if _, err := tx.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS usage_migrations (version BIGINT NOT NULL PRIMARY KEY)`); err != nil {
			return err
		}
		version, err := version(ctx, tx)
		if err != nil {
			return err
		}
		for ; version < len(migrations); version++ {
			for _, statement := range append(migrations[version](d), `INSERT INTO usage_migrations (version) VALUES (`+strconv.Itoa(version+1)+`)`) {
				if _, err := tx.ExecContext(ctx, statement); err != nil {
					return fmt.Errorf("migration %d: %w", version+1, err)
				}
			}
		}
		return nil
	})
}

// Querier is what a database and a transaction have in common.
type Querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// Check returns an error if the schema does not have the current version.
func Check(ctx context.Context, db Querier) error {
	version, err := version(ctx, db)
	if err == nil && version < len(migrations) {
		err = fmt.Errorf("the ledger has version %d of its schema, and this program needs %d: start the server of this version once", version, len(migrations))
	}
	return err
}

// version returns the version of the schema. It returns an error if a newer version of this program made it.
func version(ctx context.Context, db Querier) (version int, err error) {
	err = db.QueryRowContext(ctx, `SELECT COALESCE(MAX(version), 0) FROM usage_migrations`).Scan(&version)
	if err == nil && version > len(migrations) {
		err = fmt.Errorf("the ledger has version %d of its schema, and this program knows only %d: a newer version of it has written the ledger", version, len(migrations))
	}
	return version, err
}

func transaction(ctx context.Context, db *sql.DB, do func(tx *sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after Commit
	if err := do(tx); err != nil {
		return err
	}
	return tx.Commit()
}
