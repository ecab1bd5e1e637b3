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
	days := fmt.Sprintf("day < %d", day)
	for _, table := range []struct{ name, key, from, old string }{
		{"usage_hours", "hour, usr, team, provider, model, client", "usage_hours WHERE", fmt.Sprintf("hour < %d", day*24)},
		// SQLite has the days by user, so it finds old ones by going through the users.
		{"usage_user_days", "usr, day, team", "(SELECT id FROM usage_names) n CROSS JOIN usage_user_days WHERE usr = id AND", days},
		{"usage_model_days", "day, team, provider, model, client", "usage_model_days WHERE", days},
		{"usage_imported", "day, hash", "usage_imported WHERE", days},
		{"usage_runs", "run", "usage_runs WHERE", days},
		{"usage_names", "id", "usage_names WHERE", days},
	} {
		// PostgreSQL checks only the last condition again, for a row that another transaction has just changed:
		// a name that is used again stays.
		result, err := db.ExecContext(ctx, fmt.Sprintf(`DELETE FROM %s WHERE (%s) IN (SELECT %[2]s FROM %[3]s %[4]s LIMIT %[5]d) AND %[4]s`, table.name, table.key, table.from, table.old, perStep))
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
