package command

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// report is usage that can be printed.
type report struct {
	by    string
	rows  []*tally
	where string // what was read: log or ledger
}

const (
	inLog    = "log"
	inLedger = "ledger"
)

// report returns what was added up.
func (l *usageLog) report() *report {
	return &report{l.by, l.sorted(), inLog}
}

func (l *usageLog) total() tally {
	return total(l.sorted())
}

// sorted returns the usage in its order.
func (l *usageLog) sorted() []*tally {
	return sortUsage(slices.AppendSeq([]*tally{}, maps.Values(l.byName)), l.by)
}

// sortUsage sorts by day, or else the most tokens first.
func sortUsage(all []*tally, by string) []*tally {
	slices.SortFunc(all, func(a, b *tally) int {
		if by == byDay {
			return cmp.Compare(a.Name, b.Name)
		}
		return cmp.Or(
			cmp.Compare(b.PromptTokens+b.CompletionTokens, a.PromptTokens+a.CompletionTokens),
			cmp.Compare(b.Requests, a.Requests),
			cmp.Compare(a.Name, b.Name),
		)
	})
	return all
}

func total(rows []*tally) tally {
	t := tally{sum: sum{Name: "TOTAL"}}
	for _, u := range rows {
		t.add(*u)
	}
	return t
}

// print prints the report as a table, JSON or CSV.
func (f *usageFlags) print(r *report, out io.Writer) error {
	switch {
	case f.asCSV:
		return r.csv(out)
	case f.asJSON && r.where == inLog:
		return printJSON(out, r.rows)
	case f.asJSON:
		sums := make([]sum, len(r.rows)) // an empty slice is [] in JSON, not null
		for i, u := range r.rows {
			sums[i] = u.sum
		}
		return printJSON(out, sums)
	}
	return r.table(out)
}

func (r *report) table(out io.Writer) error {
	if len(r.rows) == 0 {
		_, err := fmt.Fprintf(out, "There are no requests to continue_auth in the %s.\n", r.where)
		return err
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "%s\tREQUESTS\tREFUSED\tPROMPT\tCACHED\tCOMPLETION", strings.ToUpper(r.by))
	if r.where == inLog {
		fmt.Fprint(table, "\tLAST")
	}
	fmt.Fprintln(table)
	sum := total(r.rows)
	for _, u := range append(slices.Clone(r.rows), &sum) {
		name := cmp.Or(printable(u.Name), "-")
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\t%d", name, u.Requests, u.Refused, u.PromptTokens, u.CachedTokens, u.CompletionTokens)
		if r.where == inLog {
			fmt.Fprint(table, "\t"+shownTime(u.Last, time.DateTime))
		}
		fmt.Fprintln(table)
	}
	return table.Flush()
}

// shownTime returns a time, or "" for the zero time.
func shownTime(at time.Time, format string) string {
	if at.IsZero() {
		return ""
	}
	return at.Format(format)
}

// csv prints a table for spreadsheets and other programs. The columns are named as in JSON.
func (r *report) csv(out io.Writer) error {
	w := csv.NewWriter(out)
	header := []string{r.by, "requests", "refused", "prompt_tokens", "cached_tokens", "completion_tokens"}
	if r.where == inLog {
		header = append(header, "tokens_partial", "last")
	}
	_ = w.Write(header) // Error below returns the error
	for _, u := range r.rows {
		row := []string{cell(u.Name)}
		for _, n := range []int64{u.Requests, u.Refused, u.PromptTokens, u.CachedTokens, u.CompletionTokens} {
			row = append(row, strconv.FormatInt(n, 10))
		}
		if r.where == inLog {
			row = append(row, strconv.FormatInt(u.TokensPartial, 10), shownTime(u.Last, time.RFC3339))
		}
		_ = w.Write(row)
	}
	w.Flush()
	return w.Error()
}

// cell returns a name as text for a spreadsheet, which would take a name that begins with one of these
// characters for a formula.
func cell(name string) string {
	if name != "" && strings.ContainsRune("=+-@\t\r", rune(name[0])) {
		return "'" + name
	}
	return name
}
