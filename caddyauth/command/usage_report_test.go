package command

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/continue-auth/caddy-continue-auth/usage"
	"github.com/continue-auth/caddy-continue-auth/usage/sqlite"
)

func TestUsageOfTheLedgerIsPrintedInEveryForm(t *testing.T) {
	l := sqlite.New(filepath.Join(t.TempDir(), "usage.db"))
	opened := &openedLedger{Ledger: l, ctx: t.Context()}
	defer func() { _ = l.Close() }()
	day := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	rows := []usage.Row{
		{Hour: day, User: "dev@example.com", Team: "core", Provider: "openai", Model: "gpt-4o", Client: "codex", Requests: 3, Refused: 1, Prompt: 10, Completion: 5, Cached: 2},
		{Hour: day.Add(25 * time.Hour), User: "=1+1", Provider: "workers-ai", Model: "\x1b@cf/x", Client: "zed", Requests: 1, Prompt: 100},
		{Hour: day.Add(26 * time.Hour), User: "dev@example.com", Team: "core", Client: "codex", Requests: 1, Refused: 1},
	}
	if err := l.Write(t.Context(), &usage.Batch{Run: "run", Number: 1, Rows: rows}); err != nil {
		t.Fatal(err)
	}
	const header = "requests,refused,prompt_tokens,cached_tokens,completion_tokens\n"
	for by, want := range map[string]string{
		byUser:     "user," + header + "'=1+1,1,0,100,0,0\ndev@example.com,4,2,10,2,5\n",
		byTeam:     "team," + header + ",1,0,100,0,0\ncore,4,2,10,2,5\n",
		byProvider: "provider," + header + "workers-ai,1,0,100,0,0\nopenai,3,1,10,2,5\n,1,1,0,0,0\n",
		byModel:    "model," + header + "workers-ai/\x1b@cf/x,1,0,100,0,0\nopenai/gpt-4o,3,1,10,2,5\n,1,1,0,0,0\n",
		byClient:   "client," + header + "zed,1,0,100,0,0\ncodex,4,2,10,2,5\n",
		byDay:      "day," + header + "2026-11-01,3,1,10,2,5\n2026-11-02,2,1,100,0,0\n",
	} {
		r, err := opened.report(by, usage.Query{})
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		if err := (&usageFlags{asCSV: true}).print(r, &out); err != nil || out.String() != want {
			t.Errorf("by %s: error %v\n%s\nwant\n%s", by, err, out.String(), want)
		}
	}
	r, err := opened.report(byModel, usage.Query{Since: day.Add(24 * time.Hour), User: "=1+1"})
	if err != nil {
		t.Fatal(err)
	}
	for want, f := range map[string]*usageFlags{
		"MODEL               REQUESTS  REFUSED  PROMPT  CACHED  COMPLETION\nworkers-ai/?@cf/x  1         0        100     0       0\nTOTAL              1         0        100     0       0\n":         {},
		"[\n  {\n    \"name\": \"workers-ai/\\u001b@cf/x\",\n    \"requests\": 1,\n    \"refused\": 0,\n    \"prompt_tokens\": 100,\n    \"cached_tokens\": 0,\n    \"completion_tokens\": 0\n  }\n]\n": {asJSON: true},
	} {
		var out strings.Builder
		if err := f.print(r, &out); err != nil || strings.Join(strings.Fields(out.String()), " ") != strings.Join(strings.Fields(want), " ") {
			t.Errorf("error %v\n%s\nwant\n%s", err, out.String(), want)
		}
	}
	none, err := opened.report(byUser, usage.Query{User: "nobody"})
	if err != nil {
		t.Fatal(err)
	}
	for want, f := range map[string]*usageFlags{"There are no requests to continue_auth in the ledger.\n": {}, "[]\n": {asJSON: true}, "user," + header: {asCSV: true}} {
		var out strings.Builder
		if err := f.print(none, &out); err != nil || out.String() != want {
			t.Errorf("error %v, %q, want %q", err, out.String(), want)
		}
	}
}

func TestALogIsAddedUpByEveryDimensionAndForOneUser(t *testing.T) {
	log := lineAt(0, `"prompt_tokens":5`) + lineAt(86400, `"prompt_tokens":6`) +
		accessLine(`"user_id":"ops@example.com","key_lookup":"fresh","provider":"groq","model":"llama","client":"zed","prompt_tokens":7`)
	for by, want := range map[string]string{
		byUser: "ops@example.com=7", byTeam: "=7", byProvider: "groq=7", byModel: "groq/llama=7", byClient: "zed=7", byDay: "2026-05-03=7",
	} {
		l, err := newUsageLog(by, "", at)
		if err != nil {
			t.Fatal(err)
		}
		l.user = "ops@example.com"
		if err := l.read("log", strings.NewReader(log)); err != nil {
			t.Fatal(err)
		}
		name, _, _ := strings.Cut(want, "=")
		if len(l.byName) != 1 || l.byName[name] == nil || l.byName[name].PromptTokens != 7 {
			t.Errorf("by %s: %v, want %s", by, l.report().rows, want)
		}
	}
	l, err := newUsageLog(byDay, "", at)
	if err == nil {
		err = l.read("log", strings.NewReader(log))
	}
	if rows := l.sorted(); err != nil || len(rows) != 2 || rows[0].Name != "2026-05-03" || rows[0].PromptTokens != 12 || rows[1].Name != "2026-05-04" {
		t.Errorf("error %v, days %v", err, rows)
	}
	l, _ = newUsageLog(byDay, "", at)
	if err := l.read("log", strings.NewReader(strings.Replace(log, `"ts":`, `"when":`, 1))); err == nil || !strings.Contains(err.Error(), "the time is needed in `ts`") {
		t.Errorf("a log without times: error %v", err)
	}
}

// Nobody can be free of charge by asking for it in a query.
func TestOnlyListsAndCountsOfTokensAreFree(t *testing.T) {
	for name, test := range map[string]struct {
		method, uri, user string
		free              bool
	}{
		"a chat":                        {"POST", "/v1/chat/completions", "a", false},
		"the list of models":            {"GET", "/v1/models", "a", true},
		"the head of the list":          {"HEAD", "/v1/models", "a", true},
		"a list that was refused":       {"GET", "/v1/models", "", false},
		"a count of tokens":             {"POST", "/v1/messages/count_tokens?beta=true", "a", true},
		"Gemini's count of tokens":      {"POST", "/v1beta/models/x:countTokens", "a", true},
		"a query that looks like one":   {"POST", "/v1/messages?x=/count_tokens", "a", false},
		"a log without the request":     {"", "", "a", false},
		"a model with a name like that": {"POST", "/v1beta/models/countTokens:generateContent", "a", false},
	} {
		if got := (&logLine{method: test.method, uri: test.uri, user: test.user}).free(); got != test.free {
			t.Errorf("%s: %v, want %v", name, got, test.free)
		}
	}
}
