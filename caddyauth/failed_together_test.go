package caddyauth

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"go.uber.org/zap"

	"github.com/continue-auth/caddy-continue-auth/usage"
	"github.com/continue-auth/caddy-continue-auth/usage/redis"
)

// openRedis returns a store on a simulated Redis.
func openRedis(t *testing.T, server *miniredis.Miniredis) usage.Shared {
	t.Helper()
	store := redis.Open(redis.Config{Addresses: []string{server.Addr()}, Prefix: "cca:", Timeout: time.Second, Log: zap.NewNop, Observe: func(time.Duration) {}})
	t.Cleanup(func() { _ = store.Close() })
	return store
}

// together returns the failed attempts of two servers that share a store.
func together(t *testing.T, server *miniredis.Miniredis) (one, other *failedAttempts) {
	one, other = newFailedAttempts(3, time.Minute), newFailedAttempts(3, time.Minute)
	one.shared, other.shared = openRedis(t, server), openRedis(t, server)
	return one, other
}

func guess(address, name, key string) attempt {
	return attempt{address: netip.MustParsePrefix(address + "/32"), name: name, key: key}
}

func TestFailedAttemptsCountTogether(t *testing.T) {
	one, other := together(t, miniredis.RunT(t))
	for i, f := range []*failedAttempts{one, other, one} {
		if wait := f.judge(guess("192.0.2.1", "dev@example.com", strings.Repeat("x", i)), false); wait != 0 {
			t.Errorf("attempt %d waits %v", i, wait)
		}
	}
	if wait := other.judge(guess("192.0.2.1", "dev@example.com", "fourth"), false); wait <= 0 || wait > time.Minute {
		t.Errorf("the fourth wrong key waits %v", wait)
	}
	for which, f := range map[string]*failedAttempts{"the server that counted": one, "the other one": other} {
		if name, address := f.waits(guess("192.0.2.1", "dev@example.com", "right")); name <= 0 || address <= 0 {
			t.Errorf("%s: the right key waits %v, the address %v", which, name, address)
		}
		if name, address := f.waits(guess("192.0.2.1", "ann@example.com", "right")); name != 0 || address <= 0 {
			t.Errorf("%s: another name waits %v, the address %v", which, name, address)
		}
		if name, address := f.waits(guess("192.0.2.2", "dev@example.com", "right")); name != 0 || address != 0 {
			t.Errorf("%s: another address waits %v, %v", which, name, address)
		}
	}
}

func TestAServerHearsWhoMustWait(t *testing.T) {
	f := newFailedAttempts(3, time.Minute)
	key, left, ok := parseFailed(messageOf(nameKey(guess("192.0.2.1", "dev@example.com", "")), 30*time.Second))
	if !ok {
		t.Fatal("the message cannot be read")
	}
	if !f.bar(key, time.Now().Add(left)) || f.bar(key, time.Now().Add(left)) {
		t.Error("it is not new once")
	}
	if name, _ := f.waits(guess("192.0.2.1", "dev@example.com", "right")); name <= 29*time.Second || name > 30*time.Second {
		t.Errorf("the name waits %v", name)
	}
	if f.judge(guess("192.0.2.1", "dev@example.com", "right"), true) == 0 {
		t.Error("the right key is let in")
	}
	for _, wrong := range []string{"", "x 1", "00 5", strings.Repeat("00", 17) + " 5", strings.Repeat("00", 16) + " 0", strings.Repeat("00", 16) + " 99999999999", strings.Repeat("zz", 16) + " 5"} {
		if _, _, ok := parseFailed(wrong); ok {
			t.Errorf("%q is read", wrong)
		}
	}
}

func TestFailedAttemptsCountHereWhileTheStoreIsAway(t *testing.T) {
	server := miniredis.RunT(t)
	one, other := together(t, server)
	server.Close()
	for i := range 4 {
		one.judge(guess("192.0.2.1", "dev@example.com", strings.Repeat("x", i)), false)
	}
	if name, _ := one.waits(guess("192.0.2.1", "dev@example.com", "right")); name <= 0 {
		t.Error("this server has not counted")
	}
	if name, address := other.waits(guess("192.0.2.1", "dev@example.com", "right")); name != 0 || address != 0 {
		t.Errorf("the other server knows: %v, %v", name, address)
	}
}

func TestSignaturesReachOtherServers(t *testing.T) {
	server := miniredis.RunT(t)
	one, other := peers{openRedis(t, server), t.Context()}, peers{openRedis(t, server), t.Context()}
	one.Put("key", "a signature", time.Hour)
	waitUntil(t, func() bool { return other.Get("key") == "a signature" })
	if got := other.Get("nothing"); got != "" {
		t.Errorf("%q", got)
	}
	server.Close()
	if got := other.Get("key"); got != "" {
		t.Errorf("%q without a store", got)
	}
}

func TestServersShareTheBudgetOfCalls(t *testing.T) {
	server := miniredis.RunT(t)
	one, other := sharedBudget(openRedis(t, server), "token"), sharedBudget(openRedis(t, server), "token")
	for i, budget := range []func(float64, int) (time.Duration, bool){one, other} {
		if wait, ok := budget(0.001, 2); wait != 0 || !ok {
			t.Errorf("call %d waits %v, %v", i, wait, ok)
		}
	}
	if wait, ok := one(0.001, 2); wait <= 0 || !ok {
		t.Errorf("the third call of two waits %v, %v", wait, ok)
	}
	server.Close()
	if _, ok := one(0.001, 2); ok {
		t.Error("the store is away, and the budget is asked")
	}
	if sharedBudget(nil, "token") != nil || sharedBudget(openRedis(t, miniredis.RunT(t)), "") != nil {
		t.Error("there is a budget without a store, or without a name")
	}
}
