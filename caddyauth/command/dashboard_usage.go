package command

import (
	"cmp"
	"context"
	"net/url"
	"slices"
	"time"

	"github.com/continue-auth/caddy-continue-auth/caddyauth/pages"
	"github.com/continue-auth/caddy-continue-auth/usage"
)

// periods are the periods that the page of usage offers.
var periods = []struct {
	name, text string
	of         func(now time.Time) pages.Period
}{
	{"7d", "7 days", func(now time.Time) pages.Period { return pages.Days(7, now) }},
	{"30d", "30 days", func(now time.Time) pages.Period { return pages.Days(30, now) }},
	{"90d", "90 days", func(now time.Time) pages.Period { return pages.Days(90, now) }},
	{"12m", "12 months", func(now time.Time) pages.Period { return pages.Months(12, now) }},
}

// dimensions are what usage is added up by, in the order of the page.
var dimensions = []usage.Dimension{usage.ByUser, usage.ByTeam, usage.ByModel, usage.ByClient, usage.ByProvider, usage.ByDay}

// usage answers with what was used. The query says by what and in which period.
func (v *dashboardView) usage() error {
	query := v.r.URL.Query()
	by, period, measure := usage.ByUser, 1, pages.ParseMeasure(query.Get("show"))
	if i := slices.Index(dimensions, usage.Dimension(query.Get("by"))); i >= 0 {
		by = dimensions[i]
	}
	for i := range periods {
		if periods[i].name == query.Get("period") {
			period = i
		}
	}
	link := func(by usage.Dimension, period int, measure pages.Measure) string {
		return "/usage?" + url.Values{"by": {string(by)}, "period": {periods[period].name}, "show": {string(measure)}}.Encode()
	}
	var page pages.UsagePage
	for _, one := range dimensions {
		page.Bys = append(page.Bys, pages.Link{Text: "By " + string(one), Href: link(one, period, measure), Here: one == by})
	}
	for i := range periods {
		page.Periods = append(page.Periods, pages.Link{Text: periods[i].text, Href: link(by, i, measure), Here: i == period})
	}
	var err error
	if v.ledger != nil {
		page.Usage, err = v.ledger.shown(v.r.Context(), by, periods[period].of(time.Now()), measure)
	}
	if err != nil {
		page.Usage, page.Fault = nil, faultOf(err)
	}
	if page.Usage != nil {
		for _, one := range []pages.Measure{pages.Tokens, pages.Requests} {
			page.Usage.Measures = append(page.Usage.Measures, pages.Link{Text: string(one), Href: link(by, period, one), Here: one == measure})
		}
	}
	return v.write("Usage", page, nil)
}

func faultOf(err error) string { return "The ledger cannot be read: " + hint(err).Error() }

// usageOfUser returns what a user has used in 30 days by model. It is nil if there is no ledger. fault says why the
// ledger cannot be read, or is "".
func (v *dashboardView) usageOfUser(email string, now time.Time) (used *pages.Usage, fault string) {
	if v.ledger == nil {
		return nil, ""
	}
	period := pages.Days(30, now)
	rows, err := v.ledger.sum(v.r.Context(), usage.Query{Since: period.From, User: email, By: []usage.Dimension{usage.ByDay, usage.ByModel}})
	if err != nil {
		return nil, faultOf(err)
	}
	used = pages.NewUsage(entriesOf(rows, usage.ByModel), period, string(usage.ByModel), pages.Tokens)
	used.Refusals = true
	return used, ""
}

// sum adds up the ledger, for not too long.
func (l *openedLedger) sum(ctx context.Context, query usage.Query) ([]usage.Row, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	return l.Sum(ctx, query)
}

// shown returns what was used in a period.
func (l *openedLedger) shown(ctx context.Context, by usage.Dimension, period pages.Period, measure pages.Measure) (used *pages.Usage, err error) {
	days := []usage.Dimension{usage.ByDay}
	switch by {
	case usage.ByDay:
		rows, err := l.sum(ctx, usage.Query{Since: period.From, By: days})
		if err != nil {
			return nil, err
		}
		used = pages.NewUsageByTime(entriesOf(rows, by), period, measure)
	case usage.ByUser:
		if used, err = l.byUser(ctx, period, measure); err != nil {
			return nil, err
		}
	default:
		rows, err := l.sum(ctx, usage.Query{Since: period.From, By: append(days, by)})
		if err != nil {
			return nil, err
		}
		used = pages.NewUsage(entriesOf(rows, by), period, string(by), measure)
	}
	used.Refusals = true
	return used, nil
}

// byUser adds up usage by user. There may be so many users that their days are too many: only those of the users with
// the most are read.
func (l *openedLedger) byUser(ctx context.Context, period pages.Period, measure pages.Measure) (*pages.Usage, error) {
	rows, err := l.sum(ctx, usage.Query{Since: period.From, By: []usage.Dimension{usage.ByUser}})
	if err != nil {
		return nil, err
	}
	sums := entriesOf(rows, usage.ByUser)
	slices.SortFunc(sums, func(a, b pages.Entry) int {
		return cmp.Or(cmp.Compare(measure.Of(b.Counts), measure.Of(a.Counts)), cmp.Compare(a.Name, b.Name))
	})
	days := []usage.Dimension{usage.ByDay}
	rest, err := l.sum(ctx, usage.Query{Since: period.From, By: days})
	if err != nil {
		return nil, err
	}
	others := make(map[time.Time]usage.Row)
	for _, row := range rest {
		others[row.Hour] = row
	}
	var times []pages.Entry
	for _, most := range sums[:min(len(sums), pages.MaxSeries+1)] {
		rows, err := l.sum(ctx, usage.Query{Since: period.From, User: most.Name, By: days})
		if err != nil {
			return nil, err
		}
		for i := range rows {
			rows[i].User = most.Name
			others[rows[i].Hour] = without(others[rows[i].Hour], rows[i])
		}
		times = append(times, entriesOf(rows, usage.ByUser)...)
	}
	for day, row := range others {
		times = append(times, pages.Entry{At: day, Counts: countsOf(&row)})
	}
	used := pages.NewUsageOf(sums, times, period, string(usage.ByUser), measure)
	for i := range used.Rows { // they are in the order of sums, with names that may be cut
		if !used.Rows[i].Other && used.Rows[i].Name != "" {
			used.Rows[i].Href = hrefOf(sums[i].Name)
		}
	}
	return used, nil
}

// without returns the counts of all without those of one. Rows that were written meanwhile cannot make them negative.
func without(all, one usage.Row) usage.Row {
	all.Requests = max(0, all.Requests-one.Requests)
	all.Prompt = max(0, all.Prompt-one.Prompt)
	all.Completion = max(0, all.Completion-one.Completion)
	return all
}

// entriesOf returns the rows of a sum for a chart.
func entriesOf(rows []usage.Row, by usage.Dimension) []pages.Entry {
	entries := make([]pages.Entry, len(rows))
	for i := range rows {
		entries[i] = pages.Entry{At: rows[i].Hour, Name: nameOf(&rows[i], by), Counts: countsOf(&rows[i])}
	}
	return entries
}

// nameOf returns the name that a row is about.
func nameOf(row *usage.Row, by usage.Dimension) string {
	switch by {
	case usage.ByUser:
		return row.User
	case usage.ByTeam:
		return row.Team
	case usage.ByProvider:
		return row.Provider
	case usage.ByModel:
		return modelName(row.Provider, row.Model)
	case usage.ByClient:
		return row.Client
	}
	return ""
}

func countsOf(row *usage.Row) pages.Counts {
	return pages.Counts{Requests: row.Requests, Refused: row.Refused, Prompt: row.Prompt, Completion: row.Completion, Cached: row.Cached}
}
