package pages

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestUsageIsAddedUp(t *testing.T) {
	day := func(n int) time.Time { return time.Date(2026, 11, n, 23, 59, 0, 0, time.UTC) }
	u := NewUsage([]Entry{
		{day(27), "a", Counts{Requests: 1, Prompt: 10, Completion: 5, Cached: 2}},
		{day(28), "a", Counts{Requests: 2, Refused: 1, Prompt: 20}},
		{day(28), "b", Counts{Requests: 9, Prompt: 30}},
		{day(21), "b", Counts{Requests: 100}}, // before the period
		{day(29), "b", Counts{Requests: 100}}, // after it
	}, Days(7, now), "model", Tokens)
	if u.Total != (Counts{12, 1, 60, 5, 2}) {
		t.Errorf("total %+v", u.Total)
	}
	if len(u.Rows) != 2 || u.Rows[0].Name != "a" || u.Rows[0].Counts != (Counts{3, 1, 30, 5, 2}) || u.Rows[0].Class == u.Rows[1].Class {
		t.Errorf("rows %+v", u.Rows)
	}
	if got := fmt.Sprint(u.Steps); got != "[{28 November 2026 [20 30] 50} {27 November 2026 [15 0] 15}]" {
		t.Errorf("steps %s", got)
	}
	if by := NewUsage(exampleEntries(), Days(7, now), "model", Requests); by.Rows[0].Requests != 30 || by.Steps[0].Values[0] != 10 {
		t.Errorf("by requests: %+v", by.Rows)
	}
}

func TestThingsThatAreUsedLittleShareASeries(t *testing.T) {
	for things, c := range map[int]struct {
		series int
		last   string
	}{1: {1, "n0"}, 6: {6, "n5"}, 7: {6, "Others"}, 200: {6, "Others"}} {
		var entries []Entry
		for i := range things {
			entries = append(entries, Entry{now, fmt.Sprint("n", i), Counts{Requests: 1, Prompt: int64(1000 - i)}})
		}
		u := NewUsage(entries, Days(7, now), "user", Tokens)
		series := u.Chart.Series
		if len(series) != c.series || series[len(series)-1].Name != c.last {
			t.Errorf("%d things: series %+v", things, series)
		}
		var sum int64
		for _, value := range u.Steps[0].Values {
			sum += value
		}
		if sum != u.Total.Prompt || u.Steps[0].Total != sum {
			t.Errorf("%d things: the series have %d of %d tokens", things, sum, u.Total.Prompt)
		}
		var rows Counts
		for _, row := range u.Rows {
			rows.add(row.Counts)
		}
		if rows != u.Total || len(u.Rows) > maxRows+1 {
			t.Errorf("%d things: %d rows have %+v of %+v", things, len(u.Rows), rows, u.Total)
		}
	}
}

func TestLongNamesAreCut(t *testing.T) {
	u := NewUsage([]Entry{{now, strings.Repeat("é", 101), Counts{Requests: 1}}, {now, strings.Repeat("x", 100), Counts{Requests: 1}}}, Days(7, now), "model", Requests)
	if u.Rows[0].Name != strings.Repeat("x", 100) || u.Rows[1].Name != strings.Repeat("é", 100)+"…" {
		t.Errorf("rows %+v", u.Rows)
	}
}

func TestPeriods(t *testing.T) {
	for name, c := range map[string]struct {
		period Period
		at     time.Time
		step   int
		label  string
	}{
		"the last day":               {Days(30, now), now, 29, "28 November 2026"},
		"the first moment":           {Days(30, now), time.Date(2026, 10, 30, 0, 0, 0, 0, time.UTC), 0, "30 October 2026"},
		"the moment before":          {Days(30, now), time.Date(2026, 10, 29, 23, 59, 59, 0, time.UTC), -1, ""},
		"tomorrow":                   {Days(30, now), time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC), -1, ""},
		"another time zone":          {Days(2, now), time.Date(2026, 11, 28, 0, 30, 0, 0, time.FixedZone("", 3600)), 0, "27 November 2026"},
		"this month":                 {Months(12, now), now, 11, "November 2026"},
		"the first month":            {Months(12, now), time.Date(2025, 12, 31, 23, 0, 0, 0, time.UTC), 0, "December 2025"},
		"the month before the first": {Months(12, now), time.Date(2025, 11, 30, 23, 0, 0, 0, time.UTC), -1, ""},
	} {
		if got := c.period.step(c.at); got != c.step || got >= 0 && c.period.label(got) != c.label {
			t.Errorf("%s: step %d", name, got)
		}
	}
}

// pathPart matches a bar of a series.
var pathPart = regexp.MustCompile(`M(\d+) ([0-9.]+)V([0-9.]+)h8V([0-9.]+)z`)

func TestBarsStandOnEachOther(t *testing.T) {
	u := NewUsage(exampleEntries(), Days(7, now), "model", Tokens)
	tops := map[string]float64{}
	for _, series := range u.Chart.Series {
		if pathPart.ReplaceAllString(series.Path, "") != "" {
			t.Errorf("path %s", series.Path)
		}
		for _, part := range pathPart.FindAllStringSubmatch(series.Path, -1) {
			below, _ := strconv.ParseFloat(part[2], 64)
			above, _ := strconv.ParseFloat(part[3], 64)
			before, ok := tops[part[1]]
			if !ok {
				before = chartHeight
			}
			if below != before || above >= below || above < 0 || part[4] != part[2] {
				t.Errorf("a bar from %v to %v stands on %v", below, above, before)
			}
			tops[part[1]] = above
		}
	}
	if len(tops) != 3 {
		t.Errorf("%d bars", len(tops))
	}
	if !strings.Contains(u.Chart.Summary, "57,200 tokens, on 26 November 2026") || u.Chart.Top != "60k" || u.Chart.Half != "30k" {
		t.Errorf("chart %+v", u.Chart)
	}
}

func TestTheTopOfAChart(t *testing.T) {
	for n, want := range map[int64]int64{0: 2, 1: 2, 2: 2, 3: 4, 5: 6, 7: 10, 10: 10, 11: 20, 60: 60, 61: 100, 1_000_001: 2_000_000, 1 << 62: 1<<63 - 1} {
		if got := roundUp(n); got != want {
			t.Errorf("%d: %d, want %d", n, got, want)
		}
	}
}

func TestNumbers(t *testing.T) {
	for n, want := range map[int64][3]string{
		0: {"0", "0", "0"}, 7: {"7", "7", "7"}, 999: {"999", "999", "999"}, 1000: {"1,000", "1k", "1,000"}, 99_999: {"99,999", "100k", "99,999"},
		1_234_567: {"1,234,567", "1.23M", "1.23M"}, 999_999: {"999,999", "1M", "1M"}, 56_000_000_000: {"56,000,000,000", "56B", "56B"}, -1234: {"-1,234", "-1.23k", "-1,234"},
	} {
		if got := [3]string{count(n), short(n), brief(n)}; got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}

func TestUntil(t *testing.T) {
	for left, want := range map[time.Duration]string{
		-time.Second: "in 0 seconds", 0: "in 0 seconds", time.Millisecond: "in 1 second", time.Second: "in 1 second", 90 * time.Second: "in 90 seconds", time.Minute: "in 1 minute",
		3 * time.Minute: "in 3 minutes", time.Hour: "in 1 hour", 3*time.Hour + time.Second: "in 4 hours", 24 * time.Hour: "in 1 day", 25 * time.Hour: "in 25 hours", 72 * time.Hour: "in 3 days",
	} {
		if got := Until(now.Add(left), now); got != want {
			t.Errorf("%v: %s, want %s", left, got, want)
		}
	}
}

func TestLimits(t *testing.T) {
	later := now.Add(time.Hour)
	for name, c := range map[string]struct {
		limit Limit
		want  Limit
		share int64
		low   bool
	}{
		"a minute":          {NewLimit("requests", "1m", "", 120, 30, &later, now), Limit{"Requests per minute", "", 120, 30, 90, "in 1 hour"}, 25, false},
		"an odd window":     {NewLimit("tokens", "5m", "", 10, 10, &later, now), Limit{"Tokens in 5m", "", 10, 10, 0, "in 1 hour"}, 100, true},
		"more than all":     {NewLimit("tokens", "day", "core", 10, 25, &later, now), Limit{"Tokens per day", "core", 10, 25, 0, "in 1 hour"}, 100, true},
		"unused":            {NewLimit("tokens", "month", "", 10, 0, &later, now), Limit{"Tokens per month", "", 10, 0, 10, ""}, 0, false},
		"requests at once":  {NewLimit("parallel", "", "", 8, 2, nil, now), Limit{"Requests at once", "", 8, 2, 6, ""}, 25, false},
		"a reset in a past": {NewLimit("requests", "1m", "", 8, 2, &now, now), Limit{"Requests per minute", "", 8, 2, 6, ""}, 25, false},
	} {
		if c.limit != c.want || c.limit.Share() != c.share || c.limit.Low() != c.low {
			t.Errorf("%s: %+v, %d%%, %v", name, c.limit, c.limit.Share(), c.limit.Low())
		}
	}
}
