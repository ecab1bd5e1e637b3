package caddyauth

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// What these policies refuse must be final, whatever the form of the answer. The log and the metrics must not
// blame the provider.
func TestARefusalByAPolicyOfTheGatewayIsFinal(t *testing.T) {
	const (
		denied   = `{"success":false,"error":{"message":"Access denied by policy"}}`
		spending = `{"success":false,"error":{"message":"Spending limit exceeded","bucket":"bucket-canary","spent":1000.42,"limit":1000}}`
		older    = `{"success":false,"result":[],"messages":[],"error":[{"message":"Spend limit reached"}],"name":"AiGatewayError","httpCode":429,"message":"Spend limit reached"}`
	)
	var contentType, body string
	var status int
	u := newUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
	p := start(t, setup{upstream: u.URL})
	gemini, azure := "google-ai-studio/gemini-2.5-flash", "azure-openai/myinstance/gpt-4o"
	for name, test := range map[string]struct {
		model, contentType string
		came               int
		body               string
		status             int
		code, kind, says   string
	}{
		"a policy":                           {azure, "application/json", 403, denied, 403, "policy_denied", "permission_error", "Access denied by policy"},
		"a spending limit":                   {azure, "application/json", 429, spending, 429, "spending_limit_reached", "rate_limit_error", "1000.42 of 1000 spent"},
		"an older spending limit":            {azure, "application/json", 429, older, 429, "spending_limit_reached", "rate_limit_error", "Spend limit reached"},
		"a policy, Workers AI":               {llama, "application/json", 403, denied, 403, "policy_denied", "permission_error", "Access denied by policy"},
		"a spending limit, Gemini":           {gemini, "application/json", 429, spending, 429, "spending_limit_reached", "rate_limit_error", "1000.42 of 1000 spent"},
		"a spending limit in an event":       {azure, "text/event-stream", 429, "event: error\r\ndata: " + spending + "\r\n\r\n", 429, "spending_limit_reached", "rate_limit_error", "1000.42 of 1000 spent"},
		"a spending limit with status 200":   {llama, "application/json", 200, spending, 429, "spending_limit_reached", "rate_limit_error", "1000.42 of 1000 spent"},
		"a policy with status 200, Gemini":   {gemini, "application/json", 200, denied, 403, "policy_denied", "permission_error", "Access denied by policy"},
		"a policy with a wrong Content-Type": {azure, "text/plain", 403, denied, 403, "policy_denied", "permission_error", "Access denied by policy"},
		"a spending limit beside a redirect": {azure, "application/json", 302, spending, 429, "spending_limit_reached", "rate_limit_error", "1000.42 of 1000 spent"},
	} {
		t.Run(name, func(t *testing.T) {
			contentType, status, body = test.contentType, test.came, test.body
			provider, _, _ := strings.Cut(test.model, "/")
			before := scrape(t)
			res := p.do(request{path: "/v1/chat/completions", body: chatBody(test.model)})
			e := wantError(t, res, test.status, test.code)
			if e.Get("type").Str != test.kind || !strings.Contains(e.Get("message").Str, test.says) || strings.Contains(e.Raw, "canary") {
				t.Errorf("error %s, want a %s with the words %q", e.Raw, test.kind, test.says)
			}
			if got := res.Header.Get("X-Should-Retry"); got != "false" {
				t.Errorf("X-Should-Retry is %q", got)
			}
			wantFields(t, p.logged(res.Header.Get("X-Request-Id")), map[string]string{
				"refused_by": "gateway", "error_code": test.code, "outcome": test.code, "provider": provider,
			})
			if name := `requests_total{outcome="` + test.code + `",provider="` + provider + `"}`; scrape(t).since(before)[name] != 1 {
				t.Errorf("%s has not gone up by 1", name)
			}
			if strings.Contains(p.log.String(), "bucket-canary") {
				t.Error("the log contains the bucket")
			}
		})
	}
}
