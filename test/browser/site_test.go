//go:build browser

package browser

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/continue-auth/caddy-continue-auth/provider/gatewaytest"
	"github.com/continue-auth/caddy-continue-auth/test/freeport"
	"github.com/continue-auth/caddy-continue-auth/usage"
	"github.com/continue-auth/caddy-continue-auth/usage/sqlite"
)

const (
	email = "dev@example.com"
	key   = "cca_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"
)

// site is a running server with the portal, a file keystore and a ledger.
type site struct {
	t       *testing.T
	program string
	folder  string // with the Caddyfile and all data
	url     string
}

// program returns the path of the server's program: CADDY, or a new build.
var program = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("CADDY"); path != "" {
		return path, nil
	}
	folder, err := os.MkdirTemp("", "caddy")
	if err != nil {
		return "", err
	}
	path := filepath.Join(folder, "caddy")
	out, err := exec.Command("go", "build", "-o", path, "../../cmd/caddy").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return path, nil
})

const caddyfile = `{
	admin unix/%[1]s/admin.sock
	persist_config off
	auto_https off
	storage file_system %[1]s/storage
}
%[2]s {
	bind 127.0.0.1
	continue_auth {
		account_id     %[3]s
		gateway        %[4]s
		gateway_token  %[5]s
		keystore file {
			api_keys           %[1]s/keys.json
			provider_settings  %[1]s/providers.json
		}
		limits {
			requests  120 1m
			tokens    2000000 day
			parallel  8
			team team {
				tokens  60000000 month
			}
		}
		ledger sqlite {
			path  %[1]s/usage.db
		}
		alias fast openai/gpt-5-mini
		portal
	}
	reverse_proxy %[6]s {
		transport continue_auth
	}
}
`

// startSite runs a server until the test ends. users are the users besides the usual one.
func startSite(t *testing.T, users map[string]string) *site {
	t.Helper()
	gateway, err := gatewaytest.NewServer(gatewaytest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = gateway.Close() })
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, program: path, folder: t.TempDir(), url: fmt.Sprintf("http://127.0.0.1:%d", freeport.For(t))}
	config := fmt.Sprintf(caddyfile, s.folder, s.url, gateway.Config.Account, gateway.Config.Gateway, gateway.Config.Token, gateway.URL)
	s.write("Caddyfile", []byte(config))
	all := map[string]string{email: record(key, `"expiresAt":"`+time.Now().Add(76*24*time.Hour).UTC().Format(time.RFC3339)+`","metadata":{"team":"core"}`)}
	for name, value := range users {
		all[name] = value
	}
	s.writeEntries("keys.json", all)
	s.writeEntries("providers.json", map[string]string{
		"anthropic":        `{"headers":{"Authorization":"Bearer sk-ant-gatewaytest-key"},"models":["claude-opus-4-5","claude-sonnet-4-5","claude-haiku-4-5"]}`,
		"openai":           `{"headers":{"Authorization":"Bearer gatewaytest-openai-key"},"models":["gpt-5","gpt-5-mini","text-embedding-3-small"]}`,
		"google-ai-studio": `{"headers":{"x-goog-api-key":"gatewaytest-google-ai-studio-key"},"models":["gemini-2.5-pro","gemini-2.5-flash"]}`,
		"workers-ai":       `{"headers":{"Authorization":"Bearer gatewaytest-workers-ai-token"},"models":["@cf/meta/llama-3.1-8b-instruct","@cf/qwen/qwen2.5-coder-32b-instruct"]}`,
		"azure-openai":     `{"headers":{"api-key":"gatewaytest-azure-openai-key"},"queryString":{"api-version":"2024-10-21"},"models":["myinstance/gpt-4o"]}`,
	})
	s.writeLedger()
	s.run()
	return s
}

// record returns a user's record. more are further members of it.
func record(key, more string) string {
	if more != "" {
		more = "," + more
	}
	return fmt.Sprintf(`{"apiKeyHash":"sha256:%x","status":"Enabled","createdAt":"2026-03-02T09:30:00Z"%s}`, sha256.Sum256([]byte(key)), more)
}

func (s *site) write(name string, content []byte) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.folder, name), content, 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// writeEntries writes a file of the file keystore.
func (s *site) writeEntries(name string, entries map[string]string) {
	s.t.Helper()
	list := []map[string]string{}
	for name, value := range entries {
		list = append(list, map[string]string{"key": name, "value": value})
	}
	content, err := json.Marshal(list)
	if err != nil {
		s.t.Fatal(err)
	}
	s.write(name, content)
}

// writeLedger makes up what a small team has used in the last weeks.
func (s *site) writeLedger() {
	s.t.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	people := []struct{ email, team string }{
		{email, "core"}, {"ann@example.com", "core"}, {"ben@example.com", "web"}, {"cleo@example.com", "web"}, {"dan@example.com", ""}, {`"><img src=x onerror=alert(1)>@example.com`, "<b>data</b>"},
	}
	models := []struct {
		provider, model, client string
		weight                  float64
	}{
		{"anthropic", "claude-sonnet-4-5", "claude-code", 1}, {"openai", "gpt-5", "codex", .6}, {"google-ai-studio", "gemini-2.5-pro", "gemini-cli", .35},
		{"workers-ai", "@cf/qwen/qwen2.5-coder-32b-instruct", "continue", .15}, {"anthropic", "claude-haiku-4-5", "claude-code", .12}, {"azure-openai", "myinstance/gpt-4o", "zed", .08},
	}
	batch := &usage.Batch{Run: "made-up", Number: 1}
	today := time.Now().UTC().Truncate(24 * time.Hour)
	for day := range 45 {
		at := today.AddDate(0, 0, -day)
		for p, who := range people {
			for _, m := range models {
				busy := m.weight * (0.35 + random.Float64()) / float64(p+1)
				if at.Weekday() == time.Saturday || at.Weekday() == time.Sunday {
					busy *= 0.15
				}
				requests := int64(140 * busy)
				if requests == 0 {
					continue
				}
				prompt := requests * int64(9000+random.IntN(9000))
				batch.Rows = append(batch.Rows, usage.Row{
					Hour: at, User: who.email, Team: who.team, Provider: m.provider, Model: m.model, Client: m.client,
					Requests: requests, Refused: requests / 50, Prompt: prompt, Cached: prompt * 6 / 10, Completion: requests * int64(300+random.IntN(500)),
				})
			}
		}
	}
	ledger := sqlite.New(filepath.Join(s.folder, "usage.db"))
	if err := ledger.Write(s.t.Context(), batch); err != nil {
		s.t.Fatal(err)
	}
	if err := ledger.Close(); err != nil {
		s.t.Fatal(err)
	}
}

// command returns a command of the server's program, in the site's folder.
func (s *site) command(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(s.t.Context(), s.program, args...)
	cmd.Dir = s.folder
	cmd.Env = append(os.Environ(), "HOME="+s.folder, "XDG_DATA_HOME="+s.folder, "XDG_CONFIG_HOME="+s.folder)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// keys runs `caddy continue-auth keys`, and returns what it prints.
func (s *site) keys(args ...string) string {
	s.t.Helper()
	out, err := s.command(append([]string{"continue-auth", "keys"}, args...)...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("keys %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// ask sends a request to the server with a user's key, and returns the status and the body.
func (s *site) ask(method, path, bearer, body string) (status int, answer string) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+bearer)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	content, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return res.StatusCode, string(content)
}

// run starts the server and waits until it serves.
func (s *site) run() { s.t.Helper(); s.start("serving initial configuration", "run") }

// start starts a command that runs until the test ends. It returns the first line of its output that has the text.
func (s *site) start(text string, args ...string) string {
	s.t.Helper()
	cmd := s.command(args...)
	read, write := io.Pipe()
	cmd.Stdout, cmd.Stderr = write, write
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
		_ = write.Close()
	})
	found := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(read)
		for lines.Scan() {
			if strings.Contains(lines.Text(), text) {
				select {
				case found <- lines.Text():
				default:
				}
			}
		}
		_, _ = io.Copy(io.Discard, read)
	}()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	select {
	case line := <-found:
		return line
	case <-ctx.Done():
		s.t.Fatalf("%s does not say %q", strings.Join(args, " "), text)
	}
	return ""
}
