package cache_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/continue-auth/caddy-continue-auth/keystore/cache"
	"github.com/continue-auth/caddy-continue-auth/keystore/cloudflarekv"
	"github.com/continue-auth/caddy-continue-auth/keystore/kvtest"
)

// ages leave part of the budget free: both classes of reads together make about two calls a second.
var ages = cache.Ages{RefreshAfter: 2 * time.Second, MaxAge: 4 * time.Second, StaleIfError: time.Hour, Absent: 3 * time.Second}

// faults are what can go wrong with KV.
var faults = map[string]kvtest.Fault{
	"a server error":     kvtest.Reply(http.StatusInternalServerError, "<html>"),
	"a gateway's error":  kvtest.Reply(http.StatusBadGateway, ""),
	"too many calls":     kvtest.Reply(http.StatusTooManyRequests, "", "Retry-After", "1"),
	"no permission":      kvtest.Reply(http.StatusForbidden, `{"success":false,"errors":[{"code":10000}]}`),
	"no such namespace":  kvtest.Reply(http.StatusNotFound, `{"success":false,"errors":[{"code":10013}]}`),
	"a reset":            kvtest.Reset,
	"half a reply":       kvtest.Truncate,
	"a reply cut off":    kvtest.CutOff,
	"no reply":           kvtest.Hang,
	"meaningless JSON":   kvtest.Reply(http.StatusOK, `{"success":true,"result":[1]}`),
	"a negative answer":  kvtest.Reply(http.StatusOK, `{"success":false,"errors":[],"result":null}`),
	"nothing but spaces": kvtest.Reply(http.StatusOK, "  "),
}

// Many clients use a KV that keeps failing in different ways. The test takes as long as the
// environment variable CAMPAIGN says, and six seconds without it.
func TestNoFaultLetsAnyoneInOrLocksAnyoneOut(t *testing.T) {
	length := 6 * time.Second
	if wanted, err := time.ParseDuration(os.Getenv("CAMPAIGN")); err == nil {
		length = wanted
	}
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	before := runtime.NumGoroutine()

	kv := kvtest.NewServer(t)
	const users = 200
	for i := range users {
		kv.Put(kvtest.APIKeys, fmt.Sprintf("user%d@example.com", i), fmt.Sprintf(`{"apiKey":"key%d","status":"Enabled"}`, i))
	}
	store, err := cloudflarekv.New(cloudflarekv.Config{
		AccountID: kvtest.AccountID, APIToken: kvtest.APIToken, APIKeysNamespace: kvtest.APIKeys,
		ProviderSettingsNamespace: kvtest.ProviderSettings, Endpoint: kv.URL, Timeout: 300 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	c := cache.New(store, cache.Options{MaxEntries: 10_000})
	check := func(i int, key string) (in bool, err error) {
		record, err := c.APIKeys.Get(t.Context(), fmt.Sprintf("user%d@example.com", i), ages, true)
		return err == nil && record.Check(key, time.Now()), err
	}
	var first sync.WaitGroup // at the same time, so that they share reads
	for i := range users {
		first.Go(func() {
			in, err := check(i, fmt.Sprintf("key%d", i))
			for end := time.Now().Add(time.Minute); !in && time.Now().Before(end); { // on a busy machine a look-up can time out
				in, err = check(i, fmt.Sprintf("key%d", i))
			}
			if !in {
				t.Errorf("user %d is not let in at first: %v", i, err)
			}
		})
	}
	first.Wait()

	var clients sync.WaitGroup
	var over atomic.Bool
	var asked atomic.Int64
	for client := range 50 {
		mine := rand.New(rand.NewPCG(seed, uint64(client+1)))
		clients.Go(func() {
			for !over.Load() {
				asked.Add(1)
				i := mine.IntN(users)
				if in, err := check(i, fmt.Sprintf("key%d", i)); !in {
					t.Errorf("seed %d: user %d is refused: %v", seed, i, err)
				}
				if in, _ := check(i, "wrong"); in {
					t.Errorf("seed %d: user %d gets in with a wrong key", seed, i)
				}
				if mine.IntN(200) == 0 {
					stranger := users + mine.IntN(users)
					if in, _ := check(stranger, fmt.Sprintf("key%d", stranger)); in {
						t.Errorf("seed %d: somebody unknown gets in", seed)
					}
				}
				time.Sleep(time.Duration(mine.IntN(int(10 * time.Millisecond))))
			}
		})
	}
	names := make([]string, 0, len(faults))
	for name := range faults {
		names = append(names, name)
	}
	var met []string
	for end := time.Now().Add(length); time.Now().Before(end); {
		name := names[random.IntN(len(names))]
		met = append(met, name)
		kv.FailAll(faults[name])
		time.Sleep(time.Duration(random.IntN(int(600 * time.Millisecond))))
		kv.Heal()
		time.Sleep(time.Duration(random.IntN(int(300 * time.Millisecond))))
	}

	over.Store(true)
	clients.Wait() // they expect that every user is let in

	// KV works again. A disabled user is now refused after max_age, unless a look-up fails on a
	// busy machine.
	kv.Put(kvtest.APIKeys, "user7@example.com", `{"apiKey":"key7","status":"Disabled"}`)
	disabled := time.Now()
	for in := true; in; {
		late := time.Since(disabled)
		record, from, err := c.APIKeys.Look(t.Context(), "user7@example.com", ages, true)
		in = err == nil && record.Check("key7", time.Now())
		if in && (late > ages.MaxAge && from != cache.Stale || late > time.Minute) {
			t.Fatalf("seed %d: a disabled user is in after %v, of an answer that is %s", seed, late, from)
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Logf("seed %d: %d requests, %d calls of KV, %d faults: %s", seed, asked.Load(), kv.Requests(kvtest.BulkRead), len(met), strings.Join(met, ", "))

	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := kv.Close(); err != nil && !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
	for deadline := time.Now().Add(time.Minute); runtime.NumGoroutine() > before+2; {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines are left of %d", runtime.NumGoroutine(), before)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
