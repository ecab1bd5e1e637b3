package command

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/continue-auth/caddy-continue-auth/usage"
	"github.com/continue-auth/caddy-continue-auth/usage/sqlite"
)

func TestTheListOfProvidersHasNoSecrets(t *testing.T) {
	d := openDesk(t, fewUsers(), "")
	res := d.get("/providers")
	d.wants(res, http.StatusOK, "openai", "gpt-5", "Headers: authorization", "Parameters: api-version", "&lt;script&gt;")
	for _, secret := range []string{"header-canary", "query-canary", "<script>"} {
		if strings.Contains(res.Body.String(), secret) {
			t.Errorf("the page has %s", secret)
		}
	}
}

func TestTheServersState(t *testing.T) {
	d := openDesk(t, fewUsers(), "")
	d.answers["/continue_auth/status"] = `{"keystores":[{"keystore":"continue_auth.keystores.file","api_keys":{"entries":3,"absent":1,"oldest_seconds":61.4,"last_answer":"2026-11-28T12:00:00Z","last_error":"<b>away</b>","last_error_at":"2026-11-28T11:00:00Z"},"provider_settings":{"entries":2,"absent":0,"oldest_seconds":0},"budget":59.9}]}`
	d.wants(d.get("/server"), http.StatusOK, d.a.admin, "continue_auth.keystores.file", "<td>3</td><td>1</td><td>1m1s</td><td>2026-11-28 12:00:00</td>", "&lt;b&gt;away&lt;/b&gt;", "59 times")
	d.answers["/continue_auth/status"] = `<html>`
	d.wants(d.get("/server"), http.StatusOK, "gives an answer that is not continue_auth")
	d.answers["/continue_auth/status"] = `{"keystores":[]}`
	if res := d.get("/user?email=broken@example.com"); strings.Contains(res.Body.String(), "No running server can be asked.") || !strings.Contains(res.Body.String(), "The running server has no record of this user yet that it can use.") {
		t.Errorf("a server that knows the user as little as the keystore: %s", res.Body)
	}
	d.server.Close()
	d.wants(d.get("/server"), http.StatusOK, "No server can be asked: at "+d.a.admin)
	d.wants(d.get("/user?email=ann@example.com"), http.StatusOK, "No running server can be asked.")
	d.wants(d.send(http.MethodPost, "/user/disable", url.Values{"email": {"ann@example.com"}}), http.StatusSeeOther)
	d.wants(d.get("/user?email=ann@example.com"), http.StatusOK, "No server was told at "+d.a.admin)
	d.a.admin = ""
	d.wants(d.get("/server"), http.StatusOK, "the admin endpoint is off")
}

func TestLimitsThatTheServerCounts(t *testing.T) {
	d := openDesk(t, fewUsers(), "")
	d.answers["/continue_auth/usage/ann@example.com"] = `{"user":"ann@example.com","limits":[{"kind":"tokens","window":"day","limit":1000,"used":250,"remaining":750,"resets_at":"2999-01-01T00:00:00Z","team":"core"}]}`
	d.wants(d.get("/user?email=ann@example.com"), http.StatusOK, "Tokens per day", "<strong>750</strong> of 1,000 left", "for team core", `width="25%"`)
}

func spend(t *testing.T, path string) {
	t.Helper()
	file := sqlite.New(path)
	batch := &usage.Batch{Run: "run", Number: 1}
	for i := range 60 {
		batch.Rows = append(batch.Rows, usage.Row{
			Hour: time.Now().UTC(), User: fmt.Sprintf("dev%02d@example.com", i), Team: "core", Provider: "openai", Model: "gpt-5", Client: "codex",
			Requests: int64(100 - i), Refused: 1, Prompt: int64(1000 - i), Completion: 10, Cached: 5,
		})
	}
	batch.Rows = append(batch.Rows,
		usage.Row{Hour: time.Now().UTC(), User: script, Team: script, Provider: "groq", Model: script, Client: "other", Requests: 5000, Prompt: 5000},
		usage.Row{Hour: time.Now().UTC().AddDate(0, 0, -45), User: "ann@example.com", Provider: "anthropic", Model: "claude", Client: "claude-code", Requests: 3, Prompt: 3},
	)
	if err := errors.Join(file.Write(context.Background(), batch), file.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestALongNameLeadsToItsUser(t *testing.T) {
	d := openDesk(t, fewUsers(), "ledger sqlite {\npath FOLDER/usage.db\n}")
	long := strings.Repeat("long", 30) + "@example.com"
	file, batch := sqlite.New(filepath.Join(d.folder, "usage.db")), &usage.Batch{Run: "run", Number: 1}
	for i, user := range []string{"ann@example.com", long, "ben@example.com"} {
		batch.Rows = append(batch.Rows, usage.Row{Hour: time.Now().UTC(), User: user, Provider: "openai", Model: "gpt-5", Client: "codex", Requests: 1, Prompt: int64(10 - i)})
	}
	if err := errors.Join(file.Write(t.Context(), batch), file.Close()); err != nil {
		t.Fatal(err)
	}
	d.wants(d.get("/usage"), http.StatusOK, `href="`+hrefOf(long)+`"`, `href="`+hrefOf("ann@example.com")+`"`, `href="`+hrefOf("ben@example.com")+`"`)
}

func TestUsageOnTheDashboard(t *testing.T) {
	d := openDesk(t, fewUsers(), "ledger sqlite {\npath FOLDER/usage.db\n}")
	d.wants(d.get("/usage"), http.StatusOK, "The ledger cannot be read", "usage.db")
	d.wants(d.get("/user?email=ann@example.com"), http.StatusOK, "The ledger cannot be read")
	spend(t, filepath.Join(d.folder, "usage.db"))
	for path, texts := range map[string][]string{
		"/usage":                        {"Usage by user", "Tokens a day by user", "&lt;script&gt;", "dev00@example.com</a>", "Others", "of them refused", "<th scope=\"row\">All</th><td>9,230</td><td>60</td>"},
		"/usage?by=team&show=requests":  {"Requests a day by team", "core", "&lt;script&gt;"},
		"/usage?by=model&period=90d":    {"openai/gpt-5", "anthropic/claude", "<td>3</td>"},
		"/usage?by=client&period=12m":   {"Tokens a month by client", "claude-code", "codex"},
		"/usage?by=provider&period=7d":  {"groq", "openai"},
		"/usage?by=day&period=30d":      {"Usage by day", time.Now().UTC().Format("2 January 2006"), "<td>9,230</td>"},
		"/usage?by=<script>&period=x":   {"Usage by user", "30 days"},
		"/user?email=ann@example.com":   {"Nothing has been used yet."},
		"/user?email=old@example.com":   {"Nothing has been used yet."},
		"/user?email=dev05@example.com": {"There is no user dev05@example.com."},
		"/usage?by=user&show=requests":  {"Requests a day by user"},
	} {
		res := d.get(path)
		d.wants(res, res.Code, texts...)
		if strings.Contains(res.Body.String(), "<script>") || strings.Contains(res.Body.String(), "<img src=x") || res.Body.Len() > 90_000 {
			t.Errorf("%s: not escaped, or too long: %d bytes", path, res.Body.Len())
		}
	}
	none := openDesk(t, fewUsers(), "")
	none.wants(none.get("/usage"), http.StatusOK, "The configuration has no ledger")
	none.wants(none.get("/user?email=ann@example.com"), http.StatusOK, "The configuration has no ledger")
}
