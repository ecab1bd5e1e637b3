package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/continue-auth/caddy-continue-auth/keystore/kvtest"
)

// kvSite returns a site with continue_auth. Its keystore is a simulated Workers KV that knows a few
// users.
func (b *bench) kvSite(kv *kvtest.Server, options string) string {
	for n := range users {
		kv.Put(kvtest.APIKeys, userName(n), userEntry())
	}
	kv.Put(kvtest.APIKeys, knownUser, userEntry())
	for name, value := range providerEntries() {
		kv.Put(kvtest.ProviderSettings, name, value)
	}
	return b.site(fmt.Sprintf(`keystore cloudflare_kv {
			account_id %s
			api_token %s
			api_keys %s
			provider_settings %s
			endpoint %s
		}
		%s`, kvtest.AccountID, kvtest.ReadOnlyToken, kvtest.APIKeys, kvtest.ProviderSettings, kv.URL, options))
}

const users = 50

func userName(n int) string { return fmt.Sprintf("dev%d@example.com", n) }

// flood sends wrong keys as fast as possible while one known user goes on working. Half of the
// wrong keys have made-up names, and half have the name of a user. Each request names another
// client address in X-Forwarded-For, so the limits for one address do not help.
func (b *bench) flood(ctx context.Context) (err error) {
	kv, err := kvtest.Listen()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, kv.Close()) }()
	began := time.Now()
	s, err := b.start(ctx, "flooded", b.kvSite(kv, ""))
	if err != nil {
		return err
	}
	defer s.stop()
	b.up.script.Store(&script{})
	known := variant{name: "ours", api: &chats, server: s, model: passing, served: &b.up.served}
	work := func(when string) error {
		r, err := loop(ctx, known, plan{connections: 1, size: 4 << 10, rate: 200}, b.length)
		if err != nil {
			return fmt.Errorf("a known user %s the flood: %w", when, err)
		}
		b.got.wait("flood "+when, known.name, r.gather(func(w *worker) []int64 { return w.waits }))
		return nil
	}
	for range b.rounds {
		if err := work("before"); err != nil {
			return err
		}
		strangers := b.strangers(ctx, s)
		err := work("during")
		if err := errors.Join(err, strangers()); err != nil {
			return err
		}
	}
	return b.noteCalls(len(kv.URLs()), time.Since(began).Seconds())
}

// This is the keystore's budget: the calls at once, and then the calls per second.
const callsAtOnce, callsPerSecond = 60, 3

// noteCalls records the calls of the keystore. It returns an error if there were more than the
// budget allows, or none.
func (b *bench) noteCalls(calls int, seconds float64) error {
	b.got.add("flood calls", "ours", float64(calls))
	if most := callsAtOnce + int(callsPerSecond*seconds) + 1; calls == 0 || calls > most {
		return fmt.Errorf("a flood of %.0f s has made %d calls of the keystore, but may make at most %d", seconds, calls, most)
	}
	return nil
}

// strangers starts a flood. end stops it.
func (b *bench) strangers(ctx context.Context, s *server) (end func() error) {
	var refused atomic.Int64
	var errs [connections]error
	var all sync.WaitGroup
	ctx, stop := context.WithCancel(ctx)
	start := time.Now()
	for i := range connections {
		all.Go(func() {
			c, err := dial(ctx, s.address)
			if err != nil {
				errs[i] = err
				return
			}
			defer func() { _ = c.Close() }()
			defer context.AfterFunc(ctx, func() { _ = c.Close() })()
			for n := 0; ctx.Err() == nil && errs[i] == nil; n++ {
				status, err := c.do(madeUp(i, n), nil)
				switch {
				case ctx.Err() != nil:
				case err != nil:
					errs[i] = err
				case !refusal(status):
					errs[i] = fmt.Errorf("a made-up key was answered with status %d", status)
				default:
					refused.Add(1)
				}
			}
		})
	}
	return func() error {
		b.got.add("flood rate", "ours", float64(refused.Load())/time.Since(start).Seconds())
		stop()
		all.Wait()
		return errors.Join(errs[:]...)
	}
}

// refusal reports whether status may answer a wrong key: the key is wrong, its sender has failed
// too often, or the keystore is not asked now.
func refusal(status int) bool {
	return status == http.StatusUnauthorized || status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable
}

// madeUp returns a request with a wrong key. Made-up names wait for the keystore, so only few
// connections send them.
func madeUp(connection, n int) message {
	name := knownUser
	if connection%2 == 0 {
		name = fmt.Sprintf("made-up-%d-%d-%d@example.com", now(), connection, n)
	}
	return chats.request(passing, 256, false, connection, "Authorization: Bearer "+name+":a-made-up-key",
		fmt.Sprintf("X-Forwarded-For: 10.%d.%d.%d", connection, n>>8&255, n&255))
}
