package cache

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/continue-auth/caddy-continue-auth/keystore"
)

const (
	// batch is the largest number of names in one read. keystore.Store allows no more.
	batch = 100

	// maxReads is the largest number of reads of a namespace at one time. Further look-ups wait and
	// then share a read.
	maxReads = 4

	// pace is the shortest time between two reads that someone waits for, unless a read is full. It
	// applies to stores with a budget. Without it, the first of many users who come at once would
	// each cause a read if the store answers quickly, and use up the budget. A user who comes alone
	// does not wait.
	pace = 10 * time.Millisecond

	// maxStrangers is how many unknown names may wait. Anyone can make up any number of them.
	maxStrangers = 5000

	// budgetPatience is how long known names may wait for the budget. If there are more than it can
	// serve in that time, the rest get what was last known of them.
	budgetPatience = 3 * time.Second

	// strangersRetry is the Retry-After for an unknown name that found no room.
	strangersRetry = 5 * time.Second
)

// crowdedError means that too many look-ups wait already. It says nothing about the store, which
// was not asked.
type crowdedError struct{ limit keystore.RateLimitError }

func (e *crowdedError) Error() string { return e.limit.Error() }

func (e *crowdedError) Unwrap() error { return &e.limit }

// class is the urgency of a look-up. A read takes the look-ups of the first class first.
type class int

const (
	acquainted class = iota // someone waits for it, and the name is known to exist
	renewal                 // no one waits for it
	stranger                // someone waits for it, and the name may not exist
	classes
)

// gatherer puts look-ups of a namespace that come together into one read. Renewals wait for each
// other as long as their patience allows. If there was no renewal lately, the first one starts at
// once.
type gatherer struct {
	store keystore.Store
	ns    keystore.Namespace
	gate  *gate
	log   func() *zap.Logger
	told  func(operation string, took time.Duration, err error)

	mu      sync.Mutex
	reading int
	failed  time.Time // when the last read failed, or zero if it succeeded
	waiting [classes][]*lookup
	began   time.Time     // when the last read began that someone waits for
	renewed time.Time     // when the last read with renewals began
	window  time.Duration // the shortest patience of the waiting renewals
	timer   *time.Timer   // fires when the next read may begin; nil if it is not set
}

// lookup is a look-up of one name, or of two names in the same read.
type lookup struct {
	names  []string
	done   chan struct{} // closed when the fields below are set
	asked  time.Time
	values map[string][]byte // for all names of the read; never changed
	err    error
}

// look starts a look-up. patience is for renewals only.
func (g *gatherer) look(names []string, c class, patience time.Duration) *lookup {
	g.mu.Lock()
	defer g.mu.Unlock()
	l := &lookup{names: names, done: make(chan struct{})}
	if c == stranger && len(g.waiting[stranger]) >= maxStrangers {
		fail([]*lookup{l}, &crowdedError{keystore.RateLimitError{RetryAfter: strangersRetry}})
		return l
	}
	if c == renewal && (len(g.waiting[renewal]) == 0 || patience < g.window) {
		g.window = patience
	}
	g.waiting[c] = append(g.waiting[c], l)
	g.start()
	return l
}

// hurry makes a renewal as urgent as a look-up that someone waits for.
func (g *gatherer) hurry(l *lookup) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if i := slices.Index(g.waiting[renewal], l); i >= 0 {
		g.waiting[renewal] = slices.Delete(g.waiting[renewal], i, i+1)
		g.waiting[acquainted] = append(g.waiting[acquainted], l)
		g.start()
	}
}

// start begins all reads that may begin. The caller holds g.mu.
func (g *gatherer) start() {
	for g.reading < maxReads && g.due() {
		ok, wait, err := g.gate.pass()
		if err != nil {
			g.failAll(err)
			return
		}
		if !ok {
			g.relieve()
			g.wakeFor(wait)
			return
		}
		if g.urgent() > 0 {
			g.began = time.Now()
		}
		some := g.take()
		g.reading++
		go g.answer(some)
	}
	switch {
	case g.reading == maxReads || g.due(): // answer calls start again
	case g.urgent() > 0:
		g.wakeFor(time.Until(g.began.Add(g.pace())))
	case len(g.waiting[renewal]) > 0:
		// The random part keeps servers that were started together from reading at the same time.
		g.wake(time.Until(g.renewed.Add(g.window - rand.N(g.window/4+1))))
	}
}

// relieve answers known names that must not wait for the budget. If the store fails, these are all
// of them. The caller holds g.mu.
func (g *gatherer) relieve() {
	most := batch * g.gate.calls(budgetPatience)
	if time.Since(g.failed) < downFor {
		most = 0
	}
	if all := g.waiting[acquainted]; len(all) > most {
		fail(all[most:], &crowdedError{})
		g.waiting[acquainted] = slices.Delete(all, most, len(all))
	}
}

// due reports whether a read is due now.
func (g *gatherer) due() bool {
	urgent, renewals := g.urgent(), len(g.waiting[renewal])
	return urgent >= batch || urgent > 0 && time.Since(g.began) >= g.pace() ||
		renewals >= batch || renewals > 0 && time.Since(g.renewed) >= g.window
}

func (g *gatherer) pace() time.Duration {
	if g.gate.budget == nil {
		return 0
	}
	return pace
}

// urgent returns how many look-ups someone waits for.
func (g *gatherer) urgent() int { return len(g.waiting[acquainted]) + len(g.waiting[stranger]) }

// wakeFor is like wake, for a look-up that someone waits for. It replaces a timer that may be set
// to the distant time of a renewal.
func (g *gatherer) wakeFor(after time.Duration) {
	if g.timer != nil {
		g.timer.Stop()
		g.timer = nil
	}
	g.wake(after)
}

// wake calls start after a time.
func (g *gatherer) wake(after time.Duration) {
	if g.timer != nil {
		return
	}
	g.timer = time.AfterFunc(after, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.timer = nil
		if time.Since(g.renewed) >= g.window*3/4 {
			g.renewed = time.Time{} // the renewals have waited long enough
		}
		g.start()
	})
}

// take removes the look-ups of one read from those that wait.
func (g *gatherer) take() []*lookup {
	var some []*lookup
	names := make(map[string]bool, batch)
	for c := range g.waiting {
		before := len(g.waiting[c])
		g.waiting[c] = slices.DeleteFunc(g.waiting[c], func(l *lookup) bool {
			// After an invalidation, the same name can wait twice.
			if len(names)+len(l.names) > batch || slices.ContainsFunc(l.names, func(name string) bool { return names[name] }) {
				return false
			}
			for _, name := range l.names {
				names[name] = true
			}
			some = append(some, l)
			return true
		})
		if class(c) == renewal && len(g.waiting[c]) < before {
			g.renewed = time.Now()
		}
	}
	return some
}

// answer makes one read for some look-ups. The read must not end when one of those who wait leaves,
// so it has no context of theirs. The store limits its time.
func (g *gatherer) answer(some []*lookup) {
	names := make([]string, 0, batch)
	for _, l := range some {
		names = append(names, l.names...)
	}
	asked := time.Now()
	values, err := g.store.Get(context.Background(), g.ns, names)
	g.told("read", time.Since(asked), err)
	if err != nil {
		g.log().Error("keystore cannot answer", zap.Stringer("namespace", g.ns), zap.Int("names", len(names)), zap.Error(err))
		g.gate.learn(err)
		fail(some, err)
	}
	for _, l := range some {
		if err == nil {
			l.asked, l.values = asked, values
			close(l.done)
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.reading--
	g.failed = time.Time{}
	if err != nil {
		g.failed = time.Now()
	}
	g.start()
}

// failAll answers all waiting look-ups with an error. The caller holds g.mu.
func (g *gatherer) failAll(err error) {
	for c := range g.waiting {
		fail(g.waiting[c], err)
		g.waiting[c] = nil
	}
}

func fail(some []*lookup, err error) {
	for _, l := range some {
		l.err = err
		close(l.done)
	}
}
