package caddyauth

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// documentedFilter returns the filter from docs/operating.md that keeps users' keys out of an access log.
func documentedFilter(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile("../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(page), "\t\tformat filter {\n")
	fields, _, closed := strings.Cut(rest, "\n\t\t}\n")
	if !found || !closed {
		t.Fatal("docs/operating.md has no filter for a log")
	}
	return "format filter {\n" + fields + "\n}"
}

// everything records all bytes that were sent to an upstream.
type everything struct {
	mu   sync.Mutex
	text strings.Builder
}

func (e *everything) add(r *http.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	_ = r.Write(&e.text)
}

func (e *everything) String() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.text.String()
}

// This test sends keys in every place that may contain one, and in places that only look like it, to requests
// with every kind of result. The site's own log has the documented filter. Caddy's default log has none and
// is at level DEBUG.
func TestNoKeyOfAUserIsSentOrLogged(t *testing.T) {
	const key, email = "canary-of-the-user", "canary@example.com"
	var sent everything
	hold, arrived := make(chan struct{}), make(chan struct{}, 100)
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		sent.add(r)
		switch {
		case strings.Contains(r.URL.Path, "held"):
			arrived <- struct{}{}
			select {
			case <-hold:
			case <-r.Context().Done():
			}
		case strings.Contains(r.URL.Path, "cut"):
			w.Header().Set("Content-Type", "text/event-stream")
			send(w, "data: {\"choices\":[]}\n\n")
			panic(http.ErrAbortHandler)
		case strings.Contains(r.URL.Path, "failing"):
			w.WriteHeader(http.StatusInternalServerError)
		default:
			answerChat(w, r)
		}
	})
	t.Cleanup(func() { close(hold) })
	users := map[string]string{email: `{"apiKeyHash":"` + hashOf(key) + `","status":"Enabled"}`}
	p := start(t, setup{upstream: u.URL, users: users, options: "client_headers Authorization X-Api-Key Api-Key X-Goog-Api-Key X-User-Email\nfailed_attempts 100000 1m"})

	places := map[string]http.Header{
		"Authorization":            {"Authorization": {"Bearer " + key}, "X-User-Email": {email}},
		"Authorization with email": {"Authorization": {"Bearer " + email + ":" + key}},
		"all of them":              {"Authorization": {"Bearer " + key}, "X-Api-Key": {key}, "Api-Key": {key}, "X-Goog-Api-Key": {key}, "X-User-Email": {email}},
	}
	for _, name := range keyHeaders[1:] {
		places[name] = http.Header{name: {key}, "X-User-Email": {email}}
		places[name+" with email"] = http.Header{name: {email + ":" + key}}
		places[name+" that is wrong"] = http.Header{name: {email + ":wrong-" + key}}
		places[name+" that differs"] = http.Header{"Authorization": {"Bearer " + email + ":" + key}, name: {"other-" + key}}
		places[name+" twice"] = http.Header{name: {key, key}}
	}
	ids := 0
	for place, header := range places {
		for name, r := range map[string]request{
			"a chat":             {path: "/v1/chat/completions", body: chatBody("groq/llama")},
			"a chat of Azure":    {path: "/v1/chat/completions", body: chatBody("azure-openai/i/d")},
			"a chat of Gemini":   {path: "/v1/chat/completions", body: chatBody("gemini-2.5-flash")},
			"a refused model":    {path: "/v1/chat/completions", body: chatBody("nobody/x")},
			"a broken body":      {path: "/v1/chat/completions", body: "{"},
			"a failing upstream": {path: "/v1/chat/completions", body: chatBody("azure-openai/i/failing")},
			"a stream cut off":   {path: "/v1/chat/completions", body: streamBody("azure-openai/i/cut")},
			"models":             {method: "GET", path: "/v1/models"},
			"another path":       {path: "/v1/nowhere"},
			"another method":     {method: "GET", path: "/v1/chat/completions"},
		} {
			ids++
			id := fmt.Sprintf("canary-request-%d", ids)
			method := r.method
			if method == "" {
				method = http.MethodPost
			}
			req, err := http.NewRequestWithContext(t.Context(), method, p.url+r.path+"?key="+key+"&x=1", strings.NewReader(r.body))
			if err != nil {
				t.Fatal(err)
			}
			req.Header = header.Clone()
			req.Header.Set("X-Request-Id", id)
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			answer, _ := io.ReadAll(res.Body)
			_ = res.Body.Close()
			if strings.Contains(string(answer)+fmt.Sprint(res.Header), key) {
				t.Errorf("%s in %s: the answer contains the key: %v %s", name, place, res.Header, answer)
			}
			if line := p.logged(id); !strings.Contains(line.Get("request.uri").Str, "x=1") {
				t.Errorf("%s in %s: the log's filter removed more than the key from %s", name, place, line.Get("request.uri").Str)
			}
		}
	}
	p.hangUp("/v1/chat/completions?key="+key, http.Header{"X-Api-Key": {email + ":" + key}, "X-Request-Id": {"canary-gone"}}, chatBody("azure-openai/i/held"), arrived)
	if got := p.logged("canary-gone").Get("status").Int(); got != statusClientGone {
		t.Errorf("a client that hangs up has status %d in the log", got)
	}
	if log := p.log.String(); strings.Contains(log, key) {
		at := strings.Index(log, key)
		t.Errorf("the log contains the key: …%s…", log[max(0, at-1500):min(len(log), at+100)])
	}
	if all := sent.String(); strings.Contains(all, key) || !strings.Contains(all, "chat/completions") {
		t.Errorf("upstream got the key, or nothing:\n%s", all)
	}
}

// hangUp sends a request and hangs up when the upstream has it.
func (p *proxy) hangUp(path string, header http.Header, body string, arrived <-chan struct{}) {
	p.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
	if err != nil {
		p.t.Fatal(err)
	}
	var fields strings.Builder
	if err := header.Write(&fields); err != nil {
		p.t.Fatal(err)
	}
	if _, err := fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n%s\r\n%s", path, len(body), &fields, body); err != nil {
		p.t.Fatal(err)
	}
	select {
	case <-arrived:
	case <-time.After(time.Minute):
		p.t.Fatal("the request does not reach the upstream")
	}
	_ = conn.Close()
}
