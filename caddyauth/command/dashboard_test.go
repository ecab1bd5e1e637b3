package command

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/continue-auth/caddy-continue-auth/keystore"
)

const dashboardAddress = "127.0.0.1:8099"

// desk is a dashboard with a browser that has used the link.
type desk struct {
	t *testing.T
	*dashboard
	folder  string
	cookie  *http.Cookie
	header  map[string]string
	told    []string // what the server's admin endpoint was asked
	server  *httptest.Server
	answers map[string]string // of the admin endpoint
}

// script is a name that would do harm on a page that does not escape it.
const script = `"'><script>alert(1)</script><img src=x onerror=alert(1)>`

// openDesk opens a dashboard over a file keystore with these users.
func openDesk(t *testing.T, users map[string]string, options string) *desk {
	t.Helper()
	d := &desk{t: t, folder: t.TempDir(), answers: map[string]string{}}
	d.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.told = append(d.told, r.Method+" "+r.URL.Path)
		if answer, ok := d.answers[r.URL.Path]; ok {
			_, _ = io.WriteString(w, answer)
		} else if r.Method != http.MethodDelete {
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(d.server.Close)
	records := make(map[string]json.RawMessage)
	for name, value := range users {
		records[name] = json.RawMessage(value)
	}
	providers := map[string]json.RawMessage{
		"openai": json.RawMessage(`{"headers":{"Authorization":"Bearer header-canary"},"queryString":{"api-version":"query-canary"},"models":["gpt-5"]}`),
		script:   json.RawMessage(`{}`),
	}
	if err := writeBulk(filepath.Join(d.folder, "providers.json"), providers); err != nil {
		t.Fatal(err)
	}
	if users != nil { // otherwise the dashboard makes the file
		if err := writeBulk(filepath.Join(d.folder, "keys.json"), records); err != nil {
			t.Fatal(err)
		}
	}
	config := fmt.Sprintf(`{
	admin %s
}
http://ai.example.com {
	continue_auth {
		account_id a
		gateway g
		gateway_token t
		keystore file {
			api_keys %[2]s/keys.json
			provider_settings %[2]s/providers.json
		}
		%[3]s
	}
}
`, strings.TrimPrefix(d.server.URL, "http://"), d.folder, strings.ReplaceAll(options, "FOLDER", d.folder))
	path := filepath.Join(d.folder, "Caddyfile")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	f := &keystoreFlags{configFlags: configFlags{config: path}}
	a, err := f.administration(t.Context(), making, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.close)
	opened, err := (&usageFlags{configFlags: f.configFlags}).openLedger(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if opened != nil {
		t.Cleanup(opened.close)
	}
	d.dashboard = newDashboard(a, opened, dashboardAddress)
	if res := d.get("/?token=" + d.link); res.Code != http.StatusSeeOther || d.cookie == nil {
		t.Fatalf("the link: status %d", res.Code)
	}
	return d
}

// send sends a request. A form is sent with the token of the pages.
func (d *desk) send(method, target string, form url.Values) *httptest.ResponseRecorder {
	d.t.Helper()
	var body io.Reader
	if form != nil {
		if !form.Has("token") {
			form.Set("token", d.formToken)
		}
		body = strings.NewReader(form.Encode())
	}
	r := httptest.NewRequestWithContext(d.t.Context(), method, "http://"+dashboardAddress+target, body)
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if d.cookie != nil {
		r.AddCookie(d.cookie)
	}
	for name, value := range d.header {
		r.Header.Set(name, value)
		if name == "Host" {
			r.Host = value
		}
	}
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	for _, cookie := range w.Result().Cookies() {
		d.cookie = cookie
	}
	return w
}

func (d *desk) get(target string) *httptest.ResponseRecorder {
	d.t.Helper()
	return d.send(http.MethodGet, target, nil)
}

// wants checks the status and texts of an answer.
func (d *desk) wants(res *httptest.ResponseRecorder, status int, texts ...string) {
	d.t.Helper()
	if res.Code != status {
		d.t.Errorf("status %d, want %d\n%s", res.Code, status, res.Body)
	}
	for _, text := range texts {
		if !strings.Contains(res.Body.String(), text) {
			d.t.Errorf("no %q in\n%s", text, res.Body)
		}
	}
}

// stored returns a user's record.
func (d *desk) stored(email string) string {
	d.t.Helper()
	values, err := d.a.store.Get(d.t.Context(), keystore.APIKeys, []string{email})
	if err != nil {
		d.t.Fatal(err)
	}
	return string(values[email])
}

func fewUsers() map[string]string {
	return map[string]string{
		"ann@example.com":    `{"apiKeyHash":"` + keystore.HashKey("ann") + `","status":"Enabled","createdAt":"2026-03-02T09:30:00Z","metadata":{"team":"core","vip":true}}`,
		"ben@example.com":    `{"apiKey":"plain-canary","status":"Disabled"}`,
		"old@example.com":    `{"apiKeyHash":"` + keystore.HashKey("old") + `","status":"Enabled","expiresAt":"2020-01-01T00:00:00Z","models":["workers-ai/*"],"limits":{"requests":["5/1m"],"tokens":[],"parallel":0}}`,
		"broken@example.com": `{"status":17}`,
	}
}

func TestTheLinkWorksOnce(t *testing.T) {
	d := openDesk(t, fewUsers(), "")
	if d.cookie.HttpOnly != true || d.cookie.SameSite != http.SameSiteStrictMode || d.cookie.Path != "/" || d.cookie.Name != "continue_auth_dashboard_8099" || d.cookie.Secure {
		t.Errorf("cookie %+v", d.cookie)
	}
	used := newDashboard(d.a, nil, dashboardAddress)
	token := used.link
	other := &desk{t: t, dashboard: used}
	other.wants(other.get("/?token="+token+"x"), http.StatusForbidden, "Open the link that the command has printed.")
	other.wants(other.send(http.MethodHead, "/?token="+token, nil), http.StatusForbidden)
	other.wants(other.get("/users"), http.StatusForbidden)
	other.wants(other.get("/?token="+token), http.StatusSeeOther)
	other.wants(other.get("/?token="+token), http.StatusSeeOther) // the same browser again
	mine := other.cookie
	other.cookie = nil
	other.wants(other.get("/?token="+token), http.StatusForbidden, "start the command again")
	other.wants(other.get("/?token="), http.StatusForbidden)
	other.cookie = &http.Cookie{Name: mine.Name, Value: "guess"}
	other.wants(other.get("/users"), http.StatusForbidden)
	other.cookie = nil
	other.header = map[string]string{"Cookie": mine.String() + "; " + mine.String()}
	other.wants(other.get("/users"), http.StatusForbidden)
}

func TestOtherHostsAreRefused(t *testing.T) {
	d := openDesk(t, fewUsers(), "")
	for host, status := range map[string]int{
		dashboardAddress: http.StatusOK, "localhost:8099": http.StatusOK, "[::1]:8099": http.StatusOK,
		"evil.example:8099": http.StatusForbidden, "127.0.0.1:8098": http.StatusForbidden, "127.0.0.1": http.StatusForbidden, "localhost": http.StatusForbidden, "": http.StatusForbidden,
	} {
		d.header = map[string]string{"Host": host}
		if res := d.get("/users"); res.Code != status {
			t.Errorf("%q: status %d, want %d", host, res.Code, status)
		}
		if host == "evil.example:8099" {
			d.wants(d.send(http.MethodPost, "/user/disable", url.Values{"email": {"ann@example.com"}}), http.StatusForbidden)
		}
	}
}

func TestTheDashboardOnThePortThatBrowsersLeaveOut(t *testing.T) {
	d := openDesk(t, fewUsers(), "")
	d.address = "127.0.0.1:80"
	for host, want := range map[string]bool{
		"127.0.0.1": true, "localhost": true, "[::1]": true, "127.0.0.1:80": true, "[::1]:80": true,
		"evil.example": false, "127.0.0.1:8080": false, "::1": false, "": false,
	} {
		if d.knows(host) != want {
			t.Errorf("%q: %v", host, !want)
		}
	}
}

func TestALinkOnAnotherSiteOpensTheDashboard(t *testing.T) {
	d := openDesk(t, fewUsers(), "")
	session := d.cookie
	d.cookie, d.header = nil, map[string]string{"Sec-Fetch-Site": "cross-site"} // browsers send no cookie then
	d.wants(d.get("/users"), http.StatusOK, `<meta http-equiv="refresh" content="0">`)
	d.wants(d.send(http.MethodPost, "/user/disable", url.Values{"email": {"ann@example.com"}}), http.StatusForbidden)
	d.header = map[string]string{"Sec-Fetch-Site": "same-origin"} // the page loads itself
	d.wants(d.get("/users"), http.StatusForbidden)
	d.cookie = session
	d.wants(d.get("/users"), http.StatusOK, "4 users")
}

func TestFormsOfOthersChangeNothing(t *testing.T) {
	d := openDesk(t, fewUsers(), "")
	before := d.stored("ann@example.com")
	form := func(token string) url.Values { return url.Values{"token": {token}, "email": {"ann@example.com"}} }
	for name, c := range map[string]struct {
		header map[string]string
		form   url.Values
		status int
	}{
		"no token":           {nil, form(""), http.StatusForbidden},
		"another token":      {nil, form("other"), http.StatusForbidden},
		"another site":       {map[string]string{"Sec-Fetch-Site": "cross-site"}, form(d.formToken), http.StatusForbidden},
		"another port":       {map[string]string{"Sec-Fetch-Site": "same-site"}, form(d.formToken), http.StatusForbidden},
		"another Origin":     {map[string]string{"Origin": "http://127.0.0.1:9000"}, form(d.formToken), http.StatusForbidden},
		"a hidden Origin":    {map[string]string{"Origin": "null"}, form(d.formToken), http.StatusForbidden},
		"another media type": {map[string]string{"Content-Type": "text/plain"}, form(d.formToken), http.StatusUnsupportedMediaType},
		"too long":           {nil, url.Values{"token": {d.formToken}, "email": {strings.Repeat("x", 70000)}}, http.StatusRequestEntityTooLarge},
		"the token in the URL": {map[string]string{"X": "y"}, url.Values{"token": {""}, "email": {"ann@example.com"}},
			http.StatusForbidden},
	} {
		d.header = c.header
		for path, page := range dashboardPages {
			if page.post == nil {
				continue
			}
			if res := d.send(http.MethodPost, path+"?token="+d.formToken, c.form); res.Code != c.status || !strings.Contains(res.Body.String(), "Nothing was changed.") {
				t.Errorf("%s, %s: status %d\n%s", name, path, res.Code, res.Body)
			}
		}
	}
	if d.stored("ann@example.com") != before || len(d.told) > 0 {
		t.Errorf("the record is now %s", d.stored("ann@example.com"))
	}
}

func TestPathsAndMethodsOfTheDashboard(t *testing.T) {
	d := openDesk(t, fewUsers(), "")
	for _, c := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{http.MethodGet, "/", http.StatusSeeOther, ""},
		{http.MethodHead, "/users", http.StatusOK, ""},
		{http.MethodGet, "/nothing", http.StatusNotFound, ""},
		{http.MethodGet, "/portal/style.css", http.StatusNotFound, ""},
		{http.MethodGet, "/user?email=nobody@example.com", http.StatusNotFound, ""},
		{http.MethodGet, "/user", http.StatusNotFound, ""},
		{http.MethodGet, "/user/remove?email=nobody@example.com", http.StatusNotFound, ""},
		{http.MethodPut, "/users", http.StatusMethodNotAllowed, "GET, HEAD"},
		{http.MethodGet, "/user/set", http.StatusMethodNotAllowed, "POST"},
		{http.MethodDelete, "/user/remove", http.StatusMethodNotAllowed, "GET, HEAD, POST"},
	} {
		res := d.send(c.method, c.path, nil)
		if res.Code != c.status || res.Header().Get("Allow") != c.allow {
			t.Errorf("%s %s: status %d, Allow %q", c.method, c.path, res.Code, res.Header().Get("Allow"))
		}
		if res.Header().Get("Cache-Control") != "no-store" || c.status != http.StatusSeeOther && !strings.HasPrefix(res.Header().Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("%s %s: header %v", c.method, c.path, res.Header())
		}
	}
	file := regexp.MustCompile(`/portal/style-[0-9a-f]+\.css`).FindString(d.get("/users").Body.String())
	d.cookie = nil
	d.wants(d.get(file), http.StatusOK)
}

// newKeyOf returns the key that a page shows.
// lets reports whether a user's record lets a key in.
// spend writes what some users have used today and a month ago.
func TestAddressesOfTheDashboard(t *testing.T) {
	for address, want := range map[string]string{
		"127.0.0.1:0": "", "[::1]:8090": "", "localhost:8090": "", "127.9.9.9:1": "",
		"0.0.0.0:80": "must be on this machine", ":8090": "must be on this machine", "[::]:80": "must be on this machine", "192.168.1.2:80": "must be on this machine",
		"example.com:80": "must be on this machine", "localhost.evil.example:80": "must be on this machine", "127.0.0.1": "must be a host and a port", "": "must be a host and a port",
	} {
		err := checkLoopback(address)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", address, err)
		}
	}
}

func TestTheDashboardRunsUntilItIsStopped(t *testing.T) {
	d := openDesk(t, fewUsers(), "")
	ctx, stop := context.WithCancel(t.Context())
	out, in := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- runDashboard(ctx, d.a, nil, "127.0.0.1:0", in) }()
	printed := make([]byte, 4096)
	n, err := out.Read(printed)
	link := regexp.MustCompile(`http://127\.0\.0\.1:[0-9]+/\?token=[A-Z0-9]+`).FindString(string(printed[:n]))
	if err != nil || link == "" {
		t.Fatalf("%v: %s", err, printed[:n])
	}
	res, err := http.Get(link)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusForbidden || res.Request.URL.Path != "/users" { // this client keeps no cookies
		t.Errorf("status %d at %s", res.StatusCode, res.Request.URL)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := http.Get(link); err == nil {
		t.Error("it still serves")
	}
	if err := runDashboard(t.Context(), d.a, nil, "192.168.1.2:80", io.Discard); err == nil {
		t.Error("another machine's address is taken")
	}
}
