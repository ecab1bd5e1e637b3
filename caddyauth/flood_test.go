package caddyauth

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/continue-auth/caddy-continue-auth/keystore/kvtest"
)

// made counts the answers to made-up users.
type made struct{ unknown, unavailable, waiting, other atomic.Int64 }

func (m *made) count(status int) {
	switch status {
	case http.StatusUnauthorized:
		m.unknown.Add(1)
	case http.StatusServiceUnavailable:
		m.unavailable.Add(1)
	case http.StatusTooManyRequests:
		m.waiting.Add(1)
	default:
		m.other.Add(1)
	}
}

// This test sends 100,000 made-up emails, each from an address of its own, so that no limit of an address
// applies. Meanwhile a known user works. It prints how long the user waits, but only as a ratio and without a
// limit, because other programs may use the machine too.
func TestAFloodOfMadeUpEmailsDoesNotHarmKnownUsers(t *testing.T) {
	kv := kvtest.NewServer(t)
	for name, value := range defaultUsers() {
		kv.Put(kvtest.APIKeys, name, value)
	}
	for name, value := range defaultProviders() {
		kv.Put(kvtest.ProviderSettings, name, value)
	}
	h, err := provision(t, fmt.Sprintf(`{"account_id":%q,"gateway":"gw","gateway_token":"token","cache":{"refresh_after":"500ms","max_age":"1s"},
		"keystore":{"module":"cloudflare_kv","api_token":%q,"api_keys":%q,"provider_settings":%q,"endpoint":%q}}`,
		kvtest.AccountID, kvtest.ReadOnlyToken+"-flood", kvtest.APIKeys, kvtest.ProviderSettings, kv.URL))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := h.ServeHTTP(w, asCaddy(r, "127.0.0.1"), bare); err != nil {
			t.Error(err)
		}
	}))
	defer server.Close()
	known := func() {
		r, _ := http.NewRequest(http.MethodPost, server.URL+"/v1/chat/completions", bytes.NewReader(chatOf(groq, 4<<10)))
		r.Header.Set("Authorization", "Bearer "+testEmail+":"+testKey)
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Error(err)
			return
		}
		if _ = read(t, res); res.StatusCode != http.StatusOK {
			t.Errorf("a known user: status %d", res.StatusCode)
		}
	}
	work := func(until func() bool) (waits []time.Duration) {
		for ; !until(); time.Sleep(time.Millisecond) {
			began := time.Now()
			known()
			waits = append(waits, time.Since(began))
		}
		slices.Sort(waits)
		return waits
	}
	begun := time.Now()
	before := work(func() bool { return time.Since(begun) > 2*time.Second })

	const floods = 50
	flood := 100_000
	if testing.Short() { // with the race detector
		flood = 10_000
	}
	began, calls := time.Now(), kv.Requests(kvtest.BulkRead)
	var answers made
	var sending, all sync.WaitGroup
	ctx, stop := context.WithCancel(t.Context())
	for i := range floods {
		sending.Go(func() {
			for j := 0; j < flood/floods || answers.unavailable.Load() == 0 && j < 2*flood/floods; j++ { // until the queue is full
				n := j*floods + i
				all.Go(func() {
					if status := signIn(ctx, h, n); ctx.Err() == nil { // not those that stop finds in the queue
						answers.count(status)
					}
				})
				time.Sleep(time.Until(began.Add(time.Duration(j) * 8 * time.Second / time.Duration(flood/floods))))
			}
		})
	}
	during := work(func() bool { return time.Since(began) > 9*time.Second })
	sending.Wait() // this may take longer on a busy machine
	spent, seconds := kv.Requests(kvtest.BulkRead)-calls, time.Since(began).Seconds()
	stop()
	all.Wait()

	t.Logf("a known user's request: p50 %v before, %v during (x%.2f); p99 %v before, %v during", middle(before), middle(during),
		float64(middle(during))/float64(middle(before)), before[len(before)*99/100], during[len(during)*99/100])
	t.Logf("made-up users: %d unknown, %d unavailable, %d told to wait; %d calls of KV in %.1f s",
		answers.unknown.Load(), answers.unavailable.Load(), answers.waiting.Load(), spent, seconds)
	if float64(spent) > 60+3*seconds+1 {
		t.Errorf("%d calls of KV in %.1f s, beyond the budget", spent, seconds)
	}
	if n := answers.other.Load(); n > 0 {
		t.Errorf("%d made-up users got another answer", n)
	}
	if answers.unknown.Load() == 0 {
		t.Error("no made-up user was answered as unknown")
	}
}

func middle(waits []time.Duration) time.Duration { return waits[len(waits)/2] }

// signIn sends the request of a made-up user from an address of its own.
func signIn(ctx context.Context, h *Handler, n int) (status int) {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodPost, "/v1/chat/completions", nil).WithContext(ctx)
	r.Header.Set("Authorization", fmt.Sprintf("Bearer made-up-%d@example.com:key", n))
	if err := h.ServeHTTP(w, asCaddy(r, fmt.Sprintf("10.%d.%d.%d", n>>16, n>>8&255, n&255)), bare); err != nil {
		return 0
	}
	return w.Code
}

// asCaddy returns a request in the form in which Caddy's server passes it on.
func asCaddy(r *http.Request, address string) *http.Request {
	ctx := context.WithValue(r.Context(), caddy.ReplacerCtxKey, caddy.NewEmptyReplacer())
	return r.WithContext(context.WithValue(ctx, caddyhttp.VarsCtxKey, map[string]any{caddyhttp.ClientIPVarKey: address}))
}
