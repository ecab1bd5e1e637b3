package caddyauth

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/continue-auth/caddy-continue-auth/keystore/kvtest"
)

func TestAnEmailInUpperCaseFindsTheUser(t *testing.T) {
	u := newUpstream(t, answerChat)
	users := defaultUsers()
	users["Ops@Example.com"] = `{"apiKey":"exact","status":"Enabled"}`
	users["ops@example.com"] = `{"apiKey":"small","status":"Enabled"}`
	users["Left@Example.com"] = `{"apiKey":"k","status":"Disabled"}`
	users["left@example.com"] = `{"apiKey":"k","status":"Enabled"}`
	users["Only@Example.com"] = `{"apiKey":"k","status":"Enabled"}`
	p := start(t, setup{upstream: u.URL, users: users})
	for name, test := range map[string]struct {
		header map[string]string
		user   string // empty: refused
	}{
		"in the header":              {as("Dev@Example.COM", testKey), testEmail},
		"with the key":               {map[string]string{"Authorization": "Bearer DEV@example.com:" + testKey}, testEmail},
		"in both, in different case": {as("DEV@example.com", "dev@Example.com:"+testKey), testEmail},
		"with a wrong key":           {as("DEV@example.com", "wrong"), ""},
		"that exists in this case":   {as("Ops@Example.com", "exact"), "Ops@Example.com"},
		"that exists in this case, with the key of the other": {as("Ops@Example.com", "small"), ""},
		"that exists in lower case":                           {as("ops@example.com", "small"), "ops@example.com"},
		"in a third case":                                     {as("OPS@EXAMPLE.COM", "small"), "ops@example.com"},
		"that is disabled in this case":                       {as("Left@Example.com", "k"), ""},
		"that exists in upper case only":                      {as("Only@Example.com", "k"), "Only@Example.com"},
		"in lower case, which does not exist":                 {as("only@example.com", "k"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			res := p.do(request{path: "/v1/chat/completions", header: test.header, body: chatBody(llama)})
			if test.user == "" {
				wantError(t, res, 401, "invalid_api_key")
				return
			}
			if res.StatusCode != 200 {
				t.Fatalf("status %d: %s", res.StatusCode, read(t, res))
			}
			if seen, _ := u.seen(); !strings.HasPrefix(seen.Header.Get("Cf-Aig-Metadata"), fmt.Sprintf(`{"user":%q`, test.user)) {
				t.Errorf("metadata %s, want the user %s", seen.Header.Get("Cf-Aig-Metadata"), test.user)
			}
			id := res.Header.Get("X-Request-Id")
			p.log.Wait(t, test.user+" of "+id, func(log string) bool {
				for line := range strings.Lines(log) {
					if strings.Contains(line, `"request_id":"`+id) && strings.Contains(line, `"user_id":"`+test.user+`"`) {
						return true
					}
				}
				return false
			})
		})
	}
}

func TestAnEmailInUpperCaseTakesOneReadOfKV(t *testing.T) {
	p, kv := startOnKV(t, "", answersIn)
	if res := p.do(request{path: "/v1/chat/completions", body: chatBody(llama)}); res.StatusCode != 200 { // also reads the provider
		t.Fatalf("status %d", res.StatusCode)
	}
	for name, test := range map[string]struct{ email, key string }{
		"of a user":            {"Worker@Example.com", "plain-key"},
		"of an unknown user":   {"Nobody@Example.com", "x"},
		"of a disabled user":   {"Disabled@Example.com", "plain-key"},
		"of a user, wrong key": {"Few@Example.com", "x"},
	} {
		t.Run(name, func(t *testing.T) {
			before, want := kv.Requests(kvtest.BulkRead), http.StatusUnauthorized
			if name == "of a user" {
				want = http.StatusOK
			}
			for range 3 {
				if res := p.chat(test.email, test.key); res.StatusCode != want {
					t.Errorf("status %d, want %d", res.StatusCode, want)
				}
			}
			if n := kv.Requests(kvtest.BulkRead) - before; n != 1 {
				t.Errorf("%d reads for three requests, want one", n)
			}
		})
	}
}

func TestTheAdminEndpointForgetsAUserInAnyCase(t *testing.T) {
	p, admin := startAdmin(t, setup{upstream: newUpstream(t, answerChat).URL, options: longCache})
	ask := func(email string) int {
		return p.do(request{path: "/v1/chat/completions", body: chatBody(llama), header: as(email, testKey)}).StatusCode
	}
	if got := ask("DEV@example.com"); got != 200 {
		t.Fatalf("status %d", got)
	}
	if got := ask("New@Example.com"); got != 401 {
		t.Fatalf("status %d", got)
	}
	writeEntries(t, p.keys, map[string]string{"new@example.com": defaultUsers()[testEmail]})
	for _, email := range []string{testEmail, "new@example.com"} {
		if res, _ := admin(http.MethodDelete, "/continue_auth/cache/"+email); res.StatusCode != 204 {
			t.Fatalf("status %d", res.StatusCode)
		}
	}
	if got := ask("DEV@example.com"); got != 401 {
		t.Errorf("a user who was removed: status %d, want 401", got)
	}
	if got := ask("New@Example.com"); got != 200 {
		t.Errorf("a user who was added: status %d, want 200", got)
	}
}

func TestGuessesAtOneNameWaitAtTheirOwnAddressOnly(t *testing.T) {
	p := start(t, setup{upstream: newUpstream(t, answerChat).URL, options: "failed_attempts 3 1h", global: "servers {\ntrusted_proxies static 127.0.0.1\n}"})
	from := func(ip, email, key string) *http.Response {
		header := as(email, key)
		header["X-Forwarded-For"] = ip
		return p.do(request{path: "/v1/chat/completions", header: header, body: chatBody(llama)})
	}
	for email, key := range map[string]string{testEmail: testKey, "worker@example.com": "plain-key"} { // to get them into memory
		from("192.0.2.9", email, key)
	}
	for range 4 { // a client that repeats its request
		wantError(t, from("192.0.2.1", testEmail, "guess"), 401, "invalid_api_key")
	}
	for i, email := range []string{"DEV@example.com", "Dev@Example.com"} {
		wantError(t, from("192.0.2.1", email, fmt.Sprint("guess", i)), 401, "invalid_api_key")
	}
	for _, email := range []string{testEmail, "deV@example.com"} {
		res := from("192.0.2.1", email, testKey)
		if res.Header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
		wantError(t, res, 429, "too_many_failed_attempts")
	}
	if res := from("192.0.2.2", testEmail, testKey); res.StatusCode != 200 {
		t.Errorf("that name from another address: status %d, want 200", res.StatusCode)
	}
	if res := from("192.0.2.1", "worker@example.com", "plain-key"); res.StatusCode != 200 {
		t.Errorf("another user from that address: status %d, want 200", res.StatusCode)
	}
	known := wantError(t, from("192.0.2.1", "worker@example.com", "wrong"), 429, "too_many_failed_attempts")
	made := wantError(t, from("192.0.2.1", "made-up@example.com", "wrong"), 429, "too_many_failed_attempts")
	if known.Raw != made.Raw {
		t.Errorf("a known user's answer %s differs from a made-up name's %s", known.Raw, made.Raw)
	}
}
