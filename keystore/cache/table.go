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

// ErrAbsent means that the store has no record of the name.
var ErrAbsent = errors.New("no such record")

// ErrMayNotAsk means that only the store could answer, and the caller does not allow asking it.
var ErrMayNotAsk = errors.New("the keystore may not be asked")

const (
	// patienceWhileDown is how long known users wait for a look-up while the store is down. Without
	// it, every request would wait for the time-out of a store that hangs. The look-ups still go
	// on, so the cache notices at once when the store is back.
	patienceWhileDown = time.Second

	// downFor is how long the store counts as down after a failure, unless it answers.
	downFor = 10 * time.Second
)

// load starts a read of one or two names. patience is how long a renewal can wait.
type load[V any] func(names []string, c class, patience time.Duration) pending[V]

// pending is a look-up that has started.
type pending[V any] struct {
	// hurry turns a renewal into a look-up that someone waits for.
	hurry func()

	// wait returns the store's answer for one of the names, and the time of the read. ok is false
	// if there is no record. An error other than a *BrokenRecordError means that the store could
	// not answer.
	wait func(name string) (value V, ok bool, asked time.Time, err error)
}

// entry is an answer of the store. It is never changed.
type entry[V any] struct {
	value V
	err   error     // nil, ErrAbsent or a *BrokenRecordError
	asked time.Time // when the look-up began; the answer is at least as new

	// restored means that the entry is from a snapshot. It is used only if the store cannot be
	// asked.
	restored bool
}

// there reports whether the entry says that there is a record. The entry may be nil.
func (e *entry[V]) there() bool { return e != nil && e.err != ErrAbsent }

// within reports whether there is an entry and it is not older than age.
func (e *entry[V]) within(age time.Duration) bool { return e != nil && time.Since(e.asked) <= age }

// call is a look-up that is under way. All who want the answer wait for the same call.
type call[V any] struct {
	pending[V]
	began time.Time
	done  chan struct{}
	entry *entry[V] // the answer, or nil if the store could not answer
	err   error     // why the store could not answer
}

// Table caches one namespace. It is safe for concurrent use.
type Table[V any] struct {
	ns    keystore.Namespace
	load  load[V]
	parse func([]byte) (V, error) // reads what save wrote
	log   func() *zap.Logger

	// Absent names have a table of their own. There is no limit to the names that someone can make
	// up, and those must not push out known users.
	present, absent *otter.Cache[string, *entry[V]]

	// calls has the look-ups whose answers will be kept. An invalidation removes its name here. So
	// an answer from before the invalidation is not kept after it, and later requests do not get
	// it. (otter can share loads too, but it waits without limit, and a load belongs to only one of
	// its tables.)
	mu    sync.Mutex
	calls map[string]*call[V]

	answered atomic.Pointer[time.Time] // when the store last answered
	failed   atomic.Pointer[failure]   // the last time that the store could not answer

	changes   atomic.Uint64
	forgotten *listeners // shared by the tables of a Cache
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

// Get returns the record of name. It uses the cached answer if ages allow that, and asks the store
// otherwise. If mayAsk is false, it asks the store only for names that are known to exist.
//
// The error is ErrAbsent, ErrMayNotAsk, a *BrokenRecordError or ctx's error. If the store cannot
// answer and nothing recent enough is known, it is the store's error.
//
// A name that is not valid in any store is absent. Get does not ask the store for it, because that
// would fail the read for the other names in it. Get does not keep it either, because a request can
// send a name of any length.
func (t *Table[V]) Get(ctx context.Context, name string, ages Ages, mayAsk bool) (V, error) {
	value, _, err := t.Look(ctx, name, ages, mayAsk)
	return value, err
}

// Look is like Get. It also says where the answer comes from.
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

// outcome waits for c and returns its answer. If the store cannot answer, it returns known, which
// may be nil.
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

// ends waits until c has ended, and reports whether it has. If the store is down and the user is
// known, it gives up patienceWhileDown after c began.
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

// down reports whether the store's last answer was a failure, less than downFor ago.
func (t *Table[V]) down() bool {
	failed, answered := t.failed.Load(), t.answered.Load()
	return failed != nil && time.Since(failed.at) < downFor && (answered == nil || failed.at.After(*answered))
}

// ask starts a look-up of name, or joins one that is under way.
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

// begin starts a look-up of names and returns the call of the first one. No look-up of them may be
// under way. The caller holds t.mu.
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

// keep stores the answer of c, unless its name has been invalidated since.
func (t *Table[V]) keep(c *call[V], name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.calls[name] != c {
		return
	}
	delete(t.calls, name)
	t.changes.Add(1)
	switch {
	case c.entry == nil: // keep the older entry
	case c.entry.err == ErrAbsent:
		t.absent.Set(name, c.entry)
		t.present.Invalidate(name)
	default:
		t.present.Set(name, c.entry)
		t.absent.Invalidate(name)
	}
}

// Invalidate forgets name. A look-up that began earlier is not kept.
func (t *Table[V]) Invalidate(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.calls, name)
	t.present.Invalidate(name)
	t.absent.Invalidate(name)
	t.forgot()
}

// InvalidateAll forgets all names. A look-up that began earlier is not kept.
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
