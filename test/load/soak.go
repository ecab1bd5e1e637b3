package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/continue-auth/caddy-continue-auth/keystore/kvtest"
	"github.com/continue-auth/caddy-continue-auth/test/redisserver"
)

// soaking is a soak. Known users work at half load, some of them with streams and some with Gemini.
// Meanwhile the configuration is reloaded, the keystore fails in every way, and the Redis with the
// users' limits hangs, or is down and comes back empty.
type soaking struct {
	*bench
	server *server
	kv     *kvtest.Server

	mu sync.Mutex
	outcome
	reloading bool
	begun     int       // how many reloads have begun
	reloaded  time.Time // when the last reload was
}

// unused is how long an unused connection to the upstream is kept.
const unused = 2 * time.Second

func (b *bench) soak(ctx context.Context, length time.Duration) (err error) {
	s := &soaking{bench: b}
	if s.kv, err = kvtest.Listen(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.kv.Close()) }()
	if b.redis, err = redisserver.Start(ctx, b.folder); err != nil {
		return err
	}
	defer b.redis.Stop()
	if s.server, err = b.start(ctx, "soaked", s.site()); err != nil {
		return err
	}
	defer s.server.stop()
	b.up.script.Store(&script{next: nil})
	r, err := loop(ctx, variant{name: "ours", api: &chats, server: s.server, model: passing, served: &b.up.served}, plan{connections: connections, size: 4 << 10}, min(3*time.Second, length/5))
	if err != nil {
		return err
	}
	rate := r.perSecond() / 2
	fmt.Fprintf(os.Stderr, "soak for %v with %.0f requests a second\n", length, rate)
	b.up.served.Store(0)
	if s.before, err = s.idle(ctx); err != nil {
		return err
	}
	if err := s.run(ctx, length, rate); err != nil {
		return err
	}
	if s.after, err = s.idle(ctx); err != nil {
		return err
	}
	s.served, s.calls = b.up.served.Load(), len(s.kv.URLs())
	fmt.Println(&s.outcome)
	return s.verdict()
}

// site returns a site whose cache ages are short, so the keystore is asked often.
func (s *soaking) site() string {
	age := time.Second
	if s.quick {
		age = 100 * time.Millisecond
	}
	site := s.kvSite(s.kv, fmt.Sprintf("cache {\nrefresh_after %v\nmax_age %v\n}\n%s", age, 2*age, limited+sharedIn(s.redis)))
	// After a reload, Caddy keeps the old connections to the upstream until they have been unused
	// for this time. The default is two minutes.
	return strings.NewReplacer("transport continue_auth", "transport continue_auth {\nkeepalive "+unused.String()+"\n}",
		"endpoint", "timeout "+age.String()+"\nendpoint").Replace(site)
}

// run runs the soak.
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
	for i := range connections { // unknown users would be refused while the keystore fails
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
	return errors.Join(failed, s.redis.Heal(context.WithoutCancel(ctx)))
}

// This many of the soak's connections have streams, with this many events.
const (
	streaming  = 4
	soakEvents = 25
)

// faults are the faults of the keystore, in order.
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

// disturbance says what happens at a tick. Every fourth tick is a reload, during the fault that the
// tick before has started. Every second tick starts the next fault. So each fault meets a reload.
func disturbance(tick int) (fault int, reload bool) {
	return (tick - tick/4) % len(faults), tick%4 == 0
}

// disturb reloads the configuration every 20 s, changes the keystore's fault in between, and takes
// samples.
func (s *soaking) disturb(ctx context.Context, length time.Duration) error {
	every := min(20*time.Second, length/5)
	if s.quick {
		every = length / 21 // 20 reloads
	}
	tick := time.NewTicker(every / 4)
	defer tick.Stop()
	defer s.kv.Heal()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := disturbRedis(context.WithoutCancel(ctx), s.redis, n); err != nil {
			return err
		}
		fault, reload := disturbance(n)
		if reload {
			if err := s.reload(context.WithoutCancel(ctx)); err != nil {
				return err
			}
			s.reloads++
			if faults[fault] != nil {
				s.underFault++
			}
			continue
		}
		s.kv.FailAll(faults[fault])
		if n%4 == 3 && !s.quick { // not soon after a reload
			taken, err := s.sample(context.WithoutCancel(ctx))
			if err != nil {
				return err
			}
			s.atWork = append(s.atWork, taken)
		}
	}
}

func (s *soaking) reload(ctx context.Context) error {
	during := func(now bool) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if now {
			s.begun++
		}
		s.reloading, s.reloaded = now, time.Now()
	}
	during(true)
	defer during(false)
	return s.server.reload(ctx)
}

// closing returns the number of the reload that may be closing connections, or 0. Nothing else may close them.
func (s *soaking) closing() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reloading || time.Since(s.reloaded) < time.Second {
		return s.begun
	}
	return 0
}

func (s *soaking) sample(ctx context.Context) (sample, error) {
	n, err := s.server.goroutines(ctx)
	return sample{goroutines: n, descriptors: s.server.descriptors(), memory: s.server.memory("VmRSS")}, err
}

// idle takes a sample after a reload, when unused connections have ended.
func (s *soaking) idle(ctx context.Context) (sample, error) {
	if err := s.server.reload(ctx); err != nil {
		return sample{}, err
	}
	time.Sleep(unused + 2*time.Second)
	var live float64
	for range 2 { // an object in a sync.Pool survives one collection
		var err error
		if live, err = s.server.live(ctx); err != nil {
			return sample{}, err
		}
	}
	taken, err := s.sample(ctx)
	taken.live = int64(live)
	return taken, err
}

// streams reports whether a user has streams.
func streams(number int) bool { return number >= connections-streaming }

// usersChat returns a user's request.
func usersChat(number int) message {
	model := passing
	if number%4 == 1 {
		model = translated
	}
	return chats.request(model, 4<<10, streams(number), number, "X-User-Email: "+userName(number), "Authorization: Bearer "+key)
}

// user sends requests until the soak ends.
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
			due = time.Now() // a stream takes longer than the time between two requests
		}
		c = s.request(c, m, streamed)
	}
}

// request sends m. If a reload closed the connection before the server read m, it sends m again, as
// HTTP clients do: once for each reload. A new connection can meet the next reload, which closes what
// waits to be accepted. request returns the connection for the next request, or nil for a new one.
func (s *soaking) request(c *conn, m message, streamed bool) *conn {
	met := 0 // the last reload
	for {
		var err error
		c, err = s.attempt(c, m, streamed)
		reload := s.closing()
		again := c.raced(err) && reload > met
		met = reload
		if c != nil && (err != nil || c.last) {
			_ = c.Close()
			c = nil
		}
		switch {
		case err == nil:
			s.note(&s.answered, "")
			return c
		case !again:
			s.note(&s.lost, err.Error())
			return nil
		}
		s.note(&s.again, "")
	}
}

// attempt sends m on c, or on a new connection. It returns nil if no connection could be made.
func (s *soaking) attempt(c *conn, m message, streamed bool) (*conn, error) {
	c, err := s.usable(c)
	if err != nil {
		return c, err
	}
	events := 0
	status, err := c.do(m, func(piece []byte) {
		_, n := stampOf(piece)
		events += n
	})
	if err != nil || status != http.StatusOK || streamed && events != soakEvents {
		return c, errors.Join(fmt.Errorf("status %d, %d events", status, events), err)
	}
	return c, nil
}

// usable returns c, or a new connection if c is nil or closed.
func (s *soaking) usable(c *conn) (_ *conn, err error) {
	if c != nil && c.closed() {
		_ = c.Close()
		c = nil
	}
	if c == nil {
		if c, err = dial(context.Background(), s.server.address); err != nil {
			return nil, err
		}
	}
	return c, c.SetDeadline(time.Now().Add(30 * time.Second))
}

// note counts a request, and keeps the messages of the first few.
func (s *soaking) note(count *int64, said string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*count++
	if said != "" && len(s.said) < 10 {
		s.said = append(s.said, said)
	}
}
