package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/continue-auth/caddy-continue-auth/keystore/kvtest"
)

var update = flag.Bool("update", false, "write what the commands print to testdata")

// The server's cache would keep the key for an hour, but the server sees every change at once.
func TestARunningServerSeesEveryChangeOfAKey(t *testing.T) {
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

func TestARestrictedKeyAllowsOnlyItsModels(t *testing.T) {
	withoutRaces(t)
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
				for end := time.Now().Add(time.Minute); args == "--expires=2s" && o.chat(email, key) == 200 && time.Now().Before(end); {
					time.Sleep(50 * time.Millisecond)
				}
				if got := o.chat(email, key); got != status {
					t.Errorf("%s: status %d, want %d", args, got, status)
				}
			}
		})
	}
}

func TestTheCommandsSayWhatTheKeystoreLacks(t *testing.T) {
	withoutRaces(t)
	for name, o := range operators(t) {
		t.Run(name, func(t *testing.T) {
			o.t = t
			o.newKey("keys", "add", "dev@example.com")
			before := o.everything()
			o.refusedAll([]wrong{
				{"has a key already", "keys add dev@example.com"},
				{"there is no user nobody@example.com", "keys show nobody@example.com"},
				{"there is no user nobody@example.com", "keys disable nobody@example.com"},
				{"there is no user nobody@example.com", "keys enable nobody@example.com"},
				{"there is no user nobody@example.com", "keys rotate nobody@example.com"},
				{"there is no user nobody@example.com", "keys remove nobody@example.com --yes"},
				{"there is no user nobody@example.com", "client-config nobody@example.com"},
				{"there is no user nobody@example.com", "keys remove nobody@example.com"},
				{"there is no provider x", "providers remove x --yes"},
				{"there is no provider x", "providers remove x"},
				{"no model that this user may use", "client-config dev@example.com"},
			})
			o.hasOnly(before)
		})
	}
}

func TestTheCommandsRefuseWrongArguments(t *testing.T) {
	withoutRaces(t)
	o := operators(t)["cloudflare_kv"]
	o.newKey("keys", "add", "dev@example.com")
	before := o.everything()
	o.refusedAll([]wrong{
		{"an email must not be empty", "keys add dev:x"},
		{"one argument is wanted, and there are 0: caddy continue-auth keys add EMAIL", "keys add"},
		{"one argument is wanted, and there are 2: caddy continue-auth providers remove NAME", "providers remove x y"},
		{"must be a duration such as 90d", "keys add new@example.com --expires soon"},
		{"is over already", "keys add new@example.com --expires 2020-01-01"},
		{"must be name=value", "keys add new@example.com --metadata team"},
		{"reserved", "keys add new@example.com --metadata user=boss"},
		{"four entries", "keys add new@example.com --metadata a=1 --metadata b=2 --metadata c=3 --metadata d=4 --metadata e=5"},
		{"--grace", "keys rotate dev@example.com --grace -1h"},
		{"must be NAME=VALUE", "providers set x --header secret"},
		{"NOT_SET", "providers set x --header a={env.NOT_SET}"},
		{"not valid in HTTP", "providers set x --header a=b\x01"},
		{"must be yaml or json", "client-config dev@example.com --format toml"},
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
	})
	o.refused("put a comma between two", "keys", "add", "new@example.com", "--models=workers-ai/* openai/*")
	o.hasOnly(before)
}

// wrong is a command with wrong arguments, and what it says.
type wrong struct{ says, args string }

func (o *operator) refusedAll(commands []wrong) {
	o.t.Helper()
	for _, command := range commands {
		o.refused(command.says, strings.Fields(command.args)...)
	}
}

// hasOnly tests that the keystore has the same content as before.
func (o *operator) hasOnly(before string) {
	o.t.Helper()
	if o.everything() != before {
		o.t.Errorf("the keystore is %s, was %s", o.everything(), before)
	}
}

// A site must be chosen if there are several keystores. For client-config it must also be chosen if
// there are several addresses.
func TestASiteMustBeChosenIfThereAreSeveral(t *testing.T) {
	withoutRaces(t)
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

// Each writer is a process.
func TestManyCommandsAtOnceLoseNoUser(t *testing.T) {
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

// A server that was set up as docs/operating.md says has such a token.
func TestATokenThatMayOnlyReadCannotWrite(t *testing.T) {
	o := operators(t)["cloudflare_kv"]
	o.t = t
	o.env = append(o.env, "CLOUDFLARE_API_TOKEN="+kvtest.ReadOnlyToken)
	o.refused("Workers KV Storage Write", "keys", "add", "dev@example.com")
	if got := o.run("keys", "list"); got != "There are no users yet.\n" {
		t.Errorf("the list is %q", got)
	}
}

// It compares the output with testdata/commands-*.txt.
func TestTheOutputOfTheCommands(t *testing.T) {
	withoutRaces(t)
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
					continue // missing files are an error, but KV is only empty
				}
				script.WriteString(o.transcript(hidden, line))
			}
			golden(t, "commands-"+name+".txt", script.String())
		})
	}
}

// transcript runs a command and returns what a terminal would show. Parts that differ from run to
// run are hidden.
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

// golden compares got with a file of testdata.
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

// A command that is run in the wrong folder must not leave a keystore there.
func TestOnlyCommandsThatAddSomethingMakeFiles(t *testing.T) {
	withoutRaces(t)
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

func TestControlCharactersOfProvidersAreNotPrinted(t *testing.T) {
	withoutRaces(t)
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
