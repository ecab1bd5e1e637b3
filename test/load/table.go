package main

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"math"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// measures are the figures of all turns, by name and variant.
type measures map[[2]string][]float64

func (m measures) add(name, variant string, value float64) {
	at := [2]string{name, variant}
	m[at] = append(m[at], value)
}

// wait adds two percentiles of the times of one turn.
func (m measures) wait(name, variant string, sorted []int64) {
	m.add(name+" p50", variant, percentile(sorted, 50))
	m.add(name+" p99", variant, percentile(sorted, 99))
}

// row is a line of the table. It compares a figure of one variant with that of another, turn by
// turn.
type row struct {
	title    string
	name     string
	ours     string // the variant
	base     string // the variant to compare with; "" means that the figure stands alone
	baseName string // the name of the base's figure, if it has another name
	unit     string
	added    bool // compare by the difference, not by the ratio
	goal     float64
	hasGoal  bool
	atMost   bool
}

func ratio(title, name, ours, base, unit string) row {
	return row{title: title, name: name, ours: ours, base: base, unit: unit}
}

// added returns a row with the difference from the base that has the same answers.
func added(title, name, ours, unit string) row {
	base := "bare"
	if ours == "gemini" {
		base = "bare, Gemini"
	}
	return row{title: title, name: name, ours: ours, base: base, unit: unit, added: true}
}

// addedTo returns a row with the difference from another variant.
func addedTo(title, name, ours, base, unit string) row {
	return row{title: title, name: name, ours: ours, base: base, unit: unit, added: true}
}

func alone(title, name, ours string) row {
	return row{title: title, name: name, ours: ours}
}

func (r row) atLeastOf(goal float64) row { r.goal, r.hasGoal = goal, true; return r }
func (r row) atMostOf(goal float64) row  { r.goal, r.hasGoal, r.atMost = goal, true, true; return r }

var rows = []row{
	ratio("requests/s, 4 KB", "rate 4 KB", "ours", "bare", "").atLeastOf(0.95),
	ratio("requests/s, 200 KB", "rate 200 KB", "ours", "bare", "").atLeastOf(0.90),
	ratio("requests/s, 1 MB", "rate 1 MB", "ours", "bare", "").atLeastOf(0.80),
	ratio("requests/s, 4 KB, Workers AI", "rate 4 KB", "workers", "bare, Workers AI", "").atLeastOf(0.93),
	ratio("requests/s, 200 KB, Workers AI", "rate 200 KB", "workers", "bare, Workers AI", "").atLeastOf(0.90),
	ratio("requests/s, 4 KB, Anthropic", "rate 4 KB", "anthropic", "bare, Anthropic", "").atLeastOf(0.95),
	ratio("requests/s, 4 KB, Gemini", "rate 4 KB", "gemini", "bare, Gemini", "").atLeastOf(0.80),
	ratio("requests/s, 200 KB, Gemini", "rate 200 KB", "gemini", "bare, Gemini", "").atLeastOf(0.55),
	ratio("requests/s, 1 MB, Gemini", "rate 1 MB", "gemini", "bare, Gemini", ""),
	ratio("server's CPU a request, 4 KB", "cpu 4 KB", "ours", "bare", "µs"),
	ratio("server's CPU a request, 200 KB", "cpu 200 KB", "ours", "bare", "µs"),
	ratio("server's CPU a request, 1 MB", "cpu 1 MB", "ours", "bare", "µs"),
	ratio("server's CPU a request, 4 KB, Workers AI", "cpu 4 KB", "workers", "bare, Workers AI", "µs"),
	ratio("server's CPU a request, 200 KB, Workers AI", "cpu 200 KB", "workers", "bare, Workers AI", "µs"),
	ratio("server's CPU a request, 4 KB, Gemini", "cpu 4 KB", "gemini", "bare, Gemini", "µs"),
	ratio("server's CPU a request, 200 KB, Gemini", "cpu 200 KB", "gemini", "bare, Gemini", "µs"),
	added("latency p50, 1 connection", "one p50", "ours", "µs"),
	added("latency p99, 1 connection", "one p99", "ours", "µs"),
	added("latency p50, 1 connection, Gemini", "one p50", "gemini", "µs"),
	added("latency p99, 1 connection, Gemini", "one p99", "gemini", "µs"),
	added("latency p50, 32 connections, half load", "paced p50", "ours", "µs").atMostOf(60),
	added("latency p99, 32 connections, half load", "paced p99", "ours", "µs").atMostOf(300),
	added("latency p50, 32 connections, half load, Gemini", "paced p50", "gemini", "µs"),
	added("latency p99, 32 connections, half load, Gemini", "paced p99", "gemini", "µs"),
	added("latency p50, 32 connections, full load", "full p50 4 KB", "ours", "µs"),
	added("latency p99, 32 connections, full load", "full p99 4 KB", "ours", "µs"),
	added("time to first chunk p50, 128 streams", "128 streams first p50", "ours", "µs").atMostOf(50),
	added("time to first chunk p99, 128 streams", "128 streams first p99", "ours", "µs"),
	added("time to first chunk p50, 32 streams", "32 streams first p50", "ours", "µs").atMostOf(50),
	added("time to first chunk p99, 32 streams", "32 streams first p99", "ours", "µs"),
	added("time to first chunk p50, 128 streams, Gemini", "128 streams first p50", "gemini", "µs"),
	added("time to first chunk p50, 32 streams, Gemini", "32 streams first p50", "gemini", "µs"),
	added("a chunk's delay p50, 128 streams", "128 streams delay p50", "ours", "µs"),
	added("a chunk's delay p99, 128 streams", "128 streams delay p99", "ours", "µs"),
	added("a chunk's delay p50, 32 streams", "32 streams delay p50", "ours", "µs"),
	added("a chunk's delay p99, 32 streams", "32 streams delay p99", "ours", "µs"),
	added("a chunk's delay p50, 128 streams, Gemini", "128 streams delay p50", "gemini", "µs"),
	added("a chunk's delay p50, 32 streams, Gemini", "32 streams delay p50", "gemini", "µs"),
	added("chunks that arrived alone", "128 streams single", "ours", "%"),
	added("chunks that arrived alone, Gemini", "128 streams single", "gemini", "%"),
	ratio("streams/s, chunk by chunk", "streams one by one", "ours", "bare", ""),
	ratio("streams/s, chunk by chunk, Workers AI", "streams one by one", "workers", "bare, Workers AI", "").atLeastOf(0.93),
	ratio("streams/s, chunk by chunk, Anthropic", "streams one by one", "anthropic", "bare, Anthropic", "").atLeastOf(0.95),
	ratio("streams/s, chunk by chunk, Gemini to pass-through", "streams one by one", "gemini", "ours", "").atLeastOf(0.85),
	ratio("server's CPU a stream, chunk by chunk", "cpu streams one by one", "ours", "bare", "µs"),
	ratio("server's CPU a stream, chunk by chunk, Workers AI", "cpu streams one by one", "workers", "bare, Workers AI", "µs"),
	ratio("server's CPU a stream, chunk by chunk, Gemini to pass-through", "cpu streams one by one", "gemini", "ours", "µs"),
	ratio("streams/s, all chunks at once", "streams at once", "ours", "bare", ""),
	ratio("streams/s, all chunks at once, Workers AI", "streams at once", "workers", "bare, Workers AI", "").atLeastOf(0.93),
	ratio("streams/s, all chunks at once, Anthropic", "streams at once", "anthropic", "bare, Anthropic", "").atLeastOf(0.95),
	ratio("streams/s, all chunks at once, Gemini to pass-through", "streams at once", "gemini", "ours", "").atLeastOf(0.85),
	ratio("streams/s, chunk by chunk, Messages over Workers AI to chat", "streams one by one", "messages, Workers AI", "workers", "").atLeastOf(0.85),
	ratio("streams/s, chunk by chunk, Responses over Workers AI to chat", "streams one by one", "responses, Workers AI", "workers", "").atLeastOf(0.85),
	ratio("streams/s, chunk by chunk, Messages over Gemini to chat", "streams one by one", "messages, Gemini", "gemini", "").atLeastOf(0.85),
	ratio("streams/s, chunk by chunk, Responses over Gemini to chat", "streams one by one", "responses, Gemini", "gemini", "").atLeastOf(0.85),
	ratio("server's CPU a stream, chunk by chunk, Messages over Workers AI to chat", "cpu streams one by one", "messages, Workers AI", "workers", "µs"),
	ratio("server's CPU a stream, chunk by chunk, Responses over Workers AI to chat", "cpu streams one by one", "responses, Workers AI", "workers", "µs"),
	ratio("server's CPU a stream, chunk by chunk, Messages over Gemini to chat", "cpu streams one by one", "messages, Gemini", "gemini", "µs"),
	ratio("server's CPU a stream, chunk by chunk, Responses over Gemini to chat", "cpu streams one by one", "responses, Gemini", "gemini", "µs"),
	ratio("server's CPU a request, 200 KB, Messages over Workers AI to chat", "cpu 200 KB", "messages, Workers AI", "workers", "µs"),
	ratio("server's CPU a request, 200 KB, Responses over Workers AI to chat", "cpu 200 KB", "responses, Workers AI", "workers", "µs"),
	ratio("server's CPU a request, 200 KB, Messages over Gemini to chat", "cpu 200 KB", "messages, Gemini", "gemini", "µs"),
	ratio("server's CPU a request, 200 KB, Responses over Gemini to chat", "cpu 200 KB", "responses, Gemini", "gemini", "µs"),
	ratio("requests/s, 4 KB, with limits to without", "rate 4 KB", "limited", "ours", "").atLeastOf(0.97),
	ratio("requests/s, 4 KB, Workers AI, with limits to without", "rate 4 KB", "limited, Workers AI", "workers", "").atLeastOf(0.97),
	ratio("requests/s, 4 KB, Anthropic, with limits to without", "rate 4 KB", "limited, Anthropic", "anthropic", "").atLeastOf(0.97),
	ratio("requests/s, 4 KB, Gemini, with limits to without", "rate 4 KB", "limited, Gemini", "gemini", "").atLeastOf(0.97),
	ratio("requests/s, 200 KB, with limits to without", "rate 200 KB", "limited", "ours", "").atLeastOf(0.97),
	ratio("streams/s, chunk by chunk, with limits to without", "streams one by one", "limited", "ours", "").atLeastOf(0.97),
	ratio("server's CPU a request, 4 KB, with limits to without", "cpu 4 KB", "limited", "ours", "µs"),
	addedTo("latency p50, 1 connection, with limits in Redis to without limits", "one p50", "shared", "ours", "µs").atMostOf(250),
	addedTo("latency p99, 1 connection, with limits in Redis to without limits", "one p99", "shared", "ours", "µs"),
	addedTo("latency p50, 32 connections, half load, with limits in Redis to without limits", "paced p50", "shared", "ours", "µs"),
	addedTo("latency p50, 32 connections, full load, with limits in Redis to without limits", "full p50 4 KB", "shared", "ours", "µs"),
	ratio("requests/s, 4 KB, with limits in Redis to without limits", "rate 4 KB", "shared", "ours", ""),
	added("memory an open stream", "open memory", "ours", "KB").atMostOf(16),
	added("memory an open stream, Gemini", "open memory", "gemini", "KB").atMostOf(16),
	added("the same after a garbage collection", "open live", "ours", "KB").atMostOf(16),
	added("the same after a garbage collection, Gemini", "open live", "gemini", "KB").atMostOf(16),
	alone("chunks of open streams that were late", "open late", "ours").atMostOf(0),
	alone("chunks of open streams that were late, Gemini", "open late", "gemini").atMostOf(0),
	added("a chunk's delay p99, open streams", "open p99", "ours", "µs"),
	added("a chunk's delay p99, open streams, Gemini", "open p99", "gemini", "µs"),
	ratio("peak memory, all of the above but open streams", "peak", "ours", "bare", "MB"),
	ratio("peak memory, all of the above but open streams, Workers AI", "peak", "workers", "bare", "MB"),
	ratio("peak memory, all of the above but open streams, Gemini", "peak", "gemini", "bare", "MB"),
	alone("made-up keys refused/s", "flood rate", "ours"),
	alone("calls of the keystore in that flood", "flood calls", "ours"),
	{title: "a known user's p50 in that flood, to before", name: "flood during p50", ours: "ours", base: "ours", baseName: "flood before p50", unit: "µs"},
	{title: "a known user's p99 in that flood, to before", name: "flood during p99", ours: "ours", base: "ours", baseName: "flood before p99", unit: "µs"},
}

// rowsOf returns the rows whose titles match. The peak of memory is left out if any other
// measurement is left out, because it is the peak of all of them.
func rowsOf(titles *regexp.Regexp) []row {
	if titles.String() == "" {
		return rows
	}
	return slices.DeleteFunc(slices.Clone(rows), func(r row) bool { return r.name == "peak" || !titles.MatchString(r.title) })
}

// print writes a table of rows in Markdown.
func (m measures) print(out io.Writer, rows []row) {
	cells := [][]string{{"", "base", "with us", "ratio or added", "half of the turns", "95 % interval", "goal", "met"}, nil}
	for _, r := range rows {
		cells = append(cells, m.cells(r))
	}
	widths := make([]int, len(cells[0]))
	for i := range cells[0] {
		for _, line := range cells {
			if line != nil {
				widths[i] = max(widths[i], utf8.RuneCountInString(line[i]))
			}
		}
	}
	for _, line := range cells {
		fmt.Fprint(out, "|")
		for i, width := range widths {
			if line == nil {
				fmt.Fprint(out, " ", strings.Repeat("-", width), " |")
				continue
			}
			fmt.Fprint(out, " ", line[i], strings.Repeat(" ", width-utf8.RuneCountInString(line[i])), " |")
		}
		fmt.Fprintln(out)
	}
}

func (m measures) cells(r row) []string {
	c := m.compare(r)
	show := func(v float64) string { return fmt.Sprintf("%.2f", v) }
	switch {
	case r.base == "":
		show = func(v float64) string { return figure(v, "") }
	case r.added:
		show = signed
	}
	line := []string{r.title, "", figure(c.ours, r.unit), "", c.half.show(show), c.interval.show(show), "", ""}
	if r.base != "" {
		line[1], line[3] = figure(c.base, r.unit), show(c.value)
	}
	if r.hasGoal {
		line[6], line[7] = "≥ "+show(r.goal), r.met(c)
		if r.atMost {
			line[6] = "≤ " + show(r.goal)
		}
	}
	return line
}

// comparison is the content of a row.
type comparison struct {
	base, ours     float64
	value          float64 // the ratio, the difference, or the figure itself if it stands alone
	half, interval span
	turns          int
}

func (m measures) compare(r row) comparison {
	ours := m[[2]string{r.name, r.ours}]
	if r.base == "" {
		return comparison{ours: median(ours), value: median(ours), half: half(ours), interval: interval(ours), turns: len(ours)}
	}
	base := m[[2]string{cmp.Or(r.baseName, r.name), r.base}]
	compared := make([]float64, len(ours))
	for i := range ours {
		if compared[i] = ours[i] / base[i]; r.added {
			compared[i] = ours[i] - base[i]
		}
	}
	return comparison{median(base), median(ours), median(compared), half(compared), interval(compared), len(ours)}
}

// met says whether the goal is met in the whole interval, or nowhere in it. In all other cases it
// is undecided: a median on the right side can be chance, and so can one or two turns.
func (r row) met(c comparison) string {
	low, high, goal := c.interval.low, c.interval.high, r.goal
	if r.atMost {
		low, high, goal = -high, -low, -goal
	}
	switch {
	case c.turns < 3:
	case low >= goal:
		return "yes"
	case high < goal:
		return "no"
	}
	return "unclear"
}

func figure(v float64, unit string) string {
	text := fmt.Sprintf("%.0f", v)
	if math.Abs(v) < 100 && v != math.Trunc(v) {
		text = fmt.Sprintf("%.1f", v)
	}
	return strings.TrimSpace(text + " " + unit)
}

func signed(v float64) string {
	if v > 0 {
		return "+" + figure(v, "")
	}
	return figure(v, "")
}

// machine says when and on which machine the table was made.
func (b *bench) machine() string {
	model := runtime.GOARCH
	if info, err := os.Open("/proc/cpuinfo"); err == nil {
		defer func() { _ = info.Close() }()
		for lines := bufio.NewScanner(info); lines.Scan(); {
			if name, value, _ := strings.Cut(lines.Text(), ":"); strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	cores := "shared by clients, upstream and server"
	if b.serverCores != "" {
		cores = fmt.Sprintf("the servers on %s, clients and upstream on %s", b.serverCores, b.clientCores)
	}
	return fmt.Sprintf("%s, %s, %d cores of %s, %s", time.Now().Format(time.DateOnly), runtime.Version(), runtime.NumCPU(), model, cores)
}
