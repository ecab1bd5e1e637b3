package caddyauth

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

func TestASessionsIDIsAHashOfTheUserAndItsName(t *testing.T) {
	const uuid = "00000000-0000-4000-8000-000000000000"
	id := sessionOf(testEmail, http.Header{"Session-Id": {uuid}})
	if !regexp.MustCompile(`^[0-9a-f]{32}$`).MatchString(id) {
		t.Fatalf("the id is %q", id)
	}
	for _, name := range []string{"x-claude-code-session-id", "session-id", "session_id", "x-session-id", "x-session-affinity", "X-Client-Session-Id"} {
		header := http.Header{}
		header.Set(name, uuid)
		if got := sessionOf(testEmail, header); got != id {
			t.Errorf("in %s it is %q, want %q", name, got, id)
		}
		if got := sessionOf("other@example.com", header); got == id || got == "" {
			t.Errorf("another user's is %q", got)
		}
		header.Set(name, "other")
		if got := sessionOf(testEmail, header); got == id || got == "" {
			t.Errorf("another session is %q", got)
		}
	}
	for name, test := range map[string]struct {
		header http.Header
		want   string
	}{
		"none":                      {http.Header{}, ""},
		"an empty one":              {http.Header{"Session-Id": {""}}, ""},
		"an empty one before":       {http.Header{"X-Claude-Code-Session-Id": {""}, "X-Session-Id": {uuid}}, id},
		"the first of two headers":  {http.Header{"Session-Id": {uuid}, "X-Session-Affinity": {"other"}}, id},
		"the first of two values":   {http.Header{"Session-Id": {uuid, "other"}}, id},
		"one that is too long":      {http.Header{"Session-Id": {strings.Repeat("x", maxSession+1)}}, ""},
		"one in another header":     {http.Header{"X-Request-Id": {uuid}}, ""},
		"one that the gateway uses": {http.Header{"Cf-Aig-Session-Id": {uuid}}, ""},
	} {
		if got := sessionOf(testEmail, test.header); got != test.want {
			t.Errorf("%s: it is %q, want %q", name, got, test.want)
		}
	}
	if sessionOf("a", http.Header{"Session-Id": {strings.Repeat("x", maxSession)}}) == "" {
		t.Error("a session of the maximum length has no ID")
	}
}

func TestTheGatewayAndTheLogGetTheSession(t *testing.T) {
	u := newUpstream(t, answerChat)
	p := start(t, setup{upstream: u.URL, options: "client_headers Session-Id Cf-Aig-Session-Id", before: "log_append its_session {http.continue_auth.session_id}"})
	ask := func(email, session string) (sent string, line gjson.Result) {
		header := as(email, testKey)
		header["Cf-Aig-Session-Id"] = "forged"
		if session != "" {
			header["Session-Id"] = session
		}
		res := p.do(request{path: "/v1/chat/completions", header: header, body: chatBody("groq/llama")})
		if res.StatusCode != 200 {
			t.Fatalf("status %d", res.StatusCode)
		}
		seen, _ := u.seen()
		return seen.Header.Get("Cf-Aig-Session-Id"), p.logged(res.Header.Get("X-Request-Id"))
	}
	sent, line := ask(testEmail, "one")
	if want := sessionOf(testEmail, http.Header{"Session-Id": {"one"}}); sent != want {
		t.Errorf("the gateway gets %q, want %q", sent, want)
	}
	wantFields(t, line, map[string]string{"session_id": sent, "its_session": sent})
	if again, _ := ask("DEV@example.com", "one"); again != sent {
		t.Errorf("the same user in another case, has the session %q, want %q", again, sent)
	}
	sent, line = ask(testEmail, "")
	if sent != "" {
		t.Errorf("without a session the gateway gets %q", sent)
	}
	wantFields(t, line, map[string]string{"session_id": ""})
	refused := as(testEmail, "wrong")
	refused["Session-Id"] = "one"
	res := p.do(request{path: "/v1/chat/completions", header: refused, body: chatBody("groq/llama")})
	wantFields(t, p.logged(res.Header.Get("X-Request-Id")), map[string]string{"session_id": ""})
}
