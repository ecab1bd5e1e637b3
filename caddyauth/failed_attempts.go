package caddyauth

import (
	"hash/maphash"
	"math"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/continue-auth/caddy-continue-auth/usage"
)

const (
	// maxCounted limits the memory that a flood can take: that many addresses, that many names at addresses,
	// and twice as many sign-ins of the last seconds.
	maxCounted = 100_000

	// maxUnderWay is how many sign-ins of one address may wait for the keystore. A whole team may share an
	// address and be unknown after a restart, so waiting sign-ins are not counted as failed. But one address
	// must not fill the queue of the cache, which holds five times as many.
	maxUnderWay = 1000

	// repeatedWithin is how soon the same failed sign-in counts as the same attempt. Some clients repeat a
	// request by themselves and learn nothing from that. Codex does it six times in seven seconds.
	repeatedWithin = 10 * time.Second
)

// attempt identifies a sign-in, to count it if it fails.
type attempt struct {
	address netip.Prefix
	name    string // in lower case; empty if the request has no valid name
	key     string
}

// failedAttempts counts failed sign-ins within windows of fixed length, for each client address and for each
// name at an address. It also counts the sign-ins that wait for the keystore.
//
// If an address has failed too often for a name, that name cannot sign in from that address until the window
// ends. If an address has failed too often in all, only users who are in memory can sign in from it. Every
// wrong key then gets the same answer as a made-up name.
type failedAttempts struct {
	count  int
	window time.Duration

	// reached says that an address has failed too often in this window. That is rare. While it is false, a
	// successful sign-in takes no lock.
	reached atomic.Bool

	mu        sync.Mutex
	closes    time.Time // when the window ends
	addresses tally[netip.Prefix]
	names     tally[uint64] // by a hash of address and name
	repeats   repeats
	underWay  map[netip.Prefix]int

	shared usage.Shared // nil if this server counts by itself
	barred barred       // addresses, and names at addresses, that have failed too often on all servers together
}

// seed is the seed of the hashes of sign-ins. With a random seed, a hash does not reveal a key, and nobody
// can find a key with the same hash.
var seed = maphash.MakeSeed()

func newFailedAttempts(count int, window time.Duration) *failedAttempts {
	return &failedAttempts{
		count: count, window: window,
		addresses: make(tally[netip.Prefix]), names: make(tally[uint64]),
		repeats:  repeats{make(map[uint64]time.Time), make(map[uint64]time.Time), time.Time{}},
		underWay: make(map[netip.Prefix]int),
		barred:   make(barred),
	}
}

// waits returns how long the attempt must wait. name is the wait for its name at its address, with any key.
// address is the wait for a wrong key, or for a name that is not in memory. They are 0 if it may go on.
func (f *failedAttempts) waits(a attempt) (name, address time.Duration) {
	if !f.reached.Load() {
		return 0, 0
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.left(a)
}

// left is waits. f.mu must be held.
func (f *failedAttempts) left(a attempt) (name, address time.Duration) {
	left := f.turn()
	if f.addresses[a.address] >= f.count { // no name can have failed more often than its address
		address = left
		if f.names[hashOfName(a)] >= f.count {
			name = left
		}
	}
	if len(f.barred) > 0 {
		now := time.Now()
		address = max(address, f.barred.left(addressKey(a), now))
		name = max(name, f.barred.left(nameKey(a), now))
	}
	return name, max(address, name)
}

// judge decides about a sign-in after its key has been checked, and counts it if the key is wrong. It returns
// how long the sign-in must wait, or 0 if the result of the check applies. Deciding and counting take one
// lock, so sign-ins at the same time cannot exceed the limit.
func (f *failedAttempts) judge(a attempt, right bool) (wait time.Duration) {
	wait, failed := f.judgeHere(a, right)
	if failed && f.shared != nil {
		wait = max(wait, f.tellFailed(a))
	}
	return wait
}

// judgeHere is judge for this server alone. failed says that the sign-in was counted as failed.
func (f *failedAttempts) judgeHere(a attempt, right bool) (wait time.Duration, failed bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if right && !f.reached.Load() {
		return 0, false
	}
	name, address := f.left(a)
	switch {
	case name > 0:
		return name, false
	case right:
		return 0, false
	case f.repeats.has(hash(a), time.Now()):
		return address, false
	}
	f.fail(a)
	return address, true
}

// fail counts a failed sign-in. f.mu must be held.
func (f *failedAttempts) fail(a attempt) {
	if f.addresses.add(a.address) >= f.count {
		f.reached.Store(true)
	}
	if a.name != "" { // without a name there is no key to guess
		f.names.add(hashOfName(a))
	}
}

// hash returns the hash of an attempt. It is a function of its own because its argument escapes to the heap.
func hash(a attempt) uint64 { return maphash.Comparable(seed, a) }

// hashOfName returns the hash of an attempt's name at its address.
func hashOfName(a attempt) uint64 { return hash(attempt{address: a.address, name: a.name}) }

// begin counts a sign-in that waits for the keystore, until end is called. ok is false if too many sign-ins
// of that address wait already.
func (f *failedAttempts) begin(address netip.Prefix) (ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.underWay[address] >= maxUnderWay {
		return false
	}
	f.underWay[address]++
	return true
}

// end ends the wait that begin began.
func (f *failedAttempts) end(address netip.Prefix) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.underWay[address]--; f.underWay[address] == 0 {
		delete(f.underWay, address)
	}
}

// turn begins the next window if one has ended. It returns the time that is left of the current window. f.mu
// must be held.
func (f *failedAttempts) turn() (left time.Duration) {
	now := time.Now()
	if !now.Before(f.closes) {
		f.closes = now.Add(f.window)
		clear(f.addresses)
		clear(f.names)
		f.barred.clean(now)
		f.reached.Store(len(f.barred) > 0)
	}
	return f.closes.Sub(now)
}

// tally counts failures. It holds at most maxCounted keys: a new key replaces one with few failures. So a key
// near the limit stays, unless a hundred thousand others are as near.
type tally[K comparable] map[K]int

func (t tally[K]) add(key K) int {
	if _, ok := t[key]; !ok && len(t) >= maxCounted {
		t.forget()
	}
	t[key]++
	return t[key]
}

// forget removes the key with the fewest failures among a few.
func (t tally[K]) forget() {
	const few = 8
	var least K
	fewest, seen := math.MaxInt, 0
	for key, n := range t {
		if n < fewest {
			least, fewest = key, n
		}
		if seen++; seen == few {
			break
		}
	}
	delete(t, least)
}

// repeats remembers for repeatedWithin when sign-ins failed, by their hashes. If there are more than
// maxCounted in that time, the others are not remembered and count each time.
type repeats struct {
	newer, older map[uint64]time.Time
	turned       time.Time // when newer was begun
}

// has reports whether that sign-in has been counted within repeatedWithin. If not, it remembers the sign-in
// as counted now.
func (r *repeats) has(hash uint64, now time.Time) bool {
	if now.Sub(r.turned) >= repeatedWithin {
		r.newer, r.older, r.turned = r.older, r.newer, now
		clear(r.newer)
	}
	for _, some := range []map[uint64]time.Time{r.newer, r.older} {
		if at, ok := some[hash]; ok && now.Sub(at) < repeatedWithin {
			return true
		}
	}
	if len(r.newer) < maxCounted {
		r.newer[hash] = now
	}
	return false
}

// clientAddress returns the address for which a client's attempts count. It is Caddy's client IP, which
// respects trusted proxies. For IPv6 it is the /64, because a single user can use all addresses in it.
func clientAddress(r *http.Request) netip.Prefix {
	ip, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	address, err := netip.ParseAddr(ip)
	if err != nil {
		return netip.Prefix{} // all clients without an address count as one
	}
	bits := 64
	if address = address.Unmap().WithZone(""); address.Is4() {
		bits = 32
	}
	prefix, _ := address.Prefix(bits)
	return prefix
}
