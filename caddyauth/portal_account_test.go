package caddyauth

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/continue-auth/caddy-continue-auth/caddyauth/agents"
	"github.com/continue-auth/caddy-continue-auth/usage"
	"github.com/continue-auth/caddy-continue-auth/usage/sqlite"
)

func TestThePageHasTheModelsAndTheSetUpOfEachAgent(t *testing.T) {
	p := startPortal(t, "alias fast openai/gpt-4o-mini")
	b := signedIn(p)
	var listed struct{ Data []struct{ ID string } }
	if err := json.NewDecoder(p.do(request{method: http.MethodGet, path: "/v1/models"}).Body).Decode(&listed); err != nil || len(listed.Data) < 5 {
		t.Fatalf("%v, %v", listed, err)
	}
	home := b.get("/")
	for _, model := range listed.Data {
		if !strings.Contains(home.html, "<code>"+model.ID+"</code>") {
			t.Errorf("%s is not on the page", model.ID)
		}
	}
	if !strings.Contains(home.html, "ANTHROPIC_BASE_URL&#34;: &#34;"+p.url+"&#34;") {
		t.Errorf("Claude Code is not shown first:\n%s", home.html)
	}
	for _, a := range agents.All() {
		res := b.get("/?agent=" + a.Name)
		if !res.isIn() || !strings.Contains(res.html, `agent=`+a.Name+`&amp;show=tokens#set-up" aria-current="true"`) {
			t.Errorf("%s: status %d", a.Name, res.StatusCode)
		}
		if !strings.Contains(res.html, "USER_KEY") || !strings.Contains(res.html, "127.0.0.1") || strings.Contains(res.html, testKey) {
			t.Errorf("%s:\n%s", a.Name, res.html)
		}
	}
	if res := b.get("/?agent=<script>"); !res.isIn() || strings.Contains(res.html, "<script>") {
		t.Errorf("an unknown agent: status %d", res.StatusCode)
	}
	for user, text := range map[string]string{
		"few@example.com":  "workers-ai/@cf/meta/llama-3.1-8b-instruct",
		"none@example.com": "There is no model that you may use.",
	} {
		b := &browser{p: p}
		b.signIn(user, "plain-key")
		if res := b.get("/"); !res.isIn() || !strings.Contains(res.html, text) || strings.Contains(res.html, "gpt-4o") {
			t.Errorf("%s: status %d\n%s", user, res.StatusCode, res.html)
		}
	}
}

func TestNamesFromOutsideAreTextOnThePage(t *testing.T) {
	const script = `"'><script>alert(1)</script><img src=x onerror=alert(1)>`
	users, providers := defaultUsers(), defaultProviders()
	email := script + "@example.com"
	team, _ := json.Marshal(script)
	users[email] = `{"apiKeyHash":"` + hashOf(testKey) + `","status":"Enabled","metadata":{"team":` + string(team) + `}}`
	model, _ := json.Marshal(script)
	providers["groq"] = `{"models":[` + string(model) + `]}`
	p := start(t, setup{upstream: "127.0.0.1:1", options: "portal", users: users, providers: providers})
	b := &browser{p: p}
	wrong := b.signIn(email, "wrong")
	if res := b.signIn(email, testKey); res.StatusCode != http.StatusSeeOther {
		t.Fatalf("status %d", res.StatusCode)
	}
	for _, a := range agents.All() {
		res := b.get("/?agent=" + a.Name)
		for _, html := range []string{res.html, wrong.html} {
			if strings.Contains(html, "<script>") || strings.Contains(html, "<img src=x") || !strings.Contains(html, "&lt;script&gt;") {
				t.Errorf("%s: not escaped:\n%s", a.Name, html)
			}
		}
	}
}

func TestPagesStaySmall(t *testing.T) {
	models := []string{}
	many := 3000
	if testing.Short() { // the race detector makes the search in their names slow
		many = 300
	}
	for range many {
		models = append(models, "some-vendor/a-model-with-a-long-name-"+newRequestID()+`-"quoted"`)
	}
	list, _ := json.Marshal(map[string]any{"models": models})
	path := filepath.Join(t.TempDir(), "usage.db")
	ledger, batch := sqlite.New(path), &usage.Batch{Run: "run", Number: 1}
	for day := range 30 {
		for i := range 50 {
			batch.Rows = append(batch.Rows, usage.Row{
				Hour: time.Now().AddDate(0, 0, -day), User: testEmail, Provider: "openrouter", Model: fmt.Sprintf("%d-%s", i, strings.Repeat("m", 90)),
				Requests: 123456, Prompt: 1234567890 + int64(i), Completion: 123456789, Cached: 123456789,
			})
		}
	}
	if err := errors.Join(ledger.Write(t.Context(), batch), ledger.Close()); err != nil {
		t.Fatal(err)
	}
	p := start(t, setup{
		upstream: "127.0.0.1:1", options: "portal\nledger sqlite {\npath " + path + "\n}\nlimits {\nrequests 120 1m\ntokens 1000000 day\nparallel 4\n}",
		providers: map[string]string{"openrouter": string(list), "anthropic": `{"models":["claude-opus-4-5"]}`},
	})
	b := signedIn(p)
	files := 0
	for _, file := range regexp.MustCompile(`/portal/[a-z]+-[0-9a-f]+\.[a-z]+`).FindAllString(b.get("/").html, -1) {
		files += len(b.get(file).html)
	}
	for _, a := range agents.All() {
		res := b.get("/?agent=" + a.Name)
		size := files + len(res.html)
		if size > 100_000 {
			t.Errorf("%s: %d bytes", a.Name, size)
		}
		t.Logf("%s: %d bytes", a.Name, size)
		if !strings.Contains(res.html, "<figure") || !strings.Contains(res.html, " more, which <code>GET /v1/models</code> lists.") || !strings.Contains(res.html, "Tokens per day") {
			t.Errorf("%s: a part of the page is missing: %s", a.Name, regexp.MustCompile("There are [0-9,]+").FindString(res.html))
		}
	}
}

func TestThePortalBelowAnotherPath(t *testing.T) {
	p := start(t, setup{upstream: "127.0.0.1:1", options: "portal", before: "uri strip_prefix /ai"})
	b := &browser{p: p, prefix: "/ai"}
	if res := b.signIn(testEmail, testKey); res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != "/ai/" {
		t.Fatalf("status %d to %q", res.StatusCode, res.Header.Get("Location"))
	}
	home := b.get("/")
	for _, text := range []string{`href="/ai/portal/style-`, `action="/ai/portal/sign-out"`, `href="/ai/?agent=codex&amp;show=tokens#set-up"`, p.url + "/ai&#34;"} {
		if !strings.Contains(home.html, text) {
			t.Errorf("no %s in\n%s", text, home.html)
		}
	}
	b.prefix = "/%61i" // a path that is escaped differently is the same
	if res := b.get("/"); !strings.Contains(res.html, `href="/ai/portal/style-`) {
		t.Errorf("status %d\n%s", res.StatusCode, res.html)
	}
	b.prefix = ""
	if res := b.get("/ai"); !res.isIn() || !strings.Contains(res.html, `href="/ai/portal/style-`) || !strings.Contains(res.html, `action="/ai/portal/sign-out"`) {
		t.Errorf("without a slash at the end: status %d\n%s", res.StatusCode, res.html)
	}
	b.prefix = "//evil.example/ai"
	if res := b.get("/"); strings.Contains(res.html, `"//evil`) {
		t.Errorf("a link to another host:\n%s", res.html)
	}
}

func TestAPathThatIsRemovedIsEscaped(t *testing.T) {
	p := start(t, setup{upstream: "127.0.0.1:1", options: "portal", before: `uri path_regexp "^/[^/]*/" "/"`})
	for prefix, want := range map[string]string{"/a%20b": "/a%20b/", "/a%0d%0aX:%20y": "/a%0D%0AX:%20y/", "/%22%3E%3Cscript%3E": "/%22%3E%3Cscript%3E/"} {
		b := &browser{p: p, prefix: prefix}
		if res := b.signIn(testEmail, testKey); res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != want || res.Header.Get("X") != "" {
			t.Errorf("%s: status %d to %q", prefix, res.StatusCode, res.Header.Get("Location"))
		}
		if res := b.get("/"); !strings.Contains(res.html, `action="`+want+`portal/sign-out"`) || strings.Contains(res.html, "<script>") {
			t.Errorf("%s:\n%s", prefix, res.html)
		}
	}
}

func TestAHostOfAnyLengthTakesLittleMemory(t *testing.T) {
	var models []string
	for i := range 1000 {
		models = append(models, fmt.Sprintf("openrouter/model-%d", i))
	}
	for _, a := range agents.All() {
		config := agents.Config{Email: testEmail, EmailHeader: "X-User-Email", APIBase: "https://" + strings.Repeat("a", 16_000) + "/v1", Models: models}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		setUpTexts(config, a)
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > 50<<20 {
			t.Errorf("%s: %d MB", a.Name, used>>20)
		}
	}
}

func TestThePageWhileTheLedgerCannotBeRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "usage.db")
	if err := os.WriteFile(path, []byte("this is no database, and long enough to be taken for one"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, setup{upstream: "127.0.0.1:1", options: "portal\nledger sqlite {\npath " + path + "\n}"})
	if res := signedIn(p).get("/"); !res.isIn() || !strings.Contains(res.html, "What you have used cannot be read right now.") {
		t.Errorf("status %d\n%s", res.StatusCode, res.html)
	}
}

func TestTheSchemeOfTheBaseURL(t *testing.T) {
	p := start(t, setup{upstream: "127.0.0.1:1", options: "portal", global: "servers {\ntrusted_proxies static 127.0.0.1\n}"})
	b := signedIn(p)
	for name, c := range map[string]struct {
		header map[string]string
		want   string
	}{
		"loopback":                       {map[string]string{"Sec-Fetch-Site": "none"}, p.url},
		"plain HTTP":                     {nil, p.url},
		"HTTPS at a proxy before":        {map[string]string{"X-Forwarded-Proto": "https"}, strings.Replace(p.url, "http", "https", 1)},
		"a proxy that speaks plain HTTP": {map[string]string{"X-Forwarded-Proto": "http", "Sec-Fetch-Site": "none"}, p.url},
	} {
		b.header = c.header
		if res := b.get("/"); !strings.Contains(res.html, "ANTHROPIC_BASE_URL&#34;: &#34;"+c.want+"&#34;") {
			t.Errorf("%s: no %s in\n%s", name, c.want, res.html)
		}
	}
}
