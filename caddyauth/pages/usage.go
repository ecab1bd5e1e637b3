package pages

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// Entry is what was used of one thing at some time.
type Entry struct {
	At   time.Time
	Name string
	Counts
}

// Counts are numbers of requests and of tokens. Refused requests are a part of all, and cached tokens a part of the
// prompt.
type Counts struct {
	Requests, Refused, Prompt, Completion, Cached int64
}

// Tokens returns how many tokens were used in all.
func (c Counts) Tokens() int64 { return c.Prompt + c.Completion }

func (c *Counts) add(other Counts) {
	c.Requests += other.Requests
	c.Refused += other.Refused
	c.Prompt += other.Prompt
	c.Completion += other.Completion
	c.Cached += other.Cached
}

// Measure is what a chart shows.
type Measure string

// The measures.
const (
	Tokens   Measure = "tokens"
	Requests Measure = "requests"
)

// ParseMeasure returns the measure of that name, or Tokens.
func ParseMeasure(name string) Measure {
	if name == string(Requests) {
		return Requests
	}
	return Tokens
}

func (m Measure) of(c Counts) int64 {
	if m == Requests {
		return c.Requests
	}
	return c.Tokens()
}

// Usage is what was used in a period, as a chart and in tables.
type Usage struct {
	Period Period

	// By is what is added up, such as "model".
	By string

	// Refusals says whether refused requests are known.
	Refusals bool

	// Measures lead to the same usage with the other measure.
	Measures []Link

	// Chart is nil if nothing was used.
	Chart *Chart

	// Rows are the things that were used most, and Total is all that was used.
	Rows  []Row
	Total Counts

	// Steps has a row for each day or month in which something was used, with what the chart shows.
	Steps []Step
}

// Row is one thing that was used.
type Row struct {
	Name  string
	Href  string // leads to more about it, or is ""
	Class string // its colour in the chart
	Other bool   // it stands for all that have no row
	Counts
}

// Step is what was used in one step of a period: the value of each series, and their sum.
type Step struct {
	Label  string
	Values []int64
	Total  int64
}

const (
	// maxSeries is how many things have a colour of their own. All others are one series.
	maxSeries = 5

	// maxRows is how many things have a row of their own, and maxName the length of their names, in characters.
	// Clients make up names of models.
	maxRows = 40
	maxName = 100
)

// NewUsage adds up entries. Entries out of the period do not count.
func NewUsage(entries []Entry, period Period, by string, measure Measure) *Usage {
	u := &Usage{Period: period, By: by}
	sums := make(map[string]*Row)
	cells := make(map[cell]int64)
	for _, e := range entries {
		step := period.step(e.At)
		if step < 0 {
			continue
		}
		if name := []rune(e.Name); len(name) > maxName {
			e.Name = string(name[:maxName]) + "…"
		}
		if sums[e.Name] == nil {
			sums[e.Name] = &Row{Name: e.Name}
		}
		sums[e.Name].add(e.Counts)
		u.Total.add(e.Counts)
		cells[cell{e.Name, step}] += measure.of(e.Counts)
	}
	all := slices.SortedFunc(maps.Values(sums), func(a, b *Row) int {
		return cmp.Or(cmp.Compare(measure.of(b.Counts), measure.of(a.Counts)), cmp.Compare(a.Name, b.Name))
	})
	u.setRows(all)
	if u.Total.Requests > 0 {
		u.setChart(all, cells, measure)
	}
	return u
}

// cell is one thing in one step.
type cell struct {
	name string
	step int
}

// setRows sets the rows of the things that were used most, and one row for all others.
func (u *Usage) setRows(all []*Row) {
	for i, row := range all {
		row.Class = class(i, len(all))
		if i < maxRows {
			u.Rows = append(u.Rows, *row)
			continue
		}
		if i == maxRows {
			u.Rows = append(u.Rows, Row{Name: "Others", Class: otherClass, Other: true})
		}
		u.Rows[maxRows].add(row.Counts)
	}
}

// otherClass is the colour of things that have none of their own.
const otherClass = "s5"

// class returns the colour of the thing that is used most but i.
func class(i, all int) string {
	if i < maxSeries || i == maxSeries && all == maxSeries+1 {
		return "s" + string(rune('0'+i))
	}
	return otherClass
}

// setChart draws the series and fills in the steps.
func (u *Usage) setChart(all []*Row, cells map[cell]int64, measure Measure) {
	shown := len(all)
	if shown > maxSeries+1 {
		shown = maxSeries
	}
	series := make([]Series, shown)
	for i := range series {
		series[i] = Series{Name: all[i].Name, Class: all[i].Class}
	}
	if shown < len(all) {
		series = append(series, Series{Name: "Others", Class: otherClass})
	}
	for i := range u.Period.Steps {
		step := Step{Label: u.Period.label(i), Values: make([]int64, len(series))}
		for rank, row := range all {
			value := cells[cell{row.Name, i}]
			step.Values[min(rank, len(series)-1)] += value
			step.Total += value
		}
		u.Steps = append(u.Steps, step)
	}
	u.Chart = newChart(series, u.Steps, measure, u.Period, u.By)
	u.Steps = slices.DeleteFunc(u.Steps, func(s Step) bool { return s.Total == 0 })
	slices.Reverse(u.Steps) // the newest first
}

// Period is a number of days or months up to now.
type Period struct {
	From   time.Time // 00:00 UTC of its first day
	Steps  int
	Months bool // the steps are months; otherwise they are days
}

// Days returns the period of the last n days. Today is the last of them.
func Days(n int, now time.Time) Period {
	y, m, d := now.UTC().Date()
	return Period{From: time.Date(y, m, d+1-n, 0, 0, 0, 0, time.UTC), Steps: n}
}

// Months returns the period of the last n months. This month is the last of them.
func Months(n int, now time.Time) Period {
	y, m, _ := now.UTC().Date()
	return Period{From: time.Date(y, m+1-time.Month(n), 1, 0, 0, 0, 0, time.UTC), Steps: n, Months: true}
}

// step returns the step that contains a time, or -1.
func (p Period) step(at time.Time) int {
	at = at.UTC()
	step := int(at.Sub(p.From) / (24 * time.Hour))
	if p.Months {
		step = 12*(at.Year()-p.From.Year()) + int(at.Month()-p.From.Month())
	}
	if at.Before(p.From) || step >= p.Steps {
		return -1
	}
	return step
}

// label names a step.
func (p Period) label(i int) string {
	if p.Months {
		return p.From.AddDate(0, i, 0).Format("January 2006")
	}
	return p.From.AddDate(0, 0, i).Format("2 January 2006")
}

// short names a step in few letters.
func (p Period) short(i int) string {
	if p.Months {
		return p.From.AddDate(0, i, 0).Format("Jan 2006")
	}
	return p.From.AddDate(0, 0, i).Format("2 Jan")
}

// Unit is the word for a step.
func (p Period) Unit() string {
	if p.Months {
		return "month"
	}
	return "day"
}
