// Command ledger measures the ledger in SQLite or PostgreSQL: it writes the usage of many users, as a server
// would, and prints how large the ledger is and how long queries take.
//
//	go run ./test/ledger
//	go run ./test/ledger -users 5000 -days 365
//	go run ./test/ledger -postgres postgres://...
//
// The users are developers. On a workday 4 of 5 are at work. Each then has 5 hours with an agent, and uses two
// of five models in each of them. So 50,000 users make 8.8 million rows in 31 days with 22 workdays.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/continue-auth/caddy-continue-auth/usage"
	"github.com/continue-auth/caddy-continue-auth/usage/postgres"
	"github.com/continue-auth/caddy-continue-auth/usage/sqlite"
)

func main() {
	users := flag.Int("users", 50_000, "the number of users")
	days := flag.Int("days", 31, "the number of days")
	folder := flag.String("folder", "", "the folder for the file, which stays; default: a new one, which is removed")
	dsn := flag.String("postgres", "", "the connection string of PostgreSQL with an empty database")
	limit := flag.Duration("limit", 10*time.Minute, "how long writing may take at most")
	flag.Parse()
	if err := run(*users, *days, *folder, *dsn, *limit); err != nil {
		log.Fatal(err)
	}
}

func run(users, days int, folder, dsn string, limit time.Duration) error {
	var ledger usage.Ledger
	path := ""
	if dsn != "" {
		opened, err := postgres.New(dsn)
		if err != nil {
			return err
		}
		ledger = opened
	} else {
		if folder == "" {
			made, err := os.MkdirTemp("", "ledger")
			if err != nil {
				return err
			}
			defer func() { _ = os.RemoveAll(made) }()
			folder = made
		}
		path = filepath.Join(folder, "usage.db")
		ledger = sqlite.New(path)
	}
	defer func() { _ = ledger.Close() }()
	if err := fill(ledger, users, days, limit); err != nil {
		return err
	}
	if path != "" {
		if err := size(path); err != nil {
			return err
		}
	}
	return measure(ledger, days)
}

// end is when the usage ends. It is fixed, so that the number of workdays is.
var end = time.Date(2026, 10, 31, 0, 0, 0, 0, time.UTC)

var (
	models  = []string{"gpt-5-mini", "gpt-5-codex", "claude-sonnet-4-5", "gemini-2.5-pro", "@cf/qwen/qwen2.5-coder-32b-instruct"}
	owners  = []string{"openai", "openai", "anthropic", "google-ai-studio", "workers-ai"}
	clients = []string{"claude-code", "codex", "opencode", "continue", "gemini-cli", "qwen-code", "cline", "zed", "copilot"}
)

// fill writes the usage, hour by hour.
func fill(ledger usage.Ledger, users, days int, limit time.Duration) error {
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same usage each time
	began, number, rows := time.Now(), int64(0), 0
	for day := end.AddDate(0, 0, -days); day.Before(end); day = day.AddDate(0, 0, 1) {
		if day.Weekday() == time.Saturday || day.Weekday() == time.Sunday {
			continue
		}
		for _, hour := range workday(random, users, day) {
			random.Shuffle(len(hour), func(i, j int) { hour[i], hour[j] = hour[j], hour[i] })
			for len(hour) > 0 {
				n := min(20_000, len(hour))
				number++
				if err := ledger.Write(context.Background(), &usage.Batch{Run: "test", Number: number, Rows: hour[:n]}); err != nil {
					return err
				}
				rows, hour = rows+n, hour[n:]
			}
		}
		if time.Since(began) > limit {
			return fmt.Errorf("writing %d rows until %s took longer than -limit", rows, day.Format(time.DateOnly))
		}
	}
	took := time.Since(began)
	fmt.Printf("%d rows of %d users in %d days written in %s, %.0f a second, computing %s\n",
		rows, users, days, took.Round(time.Second), float64(rows)/took.Seconds(), processorTime().Round(time.Second))
	return flushes(ledger, random, users, number)
}

// flushes writes batches as a busy server does: rows of users who are in the current hour already.
func flushes(ledger usage.Ledger, random *rand.Rand, users int, number int64) error {
	const batches, size = 30, 1000
	day := end.AddDate(0, 0, -1)
	for day.Weekday() == time.Saturday || day.Weekday() == time.Sunday {
		day = day.AddDate(0, 0, -1)
	}
	hour := workday(random, users, day)[12]
	if len(hour) == 0 {
		return nil
	}
	var longest time.Duration
	began, computed := time.Now(), processorTime()
	for range batches {
		rows := make([]usage.Row, size)
		for i := range rows {
			rows[i] = hour[random.IntN(len(hour))]
		}
		number++
		from := time.Now()
		if err := ledger.Write(context.Background(), &usage.Batch{Run: "test", Number: number, Rows: rows}); err != nil {
			return err
		}
		longest = max(longest, time.Since(from))
	}
	fmt.Printf("a batch of %d rows takes %s, computing %s, and at most %s\n", size, (time.Since(began) / batches).Round(time.Millisecond), ((processorTime() - computed) / batches).Round(time.Millisecond), longest.Round(time.Millisecond))
	return nil
}

// workday returns the rows of a day's hours.
func workday(random *rand.Rand, users int, day time.Time) [24][]usage.Row {
	var hours [24][]usage.Row
	for user := range users {
		if random.IntN(5) == 0 {
			continue
		}
		for _, hour := range random.Perm(10)[:5] {
			for _, model := range random.Perm(len(models))[:2] {
				hours[8+hour] = append(hours[8+hour], usage.Row{
					Hour: day.Add(time.Duration(8+hour) * time.Hour),
					User: fmt.Sprintf("firstname.lastname%d@example.com", user), Team: fmt.Sprintf("team-%d", user%200),
					Provider: owners[model], Model: models[model], Client: clients[user%len(clients)],
					Requests: 1 + random.Int64N(60), Refused: random.Int64N(2), Prompt: random.Int64N(2_000_000), Completion: random.Int64N(20_000), Cached: random.Int64N(1_000_000),
				})
			}
		}
	}
	return hours
}

// size prints the size of the file.
func size(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	fmt.Printf("%.0f MB\n", float64(info.Size())/1e6)
	return nil
}

// measure runs each query three times and prints the fastest and the slowest time, and how long this process
// computed. On a busy machine, only the last says how fast the ledger is.
func measure(ledger usage.Ledger, days int) error {
	month := end.AddDate(0, 0, -30)
	middle := month.Add(10*time.Hour + 30*time.Minute)
	for _, query := range []struct {
		what string
		usage.Query
	}{
		{"30 days by user", usage.Query{Since: month, By: []usage.Dimension{usage.ByUser}}},
		{"30 days from 10:30 by user", usage.Query{Since: middle, By: []usage.Dimension{usage.ByUser}}},
		{"30 days by team", usage.Query{Since: month, By: []usage.Dimension{usage.ByTeam}}},
		{"30 days by model", usage.Query{Since: month, By: []usage.Dimension{usage.ByModel}}},
		{"30 days by client", usage.Query{Since: month, By: []usage.Dimension{usage.ByClient}}},
		{"30 days by day", usage.Query{Since: month, By: []usage.Dimension{usage.ByDay}}},
		{"30 days of one user by day and model", usage.Query{Since: month, User: "firstname.lastname7@example.com", By: []usage.Dimension{usage.ByDay, usage.ByModel}}},
		{"all of one user by day and model", usage.Query{User: "firstname.lastname7@example.com", By: []usage.Dimension{usage.ByDay, usage.ByModel}}},
		{"a day by user", usage.Query{Since: end.AddDate(0, 0, -1), By: []usage.Dimension{usage.ByUser}}},
		{"24 hours from 10:30 by user", usage.Query{Since: end.Add(-37*time.Hour - 30*time.Minute), Until: end.Add(-13*time.Hour - 30*time.Minute), By: []usage.Dimension{usage.ByUser}}},
		{"30 days by user and model", usage.Query{Since: month, By: []usage.Dimension{usage.ByUser, usage.ByModel}}},
		{fmt.Sprintf("all %d days by user", days), usage.Query{By: []usage.Dimension{usage.ByUser}}},
	} {
		const rounds = 3
		fastest, slowest, found, computed := time.Hour, time.Duration(0), 0, processorTime()
		for range rounds {
			from := time.Now()
			rows, err := ledger.Sum(context.Background(), query.Query)
			if err != nil {
				return fmt.Errorf("%s: %w", query.what, err)
			}
			took := time.Since(from)
			fastest, slowest, found = min(fastest, took), max(slowest, took), len(rows)
		}
		computed = (processorTime() - computed) / rounds
		fmt.Printf("%-40s %8d sums %10s to %s, computing %s\n", query.what, found, fastest.Round(time.Millisecond), slowest.Round(time.Millisecond), computed.Round(time.Millisecond))
	}
	return nil
}
