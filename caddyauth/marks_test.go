package caddyauth

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/continue-auth/caddy-continue-auth/keystore/kvtest"
)

// rewriteFile replaces the content of a file with the result of change.
func rewriteFile(t *testing.T, path string, change func(string) string) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(change(string(content))), 0o600); err != nil {
		t.Fatal(err)
	}
}

// asWindows returns content as a Windows editor saves it.
func asWindows(content string) string {
	return "\ufeff" + strings.ReplaceAll(content, "},{", "},\r\n{") + "\r\n"
}

func TestFilesFromAWindowsEditorAreRead(t *testing.T) {
	u := newUpstream(t, answerChat)
	p := start(t, setup{upstream: u.URL, options: "cache {\nrefresh_after 0s\nmax_age 0s\nabsent 0s\n}"})
	ask := func() int {
		return p.do(request{path: "/v1/chat/completions", header: as("worker@example.com", "plain-key"), body: chatBody(llama)}).StatusCode
	}
	rewriteFile(t, p.keys, asWindows)
	rewriteFile(t, p.settings, asWindows)
	if err := p.load(p.config + "\n"); err != nil {
		t.Fatalf("the server does not start: %v", err)
	}
	if got := ask(); got != 200 {
		t.Fatalf("status %d, want 200", got)
	}
	users := defaultUsers()
	users["worker@example.com"] = strings.Replace(users["worker@example.com"], `"enabled"`, `"disabled"`, 1)
	writeEntries(t, p.keys, users)
	rewriteFile(t, p.keys, asWindows)
	if got := ask(); got != 401 {
		t.Errorf("a user who was disabled in such an editor: status %d, want 401", got)
	}
	rewriteFile(t, p.keys, func(string) string { return "\xff\xfe[\x00]\x00" })
	_ = ask()
	p.log.WaitFor(t, "the text is UTF-16; save it as UTF-8")
}

func TestKVValuesWithAByteOrderMarkAreRead(t *testing.T) {
	p, kv := startOnKV(t, "", answersIn)
	kv.Put(kvtest.APIKeys, "marked@example.com", "\ufeff"+`{"apiKey":"k","status":"Enabled"}`+"\r\n")
	kv.Put(kvtest.ProviderSettings, "mistral", "\ufeff{}\r\n")
	res := p.do(request{path: "/v1/chat/completions", header: as("marked@example.com", "k"), body: chatBody("mistral/small")})
	if res.StatusCode != 200 {
		t.Errorf("status %d: %s", res.StatusCode, read(t, res))
	}
}

func TestALineBreakAfterAProvidersKeyIsRemoved(t *testing.T) {
	const key = "pasted-key-canary"
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = fmt.Fprintf(w, `{"error":{"message":"bad key %s"}}`, r.Header.Get("X-Api-Key"))
	})
	providers := defaultProviders()
	header := func(value string) string {
		text, err := json.Marshal(map[string]map[string]string{"headers": {"x-api-key": value}})
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	providers["mistral"] = header(" \t" + key + "\r\n")
	providers["cohere"] = header("pasted-key\n-canary")
	p := start(t, setup{upstream: u.URL, providers: providers})
	res := p.do(request{path: "/v1/chat/completions", body: chatBody("mistral/small")})
	if seen, _ := u.seen(); seen.Header.Get("X-Api-Key") != key {
		t.Errorf("the provider gets the key %q", seen.Header.Get("X-Api-Key"))
	}
	if body := read(t, res); !strings.Contains(body, "bad key [redacted]") {
		t.Errorf("the answer of a provider that quotes the key: %s", body)
	}
	wantError(t, p.do(request{path: "/v1/chat/completions", body: chatBody("cohere/small")}), 500, "provider_misconfigured")
	p.log.WaitFor(t, "headers.x-api-key: not valid in HTTP")
	if log := p.log.String(); strings.Contains(log, "pasted-key") {
		t.Error("the log contains the key")
	}
}
