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
	// batch is how many names travel in one read: what keystore.Store takes.
	batch = 100

	// maxReads is how many reads of a namespace are under way at once. While there are as many, new
	// look-ups gather.
	maxReads = 4

	// pace is the time from one read that somebody waits for to the next, unless that is full, of a
	// store with a budget: where it answers quickly, the first of many who come at once would else be a
	// read each, and the budget gone. Who comes alone waits for nobody.
	pace = 10 * time.Millisecond

	// maxStrangers is how many names may wait that nobody knows: made-up ones come without end.
	maxStrangers = 5000

	// budgetPatience is how long names may wait for the budget that are known: those beyond what the
	// store may be asked in that time go by what is known.
	budgetPatience = 3 * time.Second

	// strangersRetry is after how long a name may come again that found no room.
	strangersRetry = 5 * time.Second
)

// crowdedError says that too many wait already. It says nothing of the store, which has not been asked.
type crowdedError struct{ limit keystore.RateLimitError }

func (e *crowdedError) Error() string { return e.limit.Error() }

func (e *crowdedError) Unwrap() error { return &e.limit }

// class is how urgent a look-up is. Reads take the classes in this order.
type class int

const (
	acquainted class = iota // somebody waits for it, and it has been there before
	renewal                 // nobody waits
	stranger                // somebody waits for it who may not exist
	classes
)

// gatherer gathers the look-ups of a namespace that come together into one read. Renewals gather for
// as long as they have patience; but where none was read lately, there is nothing to gather, and the
// first goes at once.
type gatherer struct {
	store keystore.Store
	ns    keystore.Namespace
	gate  *gate
	log   func() *zap.Logger
	told  func(operation string, took time.Duration, err error)

	mu      sync.Mutex
	reading int
	failed  time.Time // when the store could not answer; zero: the last time it could
	waiting [classes][]*lookup
	began   time.Time     // when a read last began that somebody waits for
	renewed time.Time     // when renewals were last read
	window  time.Duration // the least patience of those that wait
	timer   *time.Timer   // of the next time that something may begin; nil: none is set
}

// lookup is one of one name, or of two that travel in the same read.
type lookup struct {
	names  []string
	done   chan struct{} // closed once the others are known
	asked  time.Time
	values map[string][]byte // of all names of the read; never changed
	err    error
}

// look begins a look-up. Patience is a renewal's alone.
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

// hurry makes a renewal a look-up that somebody waits for.
func (g *gatherer) hurry(l *lookup) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if i := slices.Index(g.waiting[renewal], l); i >= 0 {
		g.waiting[renewal] = slices.Delete(g.waiting[renewal], i, i+1)
		g.waiting[acquainted] = append(g.waiting[acquainted], l)
		g.start()
	}
}

// start begins the reads that may begin. g.mu is held.
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
	case g.reading == maxReads || g.due(): // answer comes back here
	case g.urgent() > 0:
		g.wakeFor(time.Until(g.began.Add(g.pace())))
	case len(g.waiting[renewal]) > 0:
		// Not all at the same time of servers that were started together.
		g.wake(time.Until(g.renewed.Add(g.window - rand.N(g.window/4+1))))
	}
}

// relieve answers those who are not to wait for the budget: of a store that fails, that is everybody.
// g.mu is held.
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

// due reports whether there is something to read now.
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

// urgent is how many wait for whom somebody waits.
func (g *gatherer) urgent() int { return len(g.waiting[acquainted]) + len(g.waiting[stranger]) }

// wakeFor is wake for somebody who waits: the timer may be one of renewals, which is far off.
func (g *gatherer) wakeFor(after time.Duration) {
	if g.timer != nil {
		g.timer.Stop()
		g.timer = nil
	}
	g.wake(after)
}

// wake has start called again after some time.
func (g *gatherer) wake(after time.Duration) {
	if g.timer != nil {
		return
	}
	g.timer = time.AfterFunc(after, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.timer = nil
		if time.Since(g.renewed) >= g.window*3/4 {
			g.renewed = time.Time{} // they have gathered for long enough
		}
		g.start()
	})
}

// take takes the look-ups of one read out of those that wait.
func (g *gatherer) take() []*lookup {
	var some []*lookup
	names := make(map[string]bool, batch)
	for c := range g.waiting {
		before := len(g.waiting[c])
		g.waiting[c] = slices.DeleteFunc(g.waiting[c], func(l *lookup) bool {
			// An invalidation can make a name wait twice.
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

// answer reads some names. The read serves all who wait for it, so that it must not end with one of
// them: the store bounds its time.
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

// failAll answers all who wait that the store cannot be asked. g.mu is held.
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
