package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/continue-auth/caddy-continue-auth/test/output"
)

// counting makes the server keep a ledger and an access log. ledger is the ledger's block.
func counting(t *testing.T, ledger string) *operator {
	t.Helper()
	o := newOperator(t, "keystore file", "off")
	o.edit("\tcontinue_auth {", "\tlog {\n\t\toutput file {env.LOGS}/access.log\n\t}\n\tcontinue_auth {")
	if ledger != "" {
		o.edit("\t\tkeystore file\n", "\t\tkeystore file\n\t\t"+ledger+"\n")
	}
	o.env = append(o.env, "LOGS="+o.folder)
	o.run("providers", "set", "workers-ai", "--header", "Authorization={env.WORKERS_AI}")
	return o
}

// sqliteLedger is a ledger in the operator's folder.
const sqliteLedger = "ledger {\n\t\t\tpath usage.db\n\t\t}"

// edit replaces a part of the Caddyfile.
func (o *operator) edit(old, replacement string) {
	o.t.Helper()
	content, err := os.ReadFile(filepath.Join(o.folder, "Caddyfile"))
	if err != nil || strings.Count(string(content), old) != 1 {
		o.t.Fatalf("error %v, no single %q in\n%s", err, old, content)
	}
	o.write("Caddyfile", strings.Replace(string(content), old, replacement, 1))
}

// process is a server that a test ends by itself.
type process struct {
	*exec.Cmd
	t   *testing.T
	log *output.Output
}

func (o *operator) launch() *process {
	o.t.Helper()
	p := &process{caddy(o.t, o.env, "run"), o.t, output.New()}
	p.Dir = o.folder
	p.Stdout, p.Stderr = p.log, p.log
	if err := p.Start(); err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(func() {
		if p.ProcessState == nil {
			_ = p.Process.Kill()
			_ = p.Wait()
		}
	})
	p.log.WaitFor(o.t, "serving initial configuration")
	return p
}

// end stops the server as an operator does.
func (p *process) end() {
	p.t.Helper()
	_ = p.Process.Signal(os.Interrupt)
	if err := p.Wait(); err != nil {
		p.t.Fatalf("caddy ended with %v\n%s", err, p.log)
	}
}

// send sends a request with a key and a User-Agent, and returns the status.
func (o *operator) send(method, path, email, key, agent, body string) (status int, err error) {
	req, err := http.NewRequestWithContext(o.t.Context(), method, o.site+path, strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+email+":"+key)
	req.Header.Set("User-Agent", agent)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = res.Body.Close() }()
	_, err = io.Copy(io.Discard, res.Body)
	return res.StatusCode, err
}

const (
	testModel = "workers-ai/@cf/meta/llama-3.1-8b-instruct"
	testChat  = `{"model":"` + testModel + `","messages":[{"role":"user","content":"hi"}]}`
)

func (o *operator) tryChat(email, key string) (status int, err error) {
	return o.send("POST", "/v1/chat/completions", email, key, "curl", testChat)
}

// work sends requests of all kinds and returns how many of them the ledger must count.
func (o *operator) work(email, key string) (counted int64) {
	o.t.Helper()
	const chat = testChat
	for _, r := range []struct {
		method, path, agent, body string
		status                    int
		counts                    bool
	}{
		{"POST", "/v1/chat/completions", "opencode/1.0", chat, 200, true},
		{"POST", "/v1/chat/completions", "codex_cli_rs/1.0", strings.Replace(chat, "{", `{"stream":true,"stream_options":{"include_usage":true},`, 1), 200, true},
		{"POST", "/v1/messages", "claude-cli/2.0", strings.Replace(chat, "{", `{"max_tokens":50,`, 1), 200, true},
		{"POST", "/v1/chat/completions", "curl", `{"model":"nobody/x","messages":[]}`, 404, true},
		{"POST", "/v1/chat/completions", "curl", `{`, 400, true},
		{"POST", "/v1/messages/count_tokens", "claude-cli/2.0", chat, 404, false},
		{"POST", "/v1beta/models/gemini-2.5-flash:countTokens", "GeminiCLI/1.0", `{"contents":[]}`, 404, false},
		{"GET", "/v1/models", "codex_cli_rs/1.0", "", 200, false},
		{"GET", "/v1/models/nothing", "curl", "", 404, false},
		{"POST", "/v1/nowhere", "curl", "{}", 404, false},
	} {
		if status, err := o.send(r.method, r.path, email, key, r.agent, r.body); err != nil || status != r.status {
			o.t.Errorf("%s %s: status %d, error %v, want %d", r.method, r.path, status, err, r.status)
		}
		if r.counts {
			counted++
		}
	}
	if status, err := o.send("POST", "/v1/chat/completions", email, "wrong", "curl", chat); status != 401 {
		o.t.Errorf("a wrong key has status %d, error %v", status, err)
	}
	return counted
}

// used are the sums that the command usage prints.
type used map[string]map[string]any

// usage runs the command usage and returns its sums by name. Nameless requests are those of unknown users.
func (o *operator) usage(by string, args ...string) used {
	o.t.Helper()
	var rows []map[string]any
	if err := json.Unmarshal([]byte(o.run(append([]string{"usage", "--json", "--by", by}, args...)...)), &rows); err != nil {
		o.t.Fatal(err)
	}
	all := used{}
	for _, row := range rows {
		name := row["name"].(string)
		delete(row, "name")
		delete(row, "last")
		delete(row, "tokens_partial")
		all[name] = row
	}
	return all
}

// requests returns the sum of all requests of known users.
func (o *operator) requests(args ...string) (n int64) {
	o.t.Helper()
	for name, row := range o.usage("user", args...) {
		if name != "" {
			n += int64(row["requests"].(float64))
		}
	}
	return n
}

// agree checks that the ledger has the sums of the log. users are all users.
func (o *operator) agree(users ...string) {
	o.t.Helper()
	for _, by := range []string{"user", "team", "provider", "model", "client", "day"} {
		for _, user := range users {
			ledger, log := o.usage(by, "--user", user), o.usage(by, "--user", user, "--log")
			if len(log) == 0 || !reflect.DeepEqual(ledger, log) {
				o.t.Errorf("%s by %s:\nledger %v\nlog    %v", user, by, ledger, log)
			}
		}
	}
}

// The sums are compared after a clean stop.
func TestTheLedgerAgreesWithTheAccessLog(t *testing.T) {
	o := counting(t, sqliteLedger)
	one := o.newKey("keys", "add", "dev@example.com", "--metadata", "team=core")
	two := o.newKey("keys", "add", "ops@example.com")
	p := o.launch()
	want := o.work("dev@example.com", one) + o.work("ops@example.com", two) + o.work("dev@example.com", one)
	p.end()
	if got := o.requests(); got != want {
		t.Errorf("%d requests, want %d", got, want)
	}
	o.agree("dev@example.com", "ops@example.com")
	if teams := o.usage("team"); teams["core"]["requests"] != float64(10) || teams[""]["requests"] != float64(5) {
		t.Errorf("teams %v", teams)
	}
	if clients := o.usage("client"); len(clients) != 4 || clients["claude-code"]["completion_tokens"] == float64(0) {
		t.Errorf("clients %v", clients)
	}
	if info, err := os.Stat(filepath.Join(o.folder, "usage.db")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file's mode is %v, error %v", info.Mode(), err)
	}
}

func TestUsageImportCountsNothingTwice(t *testing.T) {
	withoutRaces(t)
	o := counting(t, "")
	o.refused("the configuration has no ledger", "usage", "import", "access.log")
	key := o.newKey("keys", "add", "dev@example.com", "--metadata", "team=core")
	p := o.launch()
	want := o.work("dev@example.com", key)
	p.end()
	o.edit("\t\tkeystore file\n", "\t\tkeystore file\n\t\t"+sqliteLedger+"\n")
	o.refused("usage.db: no such file", "usage")
	o.refused("usage.db: no such file", "usage", "import", "access.log")
	p = o.launch()
	want += o.work("dev@example.com", key)
	o.counted(5)
	first := o.run("usage", "import", "access.log") // while the server runs
	if !strings.HasPrefix(first, "5 requests were added to the ledger. 5 were in it already, 0 were older than it keeps, and ") {
		t.Errorf("the command says %q", first)
	}
	want += o.work("dev@example.com", key)
	p.end()
	again := o.run("usage", "import", "access.log", "access.log")
	if !strings.HasPrefix(again, "0 requests were added to the ledger. 30 were in it already, ") {
		t.Errorf("the command says %q", again)
	}
	if got := o.requests(); got != want || want != 15 {
		t.Errorf("%d requests, want %d", got, want)
	}
	o.agree("dev@example.com")

	// A new ledger can be filled from the log: no line was counted by a run that has written to it.
	if err := os.Rename(filepath.Join(o.folder, "usage.db"), filepath.Join(o.folder, "damaged.db")); err != nil {
		t.Fatal(err)
	}
	o.launch().end() // too short to make a file
	o.refused("usage.db: no such file", "usage")
	p = o.launch()
	o.counted(0)
	if out := o.run("usage", "import", "access.log"); !strings.HasPrefix(out, "15 requests were added") {
		t.Errorf("the command says %q", out)
	}
	p.end()
	o.agree("dev@example.com")
}

// counted waits until the ledger has a number of requests. The server writes it every two seconds.
func (o *operator) counted(want int64) {
	o.t.Helper()
	out := ""
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(500 * time.Millisecond) {
		stdout, stderr, status := o.try("usage")
		if out = stdout + stderr; status == 0 && o.requests() == want {
			return
		}
	}
	o.t.Fatalf("the ledger has not got %d requests:\n%s", want, out)
}

// What ended five seconds before the server is killed must be in the ledger, once.
func TestAKilledServerLosesAtMostFiveSeconds(t *testing.T) {
	o := counting(t, sqliteLedger)
	key := o.newKey("keys", "add", "dev@example.com")
	want := int64(0)
	for round := range 2 {
		p := o.launch()
		sent := o.work("dev@example.com", key) + o.work("dev@example.com", key)
		time.Sleep(5 * time.Second) // as documented
		if err := p.Process.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		_ = p.Wait()
		want += sent
		if got := o.requests(); got != want {
			t.Errorf("round %d: %d requests, want %d", round, got, want)
		}
	}
	o.agree("dev@example.com")
}

// Requests go on while the configuration is reloaded, with the same ledger and with another one.
func TestAReloadLosesNoRequest(t *testing.T) {
	o := counting(t, sqliteLedger)
	o.edit("admin off", "admin unix/"+shortFolder(t)+"/admin.sock")
	key := o.newKey("keys", "add", "dev@example.com")
	p := o.launch()
	stop := make(chan struct{})
	var answered atomic.Int64
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				// A request on a connection that Caddy closes at that moment fails.
				if status, err := o.tryChat("dev@example.com", key); err == nil && status != 200 {
					t.Errorf("status %d", status)
				} else if err == nil {
					answered.Add(1)
				}
			}
		})
	}
	for i := range 4 {
		switch i {
		case 1:
			o.edit("path usage.db", "path usage.db\n\t\t\tkeep 30d")
		case 2:
			o.edit("account_id     {", "alias fast openai/x\n\t\taccount_id     {")
		case 3:
			o.edit("keep 30d", "keep 31d")
		}
		reload := caddy(t, o.env, "reload", "--force")
		reload.Dir = o.folder
		if out, err := reload.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	close(stop)
	group.Wait()
	p.end()
	if got, want := o.requests(), answered.Load(); got < want || want == 0 {
		t.Errorf("%d requests, and %d were answered", got, want)
	}
	o.agree("dev@example.com")
}

// shortFolder returns a folder for a socket, whose path must be short.
func shortFolder(t *testing.T) string {
	t.Helper()
	folder, err := os.MkdirTemp("", "admin")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	return folder
}

func TestADamagedLedgerStopsNobody(t *testing.T) {
	withoutRaces(t)
	o := counting(t, sqliteLedger)
	key := o.newKey("keys", "add", "dev@example.com")
	damage := strings.Repeat("this is no database. ", 1000)
	path := o.write("usage.db", damage)
	p := o.launch()
	want := o.work("dev@example.com", key)
	p.log.WaitFor(t, "usage.db is damaged: stop the server, move the file away")
	o.refused("usage.db is damaged", "usage")
	if content, err := os.ReadFile(path); err != nil || string(content) != damage {
		t.Fatalf("the file has changed, error %v", err)
	}
	if err := os.Rename(path, path+".damaged"); err != nil {
		t.Fatal(err)
	}
	p.log.WaitFor(t, "ledger can be written again")
	o.counted(want)
	p.end()
	o.agree("dev@example.com")
}

func TestTheLedgersSiteMustBeChosenIfThereAreSeveral(t *testing.T) {
	withoutRaces(t)
	o := newOperator(t, "keystore file", "off")
	site := func(address, ledger string) string {
		return fmt.Sprintf("%s {\n\tcontinue_auth {\n\t\taccount_id acc\n\t\tgateway gw\n\t\tgateway_token tok\n\t\tkeystore file\n\t\t%s\n\t}\n}\n", address, ledger)
	}
	o.write("Caddyfile", site("a.example.com", "ledger {\n path a.db\n}")+site("b.example.com", "ledger {\n path b.db\n}")+site("c.example.com", ""))
	o.refused("several sites have ledgers of their own: choose one with --site", "usage")
	o.refused("b.db: no such file", "usage", "--site", "b.example.com")
	o.refused("writes no access log", "usage", "--site", "c.example.com")
	o.refused("there is no site", "usage", "--site", "d.example.com")
	o.refused("there is no site", "usage", "import", "x.log", "--site", "d.example.com")
	o.refused("name the files", "usage", "import")
	o.write("Caddyfile", site("a.example.com", "ledger {\n path a.db\n}")+site("b.example.com", "ledger {\n path a.db\n}")+site("c.example.com", ""))
	o.refused("a.db: no such file", "usage")
}
