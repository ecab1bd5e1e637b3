package main

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/continue-auth/caddy-continue-auth/keystore/kvtest"
	"github.com/continue-auth/caddy-continue-auth/provider/gatewaytest"
	"github.com/continue-auth/caddy-continue-auth/test/freeport"
	"github.com/continue-auth/caddy-continue-auth/test/output"
)

// canaries are secrets that must not be found anywhere. The keys of the map say what they are.
type canaries map[string]string

// in returns the secrets that are in a text, plain or in a usual encoding.
func (c canaries) in(text string) (found []string) {
	for what, secret := range c {
		for _, form := range []string{secret, url.QueryEscape(secret), base64.StdEncoding.EncodeToString([]byte(secret)), hex.EncodeToString([]byte(secret))} {
			if strings.Contains(text, form) {
				found = append(found, what)
				break
			}
		}
	}
	return found
}

func (c canaries) search(t *testing.T, where, text string) {
	t.Helper()
	if text == "" {
		t.Errorf("%s is empty: nothing was searched", where)
	}
	for _, what := range c.in(text) {
		t.Errorf("%s has the %s", where, what)
	}
}

const canaryConfig = `{
	admin %s
	storage file_system data
	debug
	metrics
}
%s {
	bind 127.0.0.1
	log {
		output file access.log
		format filter {
			request>headers>Api-Key delete
			request>headers>X-Api-Key delete
			request>headers>X-Goog-Api-Key delete
			request>uri query {
				delete key
			}
		}
	}
	tracing
	continue_auth {
		account_id     {env.ACCOUNT_ID}
		gateway        {env.GATEWAY_NAME}
		gateway_token  {env.GATEWAY_API_KEY}
		keystore cloudflare_kv {
			account_id         %s
			api_token          {env.CLOUDFLARE_API_TOKEN}
			api_keys           %s
			provider_settings  %s
			endpoint           %s
			timeout            5s
		}
		cache {
			refresh_after 500ms
			max_age 1s
			absent 0s
			snapshot
		}
		ask_usage
	}
	reverse_proxy %s {
		transport continue_auth
	}
}
`

// watched is a server that has a canary in every place for a secret.
type watched struct {
	*operator
	canaries
	said strings.Builder // the bodies of errors
}

func newWatched(t *testing.T) *watched {
	t.Helper()
	w := &watched{operator: newOperator(t, "keystore file", fmt.Sprintf("127.0.0.1:%d", freeport.For(t))), canaries: canaries{}}
	w.kv = kvtest.NewServer(t)
	w.write("Caddyfile", fmt.Sprintf(canaryConfig, w.admin, w.site, kvtest.AccountID, kvtest.APIKeys, kvtest.ProviderSettings, w.kv.URL, w.gateway.URL))
	token := kvtest.APIToken + "-canary"
	w.env = append(w.env, "CLOUDFLARE_API_TOKEN="+token, "OTEL_TRACES_EXPORTER=none")
	w.canaries["token of the keystore"] = token
	w.canaries["token of the gateway"] = w.gateway.Config.Token
	w.canaries["key in a provider's query string"] = "query-canary"
	for name, header := range w.gateway.Config.ProviderHeaders {
		for _, value := range header {
			w.canaries["key of "+name] = strings.TrimPrefix(value, "Bearer ")
		}
	}
	return w
}

// user makes a user with the commands. The key becomes a canary, but the command may print it once.
func (w *watched) user(email string) (key string) {
	w.t.Helper()
	key = w.newKey("keys", "add", email)
	sum := sha256.Sum256([]byte(key))
	w.canaries["key of "+email] = key
	w.canaries["hash of the key of "+email] = hex.EncodeToString(sum[:])
	return key
}

// send sends a request with the key in every place where a client may put it, the URL too. It keeps
// the body of an answer that is not a success.
func (w *watched) send(ctx context.Context, path, email, key, body string) (status int) {
	w.t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.site+path+"?key="+url.QueryEscape(key), strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	for name, value := range map[string]string{"Authorization": "Bearer " + key, "Api-Key": key, "X-Api-Key": key, "X-Goog-Api-Key": email + ":" + key, "X-User-Email": email, "Cookie": "session=" + w.canaries["cookie"]} {
		r.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0 // the server closed the connection
	}
	defer func() { _ = res.Body.Close() }()
	answer, _ := io.ReadAll(res.Body)
	fmt.Fprintf(&w.said, "%d %v %s\n", res.StatusCode, res.Header, answer)
	return res.StatusCode
}

// get reads a path of the admin endpoint.
func (w *watched) get(path string) string {
	w.t.Helper()
	res, err := http.Get("http://" + w.admin + path)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		w.t.Fatalf("%s: status %d, %v", path, res.StatusCode, err)
	}
	return string(body)
}

// The server runs at level DEBUG with all options on, and meets every kind of failure. The test
// then searches everything that the server has written or sent.
func TestNoSecretIsFoundAnywhere(t *testing.T) {
	withoutRaces(t)
	w := newWatched(t)
	w.canaries["cookie"] = "cookie-canary"
	w.canaries["wrong key"] = "cca_wrong-key-canary"
	w.setProviders()
	dev, worker := w.user("dev@example.com"), "worker-key-canary"
	w.canaries["key in the clear"] = worker
	w.kv.Put(kvtest.APIKeys, "worker@example.com", `{"apiKey":"`+worker+`","status":"Enabled"}`)
	before := w.user("rotated@example.com")
	w.canaries["key after a rotation"] = w.newKey("keys", "rotate", "rotated@example.com", "--grace", "1h")

	cmd := caddy(t, w.env, "run")
	cmd.Dir = w.folder
	log := output.New()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	running := true
	t.Cleanup(func() {
		if running {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})
	log.WaitFor(t, "serving initial configuration")

	for key, email := range map[string]string{dev: "dev@example.com", worker: "worker@example.com", before: "rotated@example.com"} {
		if status := w.send(t.Context(), "/v1/chat/completions", email, key, chatOn("workers-ai/"+llama, false)); status != 200 {
			t.Errorf("%s: status %d", email, status)
		}
	}
	w.everythingFails(dev)
	w.metricsAndAdmin()
	if err := cmd.Process.Signal(syscall.SIGABRT); err != nil { // Go then prints all stacks, as after a panic
		t.Fatal(err)
	}
	running = false
	_ = cmd.Wait()
	if !strings.Contains(log.String(), "\ngoroutine ") {
		t.Error("there are no stacks")
	}
	w.search(t, "the log", log.String())
	w.search(t, "what clients were told", w.said.String())
	for _, internal := range []string{kvtest.APIKeys, kvtest.ProviderSettings, w.kv.URL, w.gateway.URL} {
		if strings.Contains(w.said.String(), internal) {
			t.Errorf("clients were told %q", internal)
		}
	}
	w.searchFiles()
	stdout, stderr, _ := w.try("keys", "list", "--json")
	w.search(t, "a list of keys", stdout+stderr)
	for _, args := range [][]string{{"keys", "show", "dev@example.com", "--json"}, {"providers", "list"}, {"client-config", "dev@example.com"}, {"usage"}} {
		stdout, stderr, _ := w.try(args...)
		w.search(t, strings.Join(args, " "), stdout+stderr)
	}
}

func chatOn(model string, stream bool) string {
	return fmt.Sprintf(`{"model":%q,"stream":%v,"messages":[{"role":"user","content":"hi"}]}`, model, stream)
}

// setProviders sets a key for each provider.
func (w *watched) setProviders() {
	for name, header := range w.gateway.Config.ProviderHeaders {
		record := map[string]any{"headers": header}
		if name == "google-ai-studio" {
			record["queryString"] = map[string]string{"x": w.canaries["key in a provider's query string"]}
		}
		value, err := json.Marshal(record)
		if err != nil {
			w.t.Fatal(err)
		}
		w.kv.Put(kvtest.ProviderSettings, name, string(value))
	}
	w.kv.Put(kvtest.ProviderSettings, "broken", `{"headers":{"Authorization":["Bearer `+w.canaries["key of openai"]+`"]}}`)
	w.kv.Put(kvtest.APIKeys, "broken@example.com", `{"apiKey":"`+w.canaries["token of the gateway"]+`"`)
}

// everythingFails sends requests that fail in every way. The gateway and the providers quote what
// they refuse.
func (w *watched) everythingFails(key string) {
	t, ctx := w.t, w.t.Context()
	everything := ""
	for _, secret := range w.canaries {
		everything += secret + " "
	}
	models := []string{"workers-ai/" + llama, "azure-openai/i/d", "google-ai-studio/gemini-2.5-flash", "openai/gpt-4o-mini", "broken/x", "nothing/x"}
	for _, model := range models {
		provider, _, _ := strings.Cut(model, "/")
		known := w.canaries["token of the gateway"] + " " + w.canaries["key of "+provider]
		if provider == "google-ai-studio" {
			known += " " + w.canaries["key in a provider's query string"]
		}
		quoting := `{"error":{"message":"Incorrect API key provided: ` + known + `","code":"invalid_api_key"}}`
		for _, path := range []string{"/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/embeddings"} {
			for _, scenario := range []gatewaytest.Scenario{
				{}, {Drop: true}, {Cut: &gatewaytest.Cut{After: 1, MidFrame: true}},
				gatewaytest.Respond(400, quoting), gatewaytest.Respond(401, quoting), gatewaytest.Respond(429, quoting), gatewaytest.Respond(500, quoting),
				gatewaytest.Respond(200, quoting), gatewaytest.Stream("data: " + quoting + "\n\n"), gatewaytest.Respond(302, known, "Location", w.gateway.URL),
			} {
				w.gateway.Always(scenario)
				w.send(ctx, path, "dev@example.com", key, strings.Replace(chatOn(model, true), `{"model"`, `{"prompt":"p","input":"i","model"`, 1))
			}
		}
	}
	w.gateway.Always(gatewaytest.Scenario{})
	w.send(ctx, "/v1/chat/completions", "dev@example.com", w.canaries["wrong key"], chatOn(models[0], false))
	w.send(ctx, "/v1/chat/completions", "broken@example.com", key, chatOn(models[0], false))
	w.send(ctx, "/v1/nothing", "dev@example.com", key, "")
	w.send(ctx, "/v1/chat/completions", "dev@example.com", key, `{"model":`)
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	w.gateway.Always(gatewaytest.Scenario{Delay: time.Second})
	w.send(short, "/v1/chat/completions", "dev@example.com", key, chatOn(models[0], true))
	w.gateway.Always(gatewaytest.Scenario{})
	for _, fault := range []kvtest.Fault{kvtest.Reset, kvtest.Truncate, kvtest.Hang, kvtest.Reply(500, everything), kvtest.Reply(403, `{"success":false,"errors":[{"code":10000,"message":"`+everything+`"}]}`), kvtest.Reply(200, everything)} {
		w.kv.FailAll(fault)
		if status := w.send(ctx, "/v1/chat/completions", "dev@example.com", key, chatOn(models[0], false)); status != 200 {
			t.Errorf("a known user: status %d", status)
		}
		w.send(ctx, "/v1/chat/completions", "nobody@example.com", key, chatOn(models[0], false))
	}
	w.kv.Heal()
}

// metricsAndAdmin reads everything that an operator can ask a running server for.
func (w *watched) metricsAndAdmin() {
	metrics := w.get("/metrics")
	for _, name := range []string{"requests_total", "key_lookups_total", "keystore_requests_total", "keystore_request_duration_seconds", "cache_entries", "tokens_total", "time_to_first_byte_seconds"} {
		if !strings.Contains(metrics, "\ncaddy_continue_auth_"+name) {
			w.t.Errorf("there is no metric %s", name)
		}
	}
	w.search(w.t, "the metrics", metrics)
	w.search(w.t, "the status", w.get("/continue_auth/status"))
	w.search(w.t, "the running configuration", w.get("/config/"))
	w.search(w.t, "the profile of goroutines", w.get("/debug/pprof/goroutine?debug=2"))
	w.search(w.t, "the server's variables", w.get("/debug/vars"))
	adapt := caddy(w.t, w.env, "adapt", "--config", "Caddyfile")
	adapt.Dir = w.folder
	out, err := adapt.CombinedOutput()
	if err != nil {
		w.t.Fatalf("%v\n%s", err, out)
	}
	w.search(w.t, "the adapted configuration", string(out))
}

// searchFiles searches all files that the server has written. Other users must not be able to read
// those that contain secrets.
func (w *watched) searchFiles() {
	seen := 0
	err := filepath.WalkDir(w.folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		seen++
		name, _ := filepath.Rel(w.folder, path)
		w.search(w.t, name, string(content))
		return nil
	})
	if err != nil || seen < 3 { // at least the Caddyfile, the access log and the snapshot
		w.t.Errorf("%d files, %v", seen, err)
	}
}
