package caddyauth

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/continue-auth/caddy-continue-auth/keystore"
	"github.com/continue-auth/caddy-continue-auth/keystore/cache"
)

// provision loads a handler from JSON like Caddy, including validation.
func provision(t testing.TB, config string) (*Handler, error) {
	t.Helper()
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	t.Cleanup(cancel)
	module, err := ctx.LoadModuleByID("http.handlers.continue_auth", json.RawMessage(config))
	if err != nil {
		return nil, err
	}
	return module.(*Handler), nil
}

// files writes the files of a file keystore and returns the keystore's JSON.
func files(t testing.TB) string {
	t.Helper()
	folder := t.TempDir()
	keys, settings := filepath.Join(folder, "keys.json"), filepath.Join(folder, "providers.json")
	writeEntries(t, keys, defaultUsers())
	writeEntries(t, settings, defaultProviders())
	return fmt.Sprintf(`{"module":"file","api_keys":%q,"provider_settings":%q}`, keys, settings)
}

func TestInvalidSettingsFailToLoad(t *testing.T) {
	t.Setenv("EMPTY_SETTING", "")
	t.Setenv("NUMBER_SETTING", "10")
	t.Setenv("SECRET_SETTING", "a secret\nwith a line feed inside")
	keystore := files(t)
	base := map[string]any{"account_id": "acc", "gateway": "gw", "gateway_token": "token", "keystore": json.RawMessage(keystore)}
	kv := func(changes string) string {
		return `{"module":"cloudflare_kv","api_token":"t","api_keys":"a","provider_settings":"b"` + changes + `}`
	}
	for name, test := range map[string]struct{ setting, value, want string }{
		"no account_id":                              {"account_id", `""`, "account_id: is missing; set it to the id of your Cloudflare account"},
		"no gateway":                                 {"gateway", `""`, "gateway: is missing"},
		"no gateway_token":                           {"gateway_token", `""`, "gateway_token: is missing"},
		"no keystore":                                {"keystore", `null`, "keystore: is missing; set it to cloudflare_kv or file"},
		"an unknown keystore":                        {"keystore", `{"module":"redis"}`, "keystore:"},
		"a variable that is not set":                 {"gateway_token", `"{env.NOT_SET_ANYWHERE}"`, "gateway_token: "},
		"a variable that is empty":                   {"gateway_token", `"{env.EMPTY_SETTING}"`, "gateway_token: "},
		"an unknown placeholder":                     {"gateway_token", `"{nonsense}"`, "gateway_token: "},
		"a token that no header can contain":         {"gateway_token", `"{env.SECRET_SETTING}"`, "gateway_token: has white space or control characters"},
		"an account ID that would change the path":   {"account_id", `"a/../b"`, "account_id: must consist of letters, digits, - and _"},
		"a gateway that would change the path":       {"gateway", `"gw?x"`, "gateway: must consist of letters, digits, - and _"},
		"an invalid email header":                    {"email_header", `"X Email"`, "email_header: must be the name of a header"},
		"an email header that is too long":           {"email_header", `"` + strings.Repeat("x", maxHeaderName+1) + `"`, "email_header: must be the name of a header"},
		"an email header that is another key header": {"email_header", `"x-goog-api-key"`, "email_header: must not be X-Goog-Api-Key"},
		"an email header that is the key header":     {"email_header", `"authorization"`, "email_header: must not be Authorization"},
		"an alias without a name":                    {"alias", `[{"model":"groq/llama"}]`, "alias: the name is empty"},
		"an alias without a model":                   {"alias", `[{"name":"fast"}]`, `alias: "fast" has no model`},
		"an alias twice":                             {"alias", `[{"name":"fast","model":"groq/a"},{"name":"fast","model":"groq/b"}]`, `alias: "fast" stands here twice`},
		"a pattern twice":                            {"alias", `[{"name":"a*","model":"groq/a"},{"name":"a*","model":"groq/*"}]`, `alias: "a*" stands here twice`},
		"an alias twice, once in a variable":         {"alias", `[{"name":"10","model":"groq/a"},{"name":"{env.NUMBER_SETTING}","model":"groq/b"}]`, `alias: "10" stands here twice`},
		"an alias in an empty variable":              {"alias", `[{"name":"{env.EMPTY_SETTING}","model":"groq/a"}]`, "alias: "},
		"an alias to a variable that is no model":    {"alias", `[{"name":"fast","model":"{env.NUMBER_SETTING}"}]`, `alias: "10" is no model`},
		"aliases that are not a list":                {"alias", `{"fast":"groq/a"}`, "cannot unmarshal"},
		"an invalid client header":                   {"client_headers", `["X Trace"]`, "client_headers: must be the name of a header"},
		"an invalid size":                            {"max_body_size", `"big"`, "max_body_size: must be a size"},
		"a number where an object belongs":           {"cache", `3`, "cannot unmarshal"},
		"a list where a duration belongs":            {"cache", `{"max_age":[]}`, "must be a string or a number"},
		"an invalid duration":                        {"cache", `{"max_age":"soon"}`, "cache.max_age: must be a duration"},
		"a negative duration":                        {"cache", `{"max_age":-5}`, "cache.max_age: must be a duration"},
		"refresh_after longer than max_age":          {"cache", `{"refresh_after":"2m"}`, "cache.refresh_after: 2m0s is longer than max_age, which is 1m0s"},
		"refresh_after longer than a set max_age":    {"cache", `{"refresh_after":"6s","max_age":"5s"}`, "cache.refresh_after: 6s is longer than max_age, which is 5s"},
		"a duration without a unit":                  {"cache", `{"stale_if_error":"60"}`, "cache.stale_if_error: must be a duration with its unit, such as 30s"},
		"a variable without a unit":                  {"cache", `{"absent":"{env.NUMBER_SETTING}"}`, "cache.absent: must be a duration with its unit, such as 30s"},
		"a number that is not a duration":            {"cache", `{"absent":1e3}`, "cache.absent: must be a duration"},
		"zero entries":                               {"cache", `{"max_entries":0}`, "cache.max_entries: must be a whole number larger than 0"},
		"an invalid count of attempts":               {"failed_attempts", `{"count":"x"}`, "failed_attempts: must be a whole number"},
		"a window without length":                    {"failed_attempts", `{"window":0}`, "failed_attempts: the duration must be longer than 0"},
		"an unknown setting":                         {"gatway", `"gw"`, "gatway"},
		"KV without a token":                         {"keystore", `{"module":"cloudflare_kv","api_keys":"a","provider_settings":"b"}`, "api_token: is missing"},
		"KV without the users' namespace":            {"keystore", `{"module":"cloudflare_kv","api_token":"t","provider_settings":"b"}`, "api_keys: is missing"},
		"KV without the providers' namespace":        {"keystore", `{"module":"cloudflare_kv","api_token":"t","api_keys":"a"}`, "provider_settings: is missing"},
		"a namespace that would change the path":     {"keystore", kv(`,"api_keys":"a/b"`), "api_keys: must consist of"},
		"an endpoint that is not a URL":              {"keystore", kv(`,"endpoint":"kv.example.com"`), "endpoint"},
		"an invalid timeout":                         {"keystore", kv(`,"timeout":"soon"`), "timeout: must be a duration"},
		"files that do not exist":                    {"keystore", `{"module":"file","api_keys":"/nowhere/keys.json"}`, "api_keys"},
		"a path with an unknown placeholder":         {"keystore", `{"module":"file","api_keys":"{env.NOT_SET_ANYWHERE}"}`, "api_keys: "},
		"providers' settings that are missing":       {"keystore", strings.Replace(keystore, "providers.json", "nothing.json", 1), "provider_settings"},
	} {
		t.Run(name, func(t *testing.T) {
			config := map[string]any{}
			for k, v := range base {
				config[k] = v
			}
			config[test.setting] = json.RawMessage(test.value)
			if test.value == "null" {
				delete(config, test.setting)
			}
			content, err := json.Marshal(config)
			if err != nil {
				t.Fatal(err)
			}
			_, err = provision(t, string(content))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("error %v, want %q in it", err, test.want)
			}
			if strings.Contains(err.Error(), "a secret") {
				t.Errorf("the error holds the secret: %v", err)
			}
			caches.Range(func(any, any) bool { t.Error("a failed load still holds a cache"); return false })
		})
	}
}

func TestDefaultsAndPlaceholdersAreApplied(t *testing.T) {
	t.Setenv("TEST_MAX_AGE", "45s")
	secret := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(secret, []byte("from-a-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	h, err := provision(t, `{"account_id":"acc","gateway":"gw","gateway_token":"{file.`+secret+`}","keystore":`+files(t)+`,"cache":{"max_age":"{env.TEST_MAX_AGE}","absent":3000000000}}`)
	if err != nil {
		t.Fatal(err)
	}
	s := h.settings
	if s.gatewayToken != "from-a-file" || s.emailHeader != "X-User-Email" || s.maxBodySize != 20_000_000 || s.maxEntries != 100_000 ||
		s.failedCount != 100 || s.failedWindow != time.Minute {
		t.Errorf("settings %+v", s)
	}
	if written, err := parseSize("20MB"); err != nil || written != s.maxBodySize {
		t.Errorf("a size of 20MB is %d, and not the default (%v)", written, err)
	}
	if says := tooLarge(s.maxBodySize).Message; !strings.Contains(says, "20 MB") {
		t.Errorf("a client that sends more gets %q", says)
	}
	if want := (cache.Ages{RefreshAfter: 22500 * time.Millisecond, MaxAge: 45 * time.Second, StaleIfError: time.Hour, Absent: 3 * time.Second}); s.ages != want {
		t.Errorf("ages %+v, want %+v", s.ages, want)
	}
}

func TestDefaultAgesFitTheAgesThatAreSet(t *testing.T) {
	second, minute, hour := time.Second, time.Minute, time.Hour
	for name, test := range map[string]struct {
		cache string
		want  cache.Ages
	}{
		"none is set":                  {`{}`, cache.Ages{RefreshAfter: 30 * second, MaxAge: minute, StaleIfError: hour, Absent: 10 * second}},
		"a short max_age":              {`{"max_age":"10s"}`, cache.Ages{RefreshAfter: 5 * second, MaxAge: 10 * second, StaleIfError: hour, Absent: 10 * second}},
		"a long max_age":               {`{"max_age":"2h"}`, cache.Ages{RefreshAfter: 30 * second, MaxAge: 2 * hour, StaleIfError: 2 * hour, Absent: 10 * second}},
		"no max_age":                   {`{"max_age":"0"}`, cache.Ages{StaleIfError: hour, Absent: 10 * second}},
		"a short stale_if_error":       {`{"stale_if_error":"5s"}`, cache.Ages{RefreshAfter: 30 * second, MaxAge: minute, StaleIfError: 5 * second, Absent: 10 * second}},
		"no stale_if_error":            {`{"stale_if_error":0,"max_age":"2h"}`, cache.Ages{RefreshAfter: 30 * second, MaxAge: 2 * hour, Absent: 10 * second}},
		"a refresh_after like max_age": {`{"refresh_after":"1m"}`, cache.Ages{RefreshAfter: minute, MaxAge: minute, StaleIfError: hour, Absent: 10 * second}},
	} {
		t.Run(name, func(t *testing.T) {
			h, err := provision(t, `{"account_id":"acc","gateway":"gw","gateway_token":"t","keystore":`+files(t)+`,"cache":`+test.cache+`}`)
			if err != nil {
				t.Fatal(err)
			}
			if h.settings.ages != test.want {
				t.Errorf("ages %+v, want %+v", h.settings.ages, test.want)
			}
		})
	}
}

func TestAReloadKeepsTheCacheIfTheKeystoresSettingsAreUnchanged(t *testing.T) {
	p := start(t, setup{upstream: newUpstream(t, answerChat).URL})
	ask := func() int {
		return p.do(request{path: "/v1/chat/completions", body: chatBody(llama)}).StatusCode
	}
	if got := ask(); got != 200 {
		t.Fatalf("status %d", got)
	}
	writeEntries(t, p.keys, map[string]string{}) // now only the cache knows the user

	if err := p.load(strings.Replace(p.config, "gateway gw", "gateway other\ncache {\nmax_age 50s\nmax_entries 500\n}", 1)); err != nil {
		t.Fatal(err)
	}
	if got := ask(); got != 200 {
		t.Errorf("after a reload with the same keystore: status %d, want 200 from the cache", got)
	}

	if err := p.load(strings.Replace(p.config, "gateway gw", "gateway", 1)); err == nil {
		t.Error("a broken configuration was loaded")
	}
	if err := p.load(strings.Replace(p.config, "account_id acc", "account_id {env.NOT_SET_ANYWHERE}", 1)); err == nil {
		t.Error("a configuration that cannot be provisioned was loaded")
	}
	if got := ask(); got != 200 {
		t.Errorf("after failed loads: status %d, want 200 from the cache", got)
	}

	// The same files under another path count as another keystore.
	link := filepath.Join(t.TempDir(), "keys.json")
	if err := os.Symlink(p.keys, link); err != nil {
		t.Fatal(err)
	}
	if err := p.load(strings.Replace(p.config, p.keys, link, 1)); err != nil {
		t.Fatal(err)
	}
	if got := ask(); got != 401 {
		t.Errorf("after a reload with another keystore: status %d, want 401", got)
	}
}

func TestASharedCacheHasTheLargestSizeThatAHandlerWants(t *testing.T) {
	keystore := files(t)
	handler := func(maxEntries int) (h *Handler, unload func()) {
		ctx, cancel := caddy.NewContext(caddy.Context{Context: t.Context()})
		t.Cleanup(cancel)
		module, err := ctx.LoadModuleByID("http.handlers.continue_auth", fmt.Appendf(nil, `{"account_id":"acc","gateway":"gw","gateway_token":"t","keystore":%s,"cache":{"max_entries":%d}}`, keystore, maxEntries))
		if err != nil {
			t.Fatal(err)
		}
		return module.(*Handler), cancel
	}
	first, unloadFirst := handler(3)
	set := make(chan int, 10)
	caches.Range(func(_, value any) bool {
		b := value.(pooled).bound
		b.set = func(n int) {
			first.cache.SetMaxEntries(n)
			set <- n
		}
		return true
	})
	for _, email := range []string{testEmail, "worker@example.com", "few@example.com"} {
		if _, err := first.cache.APIKeys.Get(t.Context(), email, first.settings.ages, true); err != nil {
			t.Fatal(err)
		}
	}
	want := func(what string, bound, entries int) {
		t.Helper()
		if n, in := <-set, first.cache.APIKeys.Stats().Entries; n != bound || in != entries {
			t.Errorf("%s: the bound is %d with %d entries, want %d and %d", what, n, in, bound, entries)
		}
	}
	_, unloadSecond := handler(1)
	want("a smaller one loads", 3, 3)
	unloadSecond()
	want("it is unloaded", 3, 3)
	handler(1)
	want("it loads again", 3, 3)
	unloadFirst()
	want("it alone is left", 1, 1)
	_, unloadLast := handler(500)
	want("a larger one loads", 500, 1)
	unloadLast()
	want("and is unloaded", 1, 1)
}

func TestTwoHandlersShareACacheAndTheLastOneClosesIt(t *testing.T) {
	module := &closingKeystore{}
	closingKeystores = module
	config := `{"account_id":"acc","gateway":"gw","gateway_token":"t","keystore":{"module":"closing"}}`
	first, err := provision(t, config)
	if err != nil {
		t.Fatal(err)
	}
	second, err := provision(t, config)
	if err != nil {
		t.Fatal(err)
	}
	if first.cache != second.cache || module.opened != 1 {
		t.Errorf("the store was opened %d times, want one cache for both", module.opened)
	}
	if err := first.Cleanup(); err != nil || module.closed != 0 {
		t.Errorf("closed %d times after the first handler's end, error %v", module.closed, err)
	}
	if err := second.Cleanup(); err != nil || module.closed != 1 {
		t.Errorf("closed %d times after the last handler's end, error %v", module.closed, err)
	}
	first.cacheKey, second.cacheKey = "", "" // their contexts clean up again
}

// unfit is a module with the name of a keystore that is none.
type unfit struct{}

func init() { caddy.RegisterModule(new(unfit)) }

func (*unfit) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "continue_auth.keystores.unfit", New: func() caddy.Module { return new(unfit) }}
}

func TestAModuleMustFitItsOption(t *testing.T) {
	_, err := provision(t, `{"account_id":"acc","gateway":"gw","gateway_token":"t","keystore":{"module":"unfit"}}`)
	if want := "keystore: the module continue_auth.keystores.unfit does not fit this option"; err == nil || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("error %v, want %s", err, want)
	}
}

// closingKeystore is a keystore module that counts how often its store is opened and closed.
type closingKeystore struct{ opened, closed int }

var closingKeystores *closingKeystore

func init() { caddy.RegisterModule(new(closingKeystore)) }

func (*closingKeystore) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "continue_auth.keystores.closing", New: func() caddy.Module { return closingKeystores }}
}

func (*closingKeystore) Identity() string { return "" }

func (k *closingKeystore) Open() (keystore.Store, error) { k.opened++; return k, nil }

func (k *closingKeystore) Close() error { k.closed++; return nil }

func (*closingKeystore) Get(context.Context, keystore.Namespace, []string) (map[string][]byte, error) {
	return nil, nil
}

func (*closingKeystore) List(context.Context, keystore.Namespace) ([]string, error) { return nil, nil }

func TestAChangeOfTheFileTakesEffectAfterMaxAgeWithoutAReload(t *testing.T) {
	p := start(t, setup{upstream: newUpstream(t, answerChat).URL, options: "cache {\nrefresh_after 0s\nmax_age 0s\nabsent 0s\n}"})
	ask := func(email string) int {
		return p.do(request{path: "/v1/chat/completions", header: as(email, "plain-key"), body: chatBody(llama)}).StatusCode
	}
	if got := ask("worker@example.com"); got != 200 {
		t.Fatalf("status %d", got)
	}
	users := defaultUsers()
	users["worker@example.com"] = users["disabled@example.com"]
	users["new@example.com"] = `{"apiKey":"plain-key","status":"Enabled"}`
	writeEntries(t, p.keys, users)
	if got := ask("worker@example.com"); got != 401 {
		t.Errorf("a user who was disabled: status %d, want 401", got)
	}
	if got := ask("new@example.com"); got != 200 {
		t.Errorf("a user who was added: status %d, want 200", got)
	}
	if err := os.WriteFile(p.keys, []byte(`[{"key":"new@exam`), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := ask("new@example.com"); got != 200 {
		t.Errorf("with a half-written file: status %d, want 200 from the last good one", got)
	}
}

func TestFailedAttemptsOfOneAddressAreLimited(t *testing.T) {
	p := start(t, setup{upstream: newUpstream(t, answerChat).URL, options: "failed_attempts 3 1h", global: "servers {\ntrusted_proxies static 127.0.0.1\n}"})
	from := func(ip, email, key string) *http.Response {
		header := as(email, key)
		header["X-Forwarded-For"] = ip
		return p.do(request{path: "/v1/chat/completions", header: header, body: chatBody(llama)})
	}
	if res := from("192.0.2.1", testEmail, testKey); res.StatusCode != 200 {
		t.Fatalf("status %d", res.StatusCode)
	}
	for i := range 3 {
		if res := from("192.0.2.1", fmt.Sprintf("guess%d@example.com", i), "x"); res.StatusCode != 401 {
			t.Fatalf("attempt %d: status %d, want 401", i, res.StatusCode)
		}
	}
	res := from("192.0.2.1", "guess@example.com", "x")
	if wait, err := strconv.Atoi(res.Header.Get("Retry-After")); err != nil || wait > 3600 || wait < 3000 { // the rest of the hour
		t.Errorf("Retry-After is %q", res.Header.Get("Retry-After"))
	}
	wantError(t, res, 429, "too_many_failed_attempts")
	if res := from("192.0.2.1", testEmail, testKey); res.StatusCode != 200 {
		t.Errorf("a known user from that address: status %d, want 200", res.StatusCode)
	}
	wantError(t, from("192.0.2.1", testEmail, "wrong"), 429, "too_many_failed_attempts") // the same as for a made-up name
	if res := from("192.0.2.2", "worker@example.com", "plain-key"); res.StatusCode != 200 {
		t.Errorf("another address: status %d, want 200", res.StatusCode)
	}
	for i := range 3 {
		from(fmt.Sprintf("2001:db8::%d", i+1), fmt.Sprintf("six%d@example.com", i), "x")
	}
	wantError(t, from("2001:db8::ffff", "guess@example.com", "x"), 429, "too_many_failed_attempts")
	if res := from("2001:db8:0:1::1", "guess@example.com", "x"); res.StatusCode != 401 {
		t.Errorf("another /64: status %d, want 401", res.StatusCode)
	}
}
