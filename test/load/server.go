package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/continue-auth/caddy-continue-auth/test/freeport"
)

const (
	key          = "cca_key-of-all-users"
	knownUser    = "dev@example.com"
	passing      = "groq/llama-3.3-70b-versatile"
	translated   = "google-ai-studio/gemini-2.5-flash"
	edge         = "workers-ai/@cf/meta/llama-3.3-70b-instruct-fp8-fast"
	native       = "anthropic/claude-sonnet-4-5" // asked for by its own API
	startsWithin = 20 * time.Second
)

// tools returns an error if a program is missing that must be installed.
func tools() error {
	for _, tool := range []struct{ name, pack string }{{"wrk", "wrk"}, {"taskset", "util-linux"}} {
		if _, err := exec.LookPath(tool.name); err != nil {
			return fmt.Errorf("%s is needed (apt install %s): %w", tool.name, tool.pack, err)
		}
	}
	return nil
}

// program returns the server's program: the one that CADDY names, or one that it builds in folder.
func program(ctx context.Context, folder string) (string, error) {
	if named := os.Getenv("CADDY"); named != "" {
		return filepath.Abs(named)
	}
	path := filepath.Join(folder, "caddy")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", path, "github.com/continue-auth/caddy-continue-auth/cmd/caddy")
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	return path, cmd.Run()
}

// server is a Caddy process.
type server struct {
	name    string
	address string
	admin   string // its URL
	config  string
	cmd     *exec.Cmd
}

// bareSite returns a site without the plugin.
func bareSite(upstream string) string { return "reverse_proxy " + upstream }

// site returns a site with the plugin, the given keystore and other options.
func (b *bench) site(options string) string {
	return `continue_auth {
		account_id account
		gateway gateway
		gateway_token a-token-of-the-gateway
		` + options + `
	}
	reverse_proxy ` + b.up.address + ` {
		transport continue_auth
	}`
}

// fileSite returns a site with the plugin, a file keystore and other options.
func (b *bench) fileSite(options string) (string, error) {
	keys, providers := filepath.Join(b.folder, "keys.json"), filepath.Join(b.folder, "providers.json")
	if err := writeEntries(keys, map[string]string{knownUser: userEntry()}); err != nil {
		return "", err
	}
	if err := writeEntries(providers, providerEntries()); err != nil {
		return "", err
	}
	return b.site(fmt.Sprintf("keystore file {\napi_keys %q\nprovider_settings %q\n}\n%s", keys, providers, options)), nil
}

func userEntry() string {
	return fmt.Sprintf(`{"apiKeyHash":"sha256:%x","status":"Enabled"}`, sha256.Sum256([]byte(key)))
}

func providerEntries() map[string]string {
	return map[string]string{
		"groq":             `{"headers":{"Authorization":"Bearer a-key-of-groq"}}`,
		"workers-ai":       `{"headers":{"Authorization":"Bearer a-key-of-workers-ai"}}`,
		"google-ai-studio": `{"headers":{"x-goog-api-key":"a-key-of-google"}}`,
		"anthropic":        `{"headers":{"x-api-key":"a-key-of-anthropic"}}`,
	}
}

func writeEntries(path string, entries map[string]string) error {
	var list []map[string]string
	for name, value := range entries {
		list = append(list, map[string]string{"key": name, "value": value})
	}
	content, err := json.Marshal(list)
	if err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o600)
}

// start runs Caddy with a site, over plain HTTP/1.1. It has all the settings that the servers have
// in common.
func (b *bench) start(ctx context.Context, name, site string) (*server, error) {
	port, err := freeport.Take()
	if err != nil {
		return nil, err
	}
	adminPort, err := freeport.Take()
	if err != nil {
		return nil, err
	}
	address, admin := fmt.Sprintf("127.0.0.1:%d", port), fmt.Sprintf("127.0.0.1:%d", adminPort)
	home := filepath.Join(b.folder, name)
	if err := os.MkdirAll(home, 0o700); err != nil {
		return nil, err
	}
	s := &server{name: name, address: address, admin: "http://" + admin}
	s.config = fmt.Sprintf(`{
	admin %s
	persist_config off
	storage file_system %q
	log {
		level ERROR
	}
	servers {
		protocols h1
		trusted_proxies static 127.0.0.1
	}
}
http://%s {
	bind 127.0.0.1
	%s
}
`, admin, home, s.address, site)
	path := filepath.Join(home, "Caddyfile")
	if err := os.WriteFile(path, []byte(s.config), 0o600); err != nil {
		return nil, err
	}
	command := b.onServerCores(b.program, "run", "--config", path, "--adapter", "caddyfile")
	s.cmd = exec.CommandContext(ctx, command[0], command[1:]...)
	s.cmd.Env = append(os.Environ(), "HOME="+home, "XDG_DATA_HOME="+home, "XDG_CONFIG_HOME="+home)
	s.cmd.Cancel = func() error { return s.cmd.Process.Signal(os.Interrupt) }
	s.cmd.WaitDelay = 10 * time.Second
	return s, s.up(ctx, filepath.Join(home, "log"))
}

// up starts the process and waits until it answers.
func (s *server) up(ctx context.Context, logPath string) error {
	log, err := os.Create(logPath)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		return err
	}
	for deadline := time.Now().Add(startsWithin); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if _, err = s.ask(ctx, http.MethodGet, "/config/", ""); err == nil {
			return nil
		}
	}
	s.stop()
	said, _ := os.ReadFile(logPath)
	return fmt.Errorf("%s does not start: %w\n%s", s.name, err, said)
}

func (s *server) stop() {
	_ = s.cmd.Process.Signal(os.Interrupt)
	_ = s.cmd.Wait()
}

// reload loads the same configuration again.
func (s *server) reload(ctx context.Context) error {
	_, err := s.ask(ctx, http.MethodPost, "/load", s.config)
	return err
}

// ask sends a request to the admin endpoint.
func (s *server) ask(ctx context.Context, method, path, body string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, s.admin+path, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "text/caddyfile")
	req.Header.Set("Cache-Control", "must-revalidate") // makes it reload an unchanged configuration
	req.Close = true                                   // a reload closes the admin endpoint's connections
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = res.Body.Close() }()
	var text bytes.Buffer
	if _, err := io.Copy(&text, res.Body); err != nil {
		return "", err
	}
	if res.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s %s: %s: %s", method, path, res.Status, text.String())
	}
	return text.String(), nil
}
