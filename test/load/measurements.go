package main

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// measurement is one kind of measurement. Each variant is measured in turn, several times in a
// round. Turns are short and many, so that other work of the machine affects all variants.
type measurement struct {
	name   string
	turns  int // in a round
	length time.Duration
	do     doing

	figures []string // the beginnings of the names of its figures
}

func (b *bench) measurements() []measurement {
	const second = time.Second // the shortest time that wrk accepts
	return []measurement{
		{"throughput 4 KB", 14, second, b.throughput("4 KB", 4<<10), throughputs("4 KB")},
		{"throughput 200 KB", 10, second, b.throughput("200 KB", 200<<10), throughputs("200 KB")},
		{"throughput 1 MB", 6, second, b.throughput("1 MB", 1<<20), throughputs("1 MB")},
		{"latency one", 8, second / 4, b.latency("one", 1), []string{"one "}},
		{"latency paced", 90, second / 4, b.latency("paced", connections), []string{"paced "}},
		{"32 paced streams", 36, second / 2, b.pacedStreams(32), []string{"32 streams "}},
		{"128 paced streams", 28, second / 2, b.pacedStreams(128), []string{"128 streams "}},
		{"streams one by one", 8, second / 4, b.streamThroughput("one by one"), []string{"streams one by one", "cpu streams one by one"}},
		{"streams at once", 6, second / 4, b.streamThroughput("at once"), []string{"streams at once", "cpu streams at once"}},
	}
}

// throughputs returns the names of the figures of throughput.
func throughputs(name string) []string {
	return []string{"rate " + name, "cpu " + name, "full p50 " + name, "full p99 " + name}
}

// doing makes a measurement of one variant for one turn.
type doing = func(ctx context.Context, v variant, length time.Duration) error

// throughput measures how many requests per second get answers when each is sent as soon as the one
// before is answered. It also measures the processor time of a request, and how long requests wait
// for each other.
func (b *bench) throughput(name string, size int) doing {
	return func(ctx context.Context, v variant, length time.Duration) error {
		b.up.script.Store(&script{answers: v.answers})
		h, err := b.hammer(ctx, v, v.api.request(v.model, size, false, wrks), length)
		if err != nil {
			return err
		}
		b.got.add("rate "+name, v.name, float64(h.requests)/h.seconds)
		b.got.add("cpu "+name, v.name, float64(h.cpu.Microseconds())/float64(h.requests))
		b.got.add("full p50 "+name, v.name, h.p50)
		b.got.add("full p99 "+name, v.name, h.p99)
		return nil
	}
}

// latency measures how long requests take on a machine that is not full: with one connection, or
// with many at half of the possible rate.
func (b *bench) latency(name string, connections int) doing {
	return func(ctx context.Context, v variant, length time.Duration) error {
		b.up.script.Store(&script{answers: v.answers})
		p := plan{connections: connections, size: 4 << 10}
		if connections > 1 {
			p.rate = b.pace
		}
		r, err := loop(ctx, v, p, length)
		if err != nil {
			return err
		}
		b.got.wait(name, v.name, r.gather(func(w *worker) []int64 { return w.waits }))
		return nil
	}
}

// pacedStreams measures streams that come as models write them: 20 events, one every 10 ms. With
// few streams, the server is idle between two events, and other programs use the processor's
// caches.
func (b *bench) pacedStreams(streams int) doing {
	const events, pause = 20, 10 * time.Millisecond
	return func(ctx context.Context, v variant, length time.Duration) error {
		b.up.script.Store(&script{answers: v.answers, next: func(_, event int) int64 {
			switch event {
			case 0:
			case events:
				return -1
			default:
				time.Sleep(pause)
			}
			return now()
		}})
		p := plan{connections: streams, size: 4 << 10, streamed: true, rate: float64(streams) / (events * pause.Seconds() * 1.25)}
		p.each = func(w *worker, piece []byte) {
			stamp, n := stampOf(piece)
			at := now()
			switch {
			case n == 0:
				return
			case w.events == 0:
				w.firsts = append(w.firsts, at-w.sent)
			default:
				w.delays = append(w.delays, at-stamp)
			}
			w.events += n
			w.chunks++
			if n == 1 {
				w.single++
			}
		}
		p.done = complete(events)
		r, err := loop(ctx, v, p, length)
		if err != nil {
			return err
		}
		b.notePaced(strconv.Itoa(streams)+" streams ", v, r)
		return nil
	}
}

func (b *bench) notePaced(name string, v variant, r *result) {
	b.got.wait(name+"first", v.name, r.gather(func(w *worker) []int64 { return w.firsts }))
	b.got.wait(name+"delay", v.name, r.gather(func(w *worker) []int64 { return w.delays }))
	chunks, single := 0, 0
	for _, w := range r.workers {
		chunks, single = chunks+w.chunks, single+w.single
	}
	b.got.add(name+"single", v.name, 100*float64(single)/float64(max(1, chunks)))
}

// complete returns an error for an answer that lacks events.
func complete(events int) func(*worker) error {
	return func(w *worker) error {
		if w.events != events {
			return fmt.Errorf("only %d of %d events have arrived", w.events, events)
		}
		return w.wrong
	}
}

// streamThroughput measures how many streams of 50 events per second get through. Either the
// upstream sends all events at once, or it sends each event when the client has received the one
// before. In the second case, a server that held back an event would stop the stream, and each
// event must arrive unchanged in a chunk of its own.
func (b *bench) streamThroughput(name string) doing {
	const events = 50
	return func(ctx context.Context, v variant, length time.Duration) error {
		p := plan{connections: connections, size: 4 << 10, streamed: true, done: complete(events)}
		if name == "one by one" {
			p.each = b.oneByOne(v, events)
		} else {
			b.up.script.Store(&script{answers: v.answers, next: func(_, event int) int64 { return endAt(event, events) }})
			p.each = func(w *worker, piece []byte) {
				_, n := stampOf(piece)
				w.events += n
			}
		}
		cpu := v.server.cpu()
		r, err := loop(ctx, v, p, length)
		if err != nil {
			return err
		}
		cpu = v.server.cpu() - cpu
		b.got.add("streams "+name, v.name, r.perSecond())
		b.got.add("cpu streams "+name, v.name, float64(cpu.Microseconds())/float64(r.requests+connections)) // each connection has sent one request before
		return nil
	}
}

// oneByOne makes the upstream wait for the client after each event. It returns the client's part.
func (b *bench) oneByOne(v variant, events int) func(w *worker, piece []byte) {
	came := make([]chan struct{}, connections)
	for i := range came {
		came[i] = make(chan struct{}, 1)
	}
	b.up.script.Store(&script{answers: v.answers, next: func(connection, event int) int64 {
		if event > 0 {
			select {
			case <-came[connection]:
			case <-time.After(10 * time.Second): // the stream ends too early, and the client reports that
				return -1
			}
		}
		return endAt(event, events)
	}})
	buffers := make([][]byte, connections)
	sent := v.sends()
	return func(w *worker, piece []byte) {
		stamp, n := stampOf(piece)
		if n == 0 {
			return
		}
		if int(stamp) != w.events || n != 1 || !bytes.HasSuffix(piece, []byte("\n\n")) {
			w.wrong = fmt.Errorf("a chunk is not exactly event %d: %q", w.events, piece)
		}
		if sent != nil {
			if buffers[w.number] = sent.appendEvent(buffers[w.number][:0], stamp); !bytes.Equal(piece, buffers[w.number]) {
				w.wrong = fmt.Errorf("a chunk is not as it was sent: %q", piece)
			}
		}
		w.events += n
		came[w.number] <- struct{}{}
	}
}

// endAt returns the number of an event as a stamp, or ends the stream after the given number of
// events.
func endAt(event, events int) int64 {
	if event == events {
		return -1
	}
	return int64(event)
}

// profiled makes a measurement, with a profile if one is wanted. With a profile, the first second
// of the measurement is slower.
func (b *bench) profiled(ctx context.Context, v variant, m measurement, wanted bool) error {
	if b.profile == "" || !wanted {
		return m.do(ctx, v, m.length)
	}
	done := make(chan error, 1)
	go func() {
		name := strings.ReplaceAll(m.name+" "+v.name, " ", "-") + ".pprof"
		done <- v.server.cpuProfile(ctx, filepath.Join(b.profile, name), int(max(1, m.length.Seconds())))
	}()
	if err := m.do(ctx, v, m.length); err != nil {
		return err
	}
	return <-done
}
