package command

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/continue-auth/caddy-continue-auth/usage"
	"github.com/continue-auth/caddy-continue-auth/usage/sqlite"
)

// demoHabits say which agents the demo's user works with, and how large their requests are.
var demoHabits = []struct {
	client, provider, model string
	requests                int64 // in a busy hour, at most
	prompt, answer          int64 // tokens of a request, about
	cached                  int64 // in percent of the prompt
}{
	{"claude-code", "anthropic", "claude-sonnet-4-5", 40, 24_000, 450, 85},
	{"codex", "openai", "gpt-4o-mini", 25, 15_000, 600, 60},
	{"continue", "workers-ai", "@cf/qwen/qwen2.5-coder-32b-instruct", 120, 1_100, 40, 0},
	{"gemini-cli", "google-ai-studio", "gemini-2.5-flash", 12, 9_000, 700, 30},
}

// writeDemoPast fills a ledger with what the demo's user did in the week before now, so that the portal has
// something to show. It is made up, but always the same.
func writeDemoPast(ctx context.Context, path string, now time.Time) (err error) {
	ledger := sqlite.New(path)
	defer func() { err = errors.Join(err, ledger.Close()) }()
	return ledger.Write(ctx, &usage.Batch{Run: "demo", Number: 1, Rows: demoPast(now)})
}

func demoPast(now time.Time) (rows []usage.Row) {
	random := rand.New(rand.NewPCG(1, 2))
	today := now.UTC().Truncate(24 * time.Hour)
	for day := today.AddDate(0, 0, -7); day.Before(today); day = day.AddDate(0, 0, 1) {
		busy := 1.0
		if day.Weekday() == time.Saturday || day.Weekday() == time.Sunday {
			busy = 0.15
		}
		for hour := 8; hour < 18; hour++ {
			for _, habit := range demoHabits {
				requests := int64(busy * random.Float64() * float64(habit.requests))
				if requests == 0 {
					continue
				}
				prompt := requests * int64(float64(habit.prompt)*(0.5+random.Float64()))
				rows = append(rows, usage.Row{
					Hour: day.Add(time.Duration(hour) * time.Hour), User: demoEmail, Team: "demo",
					Provider: habit.provider, Model: habit.model, Client: habit.client,
					Requests: requests, Refused: int64(random.Float64() * 0.04 * float64(requests)),
					Prompt: prompt, Completion: requests * int64(float64(habit.answer)*(0.5+random.Float64())), Cached: prompt * habit.cached / 100,
				})
			}
		}
	}
	return rows
}
