package caddyauth

import (
	"net/http"
	"strings"
	"testing"

	"github.com/continue-auth/caddy-continue-auth/keystore/kvtest"
)

func TestASessionEndsWithTheKey(t *testing.T) {
	p := startPortal(t, fresh)
	for name, record := range map[string]string{
		"disabled":          `{"apiKeyHash":"` + hashOf(testKey) + `","status":"Disabled"}`,
		"expired":           `{"apiKeyHash":"` + hashOf(testKey) + `","status":"Enabled","expiresAt":"2020-01-01T00:00:00Z"}`,
		"rotated":           `{"apiKeyHash":"` + hashOf("another") + `","status":"Enabled"}`,
		"after a rotation":  `{"apiKeyHash":"` + hashOf("another") + `","status":"Enabled","previous":{"apiKeyHash":"` + hashOf(testKey) + `","expiresAt":"2020-01-01T00:00:00Z"}}`,
		"broken":            `{`,
		"without any key":   `{"status":"Enabled"}`,
		"removed":           "",
		"in a grace period": `{"apiKeyHash":"` + hashOf("another") + `","status":"Enabled","previous":{"apiKeyHash":"` + hashOf(testKey) + `","expiresAt":"2999-01-01T00:00:00Z"}}`,
	} {
		writeEntries(t, p.keys, defaultUsers())
		b := signedIn(p)
		users := defaultUsers()
		if users[testEmail] = record; record == "" {
			delete(users, testEmail)
		}
		writeEntries(t, p.keys, users)
		res := b.get("/")
		if name == "in a grace period" {
			if !res.isIn() {
				t.Errorf("%s: is out", name)
			}
			continue
		}
		if !res.asksToSignIn() || !strings.Contains(res.html, "You are signed out") {
			t.Errorf("%s: status %d\n%s", name, res.StatusCode, res.html)
		}
		writeEntries(t, p.keys, defaultUsers())
		if res := b.get("/"); !res.asksToSignIn() || strings.Contains(res.html, "You are signed out") {
			t.Errorf("%s: the session came back", name)
		}
	}
}

func TestASessionOfAnotherUserCannotBeMade(t *testing.T) {
	p := startPortal(t, "")
	b := signedIn(p)
	whole := b.cookie.Value
	for i := range whole {
		b.cookie = &http.Cookie{Name: sessionCookie, Value: whole[:i] + string(flipped(whole[i])) + whole[i+1:]}
		if res := b.get("/"); !res.asksToSignIn() {
			t.Fatalf("character %d was changed, and the session is good", i)
		}
	}
	b.cookie = nil
	b.header = map[string]string{"Cookie": sessionCookie + "=" + whole + "; " + sessionCookie + "=" + whole}
	if res := b.get("/"); !res.asksToSignIn() {
		t.Error("two cookies of the name are good")
	}
}

func flipped(c byte) byte {
	if c == 'A' {
		return 'B'
	}
	return 'A'
}

func TestAReloadKeepsSessions(t *testing.T) {
	p := startPortal(t, "")
	b := signedIn(p)
	if err := p.load(p.config); err != nil {
		t.Fatal(err)
	}
	if !b.get("/").isIn() {
		t.Error("is out after a reload")
	}
}

func TestThePortalWhileTheKeystoreCannotAnswer(t *testing.T) {
	p, kv := startOnKV(t, "portal\ncache {\nmax_age 0s\nstale_if_error 0\n}", answersIn)
	b := signedIn(p)
	kv.FailAll(kvtest.Reply(500, ""))
	for name, res := range map[string]page{
		"a session":  b.get("/"),
		"signing in": (&browser{p: p}).signIn(testEmail, testKey),
	} {
		if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") != "5" || !strings.Contains(res.html, "API keys cannot be checked right now.") {
			t.Errorf("%s: status %d\n%s", name, res.StatusCode, res.html)
		}
	}
	kv.Heal()
	if !b.get("/").isIn() {
		t.Error("the session is lost")
	}
}

func TestALinkFromAnotherSiteFindsTheSession(t *testing.T) {
	b := signedIn(startPortal(t, ""))
	cookie := b.cookie
	b.cookie, b.header = nil, map[string]string{"Sec-Fetch-Site": "cross-site"}
	if res := b.get("/"); !strings.Contains(res.html, `<meta http-equiv="refresh" content="0">`) || b.cookie != nil {
		t.Errorf("cookie %v\n%s", b.cookie, res.html)
	}
	b.cookie, b.header = cookie, map[string]string{"Sec-Fetch-Site": "same-origin"}
	if !b.get("/").isIn() {
		t.Error("is out after the page has loaded itself")
	}
}
