package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/continue-auth/caddy-continue-auth/provider/gatewaytest"
	"github.com/continue-auth/caddy-continue-auth/test/freeport"
	"github.com/continue-auth/caddy-continue-auth/test/output"
)

// TestMain makes the test binary run as caddy, so that tests can start it as a process.
func TestMain(m *testing.M) {
	if os.Getenv("TEST_AS_CADDY") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// caddy returns a command that runs caddy with a home folder of its own.
func caddy(t *testing.T, environment []string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	cmd := exec.Command(self, args...)
	cmd.Env = append([]string{"TEST_AS_CADDY=1", "HOME=" + home, "XDG_DATA_HOME=" + home, "XDG_CONFIG_HOME=" + home, "PATH=" + os.Getenv("PATH"), "TMPDIR=" + home}, environment...)
	return cmd
}

// withoutRaces skips a test with -short, which goes with the race detector. Such a test makes one request or runs one
// command after another. Those in which a server does several things at once are left to the race detector.
func withoutRaces(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("the tests without -short run this")
	}
}

// server is a caddy process that uses a simulated gateway.
type server struct {
	gateway *gatewaytest.Server
	https   string // a URL
	http    string // a URL
	root    string // the path of the certificate of Caddy's own authority
	log     *output.Output
}

const (
	email = "dev@example.com"
	key   = "sk-user-key" // the key of the recorded requests
)

func start(t *testing.T) *server {
	t.Helper()
	gateway, err := gatewaytest.NewServer(gatewaytest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = gateway.Close() })
	folder := t.TempDir()
	writeStore(t, folder, gateway)
	tlsPort, plainPort := freeport.For(t), freeport.For(t)
	s := &server{
		gateway: gateway,
		https:   fmt.Sprintf("https://localhost:%d", tlsPort),
		http:    fmt.Sprintf("http://localhost:%d", plainPort),
		root:    filepath.Join(folder, "data", "pki", "authorities", "local", "root.crt"),
		log:     output.New(),
	}
	// The storage is not cleaned: that and the first certificate lock it at the same time, which the race detector
	// sometimes takes for a race within encoding/json.
	config := fmt.Sprintf(`{
	admin off
	persist_config off
	skip_install_trust
	auto_https disable_redirects
	storage file_system %s
	storage_clean_interval off
	debug
}
%s, %s {
	bind 127.0.0.1
	continue_auth {
		account_id     {env.ACCOUNT_ID}
		gateway        {env.GATEWAY_NAME}
		gateway_token  {env.GATEWAY_API_KEY}
		keystore file {
			api_keys           %s
			provider_settings  %s
		}
	}
	reverse_proxy %s {
		transport continue_auth
	}
}
`, filepath.Join(folder, "data"), s.https, s.http, filepath.Join(folder, "keys.json"), filepath.Join(folder, "providers.json"), gateway.URL)
	path := filepath.Join(folder, "Caddyfile")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := caddy(t, []string{"ACCOUNT_ID=" + gateway.Config.Account, "GATEWAY_NAME=" + gateway.Config.Gateway, "GATEWAY_API_KEY=" + gateway.Config.Token},
		"run", "--config", path, "--adapter", "caddyfile")
	cmd.Stdout, cmd.Stderr = s.log, s.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		if err := cmd.Wait(); err != nil {
			_, race, _ := strings.Cut(s.log.String(), "WARNING: DATA RACE")
			t.Errorf("caddy ended with %v%s", err, race)
		}
		for _, complaint := range gateway.Complaints() {
			t.Errorf("the gateway complains: %s", complaint)
		}
		for _, secret := range []string{key, gateway.Config.Token, "gatewaytest-azure-openai-key", "gatewaytest-google-ai-studio-key"} {
			if strings.Contains(s.log.String(), secret) {
				t.Errorf("the log at level DEBUG has %q", secret)
			}
		}
	})
	s.log.WaitFor(t, "serving initial configuration")
	s.log.WaitFor(t, "added certificate to cache") // TLS works from now on
	return s
}

func writeStore(t *testing.T, folder string, gateway *gatewaytest.Server) {
	t.Helper()
	settings := map[string]string{}
	for name, header := range gateway.Config.ProviderHeaders {
		record := map[string]any{"headers": header}
		switch name {
		case "azure-openai":
			record["queryString"] = map[string]string{"api-version": "2024-10-21"}
		case "google-ai-studio":
			record["queryString"] = map[string]string{"alt": "sse"} // the Worker needed this
		case "workers-ai":
			record["models"] = []string{"@cf/meta/llama-3.1-8b-instruct", "@cf/baai/bge-m3"}
		}
		value, err := json.Marshal(record)
		if err != nil {
			t.Fatal(err)
		}
		settings[name] = string(value)
	}
	write(t, filepath.Join(folder, "providers.json"), settings)
	write(t, filepath.Join(folder, "keys.json"), map[string]string{
		email: `{"apiKey":"` + key + `","createdAt":"2023-10-27T12:00:00Z","status":"Enabled"}`,
	})
}

func write(t *testing.T, path string, entries map[string]string) {
	t.Helper()
	var list []map[string]string
	for name, value := range entries {
		list = append(list, map[string]string{"key": name, "value": value})
	}
	content, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestTheDemoShowsEveryProviderAndEndsWhenInterrupted(t *testing.T) {
	cmd := caddy(t, nil, "continue-auth", "demo")
	out := output.New()
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	out.WaitFor(t, "autocomplete]")
	for _, want := range []string{
		"workers-ai/@cf/meta/llama-3.1-8b-instruct, chat\n  This is", "workers-ai/@cf/qwen/qwen2.5-coder-32b-instruct, tab completion\n  return a + b",
		"azure-openai/myinstance/gpt-4o-mini, chat\n  This is", "azure-openai/myinstance/gpt-4o-mini, tab completion\n  This is",
		"google-ai-studio/gemini-2.5-flash, chat\n  This is", "google-ai-studio/gemini-2.5-flash, tab completion\n  This is",
		"openai/gpt-4o-mini, chat\n  This is", "openai/gpt-4o-mini, tab completion\n  This is",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	runCurl(t, out.String())
	endDemo(t, cmd, out, os.Interrupt)
}

func TestTheDemoEndsWithItsTerminal(t *testing.T) {
	withoutRaces(t)
	cmd := caddy(t, nil, "continue-auth", "demo")
	out := output.New()
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	out.WaitFor(t, "autocomplete]")
	endDemo(t, cmd, out, syscall.SIGHUP)
}

// endDemo stops a demo and checks that it leaves nothing.
func endDemo(t *testing.T, cmd *exec.Cmd, out *output.Output, by os.Signal) {
	t.Helper()
	if err := cmd.Process.Signal(by); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the demo ended with %v:\n%s", err, out)
	}
	left, err := filepath.Glob(filepath.Join(strings.TrimPrefix(cmd.Env[5], "TMPDIR="), "continue-auth-demo-*"))
	if err != nil || len(left) != 0 {
		t.Errorf("the demo has left %v", left)
	}
}

// runCurl sends the request of the demo's curl line.
func runCurl(t *testing.T, printed string) {
	t.Helper()
	_, line, ok := strings.Cut(printed, "\ncurl -N ")
	if !ok {
		t.Fatalf("no curl line in\n%s", printed)
	}
	line, _, _ = strings.Cut(line, "\n")
	parts := strings.Split(line, "'")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.Fields(line)[0], strings.NewReader(parts[5]))
	if err != nil {
		t.Fatal(err)
	}
	for _, header := range []string{parts[1], parts[3]} {
		name, value, _ := strings.Cut(header, ": ")
		req.Header.Set(name, value)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded") // curl's default
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	lines := bufio.NewScanner(res.Body)
	last := ""
	for lines.Scan() {
		if lines.Text() != "" {
			last = lines.Text()
		}
	}
	if res.StatusCode != 200 || last != "data: [DONE]" {
		t.Errorf("the curl line got status %d and ended with %q", res.StatusCode, last)
	}
}

func TestTheExampleIsAValidConfiguration(t *testing.T) {
	example := filepath.Join("..", "..", "Caddyfile.example")
	environment := []string{
		"ACCOUNT_ID=acc", "GATEWAY_NAME=gw", "GATEWAY_API_KEY=token",
		"CLOUDFLARE_API_TOKEN=token", "API_KEYS_NAMESPACE_ID=0123", "PROVIDER_SETTINGS_NAMESPACE_ID=4567",
	}
	if out, err := caddy(t, environment, "validate", "--config", example, "--adapter", "caddyfile").CombinedOutput(); err != nil {
		t.Errorf("%v:\n%s", err, out)
	}
	out, err := caddy(t, environment[1:], "validate", "--config", example, "--adapter", "caddyfile").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "account_id: ") {
		t.Errorf("without ACCOUNT_ID: %v:\n%s", err, out)
	}
}
