package ledgersql

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"strconv"

	"github.com/continue-auth/caddy-continue-auth/usage"
)

// Import adds the lines that are new. A line is new if it was not imported before, and if its run has not
// written to this ledger.
func Import(ctx context.Context, db *sql.DB, d Dialect, lines []usage.Line) (added int, err error) {
	err = transaction(ctx, db, func(tx *sql.Tx) error {
		counted, err := runs(ctx, tx, d, lines)
		if err != nil {
			return err
		}
		byHash := make(map[uint64]*usage.Row, len(lines))
		for i := range lines {
			if line := &lines[i]; !counted[line.Run] {
				byHash[line.Hash] = &line.Row
			}
		}
		rows, err := remember(ctx, tx, byHash)
		if err != nil {
			return err
		}
		added = len(rows)
		return add(ctx, tx, d, rows)
	})
	if err != nil {
		added = 0
	}
	return added, err
}

// runs returns those runs of lines that have written to this ledger.
func runs(ctx context.Context, tx *sql.Tx, d Dialect, lines []usage.Line) (map[string]bool, error) {
	counted := make(map[string]bool)
	for i := range lines {
		run := lines[i].Run
		if _, known := counted[run]; known || run == "" {
			continue
		}
		var n int
		if err := tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM usage_runs WHERE run = `+d.Placeholder+`1`, run).Scan(&n); err != nil {
			return nil, err
		}
		counted[run] = n > 0
	}
	return counted, nil
}

// remember stores the hashes of rows and returns those rows whose hashes are new.
func remember(ctx context.Context, tx *sql.Tx, byHash map[uint64]*usage.Row) ([]usage.Row, error) {
	hashes := make([]uint64, 0, len(byHash))
	for hash := range byHash {
		hashes = append(hashes, hash)
	}
	// The order is that of the primary key, as in upsert.
	slices.SortFunc(hashes, func(a, b uint64) int {
		return cmp.Or(cmp.Compare(dayOf(byHash[a]), dayOf(byHash[b])), cmp.Compare(int64(a), int64(b)))
	})
	var added []usage.Row
	for some := range slices.Chunk(hashes, perStatement) {
		b := []byte(`INSERT INTO usage_imported (day, hash) VALUES `)
		for i, hash := range some {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(strconv.AppendInt(append(b, '('), dayOf(byHash[hash]), 10), ',')
			b = append(strconv.AppendInt(b, int64(hash), 10), ')')
		}
		stored, err := tx.QueryContext(ctx, string(b)+` ON CONFLICT (day, hash) DO NOTHING RETURNING hash`)
		if err != nil {
			return nil, err
		}
		for stored.Next() {
			var hash int64
			if err := stored.Scan(&hash); err != nil {
				_ = stored.Close()
				return nil, err
			}
			added = append(added, *byHash[uint64(hash)])
		}
		if err := cmp.Or(stored.Err(), stored.Close()); err != nil {
			return nil, err
		}
	}
	return added, nil
}
