package caddyauth

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/continue-auth/caddy-continue-auth/keystore/kvtest"
)

// Timeouts for a KV that must answer, even on a busy machine, and for one that hangs.
const (
	answersIn = "1m"
	hangsFor  = "2s"
)

// startOnKV runs a proxy whose keystore is a simulated Cloudflare KV with the usual entries.
func startOnKV(t *testing.T, cache, timeout string) (*proxy, *kvtest.Server) {
	t.Helper()
	kv := kvtest.NewServer(t)
	for name, value := range defaultUsers() {
		kv.Put(kvtest.APIKeys, name, value)
	}
	for name, value := range defaultProviders() {
		kv.Put(kvtest.ProviderSettings, name, value)
	}
	t.Setenv("TEST_KV_TOKEN", kvtest.ReadOnlyToken+"-"+rand.Text()) // each test has a budget of its own
	p := start(t, setup{
		upstream: newUpstream(t, answerChat).URL,
		options:  cache,
		keystore: fmt.Sprintf("keystore cloudflare_kv {\naccount_id %s\napi_token {env.TEST_KV_TOKEN}\napi_keys %s\nprovider_settings %s\nendpoint %s\ntimeout %s\n}",
			kvtest.AccountID, kvtest.APIKeys, kvtest.ProviderSettings, kv.URL, timeout),
	})
	return p, kv
}

func (p *proxy) chat(email, key string) *http.Response {
	p.t.Helper()
	return p.do(request{path: "/v1/chat/completions", header: as(email, key), body: chatBody(llama)})
}

func TestRequestsWorkWithCloudflareKV(t *testing.T) {
	p, kv := startOnKV(t, "", answersIn)
	for range 5 {
		if res := p.chat(testEmail, testKey); res.StatusCode != 200 {
			t.Fatalf("status %d: %s", res.StatusCode, read(t, res))
		}
	}
	if n := kv.Requests(kvtest.BulkRead); n != 2 {
		t.Errorf("%d reads for five requests of one user, want one of the user and one of the provider", n)
	}
	wantError(t, p.chat("nobody@example.com", "x"), 401, "invalid_api_key")
	wantError(t, p.chat("x/../../y", "x"), 401, "invalid_api_key")
	before := kv.Requests(kvtest.BulkRead)
	for _, name := range []string{"..", ".", strings.Repeat("a", 513), "caf\xe9@example.com"} {
		wantError(t, p.chat(name, "x"), 401, "invalid_api_key")
	}
	if n := kv.Requests(kvtest.BulkRead) - before; n != 0 {
		t.Errorf("KV was asked %d times for names that it cannot hold", n)
	}
	if res := p.do(request{method: "GET", path: "/v1/models"}); res.StatusCode != 200 || !strings.Contains(read(t, res), llama) {
		t.Errorf("models: status %d", res.StatusCode)
	}
	for _, url := range kv.URLs() {
		if strings.Contains(url, "dev") || strings.Contains(url, "..") {
			t.Errorf("a name is in the URL %s", url)
		}
	}
}

func TestAKVThatCannotAnswerGives503(t *testing.T) {
	for name, test := range map[string]struct {
		fault      kvtest.Fault
		retryAfter string
		logged     string
	}{
		"a server error": {kvtest.Reply(500, "<html>"), "5", "unavailable: HTTP status 500"},
		"too many calls": {kvtest.Reply(429, "slow down", "Retry-After", "1"), "1", "rate limit"},
		"a wrong token":  {kvtest.Reply(403, `{"success":false,"errors":[{"code":10000,"message":"Authentication error"}],"messages":[],"result":null}`), "5", "refuses the API token"},
		"no such namespace": {kvtest.Reply(404, `{"success":false,"errors":[{"code":10013,"message":"namespace not found"}],"messages":[],"result":null}`),
			"5", "does not know the account or the namespace"},
		"a lost connection": {kvtest.Reset, "5", "connection"},
		"half an answer":    {kvtest.Truncate, "5", "unavailable"},
		"no answer":         {kvtest.Hang, "5", "did not answer in time"},
	} {
		t.Run(name, func(t *testing.T) {
			p, kv := startOnKV(t, "cache {\nrefresh_after 0s\nmax_age 0s\nabsent 0s\n}", hangsFor)
			kv.FailAll(test.fault)
			res := p.chat(testEmail, testKey)
			if got := res.Header.Get("Retry-After"); got != test.retryAfter {
				t.Errorf("Retry-After is %q, want %s", got, test.retryAfter)
			}
			wantError(t, res, 503, "keystore_unavailable")
			p.log.WaitFor(t, test.logged)

			kv.Heal()
			res = p.chat(testEmail, testKey)
			for deadline := time.Now().Add(time.Minute); res.StatusCode == 503 && test.retryAfter == "1" && time.Now().Before(deadline); {
				calls := kv.Requests(kvtest.BulkRead)
				if res = p.chat(testEmail, testKey); res.StatusCode == 503 && kv.Requests(kvtest.BulkRead) != calls {
					t.Error("KV was asked although it had sent a Retry-After")
				}
			}
			if res.StatusCode != 200 {
				t.Fatalf("after KV is back: status %d: %s", res.StatusCode, read(t, res))
			}
			kv.FailAll(test.fault)
			if res := p.chat(testEmail, testKey); res.StatusCode != 200 {
				t.Errorf("a known user: status %d, want 200 from the last known answer", res.StatusCode)
			}
			wantError(t, p.chat(testEmail, "wrong"), 401, "invalid_api_key")
			wantError(t, p.chat("worker@example.com", "plain-key"), 503, "keystore_unavailable")
			for _, secret := range []string{kvtest.ReadOnlyToken, testKey} {
				if strings.Contains(p.log.String(), `"`+secret) {
					t.Errorf("the log contains %q", secret)
				}
			}
		})
	}
}

func TestWithoutStaleIfErrorAKnownUserWaitsForKVToo(t *testing.T) {
	p, kv := startOnKV(t, "cache {\nmax_age 0s\nstale_if_error 0\n}", answersIn)
	if res := p.chat(testEmail, testKey); res.StatusCode != 200 {
		t.Fatalf("status %d: %s", res.StatusCode, read(t, res))
	}
	kv.FailAll(kvtest.Reply(500, ""))
	wantError(t, p.chat(testEmail, testKey), 503, "keystore_unavailable")
}
