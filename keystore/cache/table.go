package cache

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"
	"go.uber.org/zap"

	"github.com/continue-auth/caddy-continue-auth/keystore"
)

// ErrAbsent says that the store has no record of that name.
var ErrAbsent = errors.New("no such record")

// ErrMayNotAsk says that the store would have to be asked, which the caller has forbidden.
var ErrMayNotAsk = errors.New("the keystore may not be asked")

const (
	// patienceWhileDown is how long a look-up makes those wait who are known, while the store is down:
	// one that hangs would make every request wait for its time-out. It is asked all the same, so that
	// it is noticed at once when it is back.
	patienceWhileDown = time.Second

	// downFor is how long a failure says that the store is down, unless it answers.
	downFor = 10 * time.Second
)

// load begins to ask the store for one name, or for two in the same read. Patience is how long a renewal
// can wait.
type load[V any] func(names []string, c class, patience time.Duration) pending[V]

// pending is a look-up that has begun.
type pending[V any] struct {
	// hurry says that somebody waits for it now.
	hurry func()

	// wait returns what the store says of one of the names, and when it was asked. ok is false if there
	// is no record; an error other than a *BrokenRecordError means that the store could not answer.
	wait func(name string) (value V, ok bool, asked time.Time, err error)
}

// entry is one answer of the store. It is never changed.
type entry[V any] struct {
	value V
	err   error     // nil, ErrAbsent or a *BrokenRecordError
	asked time.Time // when the look-up began: what the store said cannot be older

	// restored: of a snapshot, and so to be used only where the store cannot be asked.
	restored bool
}

// there reports whether the entry, which may be nil, says that there is a record.
func (e *entry[V]) there() bool { return e != nil && e.err != ErrAbsent }

// within reports whether there is an entry that is not older than that.
func (e *entry[V]) within(age time.Duration) bool { return e != nil && time.Since(e.asked) <= age }

// call is one look-up under way, for all who wait for it.
type call[V any] struct {
	pending[V]
	began time.Time
	done  chan struct{}
	entry *entry[V] // nil if the store could not answer
	err   error     // why it could not
}

// Table is the cache of one namespace. It is safe for concurrent use.
type Table[V any] struct {
	ns    keystore.Namespace
	load  load[V]
	parse func([]byte) (V, error) // what save wrote
	log   func() *zap.Logger

	// Names that are not there have a table of their own, so that made-up ones, of which there is
	// no end, never push out known ones.
	present, absent *otter.Cache[string, *entry[V]]

	// calls has the look-ups under way whose answers will be kept. An invalidation takes its
	// name out, so that an answer that began before it never gets in after it, nor serves those
	// who ask after it. (otter can share loads too, but waits without end, and its loads belong to
	// one of its tables alone.)
	mu    sync.Mutex
	calls map[string]*call[V]

	answered atomic.Pointer[time.Time] // when the store last did
	failed   atomic.Pointer[failure]   // the last time that it could not

	changes   atomic.Uint64
	forgotten *listeners // of the Cache
}

func newTable[V any](o Options, ns keystore.Namespace, load load[V], parse func([]byte) (V, error), forgotten *listeners) *Table[V] {
	bounded := func() *otter.Cache[string, *entry[V]] {
		return otter.Must(&otter.Options[string, *entry[V]]{MaximumSize: o.MaxEntries})
	}
	return &Table[V]{
		ns: ns, load: load, parse: parse, log: o.Log,
		present: bounded(), absent: bounded(),
		calls:     make(map[string]*call[V]),
		forgotten: forgotten,
	}
}

func (t *Table[V]) setMaximum(n int) {
	t.present.SetMaximum(uint64(n))
	t.absent.SetMaximum(uint64(n))
}

// Get returns the record of that name: from memory for as long as ages allow, else from the store.
// Without mayAsk, the store is not asked on behalf of a name that is not known to be there. The errors are ErrAbsent, ErrMayNotAsk, a
// *BrokenRecordError, ctx's own, and else the store's, if nothing is known or what is known is too
// old.
//
// A name that no store can hold is absent. The store is not asked for it: it would spoil the read for
// all others that travel along; nor is it kept: names come from requests, and may be of any length.
func (t *Table[V]) Get(ctx context.Context, name string, ages Ages, mayAsk bool) (V, error) {
	value, _, err := t.Look(ctx, name, ages, mayAsk)
	return value, err
}

// Look is Get, and says where the answer is from.
func (t *Table[V]) Look(ctx context.Context, name string, ages Ages, mayAsk bool) (V, Source, error) {
	var none V
	known, ok := t.present.GetIfPresent(name)
	refreshAfter, maxAge := ages.RefreshAfter, ages.MaxAge
	if !ok {
		known, ok = t.absent.GetIfPresent(name)
		refreshAfter, maxAge = ages.Absent, ages.Absent
	}
	if ok && !known.restored {
		if age := time.Since(known.asked); age < maxAge {
			from := Fresh
			if age >= refreshAfter {
				from = Refreshed
				t.ask(name, renewal, (maxAge-refreshAfter)/3)
			}
			return known.value, known.source(from), known.err
		}
	}
	if !ok && !keystore.ValidName(name) {
		return none, Absent, ErrAbsent
	}
	if !mayAsk && (!ok || known.err == ErrAbsent) {
		return none, NotAsked, ErrMayNotAsk
	}

	urgency := stranger
	if ok && known.err != ErrAbsent {
		urgency = acquainted
	}
	return t.outcome(ctx, t.ask(name, urgency, 0), known, ages)
}

// outcome waits for c, and returns what is known, which may be nil, where the store cannot answer.
func (t *Table[V]) outcome(ctx context.Context, c *call[V], known *entry[V], ages Ages) (value V, from Source, err error) {
	usable := known.within(ages.StaleIfError)
	if !c.ends(ctx, usable && t.down()) {
		if ctx.Err() != nil {
			return value, NotAsked, ctx.Err()
		}
		return known.value, Stale, known.err
	}
	switch {
	case c.entry != nil:
		return c.entry.value, c.entry.source(Loaded), c.entry.err
	case usable:
		return known.value, Stale, known.err
	}
	return value, Failed, c.err
}

// ends waits until c has ended, and reports whether it has. Of a store that is down, who is known waits
// for the first patienceWhileDown of c alone.
func (c *call[V]) ends(ctx context.Context, down bool) (ended bool) {
	var enough <-chan time.Time
	if down {
		timer := time.NewTimer(patienceWhileDown - time.Since(c.began))
		defer timer.Stop()
		enough = timer.C
	}
	select {
	case <-c.done:
		return true
	case <-enough:
	case <-ctx.Done():
	}
	return false
}

// down reports whether the store could not answer when it was last asked, a moment ago.
func (t *Table[V]) down() bool {
	failed, answered := t.failed.Load(), t.answered.Load()
	return failed != nil && time.Since(failed.at) < downFor && (answered == nil || failed.at.After(*answered))
}

// ask starts a look-up of name, or joins the one under way.
func (t *Table[V]) ask(name string, urgency class, patience time.Duration) *call[V] {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c, ok := t.calls[name]; ok {
		if urgency != renewal {
			c.hurry()
		}
		return c
	}
	return t.begin(urgency, patience, name)
}

// begin starts a look-up of names, of which none is under way, and returns the call of the first. t.mu
// is held.
func (t *Table[V]) begin(urgency class, patience time.Duration, names ...string) *call[V] {
	asked := t.load(names, urgency, patience)
	for _, name := range names {
		c := &call[V]{pending: asked, began: time.Now(), done: make(chan struct{})}
		t.calls[name] = c
		go t.answer(c, name)
	}
	return t.calls[names[0]]
}

func (t *Table[V]) answer(c *call[V], name string) {
	defer close(c.done)
	value, ok, asked, err := c.wait(name)
	var broken *BrokenRecordError
	switch {
	case errors.As(err, &broken):
		t.log().Error("broken record in the keystore", zap.Stringer("namespace", t.ns), zap.String("name", name), zap.Error(err))
		c.entry = &entry[V]{err: broken, asked: asked}
	case err != nil:
		c.err = err
		if !errors.As(err, new(*crowdedError)) {
			t.failed.Store(&failure{err, time.Now()})
		}
	case ok:
		c.entry = &entry[V]{value: value, asked: asked}
	default:
		c.entry = &entry[V]{err: ErrAbsent, asked: asked}
	}
	if c.err == nil {
		now := time.Now()
		t.answered.Store(&now)
	}
	t.keep(c, name)
}

// keep puts the answer of c into the tables, unless its name has been invalidated since.
func (t *Table[V]) keep(c *call[V], name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.calls[name] != c {
		return
	}
	delete(t.calls, name)
	t.changes.Add(1)
	switch {
	case c.entry == nil: // what is known stays known
	case c.entry.err == ErrAbsent:
		t.absent.Set(name, c.entry)
		t.present.Invalidate(name)
	default:
		t.present.Set(name, c.entry)
		t.absent.Invalidate(name)
	}
}

// Invalidate forgets what is known of name. A look-up that began before it fills nothing after it.
func (t *Table[V]) Invalidate(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.calls, name)
	t.present.Invalidate(name)
	t.absent.Invalidate(name)
	t.forgot()
}

// InvalidateAll forgets everything, as Invalidate does one name.
func (t *Table[V]) InvalidateAll() {
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.calls)
	t.present.InvalidateAll()
	t.absent.InvalidateAll()
	t.forgot()
}

func (t *Table[V]) forgot() {
	t.changes.Add(1)
	t.forgotten.tell()
}
