package caddyauth

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/continue-auth/caddy-continue-auth/test/freeport"
	"github.com/continue-auth/caddy-continue-auth/usage"
	"github.com/continue-auth/caddy-continue-auth/usage/sqlite"
)

// withLedger returns the JSON of a handler with a ledger.
func withLedger(t *testing.T, ledger string) string {
	t.Helper()
	return `{"account_id":"acc","gateway":"gw","gateway_token":"t","keystore":` + files(t) + `,"ledger":` + ledger + `}`
}

func TestInvalidLedgersFailToLoad(t *testing.T) {
	t.Setenv("SECRET_DSN", "postgres://user:a-secret@host:port/x")
	for name, test := range map[string]struct{ ledger, want string }{
		"no module":                            {`{"path":"x"}`, "ledger: lacks its module; set it to sqlite or postgres"},
		"an unknown module":                    {`{"module":"mysql"}`, "ledger: "},
		"a path with an unknown placeholder":   {`{"module":"sqlite","path":"{env.NOT_SET_ANYWHERE}"}`, "path: "},
		"a keep without a unit":                {`{"module":"sqlite","keep":"400"}`, "keep: must be a duration"},
		"a keep of less than a day":            {`{"module":"sqlite","keep":"23h"}`, "keep: must be at least 24h"},
		"a keep of less than a day, elsewhere": {`{"module":"postgres","dsn":"host=x","keep":"23h"}`, "keep: must be at least 24h"},
		"an unknown setting":                   {`{"module":"sqlite","file":"x"}`, "file"},
		"no connection string":                 {`{"module":"postgres"}`, "dsn: is missing; set it to the connection string of PostgreSQL, such as {env.POSTGRES_DSN}"},
		"a connection string that is invalid":  {`{"module":"postgres","dsn":"{env.SECRET_DSN}"}`, "dsn: is no connection string of PostgreSQL"},
		"a variable that is not set":           {`{"module":"postgres","dsn":"{env.NOT_SET_ANYWHERE}"}`, "dsn: "},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := provision(t, withLedger(t, test.ledger))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("error %v, want %q in it", err, test.want)
			}
			if strings.Contains(err.Error(), "a-secret") {
				t.Errorf("the error has the secret: %v", err)
			}
			ledgers.Range(func(any, any) bool { t.Error("a failed load still holds a ledger"); return false })
		})
	}
}

func TestTheLedgersDefaults(t *testing.T) {
	data := t.TempDir()
	t.Setenv("XDG_DATA_HOME", data)
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	defer cancel()
	for config, want := range map[string]SQLite{
		`{}`:                        {path: filepath.Join(data, "caddy", "continue_auth", "usage.db"), keep: 400 * 24 * time.Hour},
		`{"path":"/x","keep":"2d"}`: {path: "/x", keep: 48 * time.Hour},
	} {
		module, err := ctx.LoadModuleByID("continue_auth.ledgers.sqlite", []byte(config))
		if err != nil {
			t.Fatal(err)
		}
		if got := module.(*SQLite); got.path != want.path || got.Keep() != want.keep {
			t.Errorf("%s: %+v, want %+v", config, got, want)
		}
	}
	if _, err := provision(t, withLedger(t, `{"module":"sqlite"}`)); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(data); len(left) != 0 {
		t.Errorf("a configuration that only loads makes %v", left)
	}
}

func TestAReloadKeepsTheLedgerIfItsSettingsAreUnchanged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "usage.db")
	p := start(t, setup{upstream: newUpstream(t, answerChat).URL, options: "ledger {\npath " + path + "\n}"})
	open := func() (all []*usage.Recorder) {
		ledgers.Range(func(_, value any) bool {
			all = append(all, value.(pooledLedger).Recorder)
			return true
		})
		return all
	}
	before := open()
	if err := p.load(strings.Replace(p.config, "gateway gw", "gateway other", 1)); err != nil {
		t.Fatal(err)
	}
	if after := open(); len(before) != 1 || !slices.Equal(before, after) {
		t.Errorf("%v became %v", before, after)
	}
	if err := p.load(strings.Replace(p.config, path, path+".2", 1)); err != nil {
		t.Fatal(err)
	}
	if after := open(); len(after) != 1 || after[0] == before[0] {
		t.Errorf("with another file, %v became %v", before, after)
	}
	if err := p.load(strings.Replace(p.config, "ledger {\npath "+path+"\n}", "", 1)); err != nil {
		t.Fatal(err)
	}
	if after := open(); len(after) != 0 {
		t.Errorf("without a ledger, %v are left", after)
	}
}

func TestTheLedgerCountsWhatKnownUsersUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "usage.db")
	p := start(t, setup{upstream: newUpstream(t, answerChat).URL, options: "ledger {\npath " + path + "\n}"})
	send := func(path, agent, body string) int {
		header := as(testEmail, testKey)
		header["User-Agent"] = agent
		return p.do(request{path: path, body: body, header: header}).StatusCode
	}
	began := time.Now()
	statuses := []int{
		send("/v1/chat/completions", "codex_exec/1", chatBody(llama)),
		send("/v1/chat/completions", "codex_exec/1", chatBody(llama)),
		send("/v1/chat/completions", "zed/1", chatBody("nowhere/x")),
		send("/v1/messages/count_tokens", "claude-cli/1", chatBody(llama)),
		send("/v1/models", "zed/1", ""),
		p.do(request{path: "/v1/chat/completions", header: as(testEmail, "wrong"), body: chatBody(llama)}).StatusCode,
	}
	if !reflect.DeepEqual(statuses, []int{200, 200, 404, 404, 405, 401}) {
		t.Fatalf("statuses %v", statuses)
	}
	l := sqlite.Existing(path)
	defer func() { _ = l.Close() }()
	query := usage.Query{Since: began, By: []usage.Dimension{usage.ByUser, usage.ByTeam, usage.ByModel, usage.ByClient}}
	var rows []usage.Row
	for range 3000 {
		if rows, _ = l.Sum(t.Context(), query); len(rows) == 2 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	slices.SortFunc(rows, func(a, b usage.Row) int { return strings.Compare(a.Client, b.Client) })
	want := []usage.Row{
		{User: testEmail, Team: "core", Provider: "workers-ai", Model: strings.TrimPrefix(llama, "workers-ai/"), Client: "codex", Requests: 2},
		{User: testEmail, Team: "core", Client: "zed", Requests: 1, Refused: 1},
	}
	for i := range rows {
		if i == 0 && (rows[i].Prompt == 0 || rows[i].Completion == 0) {
			t.Errorf("no tokens in %+v", rows[i])
		}
		rows[i].Prompt, rows[i].Completion, rows[i].Cached = 0, 0, 0
	}
	if !reflect.DeepEqual(rows, want) {
		t.Errorf("got  %+v\nwant %+v", rows, want)
	}
	run := ""
	ledgers.Range(func(_, value any) bool { run = value.(pooledLedger).Run(); return true })
	field := fmt.Sprintf(`"ledger_run":%q`, run)
	p.log.WaitFor(t, `"outcome":"invalid_api_key"`)
	if n := strings.Count(p.log.String(), field); n != 3 {
		t.Errorf("%d lines of the access log say that the ledger counts them, want 3", n)
	}
	if n := strings.Count(p.log.String(), `"team":"core"`); n < 3 {
		t.Errorf("%d lines of the access log have the team", n)
	}
}

// Nothing listens at the port of the database.
func TestALedgerThatIsAwayStopsNobody(t *testing.T) {
	t.Setenv("TEST_DSN", fmt.Sprintf("postgres://user:kvtest-password@127.0.0.1:%d/x?sslmode=disable", freeport.For(t)))
	p := start(t, setup{upstream: newUpstream(t, answerChat).URL, options: "ledger postgres {\ndsn {env.TEST_DSN}\n}"})
	before := scrape(t)
	for range 3 {
		if status := p.do(request{path: "/v1/chat/completions", body: chatBody(llama)}).StatusCode; status != 200 {
			t.Errorf("status %d", status)
		}
	}
	eventually(t, before, map[string]float64{"ledger_pending_rows": 1}, "ledger_")
	p.log.WaitFor(t, "ledger cannot be written; requests are counted in memory")
	p.log.WaitFor(t, "PostgreSQL cannot be reached: connection refused")
}

func TestEnteringAKnownRowNeedsNoMemory(t *testing.T) {
	h, err := provision(t, withLedger(t, fmt.Sprintf(`{"module":"sqlite","path":%q}`, filepath.Join(t.TempDir(), "usage.db"))))
	if err != nil {
		t.Fatal(err)
	}
	rec := newRecord(httptest.NewRequest("POST", "/", nil))
	rec.signedIn, rec.costs, rec.email, rec.team, rec.provider, rec.model = true, true, testEmail, "core", "openai", "gpt-4o-mini"
	h.enter(rec)
	if n := testing.AllocsPerRun(1000, func() { h.enter(rec) }); n > 0.5 { // a flush or the next hour can come between
		t.Errorf("%v allocations", n)
	}
	if h.ledger.Pending() != 1 || rec.run != h.ledger.Run() {
		t.Errorf("%d rows are pending, run %q", h.ledger.Pending(), rec.run)
	}
	for name, change := range map[string]func(*record){
		"a stranger":               func(r *record) { r.signedIn = false },
		"a list of models":         func(r *record) { r.costs = false },
		"a handler with no ledger": func(*record) { h.ledger = nil },
	} {
		changed := *rec
		changed.run, changed.email = "", name
		r := h.ledger
		change(&changed)
		if h.enter(&changed); changed.run != "" || r != nil && r.Pending() != 1 {
			t.Errorf("%s is entered", name)
		}
	}
}
