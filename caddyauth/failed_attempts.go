package caddyauth

import (
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// maxAddresses bounds what a flood from many addresses can make us remember. Those beyond are not
// counted until the window ends.
const maxAddresses = 100_000

// maxUnderWay is how many sign-ins of one address may wait for the keystore. A whole team may be behind
// it, whom a restart has made unknown, so that none is held against it before it has failed; but it must
// not fill the cache's queue, which has five times the room, for all others.
const maxUnderWay = 1000

// failedAttempts counts the failed sign-ins of client addresses within windows of fixed length, and
// those that wait for the keystore.
type failedAttempts struct {
	count  int
	window time.Duration

	mu       sync.Mutex
	closes   time.Time // the window
	counts   map[netip.Prefix]int
	underWay map[netip.Prefix]int
}

func newFailedAttempts(count int, window time.Duration) *failedAttempts {
	return &failedAttempts{
		count: count, window: window,
		counts: make(map[netip.Prefix]int), underWay: make(map[netip.Prefix]int),
	}
}

// add counts a failed sign-in.
func (f *failedAttempts) add(address netip.Prefix) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail(address)
}

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

// end ends a sign-in, and counts it if it has failed.
func (f *failedAttempts) end(address netip.Prefix, failed bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.underWay[address]--; f.underWay[address] == 0 {
		delete(f.underWay, address)
	}
	if failed {
		f.fail(address)
	}
}

// fail counts a failed sign-in. f.mu is held.
func (f *failedAttempts) fail(address netip.Prefix) {
	f.turn()
	if n, ok := f.counts[address]; ok || len(f.counts) < maxAddresses {
		f.counts[address] = n + 1
	}
}

// wait returns how long an address has to wait; 0 if it may go on.
func (f *failedAttempts) wait(address netip.Prefix) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.turn()
	if f.counts[address] < f.count {
		return 0
	}
	return time.Until(f.closes)
}

// turn begins the next window once one is over.
func (f *failedAttempts) turn() {
	if now := time.Now(); !now.Before(f.closes) {
		f.closes = now.Add(f.window)
		clear(f.counts)
	}
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
