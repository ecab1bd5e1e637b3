package caddyauth

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/continue-auth/caddy-continue-auth/test/freeport"
	"github.com/continue-auth/caddy-continue-auth/test/output"
	"github.com/tidwall/gjson"
)

const (
	testEmail = "dev@example.com"
	testKey   = "cca_test-key-of-the-developer"
	testToken = "gateway-token-canary"
	testAzure = "azure-key-canary"
)

// proxy is a running Caddy with continue_auth in front of an upstream.
type proxy struct {
	t        *testing.T
	url      string
	config   string // the Caddyfile
	keys     string // path of the file with the keys
	settings string // path of the file with the providers' settings
	log      *logSink
}

// setup holds what differs from the usual proxy.
type setup struct {
	upstream  string
	options   string // more lines of continue_auth
	before    string // more lines of the site
	matcher   string // of continue_auth, a path
	proxy     string // the lines of reverse_proxy, if not only the transport
	global    string // more global options
	admin     string // address of the admin endpoint; "" for none
	keystore  string // instead of the file keystore
	users     map[string]string
	providers map[string]string
}

func hashOf(key string) string {
	sum := sha256.Sum256([]byte(key))
	return "sha256:" + hex.EncodeToString(sum[:])
}

func defaultUsers() map[string]string {
	return map[string]string{
		testEmail:              `{"apiKeyHash":"` + hashOf(testKey) + `","status":"Enabled","metadata":{"team":"core","vip":true}}`,
		"worker@example.com":   `{"apiKey":"plain-key","createdAt":"2023-10-27T12:00:00Z","status":"enabled"}`,
		"disabled@example.com": `{"apiKey":"plain-key","status":"Disabled"}`,
		"expired@example.com":  `{"apiKey":"plain-key","status":"Enabled","expiresAt":"2020-01-01T00:00:00Z"}`,
		"broken@example.com":   `{"apiKey":`,
		"few@example.com":      `{"apiKey":"plain-key","status":"Enabled","models":["workers-ai/@cf/meta/*"]}`,
		"none@example.com":     `{"apiKey":"plain-key","status":"Enabled","models":[]}`,
	}
}

func defaultProviders() map[string]string {
	return map[string]string{
		"workers-ai":       `{"headers":{"Authorization":"Bearer workers-ai-canary"},"models":["@cf/meta/llama-3.1-8b-instruct","@cf/baai/bge-m3"]}`,
		"azure-openai":     `{"headers":{"api-key":"` + testAzure + `"},"queryString":{"api-version":"2024-10-21"},"models":["myinstance/gpt-4o"]}`,
		"google-ai-studio": `{"headers":{"x-goog-api-key":"google-canary"},"queryString":{"alt":"sse"},"models":["gemini-2.5-flash"]}`,
		"openai":           `{"headers":{"Authorization":"Bearer openai-canary"},"models":["gpt-4o-mini"]}`,
		"groq":             `{}`,
		"broken":           `{"headers":"x"}`,
	}
}

// writeEntries writes a file of the file keystore and renames it into place, as an operator should.
func writeEntries(t testing.TB, path string, entries map[string]string) {
	t.Helper()
	type entry struct {
		Key   string `json:"key"`
		Value string `json:"value"`
	}
	list := []entry{}
	for key, value := range entries {
		list = append(list, entry{key, value})
	}
	content, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+".new", content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// start runs Caddy until the test ends. A process can have only one Caddy, so tests that start it cannot run
// in parallel.
func start(t *testing.T, s setup) *proxy {
	t.Helper()
	folder := t.TempDir()
	p := &proxy{t: t, keys: filepath.Join(folder, "keys.json"), settings: filepath.Join(folder, "providers.json"), log: newLogSink(t)}
	if s.users == nil {
		s.users = defaultUsers()
	}
	if s.providers == nil {
		s.providers = defaultProviders()
	}
	writeEntries(t, p.keys, s.users)
	writeEntries(t, p.settings, s.providers)
	if s.keystore == "" {
		s.keystore = fmt.Sprintf("keystore file {\napi_keys %s\nprovider_settings %s\n}", p.keys, p.settings)
	}
	if s.proxy == "" {
		s.proxy = "transport continue_auth"
	}
	if s.admin == "" {
		s.admin = "off"
	}
	t.Setenv("TEST_GATEWAY_TOKEN", testToken)
	err := p.run(s, folder)
	for range 5 {
		if err == nil || !strings.Contains(err.Error(), "address already in use") {
			break
		}
		err = p.run(s, folder) // another program has taken the free port meanwhile
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Errorf("stopping: %v", err)
		}
		for _, secret := range []string{testToken, testAzure, testKey, "workers-ai-canary", "google-canary", "openai-canary", "kvtest-"} {
			if strings.Contains(p.log.String(), secret) {
				t.Errorf("the log at level DEBUG contains %q", secret)
			}
		}
	})
	return p
}

// run runs Caddy on a free port.
func (p *proxy) run(s setup, folder string) error {
	p.url = fmt.Sprintf("http://127.0.0.1:%d", freeport.For(p.t))
	p.config = fmt.Sprintf(`{
		admin %s
		persist_config off
		storage file_system %s
		log {
			output net %s
			format json
			level DEBUG
		}
		%s
	}
	%s {
		log {
			output net %s
			%s
		}
		%s
		continue_auth %s {
			account_id acc
			gateway gw
			gateway_token {env.TEST_GATEWAY_TOKEN}
			%s
			%s
		}
		reverse_proxy %s {
			%s
		}
	}`, s.admin, folder, p.log.address, s.global, p.url, p.log.address, documentedFilter(p.t), s.before, s.matcher, s.keystore, s.options, s.upstream, s.proxy)
	return p.load(p.config)
}

// load loads a Caddyfile as the new configuration.
func (p *proxy) load(config string) error {
	adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(config), nil)
	if err != nil {
		return err
	}
	err = caddy.Load(adapted, true)
	http.DefaultClient.CloseIdleConnections() // the previous configuration closes them when it ends
	p.waitForOneListener()
	return err
}

// waitForOneListener waits until the socket of the previous configuration is closed, if the system shows
// that. Linux resets connections that still wait in its queue.
func (p *proxy) waitForOneListener() {
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(p.url, "http://"))
	number, _ := strconv.Atoi(port)
	listening := fmt.Sprintf(":%04X 00000000000000000000000000000000:0000 0A", number)
	for range 3000 {
		sockets, err := os.ReadFile("/proc/net/tcp6")
		if err != nil || strings.Count(string(sockets), listening) <= 1 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	p.t.Error("the previous configuration still listens")
}

// logSink receives Caddy's log over TCP, the only output that a test can read while it grows.
type logSink struct {
	*output.Output
	address string
}

func newLogSink(t *testing.T) *logSink {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	s := &logSink{output.New(), l.Addr().String()}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(s, conn) }()
		}
	}()
	return s
}

// request is a request that a client sends.
type request struct {
	method string
	path   string
	header map[string]string
	body   string
}

func as(email, key string) map[string]string {
	return map[string]string{"Authorization": "Bearer " + key, "X-User-Email": email}
}

func (p *proxy) do(r request) *http.Response {
	p.t.Helper()
	if r.method == "" {
		r.method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(p.t.Context(), r.method, p.url+r.path, strings.NewReader(r.body))
	if err != nil {
		p.t.Fatal(err)
	}
	if r.header == nil {
		r.header = as(testEmail, testKey)
	}
	for name, value := range r.header {
		req.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = res.Body.Close() })
	return res
}

func read(t *testing.T, res *http.Response) string {
	t.Helper()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// wantError checks that an answer is an error in OpenAI's format with that status and code.
func wantError(t *testing.T, res *http.Response, status int, code string) gjson.Result {
	t.Helper()
	body := read(t, res)
	e := gjson.Get(body, "error")
	if res.StatusCode != status || e.Get("code").Str != code {
		t.Errorf("status %d, body %s, want %d %s", res.StatusCode, body, status, code)
	}
	for _, name := range []string{"message", "type", "param", "code"} {
		if !e.Get(name).Exists() {
			t.Errorf("error has no %s: %s", name, body)
		}
	}
	if kind := e.Get("type").Str; kind == "server_error" || kind == "rate_limit_exceeded" {
		t.Errorf("type is %s", kind)
	}
	if got := res.Header.Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type is %q", got)
	}
	if res.Header.Get("X-Request-Id") == "" {
		t.Error("no X-Request-Id")
	}
	return e
}

// upstream is a server behind the proxy that keeps what it was sent.
type upstream struct {
	*httptest.Server
	mu   sync.Mutex
	last *http.Request
	body string
}

func newUpstream(t *testing.T, answer http.HandlerFunc) *upstream {
	t.Helper()
	u := &upstream{}
	u.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		u.mu.Lock()
		u.last, u.body = r, string(body)
		u.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(u.Close)
	return u
}

func (u *upstream) seen() (*http.Request, string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.last, u.body
}

const chatAnswer = `{"id":"chatcmpl-1","object":"chat.completion","created":1790000000,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Hi","refusal":null},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}`

func answerChat(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, chatAnswer)
}

const llama = "workers-ai/@cf/meta/llama-3.1-8b-instruct"

func chatBody(model string) string {
	return `{"messages":[{"role":"user","content":"hi"}],"model":"` + model + `"}`
}
