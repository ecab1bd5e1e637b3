package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/continue-auth/caddy-continue-auth/keystore/kvtest"
	"github.com/continue-auth/caddy-continue-auth/provider/gatewaytest"
	"github.com/continue-auth/caddy-continue-auth/test/freeport"
	"github.com/continue-auth/caddy-continue-auth/test/output"
)

// operator is an operator with a Caddyfile in a folder.
type operator struct {
	t      *testing.T
	folder string
	env    []string
	kv     *kvtest.Server // nil for a file keystore
	admin  string
	site   string // the site's URL

	gateway *gatewaytest.Server
}

// operators returns one operator for each keystore. One has an admin endpoint on a socket, the
// other on a port.
func operators(t *testing.T) map[string]*operator {
	files := newOperator(t, `keystore file`, fmt.Sprintf("127.0.0.1:%d", freeport.For(t)))
	kv := kvtest.NewServer(t)
	socket, err := os.MkdirTemp("", "admin") // paths in t.TempDir are too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(socket) })
	remote := newOperator(t, `keystore cloudflare_kv {
			account_id         `+kvtest.AccountID+`
			api_token          {env.CLOUDFLARE_API_TOKEN}
			api_keys           `+kvtest.APIKeys+`
			provider_settings  `+kvtest.ProviderSettings+`
			endpoint           `+kv.URL+`
		}`, "unix/"+socket+"/admin.sock")
	remote.kv = kv
	remote.env = append(remote.env, "CLOUDFLARE_API_TOKEN="+kvtest.APIToken)
	return map[string]*operator{"file": files, "cloudflare_kv": remote}
}

func newOperator(t *testing.T, keystore, admin string) *operator {
	t.Helper()
	gateway, err := gatewaytest.NewServer(gatewaytest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = gateway.Close() })
	o := &operator{
		t: t, gateway: gateway, folder: t.TempDir(), admin: admin, site: fmt.Sprintf("http://localhost:%d", freeport.For(t)),
		env: []string{
			"ACCOUNT_ID=" + gateway.Config.Account, "GATEWAY_NAME=" + gateway.Config.Gateway, "GATEWAY_API_KEY=" + gateway.Config.Token,
			"WORKERS_AI=" + gateway.Config.ProviderHeaders["workers-ai"]["Authorization"],
		},
	}
	o.write("Caddyfile", fmt.Sprintf(`{
	admin %s
	persist_config off
	storage file_system data
	debug
}
%s {
	bind 127.0.0.1
	continue_auth {
		account_id     {env.ACCOUNT_ID}
		gateway        {env.GATEWAY_NAME}
		gateway_token  {env.GATEWAY_API_KEY}
		%s
		cache {
			refresh_after 1h
			max_age 1h
			absent 1h
		}
	}
	reverse_proxy %s {
		transport continue_auth
	}
}
`, admin, o.site, keystore, gateway.URL))
	return o
}

func (o *operator) write(name, content string) string {
	o.t.Helper()
	path := filepath.Join(o.folder, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		o.t.Fatal(err)
	}
	return path
}

// command returns `caddy continue-auth …` for the operator's folder. There are hundreds of them, and the race
// detector makes each start slow. So with -short, which goes with it, CADDY can name a program without it. In one
// with it, a command does not wait a second for late races, as servers do.
func (o *operator) command(args ...string) *exec.Cmd {
	cmd := caddy(o.t, append([]string{"GORACE=atexit_sleep_ms=0"}, o.env...), append([]string{"continue-auth"}, args...)...)
	if plain := os.Getenv("CADDY"); plain != "" && testing.Short() {
		cmd.Path = plain
	}
	cmd.Dir = o.folder
	return cmd
}

// try runs a command and returns its output and exit status.
func (o *operator) try(args ...string) (stdout, stderr string, status int) {
	o.t.Helper()
	var out, messages bytes.Buffer
	cmd := o.command(args...)
	cmd.Stdout, cmd.Stderr = &out, &messages
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		o.t.Fatal(err)
	}
	return out.String(), messages.String(), cmd.ProcessState.ExitCode()
}

// run runs a command that must succeed, and returns its standard output.
func (o *operator) run(args ...string) string {
	o.t.Helper()
	stdout, stderr, status := o.try(args...)
	if status != 0 {
		o.t.Fatalf("%v: exit status %d\n%s%s", args, status, stdout, stderr)
	}
	return stdout
}

// refused runs a command that must fail with an error that contains says.
func (o *operator) refused(says string, args ...string) {
	o.t.Helper()
	stdout, stderr, status := o.try(args...)
	if status != 1 || stdout != "" || !strings.Contains(stderr, says) || strings.Contains(stderr, "Usage:") {
		o.t.Errorf("%v: exit status %d, want 1 and %q\n%s%s", args, status, says, stdout, stderr)
	}
}

// serve runs the server until the test ends, and returns its log.
func (o *operator) serve() *output.Output {
	o.t.Helper()
	cmd := caddy(o.t, o.env, "run")
	cmd.Dir = o.folder
	log := output.New()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		if err := cmd.Wait(); err != nil {
			o.t.Errorf("caddy ended with %v", err)
		}
		for _, secret := range []string{"cca_", "kvtest-", "gatewaytest-"} { // every secret begins with one of these
			if strings.Contains(log.String(), secret) {
				o.t.Errorf("the log at level DEBUG has a secret that begins with %q", secret)
			}
		}
	})
	log.WaitFor(o.t, "serving initial configuration")
	return log
}

// chat sends a chat of a user and returns the status of the answer.
func (o *operator) chat(email, key string) int {
	o.t.Helper()
	body := `{"model":"workers-ai/@cf/meta/llama-3.1-8b-instruct","messages":[{"role":"user","content":"hi"}]}`
	req, err := http.NewRequestWithContext(o.t.Context(), http.MethodPost, o.site+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		o.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+email+":"+key)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		o.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode
}

var keyForm = regexp.MustCompile(`^cca_[0-9A-Za-z]{43}\n$`)

// newKey runs a command that must print a key and nothing else.
func (o *operator) newKey(args ...string) string {
	o.t.Helper()
	out := o.run(args...)
	if !keyForm.MatchString(out) {
		o.t.Fatalf("%v printed %q", args, out)
	}
	return strings.TrimSpace(out)
}

// everything returns the content of the keystore as text.
func (o *operator) everything() string {
	if o.kv == nil {
		keys, err := os.ReadFile(filepath.Join(o.folder, "keys.json"))
		if err != nil {
			o.t.Fatal(err)
		}
		return string(keys)
	}
	text := ""
	for name, value := range o.kv.Entries(kvtest.APIKeys) {
		text += name + value
	}
	return text
}
