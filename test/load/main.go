// Command load measures what continue_auth adds to Caddy's own reverse_proxy. It starts Caddy with
// and without continue_auth as processes with the same upstream, sends the same requests to both in
// turns, and prints a table. The exit status is 1 if an answer is wrong or missing. It does not
// depend on the measured times.
//
// Everything listens on loopback. The command needs Linux, because it reads /proc, and the program
// wrk (Debian has a package). It builds the server, unless the environment variable CADDY names a
// program.
//
// With -soak the command measures nothing. It keeps the server at half load while the configuration
// is reloaded, and while the keystore and Redis fail. The exit status is 1 if a request is lost or anything leaks.
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

	"github.com/continue-auth/caddy-continue-auth/test/redisserver"
)

func main() {
	rounds := flag.Int("rounds", 5, "the number of rounds; each measures everything")
	quick := flag.Bool("quick", false, "only check that answers are right, in a short round and a short soak")
	soak := flag.Duration("soak", 0, "soak for this time instead of measuring")
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

// connections is the default number of connections.
const connections = 32

// bench is one run of this command.
type bench struct {
	rounds  int
	quick   bool
	length  time.Duration // of a measurement that is made once in a round, without turns
	streams int           // the number of streams that are open at once
	profile string
	rows    []row // the wanted rows of the table

	folder      string
	program     string // the server's program
	clientCores string // the cores of this process and wrk, as a list; "" means the same as the servers
	serverCores string
	up          *upstream
	redis       *redisserver.Server // nil if no wanted row needs it
	got         measures
	pace        float64 // the requests per second that are half of what the machine can serve
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

// measure runs all rounds.
func (b *bench) measure(ctx context.Context) error {
	if b.needsRedis() {
		var err error
		if b.redis, err = redisserver.Start(ctx, b.folder); err != nil {
			return err
		}
		defer b.redis.Stop()
	}
	for round := range b.rounds {
		fmt.Fprintf(os.Stderr, "round %d of %d\n", round+1, b.rounds)
		if err := b.round(ctx, round); err != nil {
			return err
		}
	}
	for round := range min(b.rounds, 3) {
		if err := b.openStreams(ctx, round); err != nil {
			return err
		}
	}
	if len(needed(b.rows, b.variants(), "flood")) == 0 {
		return nil
	}
	return b.flood(ctx)
}

// round makes all measurements once, with new servers: the memory layout of a process makes it
// slightly faster or slower for its whole life. Within a measurement the servers take turns, so
// that other work of the machine affects all of them alike.
func (b *bench) round(ctx context.Context, round int) error {
	variants := b.asked()
	var bare *server
	for i := range variants {
		v := &variants[i]
		if v.bare() && bare != nil {
			v.server = bare
			continue
		}
		if err := b.serve(ctx, v, v.name); err != nil {
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

// variants returns the servers that are compared. The base is Caddy without the plugin. The others
// have the plugin: one passes answers on, the others translate them. Each has a server of its own,
// so that one leaves nothing in another's memory. The base is one server that gets the requests of
// every variant, and its upstream answers as each variant's provider does.
func (b *bench) variants() []variant {
	return []variant{
		{name: "bare", api: &chats, model: passing, served: &b.up.served, answers: &openAI},
		{name: "ours", api: &chats, model: passing, served: &b.up.served},
		{name: "limited", api: &chats, model: passing, served: &b.up.served, options: limited},
		{name: "shared", api: &chats, model: passing, served: &b.up.served, options: limited + sharedIn(b.redis)},
		{name: "bare, Workers AI", api: &chats, model: edge, served: &b.up.served, answers: &workersAI},
		{name: "workers", api: &chats, model: edge, served: &b.up.served},
		{name: "bare, Gemini", api: &chats, model: translated, served: &b.up.served, answers: &google},
		{name: "gemini", api: &chats, model: translated, served: &b.up.served},
		{name: "bare, Anthropic", api: &messages, model: native, served: &b.up.served, answers: &anthropic},
		{name: "anthropic", api: &messages, model: native, served: &b.up.served},
		{name: "limited, Workers AI", api: &chats, model: edge, served: &b.up.served, options: limited},
		{name: "limited, Gemini", api: &chats, model: translated, served: &b.up.served, options: limited},
		{name: "limited, Anthropic", api: &messages, model: native, served: &b.up.served, options: limited},
		{name: "messages, Workers AI", api: &messages, model: edge, served: &b.up.served},
		{name: "messages, Gemini", api: &messages, model: translated, served: &b.up.served},
		{name: "responses, Workers AI", api: &responses, model: edge, served: &b.up.served},
		{name: "responses, Gemini", api: &responses, model: translated, served: &b.up.served},
	}
}

// limited are limits that no measurement reaches.
const limited = `limits {
		requests 1000000000 1m
		tokens 1000000000000 day
		parallel 100000
	}
	`

// needsRedis reports whether a wanted row is about servers that share their limits.
func (b *bench) needsRedis() bool {
	return slices.ContainsFunc(b.rows, func(r row) bool { return r.ours == "shared" })
}

// asked returns the variants that the wanted rows need. The base comes first, because it sets the
// pace.
func (b *bench) asked() []variant {
	all := b.variants()
	return append(all[:1:1], needed(b.rows, all[1:], "")...)
}

// needed returns the variants that rows need for figures whose names begin with one of those given.
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

// serve starts the server of a variant.
func (b *bench) serve(ctx context.Context, v *variant, name string) error {
	site, err := b.fileSite(v.options)
	if err != nil {
		return err
	}
	if v.bare() {
		site = bareSite(b.up.address)
	}
	v.server, err = b.start(ctx, name, site)
	return err
}

// warm lets each server do what it does only once. It sets the pace by the base, which comes first.
// Each round sets the pace again, because the machine's other work changes.
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

// inTurn makes a measurement of all variants, forth and back. So each variant is next to its
// neighbours in each turn, and as often before them as after them.
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

// shortened returns a measurement with one short turn if its figures do not count, and with one long
// turn if a profile is wanted.
func (b *bench) shortened(m measurement) measurement {
	switch {
	case b.quick:
		m.turns, m.length = 1, m.length/4
	case b.profile != "":
		m.turns, m.length = 1, b.length
	}
	return m
}
