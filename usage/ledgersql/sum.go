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
		p.until = query.Until.Add(time.Hour-1).Unix() / 3600
	}
	has := func(name string) bool {
		return slices.ContainsFunc(p.by, func(c column) bool { return c.name == name })
	}
	switch {
	case query.User == "" && !has("usr"):
		p.days = "usage_model_days"
	case !has("provider") && !has("client"): // a model has its provider
		p.days = "usage_user_days"
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

var counts = []string{"requests", "refused", "prompt", "completion", "cached"}

// sql returns the query. It has no text from outside.
func (p *plan) sql() string {
	list := make([]string, 0, len(p.by)+len(counts))
	var joins strings.Builder
	for i, c := range p.by {
		if c.into == nil {
			list = append(list, "s."+c.name)
			continue
		}
		n := "n" + strconv.Itoa(i)
		list = append(list, "COALESCE("+n+".name, '')")
		joins.WriteString(` LEFT JOIN usage_names ` + n + ` ON ` + n + `.id = s.` + c.name)
	}
	for _, count := range counts {
		list = append(list, "s."+count)
	}
	parts := p.parts()
	from := parts[0]
	if len(parts) > 1 {
		from = p.add(`(`+strings.Join(parts, " UNION ALL ")+`) p`, "", nil)
	}
	return `SELECT ` + strings.Join(list, ", ") + ` FROM (` + from + `) s` + joins.String()
}

// add returns a query that adds up rows. as has the expressions of columns that are not in the rows.
func (p *plan) add(from, where string, as map[string]string) string {
	var list, group []string
	for _, c := range p.by {
		expression := cmp.Or(as[c.name], c.name)
		list, group = append(list, expression+" AS "+c.name), append(group, expression)
	}
	for _, count := range counts {
		list = append(list, `CAST(SUM(`+count+`) AS BIGINT) AS `+count)
	}
	query := `SELECT ` + strings.Join(list, ", ") + ` FROM ` + from
	if where != "" {
		query += ` WHERE ` + where
	}
	if len(group) > 0 {
		query += ` GROUP BY ` + strings.Join(group, ", ")
	}
	return query + ` HAVING COUNT(*) > 0`
}

// parts returns queries whose sums add up to the result: one for whole days, and those for the hours at the
// edges.
func (p *plan) parts() []string {
	from, to := (p.since+23)/24, p.until/24
	if p.days == "" || from >= to {
		return []string{p.hours(p.since, p.until)}
	}
	parts := []string{p.wholeDays(from, to)}
	if p.since < from*24 {
		parts = append(parts, p.hours(p.since, from*24))
	}
	if to*24 < p.until {
		parts = append(parts, p.hours(to*24, p.until))
	}
	return parts
}

// wholeDays adds up days. SQLite has a user's days one after another, and goes through the users: it then need
// not sort.
func (p *plan) wholeDays(from, to int64) string {
	where := fmt.Sprintf(`day >= %d AND day < %d`, from, to)
	switch {
	case p.days == "usage_model_days":
		return p.add(p.days, where, nil)
	case p.user != 0:
		return p.add(p.days, where+fmt.Sprintf(` AND usr = %d`, p.user), nil)
	}
	return p.add(`usage_names u CROSS JOIN (SELECT day AS d, usr, team, requests, refused, prompt, completion, cached FROM usage_user_days) x`, fmt.Sprintf(`x.usr = u.id AND d >= %d AND d < %d`, from, to), map[string]string{"usr": "u.id", "day": "d"})
}

// hours adds up hours. The primary key begins with the hour and the user, so one user's rows are found by going
// through the hours.
func (p *plan) hours(from, to int64) string {
	as := map[string]string{"day": "x.hour / 24"}
	if p.user == 0 {
		return p.add(`usage_hours x`, fmt.Sprintf(`x.hour >= %d AND x.hour < %d`, from, to), as)
	}
	all := fmt.Sprintf(`(WITH RECURSIVE h(hour) AS (SELECT CAST(%d AS BIGINT) UNION ALL SELECT hour + 1 FROM h WHERE hour + 1 < %d) SELECT hour FROM h) h`, from, to)
	return p.add(all+` CROSS JOIN usage_hours x`, fmt.Sprintf(`x.hour = h.hour AND x.usr = %d`, p.user), as)
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
