//go:build redis

package redis

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/continue-auth/caddy-continue-auth/usage"
	"github.com/continue-auth/caddy-continue-auth/usage/redis/redistest"
)

// redisServer is a real Redis whose clock can be set for the scripts.
type redisServer struct{ *redistest.Server }

func startReal(t testing.TB, options ...string) redisServer {
	t.Helper()
	return redisServer{redistest.Start(t, options...)}
}

// Addr returns the server's address.
func (r redisServer) Addr() string { return r.Address }

// The clock of a real Redis cannot be set, so the scripts read this key instead.
const clockKey = "test-clock"

// SetTime sets the clock that the scripts read.
func (r redisServer) SetTime(now time.Time) {
	r.Do("DEL", clockKey)
	r.Do("RPUSH", clockKey, now.Unix(), now.Nanosecond()/1000)
}

// HGet returns a field of a hash.
func (r redisServer) HGet(key, field string) string {
	text, _ := r.Do("HGET", key, field).(string)
	return text
}

// Del removes a key.
func (r redisServer) Del(key string) bool { return r.Do("DEL", key).(int64) == 1 }

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
		server.Do("FLUSHALL")
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
		"AClientMaySendItsNextRequestAtOnce":                  TestAClientMaySendItsNextRequestAtOnce,
		"ARequestThatAnotherScopeRefusesHoldsNobodyBack":      TestARequestThatAnotherScopeRefusesHoldsNobodyBack,
		"NumbersTooLargeForAnAnswerAreCounted":                TestNumbersTooLargeForAnAnswerAreCounted,
		"CloseEndsTheLeases":                                  TestCloseEndsTheLeases,
		"ALostKeyHealsByItself":                               TestALostKeyHealsByItself,
	} {
		t.Run(name, test)
	}
}

// TestARealClock runs what depends on time on the clock of Redis.
func TestARealClock(t *testing.T) {
	server := startReal(t)
	s := store(t, server.Address)
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
	useEverything(t, store(t, server.Address))
	var keys []string
	for _, key := range server.Do("KEYS", "*").([]any) {
		keys = append(keys, key.(string))
	}
	checkKeys(t, keys, func(key string) time.Duration {
		milliseconds := server.Do("PTTL", key).(int64)
		return time.Duration(milliseconds * int64(time.Millisecond))
	})
}
