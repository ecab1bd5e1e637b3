package caddyauth

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/continue-auth/caddy-continue-auth/caddyauth/agents"
	"github.com/continue-auth/caddy-continue-auth/keystore/kvtest"
	"github.com/continue-auth/caddy-continue-auth/usage"
	"github.com/continue-auth/caddy-continue-auth/usage/sqlite"
)

// browser is a visitor of the portal, with the cookie that it was given.
type browser struct {
	p      *proxy
	cookie *http.Cookie
	header map[string]string // sent with each request
	prefix string            // before each path
}

// page is an answer of the portal.
type page struct {
	*http.Response
	html string
}

// send sends a request. It follows no redirection.
func (b *browser) send(method, path string, form url.Values) page {
	b.p.t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	req, err := http.NewRequestWithContext(b.p.t.Context(), method, b.p.url+b.prefix+path, body)
	if err != nil {
		b.p.t.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if b.cookie != nil {
		req.AddCookie(b.cookie)
	}
	for name, value := range b.header {
		req.Header.Set(name, value)
		if name == "Host" {
			req.Host = value
		}
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		b.p.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	for _, cookie := range res.Cookies() {
		if b.cookie = cookie; cookie.MaxAge < 0 {
			b.cookie = nil
		}
	}
	return page{res, read(b.p.t, res)}
}

func (b *browser) get(path string) page { b.p.t.Helper(); return b.send(http.MethodGet, path, nil) }

var tokenField = regexp.MustCompile(`name="token" value="([^"]+)"`)

// token returns the token of the forms on the page at /.
func (b *browser) token() string {
	b.p.t.Helper()
	home := b.get("/")
	match := tokenField.FindStringSubmatch(home.html)
	if match == nil {
		b.p.t.Fatalf("no token in status %d\n%s", home.StatusCode, home.html)
	}
	return match[1]
}

// signIn sends the form to sign in.
func (b *browser) signIn(email, key string) page {
	b.p.t.Helper()
	return b.send(http.MethodPost, "/portal/sign-in", url.Values{"token": {b.token()}, "email": {email}, "key": {key}})
}

// signedIn returns a browser of the usual user, who has signed in.
func signedIn(p *proxy) *browser {
	p.t.Helper()
	b := &browser{p: p}
	if res := b.signIn(testEmail, testKey); res.StatusCode != http.StatusSeeOther {
		p.t.Fatalf("signing in: status %d\n%s", res.StatusCode, res.html)
	}
	return b
}

// isIn reports whether the page is a developer's account.
func (p page) isIn() bool {
	return p.StatusCode == http.StatusOK && strings.Contains(p.html, "Sign out") && strings.Contains(p.html, "Set up your agent")
}

// asksToSignIn reports whether the page has the form to sign in.
func (p page) asksToSignIn() bool { return strings.Contains(p.html, `action="/portal/sign-in"`) }

func startPortal(t *testing.T, options string) *proxy {
	t.Helper()
	return start(t, setup{upstream: "127.0.0.1:1", options: "portal\n" + options})
}

// fresh are options with which the keystore is asked for each request.
const fresh = "cache {\nrefresh_after 0s\nmax_age 0s\nabsent 0s\n}"

func TestWithoutThePortalThereAreNoPages(t *testing.T) {
	p := start(t, setup{upstream: "127.0.0.1:1"})
	for _, path := range []string{"/", "/portal/sign-in", "/portal/style.css"} {
		wantError(t, p.do(request{method: http.MethodGet, path: path}), http.StatusNotFound, "not_found")
		wantError(t, p.do(request{method: http.MethodPost, path: path}), http.StatusNotFound, "not_found")
	}
	if res := p.do(request{method: http.MethodHead, path: "/"}); res.StatusCode != http.StatusOK {
		t.Errorf("HEAD /: status %d", res.StatusCode)
	}
}

func TestSigningInAndOut(t *testing.T) {
	p := startPortal(t, "")
	b := &browser{p: p}
	if res := b.get("/"); res.StatusCode != http.StatusOK || !res.asksToSignIn() || strings.Contains(res.html, "Sign out") {
		t.Fatalf("status %d\n%s", res.StatusCode, res.html)
	}
	before := b.cookie.Value
	res := b.signIn(testEmail, testKey)
	if res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != "/" || b.cookie.Value == before {
		t.Fatalf("status %d to %q\n%s", res.StatusCode, res.Header.Get("Location"), res.html)
	}
	home := b.get("/")
	if !home.isIn() || !strings.Contains(home.html, testEmail) {
		t.Fatalf("status %d\n%s", home.StatusCode, home.html)
	}
	if home.Header.Get("X-Request-Id") == "" || home.Header.Get("Cache-Control") != "no-store" || !strings.HasPrefix(home.Header.Get("Content-Security-Policy"), "default-src 'none';") {
		t.Errorf("header %v", home.Header)
	}
	p.log.waitFor(t, `"user_id":"`+testEmail+`"`)
	if strings.Contains(p.log.String(), b.cookie.Value) {
		t.Error("the log has the session")
	}
	token := tokenField.FindStringSubmatch(home.html)[1]
	if res := b.send(http.MethodPost, "/portal/sign-out", url.Values{"token": {token}}); res.StatusCode != http.StatusSeeOther || b.cookie != nil {
		t.Errorf("signing out: status %d, cookie %v", res.StatusCode, b.cookie)
	}
	if res := b.get("/"); !res.asksToSignIn() {
		t.Errorf("still in after signing out:\n%s", res.html)
	}
}

func TestTheCookieIsSealedAndStaysOnThisSite(t *testing.T) {
	b := signedIn(startPortal(t, ""))
	c := b.cookie
	if c.Name != "__Host-continue_auth" || !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.Domain != "" || c.MaxAge < 43190 || c.MaxAge > 43200 {
		t.Errorf("cookie %+v", c)
	}
	if strings.Contains(c.Value, "dev") || strings.Contains(c.Value, testKey) {
		t.Errorf("the cookie is readable: %s", c.Value)
	}
}

func TestAllWrongCredentialsGetTheSamePage(t *testing.T) {
	p := startPortal(t, "")
	var want string
	for name, c := range map[string]struct{ email, key string }{
		"a wrong key":                  {testEmail, "wrong"},
		"an unknown user":              {"nobody@example.com", testKey},
		"a disabled user":              {"disabled@example.com", "plain-key"},
		"an expired user":              {"expired@example.com", "plain-key"},
		"a broken record":              {"broken@example.com", "plain-key"},
		"no email":                     {"", testKey},
		"no key":                       {testEmail, ""},
		"an email that no store has":   {"a\nb", testKey},
		"a key with another's email":   {testEmail, "worker@example.com:" + testKey},
		"the hash in place of the key": {testEmail, hashOf(testKey)},
	} {
		b := &browser{p: p}
		res := b.signIn(c.email, c.key)
		if res.StatusCode != http.StatusUnauthorized || res.Header.Get("WWW-Authenticate") != "Bearer" || !strings.Contains(res.html, "The email or the API key is wrong.") {
			t.Errorf("%s: status %d\n%s", name, res.StatusCode, res.html)
		}
		if strings.Contains(res.html, testKey) || strings.Contains(res.html, "plain-key") {
			t.Errorf("%s: the key is on the page", name)
		}
		same := tokenField.ReplaceAllString(regexp.MustCompile(`value="[^"]*" maxlength="512"`).ReplaceAllString(res.html, ""), "")
		same = strings.ReplaceAll(same, " autofocus", "")
		if want == "" {
			want = same
		}
		if same != want {
			t.Errorf("%s: another page:\n%s", name, res.html)
		}
		if home := b.get("/"); !home.asksToSignIn() {
			t.Errorf("%s: is in", name)
		}
	}
	p.log.waitFor(t, `"claimed_user":"nobody@example.com"`)
}

func TestKeysThatSignInAsTheyDoElsewhere(t *testing.T) {
	p := startPortal(t, "")
	for name, c := range map[string]struct{ email, key string }{
		"with spaces around":        {testEmail, "  " + testKey + " "},
		"with the email before it":  {testEmail, testEmail + ":" + testKey},
		"the email in another case": {"Dev@Example.com", testKey},
		"a key in the clear":        {"worker@example.com", "plain-key"},
	} {
		b := &browser{p: p}
		if res := b.signIn(c.email, c.key); res.StatusCode != http.StatusSeeOther || !b.get("/").isIn() {
			t.Errorf("%s: status %d", name, res.StatusCode)
		}
	}
}

func TestSigningInCountsAsAnyOtherFailedAttempt(t *testing.T) {
	p := startPortal(t, "failed_attempts 3 1h")
	for _, key := range []string{"wrong 1", "wrong 2"} {
		if res := (&browser{p: p}).signIn(testEmail, key); res.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: status %d", key, res.StatusCode)
		}
	}
	wantError(t, p.do(request{method: http.MethodGet, path: "/v1/models", header: as(testEmail, "wrong-3")}), http.StatusUnauthorized, "invalid_api_key")
	wantError(t, p.do(request{method: http.MethodGet, path: "/v1/models"}), http.StatusTooManyRequests, "too_many_failed_attempts")
	res := (&browser{p: p}).signIn(testEmail, testKey)
	if res.StatusCode != http.StatusTooManyRequests || res.Header.Get("Retry-After") == "" || !strings.Contains(res.html, "too many sign-ins from your address have failed") {
		t.Errorf("status %d\n%s", res.StatusCode, res.html)
	}
}

func TestFormsFromElsewhereAreRefused(t *testing.T) {
	p := startPortal(t, "failed_attempts 1 1h")
	token := (&browser{p: p}).token() // of another browser
	form := func(token string) url.Values {
		return url.Values{"token": {token}, "email": {testEmail}, "key": {testKey}}
	}
	for name, c := range map[string]struct {
		header map[string]string
		form   func(b *browser) url.Values
		status int
	}{
		"no token":                           {nil, func(*browser) url.Values { return form("") }, http.StatusForbidden},
		"another browser's token":            {nil, func(b *browser) url.Values { b.token(); return form(token) }, http.StatusForbidden},
		"no cookie":                          {nil, func(b *browser) url.Values { f := form(b.token()); b.cookie = nil; return f }, http.StatusForbidden},
		"a cookie of one's own making":       {nil, func(b *browser) url.Values { f := form(b.token()); b.cookie.Value = "AAAA" + b.cookie.Value; return f }, http.StatusForbidden},
		"another site, says the browser":     {map[string]string{"Sec-Fetch-Site": "cross-site"}, func(b *browser) url.Values { return form(b.token()) }, http.StatusForbidden},
		"another host of the site":           {map[string]string{"Sec-Fetch-Site": "same-site"}, func(b *browser) url.Values { return form(b.token()) }, http.StatusForbidden},
		"another site, says the Origin":      {map[string]string{"Origin": "https://evil.example"}, func(b *browser) url.Values { return form(b.token()) }, http.StatusForbidden},
		"another media type":                 {map[string]string{"Content-Type": "text/plain"}, func(b *browser) url.Values { return form(b.token()) }, http.StatusUnsupportedMediaType},
		"a form that is too long":            {nil, func(b *browser) url.Values { f := form(b.token()); f.Set("more", strings.Repeat("x", 20000)); return f }, http.StatusRequestEntityTooLarge},
		"the page's own, on the other hand":  {map[string]string{"Sec-Fetch-Site": "same-origin"}, func(b *browser) url.Values { return form(b.token()) }, http.StatusSeeOther},
		"a browser that does not say whence": {nil, func(b *browser) url.Values { return form(b.token()) }, http.StatusSeeOther},
	} {
		b := &browser{p: p}
		sent := c.form(b)
		b.header = c.header
		if res := b.send(http.MethodPost, "/portal/sign-in", sent); res.StatusCode != c.status || strings.Contains(res.html, testKey) {
			t.Errorf("%s: status %d\n%s", name, res.StatusCode, res.html)
		}
	}
	b := signedIn(p)
	if res := b.send(http.MethodPost, "/portal/sign-out", url.Values{"token": {"other"}}); res.StatusCode != http.StatusForbidden || !b.get("/").isIn() {
		t.Errorf("signing out with another token: status %d", res.StatusCode)
	}
	b = &browser{p: p}
	if res := b.send(http.MethodPost, "/portal/sign-out?token="+token, nil); res.StatusCode != http.StatusUnsupportedMediaType {
		t.Errorf("no form: status %d", res.StatusCode)
	}
}

func TestOtherMethodsOfThePortal(t *testing.T) {
	p := startPortal(t, "")
	for _, c := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{http.MethodPost, "/", http.StatusMethodNotAllowed, "GET, HEAD"},
		{http.MethodGet, "/portal/sign-in", http.StatusMethodNotAllowed, "POST"},
		{http.MethodHead, "/portal/sign-out", http.StatusMethodNotAllowed, "POST"},
		{http.MethodGet, "/portal/", http.StatusNotFound, ""},
		{http.MethodGet, "/portal/style.css", http.StatusNotFound, ""},
		{http.MethodHead, "/", http.StatusOK, ""},
	} {
		b := &browser{p: p}
		if res := b.send(c.method, c.path, nil); res.StatusCode != c.status || res.Header.Get("Allow") != c.allow || b.cookie != nil {
			t.Errorf("%s %s: status %d, Allow %q", c.method, c.path, res.StatusCode, res.Header.Get("Allow"))
		}
	}
	file := regexp.MustCompile(`/portal/style-[0-9a-f]+\.css`).FindString((&browser{p: p}).get("/").html)
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		res := (&browser{p: p}).send(method, file, nil)
		if res.StatusCode != http.StatusOK || res.ContentLength <= 0 || !strings.Contains(res.Header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s %s: status %d, %v", method, file, res.StatusCode, res.Header)
		}
	}
}

func TestASessionEndsWithTheKey(t *testing.T) {
	p := startPortal(t, fresh)
	for name, record := range map[string]string{
		"disabled":          `{"apiKeyHash":"` + hashOf(testKey) + `","status":"Disabled"}`,
		"expired":           `{"apiKeyHash":"` + hashOf(testKey) + `","status":"Enabled","expiresAt":"2020-01-01T00:00:00Z"}`,
		"rotated":           `{"apiKeyHash":"` + hashOf("another") + `","status":"Enabled"}`,
		"after a rotation":  `{"apiKeyHash":"` + hashOf("another") + `","status":"Enabled","previous":{"apiKeyHash":"` + hashOf(testKey) + `","expiresAt":"2020-01-01T00:00:00Z"}}`,
		"broken":            `{`,
		"without any key":   `{"status":"Enabled"}`,
		"removed":           "",
		"in a grace period": `{"apiKeyHash":"` + hashOf("another") + `","status":"Enabled","previous":{"apiKeyHash":"` + hashOf(testKey) + `","expiresAt":"2999-01-01T00:00:00Z"}}`,
	} {
		writeEntries(t, p.keys, defaultUsers())
		b := signedIn(p)
		users := defaultUsers()
		if users[testEmail] = record; record == "" {
			delete(users, testEmail)
		}
		writeEntries(t, p.keys, users)
		res := b.get("/")
		if name == "in a grace period" {
			if !res.isIn() {
				t.Errorf("%s: is out", name)
			}
			continue
		}
		if !res.asksToSignIn() || !strings.Contains(res.html, "You are signed out") {
			t.Errorf("%s: status %d\n%s", name, res.StatusCode, res.html)
		}
		writeEntries(t, p.keys, defaultUsers())
		if res := b.get("/"); !res.asksToSignIn() || strings.Contains(res.html, "You are signed out") {
			t.Errorf("%s: the session came back", name)
		}
	}
}

func TestASessionOfAnotherUserCannotBeMade(t *testing.T) {
	p := startPortal(t, "")
	b := signedIn(p)
	whole := b.cookie.Value
	for i := range whole {
		b.cookie = &http.Cookie{Name: sessionCookie, Value: whole[:i] + string(flipped(whole[i])) + whole[i+1:]}
		if res := b.get("/"); !res.asksToSignIn() {
			t.Fatalf("character %d was changed, and the session is good", i)
		}
	}
	b.cookie = nil
	b.header = map[string]string{"Cookie": sessionCookie + "=" + whole + "; " + sessionCookie + "=" + whole}
	if res := b.get("/"); !res.asksToSignIn() {
		t.Error("two cookies of the name are good")
	}
}

// flipped returns another character of base64.
func flipped(c byte) byte {
	if c == 'A' {
		return 'B'
	}
	return 'A'
}

func TestAReloadKeepsSessions(t *testing.T) {
	p := startPortal(t, "")
	b := signedIn(p)
	if err := p.load(p.config); err != nil {
		t.Fatal(err)
	}
	if !b.get("/").isIn() {
		t.Error("is out after a reload")
	}
}

func TestThePortalWhileTheKeystoreCannotAnswer(t *testing.T) {
	p, kv := startOnKV(t, "portal\ncache {\nmax_age 0s\nstale_if_error 0\n}", answersIn)
	b := signedIn(p)
	kv.FailAll(kvtest.Reply(500, ""))
	for name, res := range map[string]page{
		"a session":  b.get("/"),
		"signing in": (&browser{p: p}).signIn(testEmail, testKey),
	} {
		if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") != "5" || !strings.Contains(res.html, "API keys cannot be checked right now.") {
			t.Errorf("%s: status %d\n%s", name, res.StatusCode, res.html)
		}
	}
	kv.Heal()
	if !b.get("/").isIn() {
		t.Error("the session is lost")
	}
}

func TestALinkFromAnotherSiteFindsTheSession(t *testing.T) {
	b := signedIn(startPortal(t, ""))
	cookie := b.cookie
	b.cookie, b.header = nil, map[string]string{"Sec-Fetch-Site": "cross-site"}
	if res := b.get("/"); !strings.Contains(res.html, `<meta http-equiv="refresh" content="0">`) || b.cookie != nil {
		t.Errorf("cookie %v\n%s", b.cookie, res.html)
	}
	b.cookie, b.header = cookie, map[string]string{"Sec-Fetch-Site": "same-origin"}
	if !b.get("/").isIn() {
		t.Error("is out after the page has loaded itself")
	}
}

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
	for range 3000 {
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
	b.prefix = "//evil.example/ai"
	if res := b.get("/"); strings.Contains(res.html, `"//evil`) {
		t.Errorf("a link to another host:\n%s", res.html)
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
