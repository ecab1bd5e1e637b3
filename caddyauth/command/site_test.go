package command

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"
)

func sitesOf(t *testing.T, caddyfile string) []site {
	t.Helper()
	adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(strings.ReplaceAll(caddyfile, "OURS", "continue_auth {\naccount_id a\ngateway g\ngateway_token t\nkeystore file\n}")), nil)
	if err != nil {
		t.Fatal(err)
	}
	sites, err := findSites(adapted)
	if err != nil {
		t.Fatal(err)
	}
	return sites
}

func TestTheAddressOfASiteIsFound(t *testing.T) {
	for name, test := range map[string]struct{ caddyfile, host, apiBase string }{
		"a host":                        {"ai.example.com {\nOURS\n}", "ai.example.com", "https://ai.example.com/v1"},
		"several hosts":                 {"ai.example.com, ki.example.com {\nOURS\n}", "ki.example.com", "https://ai.example.com/v1"},
		"another port":                  {"ai.example.com:8443 {\nOURS\n}", "ai.example.com", "https://ai.example.com:8443/v1"},
		"without TLS":                   {"http://ai.example.com {\nOURS\n}", "ai.example.com", "http://ai.example.com/v1"},
		"without TLS at another port":   {"http://ai.example.com:8080 {\nOURS\n}", "ai.example.com", "http://ai.example.com:8080/v1"},
		"only a port":                   {":8080 {\nOURS\n}", ":8080", "http://localhost:8080/v1"},
		"an address":                    {"http://127.0.0.1:9000 {\nOURS\n}", "127.0.0.1", "http://127.0.0.1:9000/v1"},
		"a port bound to an address":    {":8080 {\nbind 127.0.0.1\nOURS\n}", "127.0.0.1:8080", "http://127.0.0.1:8080/v1"},
		"below a path":                  {"ai.example.com {\nhandle_path /ai/* {\nOURS\n}\n}", "ai.example.com", "https://ai.example.com/ai/v1"},
		"TLS only by a certificate":     {":443 {\ntls internal\nOURS\n}", ":443", "https://localhost/v1"},
		"a wildcard and a host":         {"*.example.com, ai.example.com {\nOURS\n}", "ai.example.com", "https://ai.example.com/v1"},
		"a named route":                 {"&(ours) {\nOURS\n}\nai.example.com {\ninvoke ours\n}", "ai.example.com", "https://ai.example.com/v1"},
		"all addresses":                 {":8080 {\nbind 0.0.0.0\nOURS\n}", "0.0.0.0:8080", "http://localhost:8080/v1"},
		"within handle":                 {"ai.example.com {\nhandle /v1/* {\nOURS\n}\n}", "ai.example.com", "https://ai.example.com/v1"},
		"certificates of one's own":     {"{\nauto_https off\n}\nai.example.com:8080 {\nOURS\n}", "ai.example.com", "https://ai.example.com:8080/v1"},
		"another port for HTTP":         {"{\nhttp_port 8000\n}\nhttp://ai.example.com {\nOURS\n}", "ai.example.com", "http://ai.example.com:8000/v1"},
		"a host matcher within a site":  {"*.example.com {\n@ai host ai.example.com\nhandle @ai {\nOURS\n}\ntls internal\n}", "ai.example.com", "https://ai.example.com/v1"},
		"a certificate of the operator": {":8443 {\ntls internal\nOURS\n}", ":8443", "https://localhost:8443/v1"},
	} {
		t.Run(name, func(t *testing.T) {
			sites := sitesOf(t, test.caddyfile)
			chosen, err := chooseSite(sites, test.host, true)
			if err != nil {
				t.Fatalf("%v in %+v", err, sites)
			}
			if chosen.apiBase != test.apiBase || chosen.handler.AccountID != "a" {
				t.Errorf("%+v, want %s", chosen, test.apiBase)
			}
		})
	}
}

func TestAConfigurationWithoutASiteIsRefused(t *testing.T) {
	for config, says := range map[string]string{
		`{}`: "has no continue_auth",
		`[]`: "no Caddy configuration",
		`{"apps":{"http":{"servers":{"s":{"routes":[{"handle":[{"handler":"static_response"}]}]}}}}}`:                      "has no continue_auth",
		`{"apps":{"http":{"servers":{"s":{"routes":[{"handle":[{"handler":"continue_auth","account_id":1}]}]}}}}}`:         "cannot unmarshal",
		`{"apps":{"http":{"servers":{"s":{"routes":[{"handle":[{"handler":1}]}]}}}}}`:                                      "cannot unmarshal",
		`{"apps":{"http":{"servers":{"s":{"routes":[{"handle":[{"handler":"subroute","routes":1}]}]}}}}}`:                  "cannot unmarshal",
		`{"apps":{"http":{"servers":{"s":{"routes":[{"handle":[{"handler":"rewrite","strip_path_prefix":1}]}]}}}}}`:        "cannot unmarshal",
		`{"apps":{"http":{"servers":{"s":{"routes":[{"match":[{"host":1}],"handle":[{"handler":"static_response"}]}]}}}}}`: "has no continue_auth",
	} {
		if !json.Valid([]byte(config)) {
			t.Fatal(config)
		}
		if _, err := findSites([]byte(config)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: error %v, want %q", config, err, says)
		}
	}
}

func TestTheAdminEndpointIsFound(t *testing.T) {
	t.Setenv("TEST_ADMIN", "127.0.0.1:3000")
	for config, want := range map[string]string{
		`{}`: "localhost:2019",
		`{"admin":{"listen":"unix//run/x.sock"}}`:  "unix//run/x.sock",
		`{"admin":{"listen":"{env.TEST_ADMIN}"}}`:  "127.0.0.1:3000",
		`{"admin":{"disabled":true,"listen":"x"}}`: "",
	} {
		if got := adminAddress([]byte(config)); got != want {
			t.Errorf("%s: %q, want %q", config, got, want)
		}
	}
}
