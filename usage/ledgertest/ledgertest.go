// Package ledgertest has the tests that every ledger must pass.
package ledgertest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/continue-auth/caddy-continue-auth/usage"
)

// Open returns ledgers that write to the same place, one more with each call. The place must be empty at first.
type Open func() usage.Ledger

// TestLedger tests a ledger. place returns an Open for an empty place.
func TestLedger(t *testing.T, place func(t *testing.T) Open) {
	for name, test := range map[string]func(t *testing.T, open Open){
		"a batch is added once, however often it is written":   onceOnly,
		"sums are those of the rows":                           sums,
		"every name comes back as it was":                      allNames,
		"several ledgers write to the same place":              severalWriters,
		"a line is imported once":                              importOnce,
		"a line that a run has counted is not imported":        importCounted,
		"old days are deleted":                                 prune,
		"a name that was deleted can be used again":            namesAgain,
		"an unknown dimension is an error":                     unknownDimension,
		"a closed ledger opens again":                          reopen,
		"a call that is canceled changes nothing":              canceled,
		"a sum of a whole year has every hour":                 longTime,
		"sums are right while another goroutine adds and asks": sumsWhileWriting,
	} {
		t.Run(name, func(t *testing.T) { test(t, place(t)) })
	}
}

// today is a time at which the tests' rows end.
var today = time.Now().UTC().Truncate(time.Hour)

func ledger(t *testing.T, open Open) usage.Ledger {
	t.Helper()
	l := open()
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return l
}

func write(t *testing.T, l usage.Ledger, run string, number int64, rows ...usage.Row) {
	t.Helper()
	if err := l.Write(t.Context(), &usage.Batch{Run: run, Number: number, Rows: rows}); err != nil {
		t.Fatal(err)
	}
}

func sum(t *testing.T, l usage.Ledger, query usage.Query) []usage.Row {
	t.Helper()
	rows, err := l.Sum(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	sortRows(rows)
	return rows
}

// requests returns the sum of all requests.
func requests(t *testing.T, l usage.Ledger) int64 {
	t.Helper()
	var n int64
	for _, row := range sum(t, l, usage.Query{}) {
		n += row.Requests
	}
	return n
}

func sortRows(rows []usage.Row) {
	slices.SortFunc(rows, func(a, b usage.Row) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
}

func onceOnly(t *testing.T, open Open) {
	one, two := ledger(t, open), ledger(t, open)
	row := usage.Row{Hour: today, User: "a", Requests: 1}
	write(t, one, "run", 0)
	for _, l := range []usage.Ledger{one, one, two} { // the same run may write through another connection
		write(t, l, "run", 1, row, row)
	}
	write(t, two, "run", 2, row)
	write(t, two, "run", 1, row)
	write(t, two, "another run", 1, row)
	if n := requests(t, one); n != 4 {
		t.Errorf("%d requests, want 4", n)
	}
}

func sums(t *testing.T, open Open) {
	l := ledger(t, open)
	seed := time.Now().UnixNano()
	random := rand.New(rand.NewPCG(uint64(seed), 0))
	var all []usage.Row
	for number := int64(1); number <= 4; number++ {
		rows := randomRows(random, 300, 5)
		write(t, l, "run", number, rows...)
		all = append(all, rows...)
	}
	for range 300 {
		query := usage.Query{User: []string{"", "", "b@example.com", "nobody@example.com"}[random.IntN(4)]}
		moment := func() time.Time {
			if random.IntN(4) == 0 {
				return time.Time{}
			}
			return today.Add(-time.Duration(random.IntN(6*24*60)) * time.Minute)
		}
		query.Since, query.Until = moment(), moment()
		for _, by := range usage.Dimensions {
			if random.IntN(3) == 0 {
				query.By = append(query.By, by)
			}
		}
		if got, want := sum(t, l, query), reference(all, query); !reflect.DeepEqual(got, want) {
			t.Fatalf("seed %d, %+v:\ngot  %+v\nwant %+v", seed, query, got, want)
		}
	}
}

func allNames(t *testing.T, open Open) {
	l := ledger(t, open)
	var rows []usage.Row
	for _, name := range []string{"", " ", "'", `"`, `\`, "%_?$1:x", "é", "É", "e\u0301", "😀", "A", "a", "\u202e", "\x1b", strings.Repeat("x", 512), "NULL", "1; DROP TABLE usage_hours"} {
		rows = append(rows, usage.Row{Hour: today, User: name, Team: name + "t", Provider: name + "p", Model: name + "m", Client: name + "c", Requests: 1})
	}
	write(t, l, "run'\"", 1, rows...)
	query := usage.Query{By: []usage.Dimension{usage.ByUser, usage.ByTeam, usage.ByModel, usage.ByClient}}
	if got, want := sum(t, l, query), reference(rows, query); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	for _, row := range rows[1:] {
		if got := sum(t, l, usage.Query{User: row.User}); len(got) != 1 || got[0].Requests != 1 {
			t.Errorf("%q: %+v", row.User, got)
		}
	}
}

func severalWriters(t *testing.T, open Open) {
	const writers, batches = 4, 15
	var group sync.WaitGroup
	for w := range writers {
		l := ledger(t, open)
		group.Go(func() {
			random := rand.New(rand.NewPCG(uint64(w), 1))
			for number := int64(1); number <= batches; {
				rows := randomRows(random, 20, 2)
				for i := range rows {
					rows[i].Requests = 1
				}
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				err := l.Write(ctx, &usage.Batch{Run: fmt.Sprint("run", w), Number: number, Rows: rows})
				cancel()
				if err != nil {
					t.Errorf("writer %d: %v", w, err)
					return
				}
				number++
			}
		})
	}
	group.Wait()
	if n := requests(t, ledger(t, open)); n != writers*batches*20 {
		t.Errorf("%d requests, want %d", n, writers*batches*20)
	}
}

func lines(from, to int, run string) []usage.Line {
	var all []usage.Line
	for i := from; i < to; i++ {
		all = append(all, usage.Line{Hash: uint64(i) * 0x9E3779B97F4A7C15, Run: run, Row: usage.Row{Hour: today.Add(-time.Duration(i) * time.Minute).Truncate(time.Hour), User: "a", Requests: 1, Prompt: int64(i)}})
	}
	return all
}

func importOnce(t *testing.T, open Open) {
	one, two := ledger(t, open), ledger(t, open)
	for _, step := range []struct {
		l        usage.Ledger
		lines    []usage.Line
		want, in int
	}{
		{one, nil, 0, 0},
		{one, lines(0, 2000, ""), 2000, 2000},
		{two, lines(1500, 2500, ""), 500, 2500},
		{one, lines(0, 2500, ""), 0, 2500},
		{one, append(lines(3000, 3010, ""), lines(3005, 3015, "")...), 15, 2515},
	} {
		added, err := step.l.Import(t.Context(), step.lines)
		if err != nil || added != step.want {
			t.Errorf("added %d of %d, error %v, want %d", added, len(step.lines), err, step.want)
		}
		if n := requests(t, one); n != int64(step.in) {
			t.Errorf("%d requests, want %d", n, step.in)
		}
	}
	query := usage.Query{By: []usage.Dimension{usage.ByDay}}
	var want []usage.Row
	for _, line := range append(lines(0, 2500, ""), lines(3000, 3015, "")...) {
		want = append(want, line.Row)
	}
	if got := sum(t, one, query); !reflect.DeepEqual(got, reference(want, query)) {
		t.Errorf("got %+v, want %+v", got, reference(want, query))
	}
}

func importCounted(t *testing.T, open Open) {
	l := ledger(t, open)
	write(t, l, "known", 0)
	all := append(append(lines(0, 10, "known"), lines(10, 20, "unknown")...), lines(20, 30, "")...)
	if added, err := l.Import(t.Context(), all); err != nil || added != 20 {
		t.Errorf("added %d, error %v, want 20", added, err)
	}
}

func pruneAll(t *testing.T, l usage.Ledger, before time.Time) (steps int) {
	t.Helper()
	for ; ; steps++ {
		deleted, err := l.Prune(t.Context(), before)
		if err != nil {
			t.Fatal(err)
		}
		if deleted == 0 {
			return steps
		}
	}
}

func prune(t *testing.T, open Open) {
	l := ledger(t, open)
	all := randomRows(rand.New(rand.NewPCG(1, 2)), 2000, 10)
	for i := range all {
		all[i].User = fmt.Sprint("user", i)
	}
	write(t, l, "run", 1, all...)
	if _, err := l.Import(t.Context(), lines(0, 5000, "")); err != nil {
		t.Fatal(err)
	}
	for _, line := range lines(0, 5000, "") {
		all = append(all, line.Row)
	}
	pruneAll(t, l, today.AddDate(0, 0, -20))
	before := today.AddDate(0, 0, -2)
	day := before.Truncate(24 * time.Hour)
	if steps := pruneAll(t, l, before); steps < 2 {
		t.Errorf("%d steps", steps)
	}
	kept := slices.DeleteFunc(all, func(row usage.Row) bool { return row.Hour.Before(day) })
	for _, query := range []usage.Query{{}, {By: []usage.Dimension{usage.ByDay}}, {By: []usage.Dimension{usage.ByUser}}, {By: []usage.Dimension{usage.ByDay, usage.ByModel}}, {By: []usage.Dimension{usage.ByModel, usage.ByUser}}} {
		if got, want := sum(t, l, query), reference(kept, query); !reflect.DeepEqual(got, want) {
			t.Errorf("%+v: got %+v\nwant %+v", query, got, want)
		}
	}
	write(t, l, "run", 1, all...) // the run is known still
	if got := requests(t, l); got != reference(kept, usage.Query{})[0].Requests {
		t.Errorf("%d requests after the batch was written again", got)
	}
}

func namesAgain(t *testing.T, open Open) {
	one, two := ledger(t, open), ledger(t, open)
	old := usage.Row{Hour: today.AddDate(0, 0, -10), User: "old", Team: "core", Provider: "openai", Model: "m", Client: "c", Requests: 1}
	fresh := usage.Row{Hour: today, User: "new", Team: "core", Provider: "openai", Model: "m", Client: "c", Requests: 2}
	write(t, one, "one", 1, old, fresh)
	write(t, two, "two", 1, old)
	pruneAll(t, one, today.AddDate(0, 0, -1))
	old.Hour = today
	write(t, two, "two", 2, old)
	want := []usage.Row{{User: "new", Requests: 2}, {User: "old", Requests: 1}}
	sortRows(want)
	if got := sum(t, two, usage.Query{By: []usage.Dimension{usage.ByUser}}); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func unknownDimension(t *testing.T, open Open) {
	if _, err := ledger(t, open).Sum(t.Context(), usage.Query{By: []usage.Dimension{"planet"}}); err == nil || !strings.Contains(err.Error(), "planet") {
		t.Errorf("error %v", err)
	}
}

func reopen(t *testing.T, open Open) {
	l := ledger(t, open)
	for number := range int64(3) {
		write(t, l, "run", number+1, usage.Row{Hour: today, User: "a", Requests: 1})
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if err := l.Close(); err != nil {
			t.Fatalf("the second Close: %v", err)
		}
	}
	if n := requests(t, l); n != 3 {
		t.Errorf("%d requests, want 3", n)
	}
}

func canceled(t *testing.T, open Open) {
	l := ledger(t, open)
	write(t, l, "run", 1, usage.Row{Hour: today, User: "a", Requests: 1})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Write(ctx, &usage.Batch{Run: "run", Number: 2, Rows: []usage.Row{{Hour: today, User: "a", Requests: 1}}}); err == nil {
		t.Error("Write: no error")
	}
	if _, err := l.Import(ctx, lines(0, 1, "")); err == nil {
		t.Error("Import: no error")
	}
	if _, err := l.Sum(ctx, usage.Query{}); err == nil {
		t.Error("Sum: no error")
	}
	if n := requests(t, l); n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
}

func longTime(t *testing.T, open Open) {
	l := ledger(t, open)
	var rows []usage.Row
	for hour := range 366 * 24 / 5 {
		rows = append(rows, usage.Row{Hour: today.Add(-time.Duration(hour*5) * time.Hour), User: "a", Model: "m", Requests: 1})
	}
	write(t, l, "run", 1, rows...)
	for _, query := range []usage.Query{{User: "a", By: []usage.Dimension{usage.ByModel}}, {By: []usage.Dimension{usage.ByModel}}, {User: "a", By: []usage.Dimension{usage.ByDay, usage.ByClient}}} {
		if got, want := sum(t, l, query), reference(rows, query); !reflect.DeepEqual(got, want) {
			t.Errorf("%+v: got %d rows, want %d", query, len(got), len(want))
		}
	}
}

func sumsWhileWriting(t *testing.T, open Open) {
	l := ledger(t, open)
	write(t, l, "run", 1, usage.Row{Hour: today, User: "a", Model: "m", Requests: 5})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for number := int64(2); number <= 20; number++ {
			if err := l.Write(t.Context(), &usage.Batch{Run: "run", Number: number, Rows: []usage.Row{{Hour: today, User: "a", Model: "m", Requests: 3}, {Hour: today, User: "b", Model: "m", Requests: 2}}}); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	for last := int64(0); ; {
		rows := sum(t, l, usage.Query{By: []usage.Dimension{usage.ByModel}})
		n := int64(0)
		for _, row := range rows {
			n += row.Requests
		}
		if n%5 != 0 || n < last {
			t.Fatalf("%d requests after %d: a part of a batch", n, last)
		}
		last = n
		select {
		case <-done:
			if n := requests(t, l); n != 100 {
				t.Errorf("%d requests, want 100", n)
			}
			return
		default:
		}
	}
}
