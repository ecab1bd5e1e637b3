package cloudflarekv

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/continue-auth/caddy-continue-auth/keystore"
	"github.com/continue-auth/caddy-continue-auth/keystore/kvtest"
	"github.com/continue-auth/caddy-continue-auth/keystore/storetest"
)

func config(server *kvtest.Server) Config {
	return Config{
		AccountID:                 kvtest.AccountID,
		APIToken:                  kvtest.ReadOnlyToken,
		APIKeysNamespace:          kvtest.APIKeys,
		ProviderSettingsNamespace: kvtest.ProviderSettings,
		Endpoint:                  server.URL,
	}
}

// open makes a store that is closed when the test ends.
func open(t *testing.T, c Config) *Store {
	t.Helper()
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestContract(t *testing.T) {
	storetest.TestStore(t, func(t *testing.T) storetest.Backend {
		server := kvtest.NewServer(t)
		return backend(server, open(t, config(server)))
	})
}

func TestEditorContract(t *testing.T) {
	storetest.TestEditor(t, func(t *testing.T) storetest.Backend {
		server := kvtest.NewServer(t)
		return backend(server, open(t, writable(server)))
	})
}

func backend(server *kvtest.Server, s *Store) storetest.Backend {
	id := map[keystore.Namespace]string{keystore.APIKeys: kvtest.APIKeys, keystore.ProviderSettings: kvtest.ProviderSettings}
	return storetest.Backend{
		Store: s,
		Put: func(ns keystore.Namespace, values map[string]string) {
			for name, value := range values {
				server.Put(id[ns], name, value)
			}
		},
		Delete: func(ns keystore.Namespace, names ...string) { server.Delete(id[ns], names...) },
		Version: func(ns keystore.Namespace) string {
			writes := 0
			for _, url := range server.URLs() {
				if strings.Contains(url, id[ns]) && !strings.HasSuffix(url, "/bulk/get") && !strings.Contains(url, "/keys?") {
					writes++
				}
			}
			return strconv.Itoa(writes)
		},
	}
}

func TestNewRefusesBrokenSettingsByName(t *testing.T) {
	good := Config{
		AccountID: "0123456789abcdef", APIToken: "token", APIKeysNamespace: "a-1", ProviderSettingsNamespace: "P_2",
		Endpoint: "http://127.0.0.1:8787/client/v4/", Timeout: time.Second,
	}
	if _, err := New(good); err != nil {
		t.Fatal(err)
	}
	const (
		id       = ": must be an id, of letters, digits, - and _"
		token    = "api_token: must be a token, without white space or line breaks"
		endpoint = "endpoint: must be a URL of http or https with a host, and without user, query or fragment"
	)
	for name, tt := range map[string]struct {
		change func(c *Config)
		want   string
	}{
		"no account":                     {func(c *Config) { c.AccountID = "" }, "account_id" + id},
		"an account that leaves its URL": {func(c *Config) { c.AccountID = "secret/../x" }, "account_id" + id},
		"no namespace of keys":           {func(c *Config) { c.APIKeysNamespace = "" }, "api_keys" + id},
		"a namespace with a query":       {func(c *Config) { c.APIKeysNamespace = "secret?x" }, "api_keys" + id},
		"no namespace of settings":       {func(c *Config) { c.ProviderSettingsNamespace = "" }, "provider_settings" + id},
		"a namespace that is escaped":    {func(c *Config) { c.ProviderSettingsNamespace = "secret%2e" }, "provider_settings" + id},
		"dots":                           {func(c *Config) { c.APIKeysNamespace = ".." }, "api_keys" + id},
		"letters of other alphabets":     {func(c *Config) { c.AccountID = "sécret" }, "account_id" + id},
		"no token":                       {func(c *Config) { c.APIToken = "" }, token},
		"a token with a line break":      {func(c *Config) { c.APIToken = "secret\n" }, token},
		"a token with a space":           {func(c *Config) { c.APIToken = "Bearer secret" }, token},
		"a token of other characters":    {func(c *Config) { c.APIToken = "sécret" }, token},
		"an endpoint without a scheme":   {func(c *Config) { c.Endpoint = "secret.example.com/client/v4" }, endpoint},
		"an endpoint of another scheme":  {func(c *Config) { c.Endpoint = "ftp://secret.example.com" }, endpoint},
		"an endpoint without a host":     {func(c *Config) { c.Endpoint = "https:///secret" }, endpoint},
		"an endpoint with only a port":   {func(c *Config) { c.Endpoint = "https://:443/secret" }, endpoint},
		"an endpoint with a user":        {func(c *Config) { c.Endpoint = "https://u:secret@example.com" }, endpoint},
		"an endpoint with a query":       {func(c *Config) { c.Endpoint = "https://example.com/?secret" }, endpoint},
		"an endpoint with a fragment":    {func(c *Config) { c.Endpoint = "https://example.com/#secret" }, endpoint},
		"an endpoint that is not a URL":  {func(c *Config) { c.Endpoint = "https://secret\x7f" }, endpoint},
		"a negative timeout":             {func(c *Config) { c.Timeout = -1 }, "timeout: must not be negative"},
	} {
		t.Run(name, func(t *testing.T) {
			c := good
			tt.change(&c)
			if s, err := New(c); err == nil || err.Error() != tt.want || s != nil {
				t.Errorf("%v, want %s", err, tt.want)
			}
		})
	}
}

func TestNewUsesTheDefaults(t *testing.T) {
	s := open(t, Config{AccountID: "a", APIToken: "t", APIKeysNamespace: "k", ProviderSettingsNamespace: "p"})
	if s.timeout != 5*time.Second {
		t.Error(s.timeout)
	}
	var asked string
	s.client.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
		asked = r.URL.String()
		return nil, errors.New("no network")
	})
	_, _ = s.Get(t.Context(), keystore.APIKeys, []string{"x"})
	if want := "https://api.cloudflare.com/client/v4/accounts/a/storage/kv/namespaces/k/bulk/get"; asked != want {
		t.Errorf("%s, want %s", asked, want)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestEndpointsMayEndInASlashOrHaveNoPath(t *testing.T) {
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked = append(asked, r.RequestURI) }))
	defer server.Close()
	for end, path := range map[string]string{"": "", "/": "", "/client/v4": "/client/v4", "/client/v4/": "/client/v4"} {
		asked = nil
		s := open(t, Config{AccountID: "a", APIToken: "t", APIKeysNamespace: "k", ProviderSettingsNamespace: "p", Endpoint: server.URL + end})
		_, _ = s.Get(t.Context(), keystore.APIKeys, []string{"x"})
		if want := []string{path + "/accounts/a/storage/kv/namespaces/k/bulk/get"}; !slices.Equal(asked, want) {
			t.Errorf("%q: %q, want %q", end, asked, want)
		}
	}
}

func TestTheSDKsEnvironmentVariablesDoNotMatter(t *testing.T) {
	server, other := kvtest.NewServer(t), kvtest.NewServer(t)
	server.Put(kvtest.APIKeys, "a", "1")
	for name, value := range map[string]string{
		"CLOUDFLARE_BASE_URL":             other.URL,
		"CLOUDFLARE_API_TOKEN":            "another-token",
		"CLOUDFLARE_API_KEY":              "another-key",
		"CLOUDFLARE_EMAIL":                "dev@example.com",
		"CLOUDFLARE_API_USER_SERVICE_KEY": "another-key",
		"CLOUDFLARE_CUSTOM_HEADERS":       "Authorization: Bearer another-token",
	} {
		t.Setenv(name, value)
	}
	s := open(t, config(server))
	var header http.Header
	transport := s.client.Transport
	s.client.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
		header = r.Header.Clone()
		return transport.RoundTrip(r)
	})
	values, err := s.Get(t.Context(), keystore.APIKeys, []string{"a"})
	if err != nil || string(values["a"]) != "1" || len(other.URLs()) != 0 {
		t.Errorf("%q, %v, %v", values, err, other.URLs())
	}
	if got := header.Values("Authorization"); !slices.Equal(got, []string{"Bearer " + kvtest.ReadOnlyToken}) {
		t.Error(got)
	}
	for name := range header {
		if strings.HasPrefix(name, "X-Auth-") {
			t.Error("sent", name)
		}
	}
}

func TestNoURLContainsAName(t *testing.T) {
	server := kvtest.NewServer(t)
	s := open(t, config(server))
	names := []string{"dev@example.com", "x/../../y", "a?b#c"}
	for _, name := range names {
		server.Put(kvtest.APIKeys, name, "{}")
	}
	if _, err := s.Get(t.Context(), keystore.APIKeys, names); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(t.Context(), keystore.ProviderSettings, names); err != nil {
		t.Fatal(err)
	}
	if _, err := s.List(t.Context(), keystore.APIKeys); err != nil {
		t.Fatal(err)
	}
	base := "/client/v4/accounts/" + kvtest.AccountID + "/storage/kv/namespaces/"
	want := []string{base + kvtest.APIKeys + "/bulk/get", base + kvtest.ProviderSettings + "/bulk/get", base + kvtest.APIKeys + "/keys?limit=1000"}
	if got := server.URLs(); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestAHundredNamesAreOneCall(t *testing.T) {
	server := kvtest.NewServer(t)
	names := make([]string, 100)
	for i := range names {
		names[i] = fmt.Sprintf("user%d@example.com", i)
	}
	if _, err := open(t, config(server)).Get(t.Context(), keystore.APIKeys, names); err != nil {
		t.Fatal(err)
	}
	if n := len(server.URLs()); n != 1 {
		t.Errorf("%d calls", n)
	}
}

func TestValuesOfOtherNamesAreIgnored(t *testing.T) {
	server := kvtest.NewServer(t)
	server.FailAll(kvtest.Reply(200, `{"success":true,"result":{"values":{"a":"1","b":"2"}}}`))
	values, err := open(t, config(server)).Get(t.Context(), keystore.APIKeys, []string{"a", "c"})
	if err != nil || len(values) != 1 || string(values["a"]) != "1" {
		t.Errorf("%q, %v", values, err)
	}
}

func TestAListingContinuesAfterAnEmptyPage(t *testing.T) {
	server := kvtest.NewServer(t)
	s := open(t, config(server))
	server.FailNext(1, kvtest.Reply(200, `{"success":true,"result":[{"name":"a"}],"result_info":{"count":1,"cursor":"one"}}`))
	server.FailNext(1, kvtest.Reply(200, `{"success":true,"result":[],"result_info":{"count":0,"cursor":"two+/="}}`))
	server.FailNext(1, kvtest.Reply(200, `{"success":true,"result":[{"name":"b","expiration":1,"metadata":{"name":"x"}},{"name":"c\n"}],"result_info":{"count":2,"cursor":""}}`))
	names, err := s.List(t.Context(), keystore.APIKeys)
	if err != nil || !slices.Equal(names, []string{"a", "b"}) {
		t.Errorf("%q, %v", names, err)
	}
	var queries []string
	for _, url := range server.URLs() {
		_, query, _ := strings.Cut(url, "?")
		queries = append(queries, query)
	}
	if want := []string{"limit=1000", "cursor=one&limit=1000", "cursor=two%2B%2F%3D&limit=1000"}; !slices.Equal(queries, want) {
		t.Errorf("%q, want %q", queries, want)
	}
}

func TestAListingWithoutEndIsStopped(t *testing.T) {
	page := func(cursor string) kvtest.Fault {
		return kvtest.Reply(200, `{"success":true,"result":[],"result_info":{"cursor":"`+cursor+`"}}`)
	}
	endless := 0
	for name, tt := range map[string]struct {
		fault kvtest.Fault
		calls int
		want  string
	}{
		"a cursor that is repeated": {page("one"), 2, "the keystore is unavailable: the listing runs in a circle"},
		"a new cursor each time": {func(w http.ResponseWriter, r *http.Request, next http.HandlerFunc) {
			endless++
			page(fmt.Sprint(endless))(w, r, next)
		}, maxPages, "the keystore is unavailable: the listing has no end"},
	} {
		t.Run(name, func(t *testing.T) {
			server := kvtest.NewServer(t)
			server.FailAll(tt.fault)
			names, err := open(t, config(server)).List(t.Context(), keystore.APIKeys)
			if err == nil || err.Error() != tt.want || names != nil {
				t.Errorf("%q, %v, want %s", names, err, tt.want)
			}
			if n := server.Requests(kvtest.ListKeys); n != tt.calls {
				t.Errorf("%d calls, want %d", n, tt.calls)
			}
		})
	}
}

func TestAFailedPageFailsTheListing(t *testing.T) {
	server := kvtest.NewServer(t)
	for i := range 1001 {
		server.Put(kvtest.APIKeys, fmt.Sprint("user", i), "{}")
	}
	s := open(t, config(server))
	first := true
	server.FailAll(func(w http.ResponseWriter, r *http.Request, next http.HandlerFunc) {
		if first {
			first = false
			next(w, r)
			return
		}
		kvtest.Reply(403, "")(w, r, next)
	})
	if names, err := s.List(t.Context(), keystore.APIKeys); err == nil || names != nil {
		t.Errorf("%d names, %v", len(names), err)
	}
}
