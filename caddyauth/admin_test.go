package caddyauth

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/continue-auth/caddy-continue-auth/test/freeport"
	"github.com/tidwall/gjson"
)

// startAdmin runs Caddy with its admin endpoint. It returns a function that calls the endpoint.
func startAdmin(t *testing.T, s setup) (*proxy, func(method, path string) (*http.Response, string)) {
	t.Helper()
	s.admin = fmt.Sprintf("127.0.0.1:%d", freeport.For(t))
	p := start(t, s)
	return p, func(method, path string) (*http.Response, string) {
		req, err := http.NewRequestWithContext(t.Context(), method, "http://"+s.admin+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res, string(body)
	}
}

const longCache = "cache {\nrefresh_after 1h\nmax_age 1h\nabsent 1h\n}"

func TestTheAdminEndpointForgetsAUserAtOnce(t *testing.T) {
	const odd = "a/b c@example.com"
	users := defaultUsers()
	users[odd] = users[testEmail]
	for name, test := range map[string]struct{ email, path string }{
		"one":                      {testEmail, "/continue_auth/cache/dev@example.com"},
		"one, escaped":             {testEmail, "/continue_auth/cache/dev%40example%2Ecom"},
		"one with an unusual name": {odd, "/continue_auth/cache/a%2Fb%20c@example.com"},
		"all":                      {testEmail, "/continue_auth/cache"},
		"one who is still absent":  {"new@example.com", "/continue_auth/cache/new@example.com"},
		"one in capitals":          {testEmail, "/continue_auth/cache/DEV@example.com"},
	} {
		t.Run(name, func(t *testing.T) {
			p, admin := startAdmin(t, setup{upstream: newUpstream(t, answerChat).URL, options: longCache, users: users})
			ask := func() int {
				return p.do(request{path: "/v1/chat/completions", body: chatBody(llama), header: as(test.email, testKey)}).StatusCode
			}
			before, after, record := 200, 401, `{"apiKeyHash":"`+hashOf(testKey)+`","status":"Disabled"}`
			if test.email == "new@example.com" {
				before, after, record = 401, 200, users[testEmail]
			}
			if got := ask(); got != before {
				t.Fatalf("status %d, want %d", got, before)
			}
			writeEntries(t, p.keys, map[string]string{test.email: record})
			if got := ask(); got != before {
				t.Fatalf("status %d from the cache, want %d", got, before)
			}
			if res, body := admin(http.MethodDelete, test.path); res.StatusCode != 204 || body != "" {
				t.Fatalf("%s: status %d, %s", test.path, res.StatusCode, body)
			}
			if got := ask(); got != after {
				t.Errorf("status %d afterwards, want %d", got, after)
			}
		})
	}
}

func TestForgettingEverythingIncludesProviders(t *testing.T) {
	p, admin := startAdmin(t, setup{upstream: newUpstream(t, answerChat).URL, options: longCache})
	models := func() int {
		return len(gjson.Get(read(t, p.do(request{method: http.MethodGet, path: "/v1/models"})), "data").Array())
	}
	before := models()
	writeEntries(t, p.settings, map[string]string{"groq": `{"models":["llama"]}`})
	if got := models(); got != before {
		t.Fatalf("%d models from the cache, want %d", got, before)
	}
	admin(http.MethodDelete, "/continue_auth/cache")
	if got := models(); got != 1 {
		t.Errorf("%d models afterwards, want 1", got)
	}
}

func TestTheStatusCountsRecordsAndNamesNoUser(t *testing.T) {
	p, admin := startAdmin(t, setup{upstream: newUpstream(t, answerChat).URL})
	p.do(request{path: "/v1/chat/completions", body: chatBody(llama)})
	p.do(request{path: "/v1/chat/completions", body: chatBody(llama), header: as("nobody@example.com", "wrong-key-canary")})
	res, body := admin(http.MethodGet, "/continue_auth/status")
	status := gjson.Get(body, "keystores.0")
	for path, want := range map[string]string{
		"keystore": `"continue_auth.keystores.file"`, "api_keys.entries": "1", "api_keys.absent": "1",
		"provider_settings.entries": "1", "provider_settings.absent": "0", "api_keys.last_error": "",
	} {
		if got := status.Get(path).Raw; got != want {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
	}
	if res.Header.Get("Content-Type") != "application/json" || status.Get("api_keys.oldest_seconds").Num <= 0 || !strings.Contains(status.Get("api_keys.last_answer").Str, "T") {
		t.Errorf("status %s", body)
	}
	for _, secret := range []string{testEmail, "nobody", testKey, hashOf(testKey)[7:], testToken, "canary"} {
		if strings.Contains(body, secret) {
			t.Errorf("%s is in %s", secret, body)
		}
	}
}

func TestTheStatusShowsThatAKeystoreCannotAnswer(t *testing.T) {
	p, admin := startAdmin(t, setup{upstream: newUpstream(t, answerChat).URL, keystore: `keystore cloudflare_kv {
		api_token kv-token-canary
		api_keys 0123
		provider_settings 4567
		endpoint http://127.0.0.1:1/client/v4
		timeout 50ms
	}`})
	p.do(request{path: "/v1/chat/completions", body: chatBody(llama)})
	_, body := admin(http.MethodGet, "/continue_auth/status")
	status := gjson.Get(body, "keystores.0.api_keys")
	if budget := gjson.Get(body, "keystores.0.budget"); budget.Num <= 0 || budget.Num > 60 {
		t.Errorf("budget %s", budget.Raw)
	}
	if !strings.Contains(status.Get("last_error").Str, "keystore") || !status.Get("last_error_at").Exists() || status.Get("last_answer").Exists() || strings.Contains(body, "canary") {
		t.Errorf("status %s", body)
	}
}

func TestTheAdminEndpointRefusesOtherRequests(t *testing.T) {
	_, admin := startAdmin(t, setup{upstream: newUpstream(t, answerChat).URL})
	for _, test := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{http.MethodGet, "/continue_auth/cache", 405, "DELETE"},
		{http.MethodPost, "/continue_auth/cache/dev@example.com", 405, "DELETE"},
		{http.MethodDelete, "/continue_auth/status", 405, "GET"},
		{http.MethodGet, "/continue_auth/", 404, ""},
		{http.MethodGet, "/continue_auth/other", 404, ""},
		{http.MethodDelete, "/continue_auth/cache/", 404, ""},
		{http.MethodGet, "/continue_auth/status/x", 404, ""},
	} {
		res, body := admin(test.method, test.path)
		if res.StatusCode != test.status || res.Header.Get("Allow") != test.allow || gjson.Get(body, "error").Str == "" {
			t.Errorf("%s %s: status %d, Allow %q, %s", test.method, test.path, res.StatusCode, res.Header.Get("Allow"), body)
		}
	}
}
