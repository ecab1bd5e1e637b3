package caddyauth

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestAMissingAnswerFromUpstreamBecomesAnError(t *testing.T) {
	t.Run("no connection", func(t *testing.T) {
		p := start(t, setup{upstream: "127.0.0.1:1"}) // another program could use a free port by then
		res := p.do(request{path: "/v1/chat/completions", body: chatBody(llama)})
		e := wantError(t, res, 502, "upstream_unreachable")
		if strings.Contains(e.Raw, "127.0.0.1") {
			t.Errorf("the error names an internal address: %s", e.Raw)
		}
		p.log.WaitFor(t, "no answer from upstream")
	})
	t.Run("no answer in time", func(t *testing.T) {
		u := newUpstream(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		p := start(t, setup{upstream: u.URL, proxy: "transport continue_auth {\nresponse_header_timeout 50ms\n}"})
		wantError(t, p.do(request{path: "/v1/chat/completions", body: chatBody(llama)}), 504, "upstream_timeout")
	})
}

func TestErrorsOfTheUpstreamReachTheClientWithoutSecrets(t *testing.T) {
	var status int
	var header http.Header
	var body string
	u := newUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		for name, values := range header {
			w.Header()[name] = values
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
	p := start(t, setup{upstream: u.URL})
	for name, test := range map[string]struct {
		status     int
		header     http.Header
		body       string
		wantStatus int
		wantCode   string
		says       string
	}{
		"the provider's own error":                   {400, nil, `{"error":{"message":"Too many stop words","type":"invalid_request_error","param":"stop","code":"array_above_max_length"}}`, 400, "array_above_max_length", "Too many stop words"},
		"a rate limit with Retry-After":              {429, http.Header{"Retry-After": {"7"}}, `{"error":{"message":"Slow down","type":"requests","param":null,"code":"rate_limit_exceeded"}}`, 429, "rate_limit_exceeded", "Slow down"},
		"a server error":                             {500, nil, `{"error":{"message":"Oops","type":"server_error","param":null,"code":null}}`, 500, "", "Oops"},
		"a key that the provider refuses":            {401, http.Header{"Www-Authenticate": {"Basic"}}, `{"error":{"message":"Incorrect API key provided: azure-key-canary"}}`, 502, "upstream_auth_failed", "server's own credentials"},
		"the server's token, refused by the gateway": {401, nil, `{"success":false,"result":[],"messages":[],"error":[{"code":2009,"message":"Unauthorized"}],"name":"AiGatewayError","httpCode":401,"internalCode":2009,"message":"Unauthorized"}`, 502, "upstream_auth_failed", ""},
		"a secret in the provider's message":         {400, nil, `{"error":{"message":"bad key azure-key-canary with gateway-token-canary"}}`, 400, "", "bad key [redacted] with [redacted]"},
		"an HTML page of the edge":                   {503, http.Header{"Content-Type": {"text/html"}}, `<html>Error 1101</html>`, 503, "", "status 503"},
		"a redirect":                                 {302, http.Header{"Location": {"https://elsewhere.example.com"}}, ``, 502, "upstream_invalid_response", ""},
	} {
		t.Run(name, func(t *testing.T) {
			status, header, body = test.status, test.header, test.body
			res := p.do(request{path: "/v1/chat/completions", body: streamBody("azure-openai/myinstance/gpt-4o")})
			if got := res.Header.Get("Retry-After"); got != test.header.Get("Retry-After") {
				t.Errorf("Retry-After is %q", got)
			}
			for _, name := range []string{"Www-Authenticate", "Location"} {
				if res.Header.Get(name) != "" {
					t.Errorf("the upstream's %s reached the client", name)
				}
			}
			e := wantError(t, res, test.wantStatus, test.wantCode)
			if !strings.Contains(e.Get("message").Str, test.says) || strings.Contains(e.Raw, "canary") {
				t.Errorf("error %s, want the words %q", e.Raw, test.says)
			}
		})
	}
}

func TestHeadersAboutTheUpstreamsHostAreRemoved(t *testing.T) {
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Set-Cookie", "__cf_bm=1")
		w.Header().Set("Alt-Svc", `h3=":443"`)
		w.Header().Set("Cf-Aig-Log-Id", "01J")
		answerChat(w, r)
	})
	p := start(t, setup{upstream: u.URL})
	res := p.do(request{path: "/v1/chat/completions", body: chatBody(llama)})
	if res.Header.Get("Set-Cookie") != "" || res.Header.Get("Alt-Svc") != "" || res.Header.Get("Cf-Aig-Log-Id") != "01J" {
		t.Errorf("headers %v", res.Header)
	}
}

func TestTheLogAtLevelDebugContainsNoSecret(t *testing.T) {
	u := newUpstream(t, answerChat)
	p := start(t, setup{upstream: u.URL, providers: map[string]string{
		"azure-openai": `{"headers":{"api-key":"` + testAzure + `"},"queryString":{"api-version":"1","key":"query-canary-secret"}}`,
	}})
	read(t, p.do(request{path: "/v1/chat/completions", body: chatBody("azure-openai/myinstance/gpt-4o")}))
	read(t, p.do(request{path: "/v1/chat/completions", header: as(testEmail, "wrong"), body: "{}"}))
	p.log.WaitFor(t, "upstream roundtrip")
	p.log.WaitFor(t, `"status":401`)
	for _, secret := range []string{testToken, testAzure, "query-canary-secret", testKey} {
		if strings.Contains(p.log.String(), secret) {
			t.Errorf("the log contains %q", secret)
		}
	}
}
