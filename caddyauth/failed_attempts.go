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
)

const (
	// maxCounted bounds what a flood can make us remember: that many addresses, that many names at
	// addresses, and twice as many sign-ins of the last seconds.
	maxCounted = 100_000

	// maxUnderWay is how many sign-ins of one address may wait for the keystore. A whole team may be behind
	// it, whom a restart has made unknown, so that none is held against it before it has failed; but it must
	// not fill the cache's queue, which has five times the room, for all others.
	maxUnderWay = 1000

	// repeatedWithin is how soon the same sign-in that fails again is the same attempt: a client that
	// repeats it by itself (Codex does six times in seven seconds) learns nothing from it.
	repeatedWithin = 10 * time.Second
)

// attempt is a sign-in, as far as it is counted if it fails.
type attempt struct {
	address netip.Prefix
	name    string // in small letters, however it was written; empty: of nobody
	key     string
}

// failedAttempts counts the failed sign-ins of client addresses, and those for one name, within windows
// of fixed length, and the sign-ins that wait for the keystore.
//
// From an address that has failed too often for a name, nobody signs in with that name until the window
// ends. From an address that has failed too often, nobody signs in who is not known, and every wrong key
// has the answer that made-up names have.
type failedAttempts struct {
	count  int
	window time.Duration

	// reached says that some address has failed too often in this window. Until then, which is nearly
	// always, a sign-in that succeeds takes no lock.
	reached atomic.Bool

	mu        sync.Mutex
	closes    time.Time // the window
	addresses tally[netip.Prefix]
	names     tally[uint64] // by the hash of address and name
	repeats   repeats
	underWay  map[netip.Prefix]int
}

// seed makes the hashes of sign-ins: a key cannot be told from its hash, nor one made up to have the same.
var seed = maphash.MakeSeed()

func newFailedAttempts(count int, window time.Duration) *failedAttempts {
	return &failedAttempts{
		count: count, window: window,
		addresses: make(tally[netip.Prefix]), names: make(tally[uint64]),
		repeats:  repeats{make(map[uint64]time.Time), make(map[uint64]time.Time), time.Time{}},
		underWay: make(map[netip.Prefix]int),
	}
}

// waits returns how long that name has to wait at that address, whatever the key, and how long the address
// has to wait with a wrong key, or with a name that is not known; 0 where it may go on.
func (f *failedAttempts) waits(a attempt) (name, address time.Duration) {
	if !f.reached.Load() {
		return 0, 0
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	left := f.turn()
	if f.addresses[a.address] < f.count { // and so no name there has failed more often
		return 0, 0
	}
	if f.names[hashOfName(a)] >= f.count {
		name = left
	}
	return name, left
}

// judge decides on a sign-in whose key has been found right or wrong, and counts it if it is wrong: of
// however many that come at once, none has an answer that the limit forbids. It returns how long the
// sign-in has to wait; 0 where the key decides.
func (f *failedAttempts) judge(a attempt, right bool) (wait time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if right && f.addresses[a.address] < f.count {
		return 0
	}
	left := f.turn()
	if f.addresses[a.address] >= f.count {
		if f.names[hashOfName(a)] >= f.count {
			return left
		}
		wait = left
	}
	if right {
		return 0
	}
	if !f.repeats.has(hash(a), time.Now()) {
		f.fail(a)
	}
	return wait
}

// fail counts a failed sign-in. f.mu is held.
func (f *failedAttempts) fail(a attempt) {
	if f.addresses.add(a.address) >= f.count {
		f.reached.Store(true)
	}
	if a.name != "" { // else there is no key to be guessed
		f.names.add(hashOfName(a))
	}
}

// hash is the attempt's. It is a function of its own because what it takes goes to the heap.
func hash(a attempt) uint64 { return maphash.Comparable(seed, a) }

// hashOfName is of the name at the address.
func hashOfName(a attempt) uint64 { return hash(attempt{address: a.address, name: a.name}) }

// begin makes room for a sign-in that has the keystore asked, until end. ok is false if too many of that
// address wait for it already.
func (f *failedAttempts) begin(address netip.Prefix) (ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.underWay[address] >= maxUnderWay {
		return false
	}
	f.underWay[address]++
	return true
}

// end ends a sign-in.
func (f *failedAttempts) end(address netip.Prefix) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.underWay[address]--; f.underWay[address] == 0 {
		delete(f.underWay, address)
	}
}

// turn begins the next window once one is over, and returns what is left of this one. f.mu is held.
func (f *failedAttempts) turn() (left time.Duration) {
	now := time.Now()
	if !now.Before(f.closes) {
		f.closes = now.Add(f.window)
		clear(f.addresses)
		clear(f.names)
		f.reached.Store(false)
	}
	return f.closes.Sub(now)
}

// tally counts. It remembers maxCounted at most: another takes the place of one that has failed seldom. So
// whoever is near the limit stays counted, unless a hundred thousand others are as near.
type tally[K comparable] map[K]int

func (t tally[K]) add(key K) int {
	if _, ok := t[key]; !ok && len(t) >= maxCounted {
		t.forget()
	}
	t[key]++
	return t[key]
}

// forget forgets the one that has failed least of a few.
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

// repeats remembers when sign-ins failed, by their hashes, for repeatedWithin. Those beyond maxCounted in
// that time are not remembered, and count each time.
type repeats struct {
	newer, older map[uint64]time.Time
	turned       time.Time // when newer began
}

// has reports whether that sign-in has counted a moment ago; if not, it counts now.
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

// clientAddress is the address that a client's attempts count for: Caddy's client IP, which heeds
// trusted proxies, and of IPv6 the /64, since a single user has as many addresses in one.
func clientAddress(r *http.Request) netip.Prefix {
	ip, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	address, err := netip.ParseAddr(ip)
	if err != nil {
		return netip.Prefix{} // those without an address count as one
	}
	bits := 64
	if address = address.Unmap().WithZone(""); address.Is4() {
		bits = 32
	}
	prefix, _ := address.Prefix(bits)
	return prefix
}
