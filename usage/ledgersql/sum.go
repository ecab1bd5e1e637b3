package ledgersql

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/continue-auth/caddy-continue-auth/usage"
)

// Sum adds up the rows of a query.
func Sum(ctx context.Context, db Querier, d Dialect, query usage.Query) ([]usage.Row, error) {
	p, err := newPlan(ctx, db, d, query)
	if err != nil || p.nothing {
		return nil, err
	}
	rows, err := db.QueryContext(ctx, p.sql())
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var sums []usage.Row
	for rows.Next() {
		row, err := p.scan(rows)
		if err != nil {
			return nil, err
		}
		sums = append(sums, row)
	}
	return sums, cmp.Or(rows.Err(), rows.Close())
}

// plan is how a query is answered.
type plan struct {
	by           []column
	since, until int64  // hours; until is not included
	user         int64  // the user's number, or 0 for all
	days         string // the table by day that has all columns, or ""
	nothing      bool
}

// column is a column that stays apart.
type column struct {
	name string // of the column
	into func(row *usage.Row) *string
}

var columns = map[usage.Dimension][]column{
	usage.ByDay:      {{"day", nil}},
	usage.ByUser:     {{"usr", func(row *usage.Row) *string { return &row.User }}},
	usage.ByTeam:     {{"team", func(row *usage.Row) *string { return &row.Team }}},
	usage.ByProvider: {{"provider", func(row *usage.Row) *string { return &row.Provider }}},
	usage.ByModel: {
		{"provider", func(row *usage.Row) *string { return &row.Provider }},
		{"model", func(row *usage.Row) *string { return &row.Model }},
	},
	usage.ByClient: {{"client", func(row *usage.Row) *string { return &row.Client }}},
}

func newPlan(ctx context.Context, db Querier, d Dialect, query usage.Query) (*plan, error) {
	p := &plan{until: math.MaxInt32}
	for _, by := range query.By {
		added, ok := columns[by]
		if !ok {
			return nil, fmt.Errorf("usage cannot be added up by %q", by)
		}
		for _, c := range added {
			if !slices.ContainsFunc(p.by, func(other column) bool { return other.name == c.name }) {
				p.by = append(p.by, c)
			}
		}
	}
	if !query.Since.IsZero() {
		p.since = max(0, query.Since.Unix()/3600)
	}
	if !query.Until.IsZero() {
		p.until = (query.Until.Unix() + 3599) / 3600
	}
	only := func(names ...string) bool {
		return !slices.ContainsFunc(p.by, func(c column) bool { return !slices.Contains(names, c.name) })
	}
	switch {
	case only("day", "usr", "team"):
		p.days = "usage_user_days"
	case query.User == "" && only("day", "team", "provider", "model", "client"):
		p.days = "usage_model_days"
	}
	if query.User != "" {
		err := db.QueryRowContext(ctx, `SELECT id FROM usage_names WHERE name = `+d.Placeholder+`1`, query.User).Scan(&p.user)
		if p.nothing = errors.Is(err, sql.ErrNoRows); err != nil && !p.nothing {
			return nil, err
		}
	}
	return p, p.bound(ctx, db)
}

// bound limits the time to the hours that there are. One user's rows are looked up hour by hour, and the
// edges of days need not be added up from hours where nothing is beyond them.
func (p *plan) bound(ctx context.Context, db Querier) error {
	var first, last sql.NullInt64
	err := db.QueryRowContext(ctx, `SELECT (SELECT MIN(hour) FROM usage_hours), (SELECT MAX(hour) FROM usage_hours)`).Scan(&first, &last)
	if err != nil {
		return err
	}
	if !first.Valid || first.Int64 >= p.until || last.Int64 < p.since || p.since >= p.until {
		p.nothing = true
		return nil
	}
	if p.since <= first.Int64 {
		p.since = first.Int64 / 24 * 24
	}
	if p.until > last.Int64 {
		p.until = (last.Int64 + 24) / 24 * 24
	}
	return nil
}

// sql returns the query. It has no text from outside.
func (p *plan) sql() string {
	var outer, inner, group []string
	var joins strings.Builder
	for i, c := range p.by {
		group = append(group, c.name)
		if c.into == nil {
			inner, outer = append(inner, c.name), append(outer, "s."+c.name)
			continue
		}
		n := "n" + strconv.Itoa(i)
		inner, outer = append(inner, c.name), append(outer, "COALESCE("+n+".name, '')")
		joins.WriteString(` LEFT JOIN usage_names ` + n + ` ON ` + n + `.id = s.` + c.name)
	}
	for _, count := range []string{"requests", "refused", "prompt", "completion", "cached"} {
		inner = append(inner, `CAST(SUM(`+count+`) AS BIGINT) AS `+count)
		outer = append(outer, "s."+count)
	}
	query := `SELECT ` + strings.Join(outer, ", ") + ` FROM (SELECT ` + strings.Join(inner, ", ") + ` FROM (` + p.parts() + `) p`
	if len(group) > 0 {
		query += ` GROUP BY ` + strings.Join(group, ", ")
	}
	return query + ` HAVING COUNT(*) > 0) s` + joins.String()
}

// parts returns the rows to add up: whole days from a table by day, and the hours at the edges.
func (p *plan) parts() string {
	from, to := (p.since+23)/24, p.until/24
	if p.days == "" || from >= to {
		return p.hours(p.since, p.until)
	}
	names := []string{"requests", "refused", "prompt", "completion", "cached"}
	for _, c := range p.by {
		names = append(names, c.name)
	}
	where := fmt.Sprintf(`day >= %d AND day < %d`, from, to)
	if p.user != 0 {
		where += fmt.Sprintf(` AND usr = %d`, p.user)
	}
	parts := []string{`SELECT ` + strings.Join(names, ", ") + ` FROM ` + p.days + ` WHERE ` + where}
	if p.since < from*24 {
		parts = append(parts, p.hours(p.since, from*24))
	}
	if to*24 < p.until {
		parts = append(parts, p.hours(to*24, p.until))
	}
	return strings.Join(parts, " UNION ALL ")
}

// hours returns the rows of hours. The primary key begins with the hour and the user, so one user's rows are
// found by going through the hours.
func (p *plan) hours(from, to int64) string {
	names := []string{"requests", "refused", "prompt", "completion", "cached"}
	for _, c := range p.by {
		if c.name == "day" {
			names = append(names, "u.hour / 24 AS day")
		} else {
			names = append(names, c.name)
		}
	}
	list := strings.Join(names, ", ")
	if p.user == 0 {
		return fmt.Sprintf(`SELECT %s FROM usage_hours u WHERE u.hour >= %d AND u.hour < %d`, list, from, to)
	}
	return fmt.Sprintf(`SELECT %s FROM (WITH RECURSIVE h(hour) AS (SELECT CAST(%d AS BIGINT) UNION ALL SELECT hour + 1 FROM h WHERE hour + 1 < %d) SELECT hour FROM h) h CROSS JOIN usage_hours u WHERE u.hour = h.hour AND u.usr = %d`, list, from, to, p.user)
}

// scan reads a row of the result.
func (p *plan) scan(rows *sql.Rows) (row usage.Row, err error) {
	var day int64
	var to []any
	for _, c := range p.by {
		if c.into == nil {
			to = append(to, &day)
		} else {
			to = append(to, c.into(&row))
		}
	}
	err = rows.Scan(append(to, &row.Requests, &row.Refused, &row.Prompt, &row.Completion, &row.Cached)...)
	if slices.ContainsFunc(p.by, func(c column) bool { return c.into == nil }) {
		row.Hour = time.Unix(day*86400, 0).UTC()
	}
	return row, err
}
