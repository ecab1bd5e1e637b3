//go:build redis

// Package servers tests several real servers that share a real Redis.
package servers

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/continue-auth/caddy-continue-auth/provider/gatewaytest"
	"github.com/continue-auth/caddy-continue-auth/test/freeport"
	"github.com/continue-auth/caddy-continue-auth/test/output"
	"github.com/continue-auth/caddy-continue-auth/usage/redis/redistest"
)

// binary is the path of the server's program.
var binary string

func TestMain(m *testing.M) { os.Exit(build(m)) }

// build builds the program, unless CADDY names one, and runs the tests.
func build(m *testing.M) int {
	if binary = os.Getenv("CADDY"); binary != "" {
		return m.Run()
	}
	folder, err := os.MkdirTemp("", "servers")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(folder)
	binary = filepath.Join(folder, "caddy")
	if out, err := exec.Command("go", "build", "-o", binary, "../../cmd/caddy").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%v\n%s", err, out)
		return 1
	}
	return m.Run()
}

const (
	dev      = "dev@example.com"
	patience = time.Minute

	llama = "workers-ai/@cf/meta/llama-3.1-8b-instruct"
)

// fleet is servers with one gateway, one keystore and one Redis.
type fleet struct {
	*testing.T
	folder  string // of the keystore
	gateway *gatewaytest.Server
	redis   *redistest.Server
	env     []string
	servers []*server
}

// server is one of our servers.
type server struct {
	*exec.Cmd
	f         *fleet
	folder    string
	caddyfile string
	site      string // its URL
	log       *output.Output
}

// sharing is the option of a fleet's servers. A busy machine gets time to answer.
func (f *fleet) sharing() string {
	return "shared redis {\naddress " + f.redis.Address + "\ntimeout 2s\n}"
}

// start starts servers with more options of continue_auth. Their caches last for an hour.
func start(t *testing.T, n int, options string) *fleet {
	t.Helper()
	f := newFleet(t)
	f.command("providers", "set", "workers-ai", "--header", "Authorization={env.WORKERS_AI}")
	f.command("providers", "set", "google-ai-studio", "--header", "x-goog-api-key={env.GOOGLE}")
	for range n {
		s := f.prepare(f.sharing() + "\n" + options)
		s.run()
		f.servers = append(f.servers, s)
	}
	return f
}

func newFleet(t *testing.T) *fleet {
	t.Helper()
	gateway, err := gatewaytest.NewServer(gatewaytest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = gateway.Close() })
	c := gateway.Config
	f := &fleet{T: t, folder: t.TempDir(), gateway: gateway, redis: redistest.Start(t), env: []string{
		"ACCOUNT_ID=" + c.Account, "GATEWAY_NAME=" + c.Gateway, "GATEWAY_API_KEY=" + c.Token,
		"WORKERS_AI=" + c.ProviderHeaders["workers-ai"]["Authorization"], "GOOGLE=" + c.ProviderHeaders["google-ai-studio"]["x-goog-api-key"],
		"PATH=" + os.Getenv("PATH"),
	}}
	f.write(f.folder, "Caddyfile", f.caddyfile("http://127.0.0.1:1", f.sharing()))
	for _, name := range []string{"keys.json", "providers.json"} {
		f.write(f.folder, name, "[]")
	}
	return f
}

func (f *fleet) caddyfile(site, options string) string {
	return fmt.Sprintf(`{
	admin off
	persist_config off
}
%s {
	bind 127.0.0.1
	continue_auth {
		account_id     {env.ACCOUNT_ID}
		gateway        {env.GATEWAY_NAME}
		gateway_token  {env.GATEWAY_API_KEY}
		keystore file {
			api_keys           %s
			provider_settings  %s
		}
		cache {
			refresh_after  1h
			max_age        1h
			absent         1h
		}
		%s
	}
	reverse_proxy %s {
		transport continue_auth
	}
}
`, site, filepath.Join(f.folder, "keys.json"), filepath.Join(f.folder, "providers.json"), options, f.gateway.URL)
}

func (f *fleet) write(folder, name, content string) string {
	f.Helper()
	path := filepath.Join(folder, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		f.Fatal(err)
	}
	return path
}

// prepare returns a server that does not run yet.
func (f *fleet) prepare(options string) *server {
	f.Helper()
	s := &server{f: f, folder: f.TempDir(), site: fmt.Sprint("http://127.0.0.1:", freeport.For(f.T))}
	s.caddyfile = f.caddyfile(s.site, options)
	return s
}

// program returns a command that runs our program with a home folder of its own.
func (f *fleet) program(folder string, args ...string) *exec.Cmd {
	cmd := exec.Command(binary, args...)
	cmd.Dir = folder
	cmd.Env = append([]string{"HOME=" + folder, "XDG_DATA_HOME=" + folder, "XDG_CONFIG_HOME=" + folder}, f.env...)
	return cmd
}

// run runs the server until the test ends.
func (s *server) run() {
	s.f.Helper()
	s.f.write(s.folder, "Caddyfile", s.caddyfile)
	s.Cmd, s.log = s.f.program(s.folder, "run"), output.New()
	s.Stdout, s.Stderr = s.log, s.log
	if err := s.Start(); err != nil {
		s.f.Fatal(err)
	}
	started := s.Cmd
	s.f.Cleanup(func() {
		_ = started.Process.Kill()
		_ = started.Wait()
	})
	s.log.WaitFor(s.f.T, "serving initial configuration")
}

// command runs an operator's command and returns what it prints.
func (f *fleet) command(args ...string) (stdout, stderr string) {
	f.Helper()
	var out, says bytes.Buffer
	cmd := f.program(f.folder, append([]string{"continue-auth"}, args...)...)
	cmd.Stdout, cmd.Stderr = &out, &says
	if err := cmd.Run(); err != nil {
		f.Fatalf("%v: %v\n%s", args, err, says.String())
	}
	return out.String(), says.String()
}

// newKey makes a user.
func (f *fleet) newKey(email string, args ...string) string {
	f.Helper()
	key, _ := f.command(append([]string{"keys", "add", email}, args...)...)
	return strings.TrimSpace(key)
}

// body is the body of a chat.
func body(model, text string, stream bool) string {
	return fmt.Sprintf(`{"model":%q,"stream":%v,"messages":[{"role":"user","content":%q}]}`, model, stream, text)
}

// send sends a request. The caller closes the answer's body.
func (s *server) send(ctx context.Context, email, key, body string) *http.Response {
	s.f.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.site+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		s.f.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+email+":"+key)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		s.f.Fatal(err)
	}
	return res
}

// chat sends a chat and returns the status of the answer, after all of it was read.
func (s *server) chat(email, key string) int {
	s.f.Helper()
	res := s.send(s.f.Context(), email, key, body(llama, "hi", false))
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode
}

// becomes waits until something is so.
func (f *fleet) becomes(what string, within time.Duration, is func() bool) {
	f.Helper()
	for end := time.Now().Add(within); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			f.Fatalf("%s: not within %v", what, within)
		}
	}
}
