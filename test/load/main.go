// Command load measures what continue_auth adds to Caddy's own reverse_proxy. It starts both as
// processes, in front of one upstream of its own, sends both the same requests in turns, and prints a
// table. It exits with status 1 if an answer is wrong or missing; no time that it measures makes it
// fail. Everything listens on loopback. It needs Linux, whose /proc tells what a process takes, and wrk,
// which Debian has as a package. It builds the server, unless the environment variable CADDY names one.
//
// With -soak it does not measure, but keeps the server at half load while the configuration is
// reloaded and the keystore fails, and exits with status 1 if a request is lost or anything leaks.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	rounds := flag.Int("rounds", 5, "how often everything is measured")
	quick := flag.Bool("quick", false, "see only whether answers are right: a short round and a short soak")
	soak := flag.Duration("soak", 0, "soak for that long instead of measuring")
	profile := flag.String("profile", "", "a folder for CPU profiles of the server, one for each measurement of the first round")
	some := flag.String("rows", "", "measure only the rows of the table whose titles match this regular expression")
	flag.Parse()
	pattern, err := regexp.Compile(*some)
	if err != nil {
		fmt.Fprintln(os.Stderr, "-rows:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	b := &bench{rounds: *rounds, quick: *quick, length: 2 * time.Second, streams: 2000, profile: *profile, rows: rowsOf(pattern)}
	if b.quick {
		b.rounds, b.length, b.streams = 1, 300*time.Millisecond, 200
	}
	err = b.run(ctx, *soak)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// connections is how many there are where nothing else is said.
const connections = 32

// bench is a run of this command.
type bench struct {
	rounds  int
	quick   bool
	length  time.Duration // of what is measured once in a round, and not by turns
	streams int           // that are open at once
	profile string
	rows    []row // of the table, that are wanted

	folder      string
	program     string // the server's
	clientCores string // of this process and wrk, as a list; "": those of the servers
	serverCores string
	up          *upstream
	got         measures
	pace        float64 // requests a second that are half of what the machine can do
}

func (b *bench) run(ctx context.Context, soak time.Duration) (err error) {
	if err := tools(); err != nil {
		return err
	}
	if b.folder, err = os.MkdirTemp("", "continue-auth-load-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.folder)) }()
	if b.program, err = program(ctx, b.folder); err != nil {
		return err
	}
	if err := b.split(ctx); err != nil {
		return err
	}
	if b.up, err = listen(ctx); err != nil {
		return err
	}
	defer b.up.close()
	if soak > 0 {
		return b.soak(ctx, soak)
	}
	b.got = make(measures)
	if err := b.measure(ctx); err != nil {
		return err
	}
	fmt.Println(b.machine())
	fmt.Println()
	b.got.print(os.Stdout, b.rows)
	if b.quick {
		return b.soak(ctx, 6*time.Second)
	}
	return nil
}

// measure does all rounds.
func (b *bench) measure(ctx context.Context) error {
	site, err := b.fileSite()
	if err != nil {
		return err
	}
	for round := range b.rounds {
		fmt.Fprintf(os.Stderr, "round %d of %d\n", round+1, b.rounds)
		if err := b.round(ctx, round, site); err != nil {
			return err
		}
	}
	for round := range min(b.rounds, 3) {
		if err := b.openStreams(ctx, round, site); err != nil {
			return err
		}
	}
	if len(needed(b.rows, b.variants(), "flood")) == 0 {
		return nil
	}
	return b.flood(ctx)
}

// round does all measurements with servers of its own: how the memory of a process comes to lie makes it a
// little faster or slower for as long as it lives. The servers take turns at each measurement, so that what
// else the machine does meets them alike.
func (b *bench) round(ctx context.Context, round int, site string) error {
	variants := b.asked()
	var bare *server
	for i := range variants {
		v := &variants[i]
		if v.bare() && bare != nil {
			v.server = bare
			continue
		}
		if err := b.serve(ctx, v, v.name, site); err != nil {
			return err
		}
		defer v.server.stop()
		if v.bare() {
			bare = v.server
		}
	}
	if err := b.warm(ctx, variants); err != nil {
		return err
	}
	for _, m := range b.measurements() {
		if err := b.inTurn(ctx, m, needed(b.rows, variants, m.figures...), round); err != nil {
			return fmt.Errorf("%s, %w", m.name, err)
		}
	}
	for _, v := range variants {
		b.got.add("peak", v.name, float64(v.server.memory("VmHWM"))/(1<<20))
	}
	return nil
}

// variants are what is set against each other: the base, and us with what passes and with what is translated,
// each of ours with a server of its own: what the one leaves in memory is not the other's. The base is one server
// that is sent the requests of each, and whose upstream answers as their providers do.
func (b *bench) variants() []variant {
	return []variant{
		{name: "bare", model: passing, served: &b.up.served, answers: &openAI},
		{name: "ours", model: passing, served: &b.up.served},
		{name: "bare, Workers AI", model: edge, served: &b.up.served, answers: &workersAI},
		{name: "workers", model: edge, served: &b.up.served},
		{name: "bare, Gemini", model: translated, served: &b.up.served, answers: &google},
		{name: "gemini", model: translated, served: &b.up.served},
	}
}

// asked are the variants that rows want anything of, behind the base, which sets the pace.
func (b *bench) asked() []variant {
	all := b.variants()
	return append(all[:1:1], needed(b.rows, all[1:], "")...)
}

// needed are the variants that rows want a figure of, whose name begins with one of those given.
func needed(rows []row, variants []variant, figures ...string) []variant {
	var wanted []variant
	for _, v := range variants {
		if slices.ContainsFunc(rows, func(r row) bool {
			return (r.ours == v.name || r.base == v.name) &&
				slices.ContainsFunc(figures, func(figure string) bool { return strings.HasPrefix(r.name, figure) })
		}) {
			wanted = append(wanted, v)
		}
	}
	return wanted
}

// serve starts a variant's server, with that site unless it is the base.
func (b *bench) serve(ctx context.Context, v *variant, name, site string) (err error) {
	if v.bare() {
		site = bareSite(b.up.address)
	}
	v.server, err = b.start(ctx, name, site)
	return err
}

// warm has each server do what it does only once, and sets the pace by the base, which comes first: in each
// round anew, as what else the machine does changes.
func (b *bench) warm(ctx context.Context, variants []variant) error {
	for i, v := range variants {
		b.up.script.Store(&script{answers: v.answers})
		r, err := loop(ctx, v, plan{connections: connections, size: 4 << 10}, b.length/2)
		if err != nil {
			return fmt.Errorf("warming %s: %w", v.name, err)
		}
		if i == 0 {
			b.pace = r.perSecond() / 2
		}
	}
	return nil
}

// inTurn does a measurement with all variants, there and back: each is next to its neighbours at every
// turn, and as often before them as after.
func (b *bench) inTurn(ctx context.Context, m measurement, variants []variant, round int) error {
	order := slices.Clone(variants)
	for range b.shortened(m).turns {
		for _, v := range order {
			if err := b.profiled(ctx, v, b.shortened(m), round == 0); err != nil {
				return fmt.Errorf("%s: %w", v.name, err)
			}
		}
		slices.Reverse(order)
	}
	return nil
}

// shortened is a measurement that needs but few turns where its figures do not count, and one that
// lasts where a profile is wanted.
func (b *bench) shortened(m measurement) measurement {
	switch {
	case b.quick:
		m.turns = 1
	case b.profile != "":
		m.turns, m.length = 1, b.length
	}
	return m
}
