package pages

import (
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares a page with the golden file of that name.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".html")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil || got != string(want) {
		t.Errorf("%v: got\n%s", err, got)
	}
}

// write returns the answer with a page.
func write(t *testing.T, frame Frame, content Content) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	if err := Write(w, http.StatusOK, frame, content); err != nil {
		t.Fatal(err)
	}
	return w
}

// hash is the part of a static file's name that changes with its content.
var hash = regexp.MustCompile(`-[0-9a-f]{12}\.`)

// every has a page of each kind, with the frame that it usually has.
var every = map[string]struct {
	frame   Frame
	content Content
}{
	"signin": {Frame{Title: "Sign in", Site: "ai.example.com", Token: "TOKEN"}, SignIn{}},
	"signin_again": {
		Frame{Base: "/ai", Title: "Sign in", Site: "ai.example.com", Token: "TOKEN", Message: &Message{Text: "Wrong key.", Failed: true}},
		SignIn{Email: "dev@example.com"},
	},
	"notice": {Frame{Title: "Not found", Site: "ai.example.com"}, Notice{}},
	"reload": {Frame{Title: "One moment", Site: "ai.example.com", Reload: true}, Notice{}},
	"portal": {Frame{Title: "Your account", Site: "ai.example.com", User: "dev@example.com", Token: "TOKEN"}, examplePortal()},
	"portal_empty": {Frame{Title: "Your account", Site: "ai.example.com", User: "dev@example.com", Token: "TOKEN"}, Portal{
		Key: NewKey("0123abcd", time.Time{}, false, now), Usage: NewUsage(nil, Days(30, now), "model", Tokens), Agents: []Link{{"Codex", "/?agent=codex", true}},
	}},
	"users": {dashboardFrame("Users"), Users{
		Query: "example", All: 120, Found: 101, Page: 2, Pages: 3, Previous: "/users?page=1&q=example", Next: "/users?page=3&q=example",
		Rows: []User{
			{Email: "ann@example.com", Href: "/user?email=ann%40example.com", Status: "enabled", KeyID: "0123abcd", Expires: "never", Models: "all", Team: "core"},
			{Email: "ben@example.com", Href: "/user?email=ben%40example.com", Status: "disabled", PlainKey: true, Expires: "2027-01-01 00:00:00", Models: "workers-ai/*"},
			{Email: "cleo@example.com", Href: "/user?email=cleo%40example.com", Broken: "status: must not be a number"},
		},
	}},
	"users_empty": {dashboardFrame("Users"), Users{Page: 1, Pages: 1}},
	"user": {dashboardFrame("ann@example.com"), UserPage{
		User:   User{Email: "ann@example.com", Status: "enabled", KeyID: "0123abcd", Created: "2026-03-02 09:30:00", Expires: "never", PreviousUntil: "2026-11-29 12:00:00"},
		NewKey: "cca_KEY", Limits: []Limit{NewLimit("parallel", "", "", 8, 1, nil, now)},
		Form: UserForm{Only: true, Models: "workers-ai/*", Metadata: "team=core", Requests: "120/1m", Tokens: "none", Parallel: "8"}, Usage: NewUsage(exampleEntries(), Days(7, now), "model", Tokens),
	}},
	"user_disabled": {dashboardFrame("ben@example.com"), UserPage{
		User: User{Email: "ben@example.com", Status: "disabled", PlainKey: true, Expires: "never"}, Unasked: true, Fault: "The ledger cannot be read.",
	}},
	"user_broken": {dashboardFrame("cleo@example.com"), UserPage{User: User{Email: "cleo@example.com", Broken: "status: must not be a number"}}},
	"adduser":     {dashboardFrame("Add a user"), AddUser{UserForm{Email: "new@example.com", Expires: "90d"}}},
	"removeuser":  {dashboardFrame("Remove a user"), RemoveUser{"ann@example.com", "/user?email=ann%40example.com"}},
	"providers": {dashboardFrame("Providers"), Providers{[]ProviderRow{
		{"openai", "authorization", "", []string{"gpt-5", "gpt-5-mini"}}, {"azure-openai", "api-key", "api-version", nil},
	}}},
	"providers_empty": {dashboardFrame("Providers"), Providers{}},
	"usage": {dashboardFrame("Usage"), UsagePage{
		Bys: []Link{{"By user", "/usage?by=user", true}, {"By day", "/usage?by=day", false}}, Periods: []Link{{"12 months", "/usage?period=12m", true}}, Usage: exampleMonths(),
	}},
	"usage_without_ledger": {dashboardFrame("Usage"), UsagePage{}},
	"server": {dashboardFrame("Server"), ServerPage{Admin: "localhost:2019", Keystores: []KeystoreState{{"continue_auth.keystores.cloudflare_kv", "60", []TableState{
		{"Users", 120, 3, "50s", "2026-11-28 12:00:00", "the keystore did not answer in time", "2026-11-28 11:00:00"}, {Name: "Providers", Entries: 5},
	}}}}},
	"server_away": {dashboardFrame("Server"), ServerPage{Fault: "No server can be asked: at localhost:2019: connection refused."}},
	"portal_previous_key": {Frame{Title: "Your account", Site: "ai.example.com", User: "dev@example.com", Token: "TOKEN"}, Portal{
		Key: NewKey("0123abcd", now.Add(time.Hour), true, now), UsageUnread: true,
	}},
}

// dashboardFrame returns the frame of a page of the dashboard.
func dashboardFrame(title string) Frame {
	return Frame{
		Title: title, Site: "Dashboard of ai.example.com", Token: "TOKEN", Message: &Message{Text: "The running server was told."},
		Places: []Link{{"Users", "/users", true}, {"Usage", "/usage", false}},
	}
}

// exampleMonths is what was used by users in a year, with refusals.
func exampleMonths() *Usage {
	u := NewUsage(exampleEntries(), Months(12, now), "user", Requests)
	u.Refusals, u.Rows[0].Href = true, "/user?email=ann%40example.com"
	u.Measures = []Link{{"tokens", "/usage?show=tokens", false}, {"requests", "/usage?show=requests", true}}
	return u
}

var now = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// exampleEntries are what was used of eight things in three days, the first most.
func exampleEntries() []Entry {
	var entries []Entry
	for i := range int64(8) {
		for day := range 3 {
			entries = append(entries, Entry{now.AddDate(0, 0, -day), "openai/gpt-" + string(rune('1'+i)), Counts{
				Requests: 10 - i, Refused: 1, Prompt: (10 - i) * 1000, Completion: (10 - i) * 100, Cached: (10 - i) * 500,
			}})
		}
	}
	return entries
}

func examplePortal() Portal {
	soon := now.Add(90 * time.Second)
	p := Portal{
		Key: NewKey("0123abcd", now.AddDate(0, 0, 3), false, now),
		Limits: []Limit{
			NewLimit("requests", "1m", "", 120, 100, &soon, now), NewLimit("tokens", "month", "core", 2_000_000, 1_900_000, &soon, now), NewLimit("parallel", "", "", 8, 0, nil, now),
		},
		Usage:       NewUsage(exampleEntries(), Days(7, now), "model", Tokens),
		Agents:      []Link{{"Codex", "/?agent=codex", true}, {"Zed", "/?agent=zed", false}},
		Placeholder: "USER_KEY",
		Parts:       []Code{{"part1", "File ~/.codex/config.toml", "model = \"openai/gpt-5\"\n"}, {"part2", "Variable for your shell", "export K='USER_KEY'\n"}},
	}
	p.SetModels([]string{"openai/gpt-5", "workers-ai/@cf/meta/llama-3.1-8b-instruct", "openai/gpt-5-mini", "fast"})
	return p
}

func TestPagesAreTheGoldenFiles(t *testing.T) {
	for name, page := range every {
		t.Run(name, func(t *testing.T) {
			golden(t, name, hash.ReplaceAllString(write(t, page.frame, page.content).Body.String(), "-HASH."))
		})
	}
}

func TestHeadersOfPages(t *testing.T) {
	w := write(t, Frame{Title: "Sign in"}, SignIn{})
	for name, want := range map[string]string{
		"Content-Type":               "text/html; charset=utf-8",
		"Cache-Control":              "no-store",
		"X-Frame-Options":            "DENY",
		"X-Content-Type-Options":     "nosniff",
		"Referrer-Policy":            "same-origin", // with no-referrer, browsers send "Origin: null" with the page's own forms
		"Cross-Origin-Opener-Policy": "same-origin",
		"Content-Security-Policy":    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
	} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestStaticFiles(t *testing.T) {
	for plain, kind := range map[string]string{"style.css": "text/css; charset=utf-8", "copy.js": "text/javascript; charset=utf-8", "icon.svg": "image/svg+xml"} {
		name := strings.TrimPrefix(functions["asset"].(func(string) string)(plain), "portal/")
		w := httptest.NewRecorder()
		if !hash.MatchString(name) || !ServeStatic(w, name) || w.Body.Len() == 0 {
			t.Fatalf("%s is not served as %s", plain, name)
		}
		header := w.Header()
		if header.Get("Content-Type") != kind || header.Get("Cache-Control") != "public, max-age=31536000, immutable" || header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %v", plain, header)
		}
	}
	for _, name := range []string{"", "style.css", "style-000000000000.css", "../pages.go", "static/style.css"} {
		if w := httptest.NewRecorder(); ServeStatic(w, name) || w.Body.Len() > 0 {
			t.Errorf("%q is served", name)
		}
	}
}

// TestPagesKeepThePolicy looks for what the Content-Security-Policy forbids, in case a browser does not.
func TestPagesKeepThePolicy(t *testing.T) {
	forbidden := regexp.MustCompile(`(?i)<style|style=|\son[a-z]+=|javascript:|<script>|<(?:iframe|object|embed|base)|https?://`)
	for name, page := range every {
		html := write(t, page.frame, page.content).Body.String()
		if found := forbidden.FindString(strings.ReplaceAll(html, "http://www.w3.org/2000/svg", "")); found != "" {
			t.Errorf("%s has %q", name, found)
		}
	}
}

func TestManyModelsAreCutShort(t *testing.T) {
	var names []string
	for range 500 {
		names = append(names, "provider/"+strings.Repeat("m", 91))
	}
	p := Portal{}
	p.SetModels(names)
	if shown := len(p.Providers[0].Models); shown != 133 || p.MoreModels != 367 {
		t.Errorf("%d are shown, %d are not", shown, p.MoreModels)
	}
}
