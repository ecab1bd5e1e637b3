package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// variant is a server, and the model that clients ask it for.
type variant struct {
	name   string
	server *server
	api    *api
	model  string
	served *atomic.Int64 // the number of requests that the upstream has served

	options string // further options of continue_auth

	// answers is the format of the upstream's answers if the upstream's path does not decide it.
	// Caddy without the plugin passes the client's path on.
	answers *dialect
}

// bare reports whether the variant is Caddy without the plugin.
func (v variant) bare() bool { return v.answers != nil }

// sends returns the format of the upstream's answers if the client gets them unchanged, and nil
// otherwise.
func (v variant) sends() *dialect {
	switch {
	case v.answers != nil:
		return v.answers
	case v.model == native:
		return &anthropic
	case v.api != &chats:
		return nil
	case v.model == passing:
		return &openAI
	case v.model == edge:
		return &workersAI
	}
	return nil
}

// plan says what clients do for some time.
type plan struct {
	connections int
	size        int // the approximate size of a request's body, in bytes
	streamed    bool
	rate        float64 // requests per second of all connections together; 0 means that each request follows the answer to the one before

	each func(w *worker, piece []byte) // is called for each chunk of an answer
	done func(w *worker) error         // is called at the end of each answer
}

// worker is a client with its own connection.
type worker struct {
	number  int
	conn    *conn
	message message
	model   string
	sent    int64 // when the request was sent, as a stamp
	events  int   // the events of the answer so far

	waits, firsts, delays []int64
	chunks, single        int
	wrong                 error
}

// result is the result of a plan.
type result struct {
	requests int
	seconds  float64
	workers  []*worker
}

func (r *result) perSecond() float64 { return float64(r.requests) / r.seconds }

// loop runs a plan for the time length. Before that, each client sends one request that does not
// count.
func loop(ctx context.Context, v variant, p plan, length time.Duration) (*result, error) {
	r := &result{workers: make([]*worker, p.connections)}
	for i := range r.workers {
		c, err := dial(ctx, v.server.address)
		if err != nil {
			return nil, err
		}
		defer func() { _ = c.Close() }()
		_ = c.SetDeadline(time.Now().Add(length + 30*time.Second))
		r.workers[i] = &worker{number: i, conn: c, message: v.api.request(v.model, p.size, p.streamed, i), model: v.model, waits: make([]int64, 0, 1<<14)}
	}
	if err := r.each(func(w *worker) error { return w.request(p) }); err != nil {
		return nil, err
	}
	for _, w := range r.workers {
		w.waits, w.firsts, w.delays, w.chunks, w.single = w.waits[:0], nil, nil, 0, 0
	}
	start := now()
	served := v.served.Load()
	err := r.each(func(w *worker) error { return w.work(ctx, p, start, start+int64(length)) })
	r.seconds = time.Duration(now() - start).Seconds()
	for _, w := range r.workers {
		r.requests += len(w.waits)
	}
	if served = v.served.Load() - served; err == nil && served != int64(r.requests) {
		err = fmt.Errorf("upstream has served %d requests, but clients have %d answers", served, r.requests)
	}
	return r, err
}

// each calls do for each worker and returns one of the errors.
func (r *result) each(do func(*worker) error) error {
	errs := make([]error, len(r.workers))
	var all sync.WaitGroup
	for i, w := range r.workers {
		all.Go(func() { errs[i] = do(w) })
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// work sends requests until end. With a rate, the time of a request counts from when it was due,
// even if the answer to the request before was late.
func (w *worker) work(ctx context.Context, p plan, start, end int64) error {
	interval := int64(0)
	if p.rate > 0 {
		interval = int64(float64(p.connections) / p.rate * 1e9)
	}
	due := start + interval*int64(w.number)/int64(p.connections)
	for ctx.Err() == nil {
		at := now()
		switch {
		case max(at, due) >= end:
			return nil
		case interval > 0 && at < due:
			time.Sleep(time.Duration(due - at))
			w.sent = now()
		case interval > 0:
			w.sent = due
		default:
			w.sent = at
		}
		due += interval
		if err := w.answered(p); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (w *worker) request(p plan) error {
	w.sent = now()
	return w.answered(p)
}

func (w *worker) answered(p plan) error {
	w.events = 0
	var each func([]byte)
	if p.each != nil {
		each = func(piece []byte) { p.each(w, piece) }
	}
	if err := w.conn.ok(w.message, each); err != nil {
		return err
	}
	w.waits = append(w.waits, now()-w.sent)
	if p.done != nil {
		return p.done(w)
	}
	return nil
}

// gather returns the values of all workers, sorted.
func (r *result) gather(of func(*worker) []int64) []int64 {
	var all []int64
	for _, w := range r.workers {
		all = append(all, of(w)...)
	}
	slices.Sort(all)
	return all
}
