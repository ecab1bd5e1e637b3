package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/continue-auth/caddy-continue-auth/keystore/kvtest"
	"github.com/continue-auth/caddy-continue-auth/provider/gatewaytest"
	"github.com/continue-auth/caddy-continue-auth/test/freeport"
)

var update = flag.Bool("update", false, "write what the commands print to testdata")

// operator is somebody with a Caddyfile in the folder.
type operator struct {
	t      *testing.T
	folder string
	env    []string
	kv     *kvtest.Server // nil for files
	admin  string
	site   string // URL

	gateway *gatewaytest.Server
}

// operators are one for each keystore. The admin endpoint is a socket for one, a port for the other.
func operators(t *testing.T) map[string]*operator {
	files := newOperator(t, `keystore file`, fmt.Sprintf("127.0.0.1:%d", freeport.For(t)))
	kv := kvtest.NewServer(t)
	socket, err := os.MkdirTemp("", "admin") // t's own folder makes paths too long for a socket
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

// command is `caddy continue-auth …` in the folder.
func (o *operator) command(args ...string) *exec.Cmd {
	cmd := caddy(o.t, o.env, append([]string{"continue-auth"}, args...)...)
	cmd.Dir = o.folder
	return cmd
}

// try runs a command and returns what it prints and its exit status.
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

// refused runs a command that must fail, with an error that says so.
func (o *operator) refused(says string, args ...string) {
	o.t.Helper()
	stdout, stderr, status := o.try(args...)
	if status != 1 || stdout != "" || !strings.Contains(stderr, says) || strings.Contains(stderr, "Usage:") {
		o.t.Errorf("%v: exit status %d, want 1 and %q\n%s%s", args, status, says, stdout, stderr)
	}
}

// serve runs the server until the test ends, and returns its log.
func (o *operator) serve() *output {
	o.t.Helper()
	cmd := caddy(o.t, o.env, "run")
	cmd.Dir = o.folder
	log := newOutput()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		if err := cmd.Wait(); err != nil {
			o.t.Errorf("caddy ended with %v", err)
		}
		for _, secret := range []string{"cca_", "kvtest-", "gatewaytest-"} { // with which they all begin
			if strings.Contains(log.String(), secret) {
				o.t.Errorf("the log at level DEBUG has a secret that begins with %q", secret)
			}
		}
	})
	log.waitFor(o.t, "serving initial configuration")
	return log
}

// chat is the status with which the server answers a chat of that user's.
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

// newKey runs a command that prints a key and nothing else.
func (o *operator) newKey(args ...string) string {
	o.t.Helper()
	out := o.run(args...)
	if !keyForm.MatchString(out) {
		o.t.Fatalf("%v printed %q", args, out)
	}
	return strings.TrimSpace(out)
}

// everything is what the keystore holds, as text.
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

// TestTheLifeOfAKey is seen at once by a running server whose cache would keep it for an hour.
func TestTheLifeOfAKey(t *testing.T) {
	for name, o := range operators(t) {
		t.Run(name, func(t *testing.T) {
			o.t = t
			const dev = "dev+tag/x@example.com"
			o.run("providers", "set", "workers-ai", "--header", "Authorization={env.WORKERS_AI}", "--model", "@cf/meta/llama-3.1-8b-instruct")
			log := o.serve()
			var keys []string
			want := func(what string, statuses ...int) {
				t.Helper()
				for i, status := range statuses {
					if got := o.chat(dev, keys[i]); got != status {
						t.Errorf("%s: key %d gets status %d, want %d", what, i, got, status)
					}
				}
			}
			keys = append(keys, "not-a-key")
			want("nobody yet", 401)
			keys = append(keys, o.newKey("keys", "add", dev, "--metadata", "team=core"))
			want("added", 401, 200)
			o.run("keys", "disable", dev)
			want("disabled", 401, 401)
			o.run("keys", "enable", dev)
			want("enabled", 401, 200)
			keys = append(keys, o.newKey("keys", "rotate", dev, "--grace", "1h"))
			want("rotated with a grace", 401, 200, 200)
			keys = append(keys, o.newKey("keys", "rotate", dev))
			want("rotated without", 401, 401, 401, 200)
			for _, secret := range keys[1:] {
				if strings.Contains(o.everything(), secret) || strings.Contains(log.String(), secret) {
					t.Error("a key is in the keystore or the log")
				}
			}
			o.run("keys", "remove", dev)
			want("removed", 401, 401, 401, 401)
			if _, stderr, _ := o.try("keys", "add", dev); !regexp.MustCompile(`The running server was told(\.|, and takes this up at most 1h0m0s after Workers KV shows it)`).MatchString(stderr) {
				t.Errorf("the operator reads %q", stderr)
			}
		})
	}
}

func TestARestrictedKey(t *testing.T) {
	for name, o := range operators(t) {
		t.Run(name, func(t *testing.T) {
			o.t = t
			o.run("providers", "set", "workers-ai", "--header", "Authorization={env.WORKERS_AI}")
			o.serve()
			for args, status := range map[string]int{
				"--models=workers-ai/*": 200, "--models=openai/*,workers-ai/@cf/meta/*": 200, "--models=openai/*": 403, "--models=": 403, "--expires=90d": 200, "--expires=2s": 401,
			} {
				email := strings.Trim(regexp.MustCompile(`[^a-z0-9]+`).ReplaceAllString(args, "-"), "-") + "@example.com"
				key := o.newKey("keys", "add", email, args)
				for end := time.Now().Add(10 * time.Second); args == "--expires=2s" && o.chat(email, key) == 200 && time.Now().Before(end); {
				}
				if got := o.chat(email, key); got != status {
					t.Errorf("%s: status %d, want %d", args, got, status)
				}
			}
		})
	}
}

func TestWhatTheCommandsRefuse(t *testing.T) {
	for name, o := range operators(t) {
		t.Run(name, func(t *testing.T) {
			o.t = t
			o.newKey("keys", "add", "dev@example.com")
			before := o.everything()
			for _, test := range []struct {
				says string
				args string
			}{
				{"has a key already", "keys add dev@example.com"},
				{"an email must not be empty", "keys add dev:x"},
				{"one argument is wanted, and there are 0: caddy continue-auth keys add EMAIL", "keys add"},
				{"one argument is wanted, and there are 2: caddy continue-auth providers remove NAME", "providers remove x y"},
				{"must be a duration such as 90d", "keys add new@example.com --expires soon"},
				{"is over already", "keys add new@example.com --expires 2020-01-01"},
				{"must be name=value", "keys add new@example.com --metadata team"},
				{"reserved", "keys add new@example.com --metadata user=boss"},
				{"four entries", "keys add new@example.com --metadata a=1 --metadata b=2 --metadata c=3 --metadata d=4 --metadata e=5"},
				{"there is no user nobody@example.com", "keys show nobody@example.com"},
				{"there is no user nobody@example.com", "keys disable nobody@example.com"},
				{"there is no user nobody@example.com", "keys enable nobody@example.com"},
				{"there is no user nobody@example.com", "keys rotate nobody@example.com"},
				{"there is no user nobody@example.com", "keys remove nobody@example.com --yes"},
				{"there is no user nobody@example.com", "client-config nobody@example.com"},
				{"--grace", "keys rotate dev@example.com --grace -1h"},
				{"there is no user nobody@example.com", "keys remove nobody@example.com"},
				{"there is no provider x", "providers remove x --yes"},
				{"there is no provider x", "providers remove x"},
				{"must be NAME=VALUE", "providers set x --header secret"},
				{"NOT_SET", "providers set x --header a={env.NOT_SET}"},
				{"not valid in HTTP", "providers set x --header a=b\x01"},
				{"must be yaml or json", "client-config dev@example.com --format toml"},
				{"no model that this user may use", "client-config dev@example.com"},
				{"unknown flag", "keys list --yaml"},
				{"unknown command", "keys rotat dev@example.com"},
				{"unknown command", "keyz"},
				{"unknown command", "providers sett x"},
				{"must be a duration", "keys add new@example.com --expires="},
				{"must be a duration such as 24h", "keys rotate dev@example.com --grace 24"},
				{"a provider's name", "providers set a/b --model m"},
				{"a provider's name", "providers set Workers-AI"},
				{"Name the model", "providers set workers-ai --model llama"},
				{"Check the model's name", "providers set openai --model="},
				{"no such file", "keys list --config nowhere/Caddyfile"},
				{"there is no site", "keys list --site other.example.com"},
				{"no adapter", "keys list --adapter toml"},
				{"no such file", "keys import nowhere.csv"},
			} {
				o.refused(test.says, strings.Fields(test.args)...)
			}
			o.refused("put a comma between two", "keys", "add", "new@example.com", "--models=workers-ai/* openai/*")
			if o.everything() != before {
				t.Errorf("the keystore is %s, was %s", o.everything(), before)
			}
		})
	}
}

// TestASiteMustBeChosen where there are several keystores, and for clients also where there are
// several addresses.
func TestASiteMustBeChosen(t *testing.T) {
	o := newOperator(t, "keystore file", "off")
	site := func(address, keys string) string {
		return address + " {\n\tcontinue_auth {\n\t\taccount_id acc\n\t\tgateway gw\n\t\tgateway_token tok\n\t\tkeystore file {\n\t\t\tapi_keys " + keys + "\n\t\t}\n\t}\n}\n"
	}
	o.write("Caddyfile", "{\n\tadmin off\n}\n"+site("ai.example.com", "a.json")+site("http://plain.example.com:8080", "a.json")+site("https://other.example.com:8443", "b.json"))
	o.refused("choose a site with --site, by its host or by its address; there are:\n  ai.example.com (https://ai.example.com/v1)\n  plain.example.com (http://plain.example.com:8080/v1)\n  other.example.com (https://other.example.com:8443/v1)", "keys", "add", "dev@example.com")
	_, stderr, _ := o.try("keys", "add", "dev@example.com", "--site", "ai.example.com")
	if !strings.Contains(stderr, "admin endpoint is off: a server takes this up at most 10s from now") {
		t.Errorf("the operator reads %q", stderr)
	}
	o.refused("b.json: no such file", "keys", "show", "dev@example.com", "--site", "other.example.com")
	o.run("providers", "set", "openai", "--model", "gpt-4o-mini", "--site", "plain.example.com")
	for host, base := range map[string]string{"ai.example.com": "https://ai.example.com/v1", "plain.example.com": "http://plain.example.com:8080/v1"} {
		if got := o.run("client-config", "dev@example.com", "--site", host); !strings.Contains(got, "apiBase: "+base+"\n") {
			t.Errorf("%s: no %s in\n%s", host, base, got)
		}
	}
	o.write("Caddyfile", "{\n\tadmin off\n}\n"+site("ai.example.com", "a.json")+site("http://plain.example.com:8080", "a.json"))
	o.run("keys", "show", "dev@example.com")
	o.refused("choose a site", "client-config", "dev@example.com")
	o.write("Caddyfile", "{\n\tadmin off\n}\n"+site("http://ai.example.com:8080", "a.json")+site("http://ai.example.com:8081", "b.json"))
	o.refused("choose a site", "keys", "list", "--site", "ai.example.com")
	o.newKey("keys", "add", "second@example.com", "--site", "http://ai.example.com:8081/v1")
	o.refused("there is no user", "keys", "show", "second@example.com", "--site", "http://ai.example.com:8080/v1")
	o.write("other.json", `{"apps":{"http":{"servers":{}}}}`)
	o.refused("has no continue_auth", "keys", "list", "--config", "other.json")
	o.write("other.json", `{`)
	o.refused("not valid JSON", "keys", "list", "--config", "other.json")
}

func TestTheConfigurationMayBeJSON(t *testing.T) {
	o := newOperator(t, "keystore file", "off")
	cmd := caddy(t, o.env, "adapt")
	cmd.Dir = o.folder
	adapted, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	o.write("caddy.json", string(adapted))
	o.newKey("keys", "add", "dev@example.com", "--config", "caddy.json")
	if got := o.run("keys", "list"); !strings.Contains(got, "dev@example.com") {
		t.Errorf("the Caddyfile's keystore has\n%s", got)
	}
}

// TestManyWritersLoseNothing: each of them a process.
func TestManyWritersLoseNothing(t *testing.T) {
	const writers = 8
	for name, o := range operators(t) {
		t.Run(name, func(t *testing.T) {
			o.t = t
			var all sync.WaitGroup
			for i := range writers {
				all.Go(func() {
					if out, err := o.command("keys", "add", fmt.Sprintf("dev%d@example.com", i)).CombinedOutput(); err != nil {
						t.Errorf("%v: %s", err, out)
					}
				})
			}
			all.Wait()
			var users []struct{ Email string }
			if err := json.Unmarshal([]byte(o.run("keys", "list", "--json")), &users); err != nil || len(users) != writers {
				t.Errorf("%d users, error %v", len(users), err)
			}
		})
	}
}

// TestATokenThatMayOnlyRead is what the server has, if it was set up as docs/operating.md says.
func TestATokenThatMayOnlyRead(t *testing.T) {
	o := operators(t)["cloudflare_kv"]
	o.t = t
	o.env = append(o.env, "CLOUDFLARE_API_TOKEN="+kvtest.ReadOnlyToken)
	o.refused("Workers KV Storage Write", "keys", "add", "dev@example.com")
	if got := o.run("keys", "list"); got != "There are no users yet.\n" {
		t.Errorf("the list is %q", got)
	}
}

// TestTheOutput compares what is printed with testdata/commands.
func TestTheOutput(t *testing.T) {
	for name, o := range operators(t) {
		t.Run(name, func(t *testing.T) {
			o.t = t
			hidden := regexp.MustCompile(`cca_[0-9A-Za-z]{43}|\b[0-9a-f]{8}\b|\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\dZ?`)
			var script strings.Builder
			for _, line := range []string{
				"keys list", "keys add dev@example.com --expires 90d --models workers-ai/*,openai/gpt-4o-mini --metadata team=core",
				"keys add ops@example.com --json", "keys list", "keys list --json", "keys rotate dev@example.com --grace 24h", "keys disable dev@example.com",
				"keys show dev@example.com", "keys show dev@example.com --json", "keys enable dev@example.com", "keys remove ops@example.com --yes",
				"providers list", "providers set openai --header Authorization=secret --query x=secret --model gpt-4o-mini --model gpt-5-mini", "providers list", "providers list --json",
				"client-config dev@example.com", "client-config dev@example.com --format json", "providers remove openai",
			} {
				if o.kv != nil && line == "keys list" && script.Len() == 0 {
					continue // files that are not there are an error; KV is just empty
				}
				script.WriteString(o.transcript(hidden, line))
			}
			golden(t, "commands-"+name+".txt", script.String())
		})
	}
}

// transcript runs a command and returns what a terminal would show of it, without what differs from
// run to run.
func (o *operator) transcript(hidden *regexp.Regexp, line string) string {
	o.t.Helper()
	stdout, stderr, status := o.try(strings.Fields(line)...)
	shown := func(s string) string {
		s = strings.NewReplacer(o.admin, "ADMIN", o.site, "SITE", o.folder, "FOLDER").Replace(s)
		return hidden.ReplaceAllStringFunc(s, func(s string) string { return strings.Repeat("x", len(s)) })
	}
	script := fmt.Sprintf("$ %s\n%s", line, shown(stdout))
	for message := range strings.Lines(shown(stderr)) {
		script += "! " + message
	}
	if status != 0 {
		script += fmt.Sprintf("exit status %d\n", status)
	}
	return script
}

// golden compares with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestOnlyWhatMakesSomethingMakesFiles: in the wrong folder, no other command leaves a keystore.
func TestOnlyWhatMakesSomethingMakesFiles(t *testing.T) {
	o := newOperator(t, "keystore file", "off")
	for _, args := range [][]string{
		{"keys", "disable", "dev@example.com"}, {"keys", "rotate", "dev@example.com"}, {"keys", "remove", "dev@example.com", "--yes"},
		{"keys", "list"}, {"keys", "migrate"}, {"providers", "remove", "groq", "--yes"}, {"providers", "list"},
	} {
		o.refused("keys.json: no such file", args...)
	}
	if left, err := os.ReadDir(o.folder); err != nil || len(left) != 1 {
		t.Errorf("%v, %v", left, err)
	}
}

func TestWhatProvidersAreCalledDoesNotReachTheTerminalRaw(t *testing.T) {
	o := newOperator(t, "keystore file", "off")
	o.write("keys.json", "[]")
	o.write("providers.json", `[{"key":"gro\u202eq","value":"{\"models\":[\"m\\u001b[2J\"]}"},{"key":"x\u202ey","value":"{"}]`)
	stdout, stderr, _ := o.try("providers", "list")
	if !strings.Contains(stderr, "The settings of x?y are broken") || strings.ContainsAny(stdout+stderr, "\u202e\x1b") {
		t.Errorf("printed %q, %q", stdout, stderr)
	}
	o.write("providers.json", `[{"key":"gro\u202eq","value":"{\"models\":[\"m\\u001b[2J\"]}"}]`)
	if stdout := o.run("providers", "list"); !strings.Contains(stdout, "gro?q") || !strings.Contains(stdout, "m?[2J") {
		t.Errorf("printed %q", stdout)
	}
}
