package command

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/continue-auth/caddy-continue-auth/keystore"
)

func newKeyOf(t *testing.T, res *httptest.ResponseRecorder) string {
	t.Helper()
	key := regexp.MustCompile(`cca_[0-9A-Za-z]{43}`).FindString(res.Body.String())
	if key == "" {
		t.Fatalf("no key, status %d:\n%s", res.Code, res.Body)
	}
	return key
}

func (d *desk) lets(email, key string) bool {
	d.t.Helper()
	k, err := keystore.ParseAPIKey([]byte(d.stored(email)))
	if err != nil {
		d.t.Fatal(err)
	}
	return k.Check(key, time.Now())
}

func TestAddingAUser(t *testing.T) {
	d := openDesk(t, fewUsers(), "")
	d.wants(d.get("/users/add"), http.StatusOK, `name="email" value=""`)
	res := d.send(http.MethodPost, "/users/add", url.Values{
		"email": {"new@example.com"}, "expires": {"90d"}, "only": {"1"}, "models": {"workers-ai/*\r\nopenai/gpt-5\r\n\r\n"}, "metadata": {"team=core\r\n"},
		"requests": {"120/1m\r\n2000/day"}, "tokens": {"none"}, "parallel": {"8"},
	})
	key := newKeyOf(t, res)
	d.wants(res, http.StatusOK, "Made a key for new@example.com. It is shown this once.", "The running server was told.", "new@example.com</h1>")
	if !d.lets("new@example.com", key) || !slices.Contains(d.told, "DELETE /continue_auth/cache/new@example.com") {
		t.Errorf("the record is %s, the server was asked %q", d.stored("new@example.com"), d.told)
	}
	for _, text := range []string{`"models":["workers-ai/*","openai/gpt-5"]`, `"metadata":{"team":"core"}`, `"limits":{"requests":["120/1m","2000/day"],"tokens":[],"parallel":8}`, `"expiresAt":`} {
		if !strings.Contains(d.stored("new@example.com"), text) {
			t.Errorf("no %s in %s", text, d.stored("new@example.com"))
		}
	}
	for _, path := range []string{"/user?email=new@example.com", "/users"} {
		if body := d.get(path).Body.String(); strings.Contains(body, key) || !strings.Contains(body, "new@example.com") {
			t.Errorf("%s: the key is shown again, or the user is not", path)
		}
	}
	for name, c := range map[string]struct {
		form url.Values
		want string
	}{
		"a user who is there":   {url.Values{"email": {"ann@example.com"}}, "ann@example.com has a key already"},
		"no email":              {url.Values{"email": {""}}, "an email must not be empty"},
		"an email with a space": {url.Values{"email": {"a b@example.com"}}, "an email must not be empty, and has no spaces"},
		"an end that is over":   {url.Values{"email": {"x@example.com"}, "expires": {"2020-01-01"}}, `expires &#34;2020-01-01&#34;: is over already`},
		"a wrong limit":         {url.Values{"email": {"x@example.com"}, "requests": {"many"}}, `limit &#34;requests=many&#34;: must be a number and a window`},
		"wrong metadata":        {url.Values{"email": {"x@example.com"}, "metadata": {"core"}}, "must be name=value"},
	} {
		c.form.Set("parallel", "7")
		res := d.send(http.MethodPost, "/users/add", c.form)
		d.wants(res, http.StatusUnprocessableEntity, c.want, `name="parallel" value="7"`, `role="alert"`)
		if strings.Contains(res.Body.String(), "cca_") {
			t.Errorf("%s: a key is shown", name)
		}
	}
	plain := d.send(http.MethodPost, "/users/add", url.Values{"email": {"plain@example.com"}, "expires": {"never"}})
	if key := newKeyOf(t, plain); !d.lets("plain@example.com", key) || strings.Contains(d.stored("plain@example.com"), "models") {
		t.Errorf("record %s", d.stored("plain@example.com"))
	}
}

func TestRotatingAKey(t *testing.T) {
	d := openDesk(t, fewUsers(), "")
	res := d.send(http.MethodPost, "/user/rotate", url.Values{"email": {"ann@example.com"}, "grace": {"24h"}})
	key := newKeyOf(t, res)
	d.wants(res, http.StatusOK, "Made another key for ann@example.com.", "works until")
	if !d.lets("ann@example.com", key) || !d.lets("ann@example.com", "ann") {
		t.Errorf("record %s", d.stored("ann@example.com"))
	}
	newKeyOf(t, d.send(http.MethodPost, "/user/rotate", url.Values{"email": {"ann@example.com"}, "grace": {"0s"}}))
	if d.lets("ann@example.com", key) {
		t.Error("the key is good although it had no grace")
	}
	shown := regexp.MustCompile(`name="key" value="([0-9a-f]{8})"`).FindStringSubmatch(d.get("/user?email=ann@example.com").Body.String())
	if shown == nil {
		t.Fatal("the form does not name the key that it replaces")
	}
	form := func() url.Values {
		return url.Values{"email": {"ann@example.com"}, "key": {shown[1]}, "grace": {"24h"}}
	}
	key = newKeyOf(t, d.send(http.MethodPost, "/user/rotate", form()))
	before := d.stored("ann@example.com")
	again := d.send(http.MethodPost, "/user/rotate", form()) // as with a second click
	d.wants(again, http.StatusUnprocessableEntity, "was replaced after this page was loaded; nothing was changed")
	if strings.Contains(again.Body.String(), "cca_") || d.stored("ann@example.com") != before || !d.lets("ann@example.com", key) {
		t.Errorf("a form that was sent twice has replaced the key twice: %s", d.stored("ann@example.com"))
	}
	for email, c := range map[string][2]string{"ann@example.com": {"a day", "grace &#34;a day&#34;: must be a duration"}, "broken@example.com": {"1h", "is broken and was not changed"}, "nobody@example.com": {"1h", "there is no user nobody@example.com"}} {
		res := d.send(http.MethodPost, "/user/rotate", url.Values{"email": {email}, "grace": {c[0]}})
		if res.Code < 400 || !strings.Contains(res.Body.String(), c[1]) || strings.Contains(res.Body.String(), "cca_") {
			t.Errorf("%s: status %d\n%s", email, res.Code, res.Body)
		}
	}
	if d.stored("ann@example.com") != before {
		t.Error("a rotation that failed has changed the record")
	}
}

func TestDisablingAndEnabling(t *testing.T) {
	d := openDesk(t, fewUsers(), "")
	d.wants(d.get("/user?email=ann@example.com"), http.StatusOK, `action="/user/disable"`)
	d.wants(d.send(http.MethodPost, "/user/disable", url.Values{"email": {"ann@example.com"}}), http.StatusSeeOther)
	if d.lets("ann@example.com", "ann") || !slices.Contains(d.told, "DELETE /continue_auth/cache/ann@example.com") {
		t.Errorf("record %s, asked %q", d.stored("ann@example.com"), d.told)
	}
	d.wants(d.get("/user?email=ann@example.com"), http.StatusOK, "Disabled ann@example.com.", `action="/user/enable"`, `role="status"`)
	if strings.Contains(d.get("/user?email=ann@example.com").Body.String(), "Disabled ann@example.com.") {
		t.Error("the message is shown twice")
	}
	d.wants(d.send(http.MethodPost, "/user/enable", url.Values{"email": {"ann@example.com"}}), http.StatusSeeOther)
	if !d.lets("ann@example.com", "ann") {
		t.Errorf("record %s", d.stored("ann@example.com"))
	}
}

func TestChangingWhatAUserMayDo(t *testing.T) {
	d := openDesk(t, fewUsers(), "")
	page := d.get("/user?email=old@example.com")
	d.wants(page, http.StatusOK, `name="expires" value="2020-01-01T00:00:00Z"`, `value="1" checked`, ">workers-ai/*</textarea>", ">5/1m</textarea>", ">none</textarea>", `name="parallel" value="none"`)
	same := url.Values{"email": {"old@example.com"}, "expires": {"2020-01-01T00:00:00Z"}, "only": {"1"}, "models": {"workers-ai/*"}, "requests": {"5/1m"}, "tokens": {"none"}, "parallel": {"none"}}
	before := d.stored("old@example.com")
	d.wants(d.send(http.MethodPost, "/user/set", same), http.StatusSeeOther)
	d.wants(d.get("/users"), http.StatusOK, "Nothing was different.")
	if d.stored("old@example.com") != before || slices.ContainsFunc(d.told, func(asked string) bool { return strings.HasPrefix(asked, http.MethodDelete) }) {
		t.Errorf("record %s, asked %q", d.stored("old@example.com"), d.told)
	}
	for _, c := range []struct {
		name, field, value string
		want               string
	}{
		{"the end of an expired key stays", "metadata", "team=web", `"expiresAt":"2020-01-01T00:00:00Z"`},
		{"metadata", "metadata", "team=core\nvip=yes", `"metadata":{"team":"core","vip":"yes"}`},
		{"metadata that is gone", "metadata", "vip=yes", `"metadata":{"vip":"yes"}`},
		{"models", "models", "openai/*\nanthropic/*", `"models":["openai/*","anthropic/*"]`},
		{"requests", "requests", "9/1m\n99/1h", `"requests":["9/1m","99/1h"]`},
		{"the server's tokens", "tokens", "", `"limits":{"requests":["9/1m","99/1h"],"parallel":0}`},
		{"requests at once", "parallel", "3", `"parallel":3`},
		{"all models", "only", "", `"models":["*"]`},
		{"no end", "expires", "", `"status":"Enabled","models"`},
	} {
		same.Set(c.field, c.value)
		same.Del("token")
		d.wants(d.send(http.MethodPost, "/user/set", same), http.StatusSeeOther)
		if !strings.Contains(d.stored("old@example.com"), c.want) {
			t.Errorf("%s: no %s in %s", c.name, c.want, d.stored("old@example.com"))
		}
	}
	before = d.stored("old@example.com")
	same.Set("requests", "many")
	d.wants(d.send(http.MethodPost, "/user/set", same), http.StatusUnprocessableEntity, "limit &#34;requests=many&#34;", ">many</textarea>")
	if d.stored("old@example.com") != before {
		t.Error("a change that failed has changed the record")
	}
	kept := url.Values{"email": {"ann@example.com"}, "metadata": {"team=core\nvip=true"}, "parallel": {"2"}}
	d.wants(d.send(http.MethodPost, "/user/set", kept), http.StatusSeeOther)
	if !strings.Contains(d.stored("ann@example.com"), `"metadata":{"team":"core","vip":true}`) {
		t.Errorf("metadata that did not change is now in %s", d.stored("ann@example.com"))
	}
}

func TestAFormReplacesNoChangeThatItDidNotShow(t *testing.T) {
	d := openDesk(t, fewUsers(), "")
	shown := regexp.MustCompile(`name="version" value="([0-9a-f]{16})"`)
	version := func(page *httptest.ResponseRecorder) string {
		found := shown.FindStringSubmatch(page.Body.String())
		if found == nil {
			t.Fatalf("the form does not say what it has shown: %s", page.Body)
		}
		return found[1]
	}
	save := func(version string) *httptest.ResponseRecorder {
		return d.send(http.MethodPost, "/user/set", url.Values{"email": {"ann@example.com"}, "metadata": {"team=web"}, "only": {""}, "version": {version}})
	}
	old := version(d.get("/user?email=ann@example.com"))
	if err := d.a.setUser(t.Context(), "ann@example.com", &restrictions{models: []string{"openai/*"}}, true, false); err != nil {
		t.Fatal(err)
	}
	before := d.stored("ann@example.com")
	refused := save(old)
	d.wants(refused, http.StatusUnprocessableEntity, "was changed after this page was loaded, so nothing was saved; the form has what is stored now", ">openai/*</textarea>", ">team=core\nvip=true</textarea>")
	if d.stored("ann@example.com") != before {
		t.Errorf("record %s, want %s", d.stored("ann@example.com"), before)
	}
	d.wants(save(version(refused)), http.StatusSeeOther)
	if !strings.Contains(d.stored("ann@example.com"), `"team":"web"`) {
		t.Errorf("record %s", d.stored("ann@example.com"))
	}
}

func TestRemovingAUser(t *testing.T) {
	d := openDesk(t, fewUsers(), "")
	d.wants(d.get("/user/remove?email=ann@example.com"), http.StatusOK, "Remove ann@example.com?", `name="email" value="ann@example.com"`)
	if d.stored("ann@example.com") == "" {
		t.Fatal("the question has removed the user")
	}
	d.wants(d.send(http.MethodPost, "/user/remove", url.Values{"email": {"ann@example.com"}}), http.StatusSeeOther)
	d.wants(d.get("/users"), http.StatusOK, "Removed ann@example.com.", "3 users")
	if d.stored("ann@example.com") != "" || !slices.Contains(d.told, "DELETE /continue_auth/cache/ann@example.com") {
		t.Errorf("asked %q", d.told)
	}
	d.wants(d.send(http.MethodPost, "/user/remove", url.Values{"email": {"ann@example.com"}}), http.StatusInternalServerError, "there is no user ann@example.com")
}

func TestNamesOnTheDashboardAreText(t *testing.T) {
	quoted, _ := json.Marshal(script)
	d := openDesk(t, map[string]string{script: `{"apiKeyHash":"` + keystore.HashKey("x") + `","status":"Enabled","createdAt":` + string(quoted) + `,"models":[` + string(quoted) + `],"metadata":{"team":` + string(quoted) + `}}`}, "")
	for _, path := range []string{"/users", hrefOf(script), "/user/remove?email=" + url.QueryEscape(script), "/users?q=" + url.QueryEscape(script)} {
		res := d.get(path)
		d.wants(res, http.StatusOK, "&lt;script&gt;")
		if strings.Contains(res.Body.String(), "<script>") || strings.Contains(res.Body.String(), "<img src=x") {
			t.Errorf("%s: not escaped:\n%s", path, res.Body)
		}
	}
	d.wants(d.send(http.MethodPost, "/user/disable", url.Values{"email": {script}}), http.StatusSeeOther)
	if res := d.get(hrefOf(script)); strings.Contains(res.Body.String(), "<script>") {
		t.Error("the message is not escaped")
	}
}
