package ledgersql

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// perStep is how many rows of a table Prune deletes at most. One transaction then takes some milliseconds.
const perStep = 1000

// Prune deletes some rows of days that ended before a time.
func Prune(ctx context.Context, db *sql.DB, before time.Time) (deleted int, err error) {
	day := before.Unix() / 86400
	for _, table := range []struct{ name, key, before string }{
		{"usage_hours", "hour, usr, team, provider, model, client", fmt.Sprintf("hour < %d", day*24)},
		{"usage_user_days", "day, usr, team", fmt.Sprintf("day < %d", day)},
		{"usage_model_days", "day, team, provider, model, client", fmt.Sprintf("day < %d", day)},
		{"usage_imported", "day, hash", fmt.Sprintf("day < %d", day)},
		{"usage_runs", "run", fmt.Sprintf("day < %d", day)},
		{"usage_names", "id", fmt.Sprintf("day < %d", day)},
	} {
		result, err := db.ExecContext(ctx, fmt.Sprintf(`DELETE FROM %[1]s WHERE (%[2]s) IN (SELECT %[2]s FROM %[1]s WHERE %[3]s LIMIT %[4]d) AND %[3]s`, table.name, table.key, table.before, perStep))
		if err != nil {
			return deleted, err
		}
		n, err := result.RowsAffected()
		if err != nil {
			return deleted, err
		}
		if deleted += int(n); n == perStep {
			return deleted, nil
		}
	}
	return deleted, nil
}
