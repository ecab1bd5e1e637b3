package usage

import (
	"hash/maphash"
	"math/bits"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Counters count in memory what scopes use. Any number of goroutines may use them.
//
// A counter belongs to the name of a scope, a kind and a window. So it counts on if the maximum is changed. It
// goes when nothing is used within its window and no request is in flight.
type Counters struct {
	start  time.Time
	seed   maphash.Seed
	shards [shards]shard
	swept  atomic.Uint64 // how often sweep was called
}

// shards is the number of parts with a lock of their own. A set of them fits into 64 bits.
const shards = 64

// Ticket is what Settle needs to know of an admitted request. The zero Ticket is that of a refused one.
type Ticket struct {
	scopes []Scope
	prompt int64
}

// NewCounters returns counters at which nothing is used.
func NewCounters() *Counters {
	c := &Counters{start: time.Now(), seed: maphash.MakeSeed()}
	for i := range c.shards {
		c.shards[i].byName = map[string]*use{}
	}
	return c
}

// Admit admits a request to all scopes, or to none. It is admitted if every limit has less used and reserved
// than its maximum. prompt is how many tokens the request's prompt probably has. Admit appends the state of
// each limit to states: after the request was counted if it was admitted, otherwise as it is.
//
// Settle must be called for each admitted request. Until then, scopes and their limits must not be changed. The
// names in scopes must differ.
func (c *Counters) Admit(scopes []Scope, prompt int64, states []State) (t Ticket, admitted bool, all []State) {
	c.sweep()
	locked := c.lock(scopes, nil)
	defer c.unlock(locked)
	now := instantSince(c.start)
	var few [4]*use
	uses := c.uses(few[:0], scopes)

	if admitted = admits(scopes, uses, now); admitted {
		t = admit(scopes, uses, prompt, now)
	}
	for i, s := range scopes {
		states = uses[i].appendStates(states, s, now)
	}
	return t, admitted, states
}

// count counts a request that was admitted elsewhere.
func (c *Counters) count(scopes []Scope, prompt int64) Ticket {
	c.sweep()
	locked := c.lock(scopes, nil)
	defer c.unlock(locked)
	var few [4]*use
	return admit(scopes, c.uses(few[:0], scopes), prompt, instantSince(c.start))
}

func admits(scopes []Scope, uses []*use, now instant) bool {
	for i, s := range scopes {
		if !uses[i].admits(s.Limits, now) {
			return false
		}
	}
	return true
}

func admit(scopes []Scope, uses []*use, prompt int64, now instant) Ticket {
	t := Ticket{scopes, min(prompt, maxEvent)}
	for i, s := range scopes {
		uses[i].admit(s.Limits, t.prompt, now)
	}
	return t
}

// Settle counts the tokens of a request that has ended, and takes back what Admit reserved for it. scopes are
// those of Admit. They may have other limits by now: the tokens count for these.
func (c *Counters) Settle(scopes []Scope, t Ticket, tokens int64) {
	if len(t.scopes) == 0 {
		return
	}
	locked := c.lock(scopes, t.scopes)
	defer c.unlock(locked)
	now := instantSince(c.start)
	for _, s := range t.scopes {
		c.use(s.Name).release(s.Limits, t.prompt)
	}
	if tokens = min(tokens, maxEvent); tokens <= 0 {
		return
	}
	for _, s := range scopes {
		c.use(s.Name).addTokens(s.Limits, tokens, now)
	}
}

// States appends the state of each limit to states, and counts nothing.
func (c *Counters) States(scopes []Scope, states []State) []State {
	locked := c.lock(scopes, nil)
	defer c.unlock(locked)
	now := instantSince(c.start)
	for _, s := range scopes {
		u := c.shard(s.Name).byName[s.Name]
		if u == nil {
			u = &use{}
		}
		states = u.appendStates(states, s, now)
	}
	return states
}

// shard is a part of the scopes.
type shard struct {
	sync.Mutex
	byName map[string]*use
	all    []*use // in any order
	next   int    // the index in all at which the next sweep begins
}

func (c *Counters) shardIndex(name string) uint64 { return maphash.String(c.seed, name) % shards }

func (c *Counters) shard(name string) *shard { return &c.shards[c.shardIndex(name)] }

// lock locks the shards of all scopes, and returns the set of them. Everyone locks them in the same order, so
// that two goroutines never wait for each other.
func (c *Counters) lock(scopes, more []Scope) (set uint64) {
	for _, s := range scopes {
		set |= 1 << c.shardIndex(s.Name)
	}
	for _, s := range more {
		set |= 1 << c.shardIndex(s.Name)
	}
	for rest := set; rest != 0; rest &= rest - 1 {
		c.shards[bits.TrailingZeros64(rest)].Lock()
	}
	return set
}

func (c *Counters) unlock(set uint64) {
	for ; set != 0; set &= set - 1 {
		c.shards[bits.TrailingZeros64(set)].Unlock()
	}
}

func (c *Counters) uses(uses []*use, scopes []Scope) []*use {
	for _, s := range scopes {
		uses = append(uses, c.use(s.Name))
	}
	return uses
}

// use returns what the scope with that name uses. Its shard must be locked.
func (c *Counters) use(name string) *use {
	s := c.shard(name)
	u := s.byName[name]
	if u == nil {
		u = &use{name: strings.Clone(name)}
		s.byName[u.name] = u
		s.all = append(s.all, u)
	}
	return u
}

// sweepEvery is how many requests are admitted before scopes are looked at again.
const sweepEvery = 8

// sweep forgets scopes that use nothing any more. It looks at a few scopes of the next shard. Admit calls it and
// makes fewer scopes meanwhile, so what is idle goes without a goroutine of its own.
func (c *Counters) sweep() {
	n := c.swept.Add(1)
	if n%sweepEvery != 0 {
		return
	}
	s := &c.shards[n/sweepEvery%shards]
	if !s.TryLock() {
		return
	}
	defer s.Unlock()
	now := instantSince(c.start)
	for range min(4*sweepEvery, len(s.all)) {
		if s.next >= len(s.all) {
			s.next = 0
		}
		if u := s.all[s.next]; u.idle(now) {
			s.remove(s.next)
		} else {
			s.next++
		}
	}
}

func (s *shard) remove(i int) {
	last := len(s.all) - 1
	delete(s.byName, s.all[i].name)
	s.all[i], s.all[last] = s.all[last], nil
	s.all = s.all[:last]
}
