package caddyauth

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// head sends a HEAD request, and a GET request after it on the same connection. If the answer to HEAD had a
// body, it would be read as the beginning of the answer to GET.
func (p *proxy) head(path string, header http.Header) (head, get *http.Response, body string) {
	p.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = conn.Close() })
	answers := bufio.NewReader(conn)
	ask := func(method string) *http.Response {
		var fields strings.Builder
		if err := header.Write(&fields); err != nil {
			p.t.Fatal(err)
		}
		if _, err := fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", method, path, conn.RemoteAddr(), &fields); err != nil {
			p.t.Fatal(err)
		}
		res, err := http.ReadResponse(answers, &http.Request{Method: method})
		if err != nil {
			p.t.Fatalf("%s %s: %v", method, path, err)
		}
		return res
	}
	head = ask(http.MethodHead)
	get = ask(http.MethodGet)
	content, err := io.ReadAll(get.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return head, get, string(content)
}

func TestHEADHasTheStatusAndTheHeadersOfGET(t *testing.T) {
	providers := defaultProviders() // with so many models that net/http does not set the length by itself
	providers["groq"] = `{"models":["` + strings.Repeat(`model","`, 500) + `model"]}`
	p := start(t, setup{upstream: "127.0.0.1:1", providers: providers})
	signedIn := http.Header{"Authorization": {"Bearer " + testEmail + ":" + testKey}, "X-Request-Id": {"the-same"}}
	anthropic := http.Header{"X-Api-Key": {testEmail + ":" + testKey}, "Anthropic-Version": {"2023-06-01"}, "X-Request-Id": {"the-same"}}
	for name, test := range map[string]struct {
		path   string
		header http.Header
		status int
	}{
		"models":                     {"/v1/models", signedIn, 200},
		"models without /v1":         {"/models", signedIn, 200},
		"Anthropic's models":         {"/v1/models?limit=1000", anthropic, 200},
		"Codex's models":             {"/v1/models?client_version=0.171.0", signedIn, 200},
		"one model":                  {"/v1/models/openai/gpt-4o-mini", signedIn, 200},
		"one model without /v1":      {"/models/openai%2Fgpt-4o-mini", signedIn, 200},
		"a model that is not listed": {"/v1/models/openai/gpt-9", signedIn, 404},
		"models without credentials": {"/v1/models", http.Header{"X-Request-Id": {"the-same"}}, 401},
		"a path that does not exist": {"/v1/nowhere", signedIn, 404},
		"a path for POST only":       {"/v1/chat/completions", signedIn, 405},
	} {
		t.Run(name, func(t *testing.T) {
			head, get, body := p.head(test.path, test.header)
			if head.StatusCode != test.status || get.StatusCode != test.status {
				t.Errorf("status %d, of GET %d, want %d", head.StatusCode, get.StatusCode, test.status)
			}
			if want := fmt.Sprint(len(body)); head.Header.Get("Content-Length") != want || body == "" {
				t.Errorf("Content-Length is %q, want %s", head.Header.Get("Content-Length"), want)
			}
			head.Header.Del("Date")
			get.Header.Del("Date")
			if got, want := fmt.Sprint(head.Header), fmt.Sprint(get.Header); got != want {
				t.Errorf("headers %s, of GET %s", got, want)
			}
		})
	}
}

func TestModelsAreServedOnlyToGETAndHEAD(t *testing.T) {
	p := start(t, setup{upstream: "127.0.0.1:1"})
	for _, path := range []string{"/models", "/v1/models/openai/gpt-4o-mini"} {
		for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS"} {
			res := p.do(request{method: method, path: path})
			if got := res.Header.Get("Allow"); got != "GET, HEAD" {
				t.Errorf("%s %s: Allow is %q", method, path, got)
			}
			wantError(t, res, 405, "method_not_allowed")
		}
	}
}

func TestAProbeOfTheRootNeedsNoCredentials(t *testing.T) {
	p := start(t, setup{upstream: "127.0.0.1:1"})
	head, get, _ := p.head("/", http.Header{"X-Request-Id": {"probe-1"}})
	if head.StatusCode != 200 || head.Header.Get("X-Request-Id") != "probe-1" {
		t.Errorf("status %d, X-Request-Id %q", head.StatusCode, head.Header.Get("X-Request-Id"))
	}
	if get.StatusCode != 404 {
		t.Errorf("GET / has status %d", get.StatusCode)
	}
	p.log.WaitFor(t, `"outcome":"ok"`)
}

// Codex then goes on with POST at once. It gets the answer whatever its key is.
func TestAWebSocketGets426(t *testing.T) {
	p := start(t, setup{upstream: "127.0.0.1:1"})
	for _, path := range []string{"/v1/responses", "/responses"} {
		for _, key := range []string{testKey, "wrong", ""} {
			header := map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-Websocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-Websocket-Version": "13", "Openai-Beta": "responses_websockets=2026-02-06"}
			if key != "" {
				header["Authorization"] = "Bearer " + testEmail + ":" + key
			}
			res := p.do(request{method: "GET", path: path, header: header})
			if res.Header.Get("Upgrade") != "HTTP/1.1" || res.Header.Get("Connection") != "Upgrade" || res.Header.Get("X-Should-Retry") != "false" {
				t.Errorf("headers %v", res.Header)
			}
			wantError(t, res, 426, "upgrade_required")
			wantFields(t, p.logged(res.Header.Get("X-Request-Id")), map[string]string{"outcome": "upgrade_required", "reason": "", "key_lookup": ""})
		}
	}
	for name, test := range map[string]request{
		"GET without an upgrade": {method: "GET", path: "/v1/responses"},
		"another upgrade":        {method: "GET", path: "/v1/responses", header: map[string]string{"Upgrade": "h2c", "Connection": "Upgrade"}},
		"another path":           {method: "GET", path: "/v1/chat/completions", header: map[string]string{"Upgrade": "websocket", "Connection": "Upgrade"}},
		"another method":         {method: "PUT", path: "/v1/responses", header: map[string]string{"Upgrade": "websocket", "Connection": "Upgrade"}},
	} {
		res := p.do(test)
		if got := res.Header.Get("Upgrade"); got != "" || res.StatusCode != 405 {
			t.Errorf("%s: status %d, Upgrade %q", name, res.StatusCode, got)
		}
	}
}
