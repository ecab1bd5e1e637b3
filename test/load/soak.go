package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/continue-auth/caddy-continue-auth/keystore/kvtest"
)

// soaking is a soak: users who are known work on at half load, some of them with streams and some with
// Gemini, while the configuration is reloaded and the keystore fails in all ways it can.
type soaking struct {
	*bench
	server *server
	kv     *kvtest.Server

	answered, again, lost atomic.Int64

	mu   sync.Mutex
	said []string // what became of requests that were lost

	reloads int
	samples []sample
}

// unused is how long a connection to the upstream is kept that nobody uses.
const unused = 2 * time.Second

// sample is what the server takes at a time.
type sample struct {
	goroutines, descriptors int
	memory                  int64
}

func (b *bench) soak(ctx context.Context, length time.Duration) (err error) {
	s := &soaking{bench: b}
	if s.kv, err = kvtest.Listen(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.kv.Close()) }()
	// Caddy leaves connections to the upstream behind at a reload, to end once nobody has used them for
	// so long: by default, for two minutes.
	site := strings.Replace(b.kvSite(s.kv, "cache {\nrefresh_after 1s\nmax_age 2s\n}"),
		"transport continue_auth", "transport continue_auth {\nkeepalive "+unused.String()+"\n}", 1)
	if s.server, err = b.start(ctx, "soaked", site); err != nil {
		return err
	}
	defer s.server.stop()
	b.up.script.Store(&script{next: nil})
	r, err := loop(ctx, variant{"ours", s.server, passing, &b.up.served}, plan{connections: connections, size: 4 << 10}, min(3*time.Second, length/5))
	if err != nil {
		return err
	}
	rate := r.perSecond() / 2
	fmt.Fprintf(os.Stderr, "soak for %v with %.0f requests a second\n", length, rate)
	b.up.served.Store(0)
	before, err := s.idle(ctx)
	if err != nil {
		return err
	}
	if err := s.run(ctx, length, rate); err != nil {
		return err
	}
	after, err := s.idle(ctx)
	if err != nil {
		return err
	}
	return s.verdict(before, after)
}

// run is the soak itself.
func (s *soaking) run(ctx context.Context, length time.Duration, rate float64) error {
	s.up.script.Store(&script{next: func(connection, event int) int64 {
		switch {
		case connection < connections-streaming, event == soakEvents:
			return -1
		case event > 0:
			time.Sleep(20 * time.Millisecond)
		}
		return now()
	}})
	var all sync.WaitGroup
	for i := range connections { // who is not known before the keystore fails is refused while it does
		all.Go(func() {
			if c := s.request(nil, usersChat(i), streams(i)); c != nil {
				_ = c.Close()
			}
		})
	}
	all.Wait()
	ctx, cancel := context.WithTimeout(ctx, length)
	defer cancel()
	var failed error
	all.Go(func() { failed = s.disturb(ctx, length) })
	for i := range connections {
		all.Go(func() { s.user(ctx, i, rate) })
	}
	all.Wait()
	return failed
}

// Of the soak's connections these many have streams, of so many events.
const (
	streaming  = 4
	soakEvents = 25
)

// faults are those of the keystore, in turn.
var faults = []kvtest.Fault{
	nil,
	kvtest.Reply(http.StatusInternalServerError, ""),
	kvtest.Hang,
	kvtest.Reset,
	nil,
	kvtest.Truncate,
	kvtest.CutOff,
	kvtest.Reply(http.StatusTooManyRequests, "", "Retry-After", "2"),
}

// disturb reloads the configuration every 20 s, changes the keystore's fault four times as often, and
// takes samples.
func (s *soaking) disturb(ctx context.Context, length time.Duration) error {
	every := min(20*time.Second, length/5)
	tick := time.NewTicker(every / 4)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			s.kv.Heal()
			return nil
		case <-tick.C:
		}
		if fault := faults[n%len(faults)]; fault != nil {
			s.kv.FailAll(fault)
		} else {
			s.kv.Heal()
		}
		if n%4 == 0 {
			if err := s.server.reload(context.WithoutCancel(ctx)); err != nil {
				return err
			}
			s.reloads++
		}
		if n%4 == 3 { // long after a reload
			taken, err := s.sample(context.WithoutCancel(ctx))
			if err != nil {
				return err
			}
			s.samples = append(s.samples, taken)
		}
	}
}

func (s *soaking) sample(ctx context.Context) (sample, error) {
	n, err := s.server.goroutines(ctx)
	return sample{n, s.server.descriptors(), s.server.memory("VmRSS")}, err
}

// idle is a sample after a reload, and after connections that nobody uses have ended.
func (s *soaking) idle(ctx context.Context) (sample, error) {
	if err := s.server.reload(ctx); err != nil {
		return sample{}, err
	}
	time.Sleep(unused + 2*time.Second)
	if _, err := s.server.live(ctx); err != nil { // collects garbage
		return sample{}, err
	}
	return s.sample(ctx)
}

// streams reports whether a user has streams.
func streams(number int) bool { return number >= connections-streaming }

// usersChat is a user's request.
func usersChat(number int) message {
	model := passing
	if number%4 == 1 {
		model = translated
	}
	return chat(model, 4<<10, streams(number), number, "X-User-Email: "+userName(number), "Authorization: Bearer "+key)
}

// user works until the soak is over.
func (s *soaking) user(ctx context.Context, number int, rate float64) {
	var c *conn
	defer func() {
		if c != nil {
			_ = c.Close()
		}
	}()
	m, streamed := usersChat(number), streams(number)
	interval := time.Duration(float64(connections) / rate * 1e9)
	for due := time.Now().Add(interval * time.Duration(number) / connections); ctx.Err() == nil; due = due.Add(interval) {
		time.Sleep(time.Until(due))
		if time.Since(due) > time.Second {
			due = time.Now() // streams take longer than their turn
		}
		c = s.request(c, m, streamed)
	}
}

// request sends m, again where the server has closed the connection without a word: it may do that
// with one that nobody uses, and HTTP's clients know it. What it returns is the connection to use next.
func (s *soaking) request(c *conn, m message, streamed bool) *conn {
	for range 5 {
		if c == nil {
			var err error
			if c, err = dial(context.Background(), s.server.address); err != nil {
				continue // counted once all have failed
			}
		}
		_ = c.SetDeadline(time.Now().Add(30 * time.Second))
		events := 0
		status, err := c.do(m, func(piece []byte) {
			_, n := stampOf(piece)
			events += n
		})
		switch {
		case err == nil && status == http.StatusOK && (!streamed || events == soakEvents):
			s.answered.Add(1)
			return c
		case err != nil && !c.heard:
			s.again.Add(1)
			_ = c.Close()
			c = nil
		default:
			s.lose(fmt.Sprintf("status %d, %d events, error %v", status, events, err))
			_ = c.Close()
			return nil
		}
	}
	s.lose("no answer to five attempts")
	return c
}

func (s *soaking) lose(what string) {
	s.lost.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.said) < 10 {
		s.said = append(s.said, what)
	}
}

// verdict is an error if anything was lost or has leaked.
func (s *soaking) verdict(before, after sample) error {
	served, answered := s.up.served.Load(), s.answered.Load()
	fmt.Printf("soak: %d requests answered, %d lost, %d sent again on a new connection; %d reloads, %d calls of the keystore\n",
		answered, s.lost.Load(), s.again.Load(), s.reloads, s.kv.Requests(kvtest.BulkRead))
	fmt.Printf("idle before: %v\nidle after:  %v\n", before, after)
	for _, taken := range s.samples {
		fmt.Println("at work:    ", taken)
	}
	var errs []error
	if s.lost.Load() > 0 {
		errs = append(errs, fmt.Errorf("requests were lost: %q", s.said))
	}
	if served != answered {
		errs = append(errs, fmt.Errorf("upstream has served %d requests, but clients have %d answers", served, answered))
	}
	errs = append(errs, leak("goroutines", before.goroutines, after.goroutines, 20), leak("file descriptors", before.descriptors, after.descriptors, 10))
	if third := len(s.samples) / 3; third > 1 {
		first, last := middle(s.samples[third:2*third]), middle(s.samples[2*third:])
		errs = append(errs, leak("goroutines at work", first.goroutines, last.goroutines, first.goroutines/4+20),
			leak("file descriptors at work", first.descriptors, last.descriptors, first.descriptors/4+10),
			leak("MB of memory", int(first.memory>>20), int(last.memory>>20), int(first.memory>>20)/4+8))
	}
	return errors.Join(errs...)
}

func leak(what string, before, after, slack int) error {
	if after > before+slack {
		return fmt.Errorf("%s leak: %d before, %d after", what, before, after)
	}
	return nil
}

// middle has the middle of each figure.
func middle(samples []sample) sample {
	of := func(figure func(sample) int64) int64 {
		var all []int64
		for _, taken := range samples {
			all = append(all, figure(taken))
		}
		slices.Sort(all)
		return all[len(all)/2]
	}
	return sample{
		int(of(func(s sample) int64 { return int64(s.goroutines) })), int(of(func(s sample) int64 { return int64(s.descriptors) })),
		of(func(s sample) int64 { return s.memory }),
	}
}

func (s sample) String() string {
	return fmt.Sprintf("%d goroutines, %d file descriptors, %d MB", s.goroutines, s.descriptors, s.memory>>20)
}
