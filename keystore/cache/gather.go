package cache

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/continue-auth/caddy-continue-auth/keystore"
)

const (
	// batch is how many names travel in one read: what keystore.Store takes.
	batch = 100

	// maxReads is how many reads of a namespace are under way at once. While there are as many, new
	// look-ups gather; until then, none of them waits for others.
	maxReads = 4
)

// gatherer gathers the look-ups of a namespace that come together into one read. Those that nobody
// waits for, renewals in the background, gather for as long as they have patience; but where none
// was read lately, there is nothing to gather, and the first goes at once.
type gatherer struct {
	read func(ctx context.Context, names []string) (map[string][]byte, error)

	mu      sync.Mutex
	reading int
	urgent  []*lookup
	patient []*lookup
	renewed time.Time     // when patient look-ups were last read
	window  time.Duration // the least patience of those that wait
	timer   *time.Timer   // of the next read of patient look-ups; nil: none is due
}

// lookup is one name's.
type lookup struct {
	name  string
	done  chan struct{} // closed once the others are known
	asked time.Time
	value []byte
	ok    bool
	err   error
}

func newGatherer(store keystore.Store, ns keystore.Namespace) *gatherer {
	return &gatherer{read: func(ctx context.Context, names []string) (map[string][]byte, error) {
		return store.Get(ctx, ns, names)
	}}
}

// look begins a look-up that can wait for that long.
func (g *gatherer) look(name string, patience time.Duration) *lookup {
	g.mu.Lock()
	defer g.mu.Unlock()
	l := &lookup{name: name, done: make(chan struct{})}
	if patience <= 0 {
		g.urgent = append(g.urgent, l)
	} else {
		if len(g.patient) == 0 || patience < g.window {
			g.window = patience
		}
		g.patient = append(g.patient, l)
	}
	g.start()
	return l
}

// hurry makes a look-up one that somebody waits for.
func (g *gatherer) hurry(l *lookup) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, waiting := range g.patient {
		if waiting == l {
			g.patient = append(g.patient[:i], g.patient[i+1:]...)
			g.urgent = append(g.urgent, l)
			g.start()
			return
		}
	}
}

// start begins the reads that may begin. g.mu is held.
func (g *gatherer) start() {
	for g.reading < maxReads && (len(g.urgent) > 0 || g.due()) {
		some := g.take()
		g.reading++
		// A read serves all who wait for it, so that it must not end with one of them. The store
		// bounds its time.
		go g.answer(some)
	}
	if len(g.patient) > 0 && g.timer == nil && !g.due() {
		// Not all at the same time of servers that were started together.
		after := time.Until(g.renewed.Add(g.window - rand.N(g.window/4+1)))
		g.timer = time.AfterFunc(after, g.timeUp)
	}
}

// due reports whether the patient look-ups have gathered for long enough.
func (g *gatherer) due() bool {
	return len(g.patient) >= batch || len(g.patient) > 0 && time.Since(g.renewed) >= g.window
}

func (g *gatherer) timeUp() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.timer = nil
	g.renewed = time.Time{}
	g.start()
}

// take takes the look-ups of one read out of those that wait: the urgent ones first, and with them
// as many of the others as there is room for.
func (g *gatherer) take() []*lookup {
	var some []*lookup
	names := make(map[string]bool, batch)
	from := func(waiting []*lookup) []*lookup {
		rest := waiting[:0]
		for _, l := range waiting {
			if len(some) == batch || names[l.name] { // an invalidation can make a name wait twice
				rest = append(rest, l)
				continue
			}
			names[l.name] = true
			some = append(some, l)
		}
		clear(waiting[len(rest):])
		return rest
	}
	g.urgent = from(g.urgent)
	before := len(g.patient)
	if g.patient = from(g.patient); len(g.patient) < before {
		g.renewed = time.Now()
	}
	return some
}

// answer reads some names.
func (g *gatherer) answer(some []*lookup) {
	names := make([]string, len(some))
	for i, l := range some {
		names[i] = l.name
	}
	asked := time.Now()
	values, err := g.read(context.Background(), names)
	for _, l := range some {
		l.asked = asked
		l.value, l.ok = values[l.name]
		l.err = err
		close(l.done)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.reading--
	g.start()
}
