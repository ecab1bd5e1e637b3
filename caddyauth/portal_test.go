package caddyauth

import (
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
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
	p.log.WaitFor(t, `"user_id":"`+testEmail+`"`)
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
	p.log.WaitFor(t, `"claimed_user":"nobody@example.com"`)
}

func TestKeysThatSignInAsTheyDoElsewhere(t *testing.T) {
	p := startPortal(t, "")
	for name, c := range map[string]struct{ email, key string }{
		"with spaces around":           {testEmail, "  " + testKey + " "},
		"with spaces around the email": {" " + testEmail + "\t", testKey},
		"with the email before it":     {testEmail, testEmail + ":" + testKey},
		"the email in another case":    {"Dev@Example.com", testKey},
		"a key in the clear":           {"worker@example.com", "plain-key"},
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
		"a site that hides its name":         {map[string]string{"Origin": "null"}, func(b *browser) url.Values { return form(b.token()) }, http.StatusForbidden},
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

// Browsers keep no cookie of a page without TLS. They send its form with the origin, unless the page's policy about
// referrers hides it, but without Sec-Fetch-Site.
func TestAPageWithoutTLSSaysThatItNeedsHTTPS(t *testing.T) {
	p := startPortal(t, "")
	b := &browser{p: p, header: map[string]string{"Origin": p.url}}
	form := url.Values{"token": {b.token()}, "email": {testEmail}, "key": {testKey}}
	b.cookie = nil
	if res := b.send(http.MethodPost, "/portal/sign-in", form); res.StatusCode != http.StatusForbidden || !strings.Contains(res.html, "open this page over HTTPS") {
		t.Errorf("status %d\n%s", res.StatusCode, res.html)
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

// flipped returns another character of base64.
