//go:build redis

package redis

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/continue-auth/caddy-continue-auth/test/freeport"
	"github.com/continue-auth/caddy-continue-auth/usage"
)

// redisServer is a redis-server on loopback. It ends with the test.
type redisServer struct {
	testing.TB
	address string
	folder  string
	options []string
	process *exec.Cmd
	client  *goredis.Client // for the test itself
}

// startReal starts a redis-server, with options of its command line.
func startReal(t testing.TB, options ...string) *redisServer {
	t.Helper()
	r := &redisServer{TB: t, address: freeAddress(t), folder: t.TempDir(), options: options}
	r.start()
	return r
}

func freeAddress(t testing.TB) string { return fmt.Sprint("127.0.0.1:", freeport.For(t)) }

// port returns the port of an address.
func port(address string) string {
	_, port, _ := net.SplitHostPort(address)
	return port
}

// start starts the server, empty.
func (r *redisServer) start() {
	r.Helper()
	args := append([]string{"--bind", "127.0.0.1", "--port", port(r.address), "--save", "", "--appendonly", "no", "--dir", r.folder}, r.options...)
	r.run(args...)
	options := &goredis.Options{Addr: r.address, Protocol: 2, DisableIdentity: true}
	if i := slices.Index(r.options, "--requirepass"); i >= 0 {
		options.Password = r.options[i+1]
	}
	r.client = goredis.NewClient(options)
	r.Cleanup(func() { _ = r.client.Close() })
	eventually(r, func() bool {
		return r.client.Ping(context.Background()).Err() == nil
	}, func() string { return "redis-server does not start" })
}

// run runs redis-server.
func (r *redisServer) run(args ...string) {
	r.Helper()
	process := exec.Command("redis-server", args...)
	if err := process.Start(); err != nil {
		r.Fatal(err)
	}
	r.process = process
	r.Cleanup(func() {
		_ = process.Process.Signal(syscall.SIGCONT)
		_ = process.Process.Kill()
		_ = process.Wait()
	})
}

// kill ends the server at once.
func (r *redisServer) kill() {
	r.Helper()
	if err := r.process.Process.Kill(); err != nil {
		r.Fatal(err)
	}
	_ = r.process.Wait()
}

// signal sends the server a signal.
func (r *redisServer) signal(s syscall.Signal) {
	r.Helper()
	if err := r.process.Process.Signal(s); err != nil {
		r.Fatal(err)
	}
}

// do sends the server a command.
func (r *redisServer) do(args ...any) any {
	r.Helper()
	got, err := r.client.Do(context.Background(), args...).Result()
	if err != nil {
		r.Fatalf("%v: %v", args, err)
	}
	return got
}

// Addr returns the server's address.
func (r *redisServer) Addr() string { return r.address }

// The clock of a real Redis cannot be set, so the scripts read this key instead.
const clockKey = "test-clock"

// SetTime sets the clock that the scripts read.
func (r *redisServer) SetTime(now time.Time) {
	r.do("DEL", clockKey)
	r.do("RPUSH", clockKey, now.Unix(), now.Nanosecond()/1000)
}

// HGet returns a field of a hash.
func (r *redisServer) HGet(key, field string) string {
	text, _ := r.do("HGET", key, field).(string)
	return text
}

// Del removes a key.
func (r *redisServer) Del(key string) bool { return r.do("DEL", key).(int64) == 1 }

// setClock makes the scripts read the clock of the test.
func setClock(t *testing.T) {
	for _, s := range []*script{admitScript, settleScript, undoScript, renewScript} {
		before := *s
		*s = *newScript(strings.ReplaceAll(s.text, "redis.call('TIME')", "redis.call('LRANGE', '"+clockKey+"', 0, 1)"))
		t.Cleanup(func() { *s = before })
	}
}

// TestTheContractOnARealRedis runs the tests that the simulated Redis passes.
func TestTheContractOnARealRedis(t *testing.T) {
	setClock(t)
	server := startReal(t)
	before := start
	t.Cleanup(func() { start = before })
	start = func(t *testing.T) clocked {
		server.do("FLUSHALL")
		return server
	}
	for name, test := range map[string]func(*testing.T){
		"ASlidingWindowCountsARequestUntilItsLengthHasPassed": TestASlidingWindowCountsARequestUntilItsLengthHasPassed,
		"TheFractionOfAMillisecond":                           TestTheFractionOfAMillisecondDoesNotLetARequestLeaveEarly,
		"ASlidingWindowIsExact":                               TestASlidingWindowIsExact,
		"ASlidingWindowTakesLittleRoom":                       TestASlidingWindowTakesLittleRoom,
		"AClockThatIsSetBackLosesNothing":                     TestAClockThatIsSetBackLosesNothing,
		"ADayAndAMonthBeginAtMidnightUTC":                     TestADayAndAMonthBeginAtMidnightUTC,
		"EachMonthOfACenturyIsCountedByItself":                TestEachMonthOfACenturyIsCountedByItself,
		"EveryLimitMustHaveRoom":                              TestEveryLimitMustHaveRoom,
		"ThePromptIsReservedUntilTheTokensAreKnown":           TestThePromptIsReservedUntilTheTokensAreKnown,
		"ReservationsCanFillALimit":                           TestReservationsCanFillALimit,
		"LimitsForTheSameWindowReserveOnce":                   TestLimitsForTheSameWindowReserveOnce,
		"ALimitThatChangesKeepsWhatIsUsed":                    TestALimitThatChangesKeepsWhatIsUsed,
		"ScopesDoNotShareTheirCounters":                       TestScopesDoNotShareTheirCounters,
		"ARequestIsAdmittedToAllScopesOrToNone":               TestARequestIsAdmittedToAllScopesOrToNone,
		"StatesCountsNothing":                                 TestStatesCountsNothing,
		"TwoServersTogetherAdmitExactlyTheLimit":              TestTwoServersTogetherAdmitExactlyTheLimit,
		"OnlySoManyRequestsAreInFlightAtOnce":                 TestOnlySoManyRequestsAreInFlightAtOnce,
		"ALeaseEndsUnlessItIsRenewed":                         TestALeaseEndsUnlessItIsRenewed,
		"ManyLeasesAreRenewed":                                TestManyLeasesAreRenewed,
		"TokensOfALeaseThatHasEndedCountOnce":                 TestTokensOfALeaseThatHasEndedCountOnce,
		"ASettlementThatIsSentAgainCountsOnce":                TestASettlementThatIsSentAgainCountsOnce,
		"CloseEndsTheLeases":                                  TestCloseEndsTheLeases,
		"ALostKeyHealsByItself":                               TestALostKeyHealsByItself,
	} {
		t.Run(name, test)
	}
}

// TestARealClock runs what depends on time on the clock of Redis.
func TestARealClock(t *testing.T) {
	server := startReal(t)
	s := store(t, server.address)
	t.Run("a burst leaves one window later", func(t *testing.T) {
		t.Parallel()
		a := asker{t, s, []usage.Scope{scope(t, "burst", "requests 3/1s")}}
		began := time.Now()
		for range 3 {
			a.admits(true)
		}
		last := time.Now()
		eventually(t, func() bool { lease, _ := a.admit(0); return lease != "" }, func() string { return "refused for ever" })
		if took := time.Since(began); took < time.Second || time.Since(last) > time.Second+time.Second/30+200*time.Millisecond {
			t.Errorf("admitted again after %v", took)
		}
	})
	t.Run("a counter begins anew", func(t *testing.T) {
		t.Parallel()
		for want := range int64(3) {
			n, left, err := s.Count(t.Context(), "x", time.Second)
			if err != nil || n != want+1 || left <= 0 || left > time.Second {
				t.Errorf("%d, %v, %v", n, left, err)
			}
		}
		eventually(t, func() bool { n, _, _ := s.Count(t.Context(), "x", time.Second); return n == 1 }, func() string { return "it counts on" })
	})
	t.Run("a bucket fills", func(t *testing.T) {
		t.Parallel()
		began, taken := time.Now(), 0
		eventually(t, func() bool {
			wait, err := s.Take(t.Context(), "x", 20, 5)
			if err != nil {
				t.Fatal(err)
			}
			if wait == 0 {
				taken++
			} else if wait > 50*time.Millisecond {
				t.Errorf("wait %v", wait)
			}
			return taken == 15
		}, func() string { return fmt.Sprint(taken, " tokens") })
		if took := time.Since(began); took < 500*time.Millisecond {
			t.Errorf("10 tokens more than the bucket holds took %v", took)
		}
	})
	t.Run("a value expires", func(t *testing.T) {
		t.Parallel()
		s.Put("x", []byte("value"), 300*time.Millisecond)
		get := func() string { values, _ := s.Get(t.Context(), "x"); return string(values[0]) }
		eventually(t, func() bool { return get() == "value" }, func() string { return "no value" })
		eventually(t, func() bool { return get() == "" }, func() string { return "the value stays" })
	})
}

func TestAllKeysOfARealRedisExpire(t *testing.T) {
	server := startReal(t)
	useEverything(t, store(t, server.address))
	var keys []string
	for _, key := range server.do("KEYS", "*").([]any) {
		keys = append(keys, key.(string))
	}
	checkKeys(t, keys, func(key string) time.Duration {
		return time.Duration(server.do("PTTL", key).(int64)) * time.Millisecond
	})
}
