package ledgertest

import (
	"math/rand/v2"
	"time"

	"github.com/continue-auth/caddy-continue-auth/usage"
)

// reference is what a ledger must answer: it adds up rows one by one.
func reference(rows []usage.Row, query usage.Query) []usage.Row {
	sums := make(map[usage.Row]*usage.Row)
	for _, row := range rows {
		end := row.Hour.Add(time.Hour)
		if !query.Since.IsZero() && !end.After(query.Since) || !query.Until.IsZero() && !row.Hour.Before(query.Until) || query.User != "" && row.User != query.User {
			continue
		}
		var key usage.Row
		for _, by := range query.By {
			switch by {
			case usage.ByDay:
				key.Hour = row.Hour.Truncate(24 * time.Hour)
			case usage.ByUser:
				key.User = row.User
			case usage.ByTeam:
				key.Team = row.Team
			case usage.ByProvider:
				key.Provider = row.Provider
			case usage.ByModel:
				key.Provider, key.Model = row.Provider, row.Model
			case usage.ByClient:
				key.Client = row.Client
			}
		}
		if sums[key] == nil {
			copied := key
			sums[key] = &copied
		}
		sums[key].Add(&row)
	}
	var all []usage.Row
	for _, row := range sums {
		all = append(all, *row)
	}
	sortRows(all)
	return all
}

// randomRows returns rows of some users within days, with many equal names.
func randomRows(random *rand.Rand, n, days int) []usage.Row {
	one := func(of ...string) string { return of[random.IntN(len(of))] }
	rows := make([]usage.Row, n)
	for i := range rows {
		rows[i] = usage.Row{
			Hour: today.Add(-time.Duration(random.IntN(days*24)) * time.Hour),
			User: one("a@example.com", "b@example.com", "c@example.com"), Team: one("core", "web", ""),
			Provider: one("openai", "workers-ai", ""), Model: one("gpt-4o", "@cf/meta/llama", ""), Client: one("codex", "other"),
			Requests: random.Int64N(3), Refused: random.Int64N(2), Prompt: random.Int64N(1 << 31), Completion: random.Int64N(100), Cached: random.Int64N(10),
		}
	}
	return rows
}
