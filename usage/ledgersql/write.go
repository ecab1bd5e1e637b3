package ledgersql

import (
	"cmp"
	"context"
	"database/sql"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/continue-auth/caddy-continue-auth/usage"
)

// perStatement is how many rows one statement inserts.
const perStatement = 500

// claim notes that a run has written a batch. It changes no row if the run has done so before.
const claim = `INSERT INTO usage_runs (run, batch, day) VALUES ($1, $2, $3)
	ON CONFLICT (run) DO UPDATE SET batch = excluded.batch, day = excluded.day WHERE usage_runs.batch < excluded.batch`

// Write adds a batch. If the batch was added before, it does nothing.
func Write(ctx context.Context, db *sql.DB, d Dialect, batch *usage.Batch) error {
	return transaction(ctx, db, func(tx *sql.Tx) error {
		today := time.Now().Unix() / 86400
		result, err := tx.ExecContext(ctx, strings.ReplaceAll(claim, "$", d.Placeholder), batch.Run, batch.Number, today)
		if err != nil {
			return err
		}
		if added, err := result.RowsAffected(); err != nil || added == 0 {
			return err
		}
		return add(ctx, tx, d, batch.Rows)
	})
}

func hourOf(row *usage.Row) int64 { return row.Hour.Unix() / 3600 }

func dayOf(row *usage.Row) int64 { return hourOf(row) / 24 }

// key is the primary key of one of the tables: all of its columns, in their order.
type key [6]int64

// sums are the rows of one table.
type sums map[key]*usage.Row

func (s sums) add(k key, row *usage.Row) {
	sum := s[k]
	if sum == nil {
		sum = new(usage.Row)
		s[k] = sum
	}
	sum.Add(row)
}

// add adds rows to the three tables.
func add(ctx context.Context, tx *sql.Tx, d Dialect, rows []usage.Row) error {
	if len(rows) == 0 {
		return nil
	}
	ids, err := numbers(ctx, tx, d, rows)
	if err != nil {
		return err
	}
	hours, userDays, modelDays := make(sums), make(sums), make(sums)
	for i := range rows {
		row := &rows[i]
		user, team, provider, model, client := ids[row.User], ids[row.Team], ids[row.Provider], ids[row.Model], ids[row.Client]
		hours.add(key{hourOf(row), user, team, provider, model, client}, row)
		userDays.add(key{dayOf(row), user, team}, row)
		modelDays.add(key{dayOf(row), team, provider, model, client}, row)
	}
	for _, table := range []struct {
		name    string
		columns []string
		sums    sums
	}{
		{"usage_hours", []string{"hour", "usr", "team", "provider", "model", "client"}, hours},
		{"usage_user_days", []string{"day", "usr", "team"}, userDays},
		{"usage_model_days", []string{"day", "team", "provider", "model", "client"}, modelDays},
	} {
		if err := upsert(ctx, tx, table.name, table.columns, table.sums); err != nil {
			return err
		}
	}
	return nil
}

// upsert adds sums to a table, in the order of their keys: two transactions that add the same rows in different
// orders could wait for each other forever.
func upsert(ctx context.Context, tx *sql.Tx, table string, columns []string, s sums) error {
	keys := slices.SortedFunc(maps.Keys(s), func(a, b key) int { return slices.Compare(a[:], b[:]) })
	name := strings.Join(columns, ", ")
	for some := range slices.Chunk(keys, perStatement) {
		b := []byte(`INSERT INTO ` + table + ` (` + name + `, requests, refused, prompt, completion, cached) VALUES `)
		for i, k := range some {
			if i > 0 {
				b = append(b, ',')
			}
			sum := s[k]
			b = append(b, '(')
			for _, n := range append(k[:len(columns):len(columns)], sum.Requests, sum.Refused, sum.Prompt, sum.Completion, sum.Cached) {
				b = append(strconv.AppendInt(b, n, 10), ',')
			}
			b[len(b)-1] = ')'
		}
		b = append(b, ` ON CONFLICT (`+name+`) DO UPDATE SET`...)
		for i, count := range []string{"requests", "refused", "prompt", "completion", "cached"} {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(b, ` `+count+` = `+table+`.`+count+` + excluded.`+count...)
		}
		if _, err := tx.ExecContext(ctx, string(b)); err != nil {
			return err
		}
	}
	return nil
}

// numbers returns the numbers of all names in rows. It notes when they were last used, so that Prune knows
// which names no row has any more.
func numbers(ctx context.Context, tx *sql.Tx, d Dialect, rows []usage.Row) (map[string]int64, error) {
	days := make(map[string]int64)
	for i := range rows {
		row := &rows[i]
		for _, name := range []string{row.User, row.Team, row.Provider, row.Model, row.Client} {
			days[name] = max(days[name], dayOf(row))
		}
	}
	ids := make(map[string]int64, len(days))
	for some := range slices.Chunk(slices.Sorted(maps.Keys(days)), perStatement) {
		if err := find(ctx, tx, d, some, days, ids); err != nil {
			return nil, err
		}
		missing := slices.DeleteFunc(some, func(name string) bool { _, ok := ids[name]; return ok })
		if len(missing) == 0 {
			continue
		}
		b := []byte(`INSERT INTO usage_names (name, day) VALUES `)
		args := make([]any, len(missing))
		for i, name := range missing {
			if i > 0 {
				b = append(b, ',')
			}
			args[i] = name
			b = append(b, `(`+d.Placeholder+strconv.Itoa(i+1)+`,`+strconv.FormatInt(days[name], 10)+`)`...)
		}
		b = append(b, ` ON CONFLICT (name) DO UPDATE SET day = CASE WHEN usage_names.day < excluded.day THEN excluded.day ELSE usage_names.day END RETURNING id, name`...)
		if err := collect(ctx, tx, string(b), args, ids); err != nil {
			return nil, err
		}
	}
	return ids, nil
}

// find adds the numbers of those names that have been used on their day or later.
func find(ctx context.Context, tx *sql.Tx, d Dialect, names []string, days, ids map[string]int64) error {
	b := []byte(`SELECT id, name, day FROM usage_names WHERE name IN (`)
	args := make([]any, len(names))
	for i, name := range names {
		args[i] = name
		b = append(b, d.Placeholder+strconv.Itoa(i+1)+`,`...)
	}
	b[len(b)-1] = ')'
	rows, err := tx.QueryContext(ctx, string(b), args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id, day int64
		var name string
		if err := rows.Scan(&id, &name, &day); err != nil {
			return err
		}
		if day >= days[name] {
			ids[name] = id
		}
	}
	return cmp.Or(rows.Err(), rows.Close())
}

// collect runs a query for numbers and names.
func collect(ctx context.Context, tx *sql.Tx, query string, args []any, ids map[string]int64) error {
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id int64
		var name string
		if err := rows.Scan(&id, &name); err != nil {
			return err
		}
		ids[name] = id
	}
	return cmp.Or(rows.Err(), rows.Close())
}
