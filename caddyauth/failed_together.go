package caddyauth

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"time"
)

// barredKey is the hash of an address, or of a name at an address. It is the same on all servers.
type barredKey [16]byte

func addressKey(a attempt) barredKey { return barredHash("address\x00" + a.address.String()) }

func nameKey(a attempt) barredKey {
	return barredHash("name\x00" + a.address.String() + "\x00" + a.name)
}

func barredHash(text string) (key barredKey) {
	sum := sha256.Sum256([]byte(text))
	copy(key[:], sum[:])
	return key
}

// barred says until when addresses, and names at addresses, must wait, because they have failed too often on
// all servers together. It holds at most maxCounted. If there are more, new ones are not remembered, and this
// server only goes by what it has counted itself.
type barred map[barredKey]time.Time

// left returns how long a key must still wait.
func (b barred) left(key barredKey, now time.Time) time.Duration {
	until, ok := b[key]
	if !ok {
		return 0
	}
	return max(0, until.Sub(now))
}

func (b barred) set(key barredKey, until time.Time) {
	if _, ok := b[key]; ok || len(b) < maxCounted {
		b[key] = until
	}
}

// clean removes what is over.
func (b barred) clean(now time.Time) {
	for key, until := range b {
		if !until.After(now) {
			delete(b, key)
		}
	}
}

// tellFailed counts a failed sign-in together with the other servers. If that makes its address or its name
// wait, the other servers are told. It returns how long this sign-in must wait. If the shared store cannot be
// reached, only this server has counted.
func (f *failedAttempts) tellFailed(a attempt) (wait time.Duration) {
	keys := []barredKey{addressKey(a)}
	if a.name != "" {
		keys = append(keys, nameKey(a))
	}
	for _, key := range keys {
		n, left, err := f.shared.Count(context.Background(), "failed\x00"+string(key[:]), f.window)
		if err != nil {
			return wait
		}
		if n > int64(f.count) {
			wait = max(wait, left)
		}
		if n >= int64(f.count) && f.bar(key, time.Now().Add(left)) {
			_ = f.shared.Publish(context.Background(), failedMessage+messageOf(key, left)) // without it, the others learn it when they count
		}
	}
	return wait
}

func messageOf(key barredKey, left time.Duration) string {
	return hex.EncodeToString(key[:]) + " " + strconv.FormatInt(left.Milliseconds(), 10)
}

// bar makes an address or a name wait. It reports whether that is new.
func (f *failedAttempts) bar(key barredKey, until time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	known := f.barred.left(key, now) > 0
	f.barred.set(key, until)
	f.reached.Store(true)
	if f.closes.Before(now) { // reached is false again when the window ends
		f.closes = now.Add(f.window)
	}
	return !known
}

// hearFailed makes an address or a name wait that another server has counted.
func hearFailed(message string) {
	key, left, ok := parseFailed(message)
	if !ok {
		return
	}
	for _, h := range handlers() {
		if h.shared != nil {
			h.attempts.bar(key, time.Now().Add(left))
		}
	}
}

// parseFailed reads a message about a key that must wait: its hash in hexadecimal, and for how many
// milliseconds.
func parseFailed(message string) (key barredKey, left time.Duration, ok bool) {
	written, milliseconds, _ := strings.Cut(message, " ")
	hash, err := hex.DecodeString(written)
	n, wrong := strconv.ParseInt(milliseconds, 10, 64)
	if err != nil || wrong != nil || len(hash) != len(key) || n <= 0 || n > maxBarred.Milliseconds() {
		return key, 0, false
	}
	return barredKey(hash), time.Duration(n) * time.Millisecond, true
}

// maxBarred is the longest time that another server may make an address wait.
const maxBarred = 24 * time.Hour
