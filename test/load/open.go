package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// late is the longest allowed delay of an event while thousands of streams are open.
const late = 250 * time.Millisecond

// openStreams keeps streams open at once on servers that have just started, and measures the
// server's memory for each of them. Each stream gets one event per second.
func (b *bench) openStreams(ctx context.Context, round int) error {
	variants := needed(b.rows, b.variants(), "open ")
	if len(variants) == 0 {
		return nil
	}
	for _, v := range rotated(variants, round) {
		if err := b.serve(ctx, &v, v.name+"-open"); err != nil {
			return err
		}
		err := b.hold(ctx, v)
		v.server.stop()
		if err != nil {
			return fmt.Errorf("%d open streams, %s: %w", b.streams, v.name, err)
		}
	}
	return nil
}

// rotated returns the variants so that each comes first in some rounds.
func rotated(variants []variant, round int) []variant {
	n := round % len(variants)
	return append(append([]variant{}, variants[n:]...), variants[:n]...)
}

// crowd is the clients of the streams that are open at once.
type crowd struct {
	variant
	open    atomic.Int64
	opened  chan struct{} // closed when all are open
	going   atomic.Int64
	goOn    chan struct{} // closed when all have received a second event
	release chan struct{} // closed when they may end

	mu     sync.Mutex
	delays []int64
	errs   []error
}

func (b *bench) hold(ctx context.Context, v variant) error {
	b.up.script.Store(&script{answers: v.answers})
	if _, err := loop(ctx, v, plan{connections: connections, size: 4 << 10}, b.length); err != nil { // what is allocated only once does not count
		return err
	}
	c := &crowd{variant: v, opened: make(chan struct{}), goOn: make(chan struct{}), release: make(chan struct{})}
	b.up.script.Store(&script{next: c.next, answers: v.answers})
	live, err := v.server.live(ctx)
	if err != nil {
		return err
	}
	rss := v.server.memory("VmRSS")

	var all sync.WaitGroup
	for i := range b.streams {
		all.Go(func() { c.stream(ctx, i, int64(b.streams)) })
		time.Sleep(500 * time.Microsecond)
	}
	select {
	case <-c.opened:
		time.Sleep(2*time.Second + b.length/2)
		select {
		case <-c.goOn:
		case <-time.After(20 * time.Second):
		}
	case <-time.After(20 * time.Second):
	}
	memory := float64(v.server.memory("VmRSS")-rss) / float64(b.streams)
	after, err := v.server.live(ctx)
	close(c.release)
	all.Wait()
	if err != nil {
		return err
	}
	if len(c.errs) > 0 {
		return fmt.Errorf("%d failed, one of them with: %w", len(c.errs), c.errs[0])
	}
	b.noteOpen(c, memory, (after-live)/float64(b.streams))
	return nil
}

// next sends one event, and then one per second until the streams may end.
func (c *crowd) next(_, event int) int64 {
	if event == 0 {
		return now()
	}
	select {
	case <-time.After(time.Second):
		return now()
	case <-c.release:
		return -1
	}
}

// stream reads one of the streams.
func (c *crowd) stream(ctx context.Context, number int, of int64) {
	var delays []int64
	err := func() error {
		conn, err := dial(ctx, c.server.address)
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close() }()
		_ = conn.SetDeadline(time.Now().Add(time.Minute))
		events := 0
		return conn.ok(chats.request(c.model, 4<<10, true, number), func(piece []byte) {
			stamp, n := stampOf(piece)
			if n > 0 {
				delays = append(delays, now()-stamp)
			}
			if events == 0 && n > 0 && c.open.Add(1) == of {
				close(c.opened)
			}
			if events < 2 && events+n >= 2 && c.going.Add(1) == of {
				close(c.goOn)
			}
			events += n
		})
	}()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.delays = append(c.delays, delays...)
	switch {
	case err != nil:
		c.errs = append(c.errs, err)
	case len(delays) < 2:
		c.errs = append(c.errs, fmt.Errorf("a stream has received only %d events", len(delays)))
	}
}

func (b *bench) noteOpen(c *crowd, memory, live float64) {
	r := result{workers: []*worker{{delays: c.delays}}}
	delays := r.gather(func(w *worker) []int64 { return w.delays })
	overdue := 0
	for _, delay := range delays {
		if delay > int64(late) {
			overdue++
		}
	}
	b.got.add("open memory", c.name, memory/1024)
	b.got.add("open live", c.name, live/1024)
	b.got.add("open late", c.name, float64(overdue))
	b.got.add("open p99", c.name, percentile(delays, 99))
}
