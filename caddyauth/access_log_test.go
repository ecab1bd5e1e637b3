package caddyauth

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

// logged waits for the line of the access log for the request with that ID.
func (p *proxy) logged(id string) gjson.Result {
	p.t.Helper()
	mark := `"request_id":"` + id + `"`
	var found string
	p.log.Wait(p.t, "access log of "+id, func(log string) bool {
		for line := range strings.Lines(log) { // the last one may be incomplete
			if strings.Contains(line, mark) && strings.Contains(line, `"handled request"`) && strings.HasSuffix(line, "\n") {
				found = line
			}
		}
		return found != ""
	})
	return gjson.Parse(found)
}

func wantFields(t *testing.T, line gjson.Result, want map[string]string) {
	t.Helper()
	for name, value := range want {
		got := line.Get(name)
		if value == "" && got.Exists() && got.String() != "" {
			t.Errorf("%s is %s, want none", name, got.Raw)
		}
		if got.String() != value {
			t.Errorf("%s is %q, want %q", name, got.String(), value)
		}
	}
}

func TestTheAccessLogTellsWhoUsedWhat(t *testing.T) {
	p := start(t, setup{upstream: newUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cf-Aig-Log-Id", "01LOG")
		w.Header().Set("X-Request-Id", "req_of_the_provider")
		_, _ = io.WriteString(w, strings.Replace(chatAnswer, `"total_tokens":2`, `"total_tokens":2,"prompt_tokens_details":{"cached_tokens":1}`, 1))
	}).URL})
	res := p.do(request{path: "/v1/chat/completions", body: chatBody("azure-openai/myinstance/gpt-4o")})
	if res.StatusCode != 200 {
		t.Fatalf("status %d: %s", res.StatusCode, read(t, res))
	}
	if got := res.Header["X-Request-Id"]; len(got) != 1 || got[0] == "req_of_the_provider" {
		t.Errorf("X-Request-Id is %q, want this server's ID", got)
	}
	line := p.logged(res.Header.Get("X-Request-Id"))
	wantFields(t, line, map[string]string{
		"user_id": testEmail, "key_id": hashOf(testKey)[7:15], "key_lookup": "loaded", "provider": "azure-openai", "model": "myinstance/gpt-4o",
		"prompt_tokens": "1", "completion_tokens": "1", "cached_tokens": "1", "tokens_partial": "", "outcome": "ok",
		"upstream_log_id": "01LOG", "upstream_request_id": "req_of_the_provider", "refused_by": "", "error_code": "", "reason": "", "claimed_user": "",
	})
	if first, all := line.Get("time_to_first_byte").Float(), line.Get("duration").Float(); first <= 0 || first > all {
		t.Errorf("the first byte after %v s of %v s", first, all)
	}
	again := p.do(request{path: "/v1/chat/completions", body: chatBody("azure-openai/myinstance/gpt-4o")})
	wantFields(t, p.logged(again.Header.Get("X-Request-Id")), map[string]string{"key_lookup": "fresh"})
}

func TestTheAccessLogTellsWhyARequestWasRefused(t *testing.T) {
	p := start(t, setup{upstream: newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch r.URL.Path {
		case "/v1/acc/gw/azure-openai/i/filtered/chat/completions":
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"success":false,"error":[{"code":2016,"message":"Prompt blocked"}],"name":"AiGatewayError","internalCode":2016}`)
		case "/v1/acc/gw/azure-openai/i/busy/chat/completions":
			w.WriteHeader(http.StatusTooManyRequests)
			_, _ = io.WriteString(w, `{"error":{"message":"slow down","code":"too_many"}}`)
		case "/v1/acc/gw/azure-openai/i/failing/chat/completions":
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, `<html>`)
		case "/v1/acc/gw/azure-openai/i/pretending/chat/completions":
			w.WriteHeader(http.StatusTooManyRequests)
			_, _ = io.WriteString(w, `{"error":{"message":"slow down","code":"spending_limit_reached"}}`)
		case "/v1/acc/gw/azure-openai/i/refusing/chat/completions":
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `{"error":{"message":"bad key","code":"invalid_api_key"}}`)
		}
	}).URL})
	azure := func(deployment string) string { return chatBody("azure-openai/i/" + deployment) }
	for name, test := range map[string]struct {
		header map[string]string
		body   string
		want   map[string]string
	}{
		"a wrong key":                              {as(testEmail, "wrong"), chatBody(llama), map[string]string{"refused_by": "proxy", "error_code": "invalid_api_key", "reason": "wrong key", "claimed_user": testEmail, "user_id": "", "key_id": "", "outcome": "invalid_api_key"}},
		"a disabled user":                          {as("disabled@example.com", "plain-key"), chatBody(llama), map[string]string{"reason": "disabled", "claimed_user": "disabled@example.com"}},
		"an expired user":                          {as("expired@example.com", "plain-key"), chatBody(llama), map[string]string{"reason": "expired"}},
		"an unknown user":                          {as("nobody@example.com", "x"), chatBody(llama), map[string]string{"reason": "unknown user, or a record that is broken", "key_lookup": "absent", "claimed_user": "nobody@example.com"}},
		"no credentials":                           {map[string]string{"Authorization": ""}, chatBody(llama), map[string]string{"reason": "no credentials, not of the form that is expected, or several that differ", "claimed_user": ""}},
		"a key where the email belongs":            {map[string]string{"Authorization": "Bearer " + testKey + ":" + testEmail}, chatBody(llama), map[string]string{"error_code": "invalid_api_key", "claimed_user": ""}},
		"a known user's wrong key in one header":   {map[string]string{"Authorization": "Bearer " + testEmail + ":wrong"}, chatBody(llama), map[string]string{"claimed_user": testEmail}},
		"a key that looks like an email and a key": {map[string]string{"Authorization": "Bearer p@ss:word"}, chatBody(llama), map[string]string{"error_code": "invalid_api_key", "claimed_user": ""}},
		"a forbidden model":                        {as("none@example.com", "plain-key"), chatBody(llama), map[string]string{"refused_by": "proxy", "error_code": "model_not_allowed", "error_param": "model", "user_id": "none@example.com", "provider": "", "model": "", "reason": ""}},
		"a body without a model":                   {as(testEmail, testKey), `{}`, map[string]string{"refused_by": "proxy", "error_code": "invalid_request_error", "outcome": "invalid_request_error"}},
		"the gateway":                              {as(testEmail, testKey), azure("filtered"), map[string]string{"refused_by": "gateway", "error_code": "content_filter", "outcome": "upstream_client_error", "provider": "azure-openai"}},
		"the provider":                             {as(testEmail, testKey), azure("busy"), map[string]string{"refused_by": "provider", "error_code": "too_many", "outcome": "upstream_rate_limited"}},
		"a provider with the gateway's message":    {as(testEmail, testKey), azure("pretending"), map[string]string{"refused_by": "provider", "error_code": "spending_limit_reached", "outcome": "upstream_rate_limited"}},
		"a page of HTML":                           {as(testEmail, testKey), azure("failing"), map[string]string{"refused_by": "gateway", "outcome": "upstream_server_error"}},
		"the server's own key":                     {as(testEmail, testKey), azure("refusing"), map[string]string{"refused_by": "provider", "error_code": "upstream_auth_failed", "outcome": "upstream_auth_failed"}},
	} {
		t.Run(name, func(t *testing.T) {
			res := p.do(request{path: "/v1/chat/completions", header: test.header, body: test.body})
			wantFields(t, p.logged(res.Header.Get("X-Request-Id")), test.want)
		})
	}
}

func TestARequestKeepsItsIDIfTheIDIsHarmless(t *testing.T) {
	u := newUpstream(t, answerChat)
	p := start(t, setup{upstream: u.URL, options: "client_headers X-Request-Id"})
	for id, kept := range map[string]bool{
		"0198f3b2-8d6f-7c3e":        true,
		"a.b:c/d+e=_":               true,
		strings.Repeat("a", 128):    true,
		strings.Repeat("a", 129):    false,
		`"}` + "\t" + `{"level":"x`: false,
		"a b":                       false,
		"é":                         false,
		"":                          false,
	} {
		for _, path := range []string{"/v1/chat/completions", "/v1/nothing"} {
			header := as(testEmail, testKey)
			header["X-Request-Id"] = id
			res := p.do(request{path: path, header: header, body: chatBody(llama)})
			got := res.Header.Get("X-Request-Id")
			if (got == id) != kept || len(got) < 8 {
				t.Errorf("%s: %q became %q", path, id, got)
			}
			if seen, _ := u.seen(); res.StatusCode == 200 && seen.Header.Get("X-Request-Id") != got {
				t.Errorf("upstream got %q, want %q, as client_headers names it", seen.Header.Get("X-Request-Id"), got)
			}
		}
	}
	res := p.do(request{method: "GET", path: "/v1/models", header: map[string]string{"X-Request-Id": "mine-of-models", "Authorization": "Bearer " + testEmail + ":" + testKey}})
	if got := res.Header.Get("X-Request-Id"); res.StatusCode != 200 || got != "mine-of-models" {
		t.Errorf("models: status %d, X-Request-Id %q", res.StatusCode, got)
	}
}

func TestThePlaceholdersAreSet(t *testing.T) {
	var config strings.Builder
	names := map[string]string{
		"provider": "azure-openai", "model": "myinstance/gpt-4o", "prompt_tokens": "1", "completion_tokens": "1", "cached_tokens": "0",
		"request_id": "the-id", "key_id": hashOf(testKey)[7:15], "key_lookup": "loaded", "outcome": "ok", "nothing_of_ours": "",
	}
	for name := range names {
		config.WriteString("log_append its_" + name + " {http.continue_auth." + name + "}\n")
	}
	config.WriteString("log_append its_user {http.auth.user.id}\n")
	p := start(t, setup{upstream: newUpstream(t, answerChat).URL, before: config.String()})
	header := as(testEmail, testKey)
	header["X-Request-Id"] = "the-id"
	read(t, p.do(request{path: "/v1/chat/completions", header: header, body: chatBody("azure-openai/myinstance/gpt-4o")}))
	line := p.logged("the-id")
	for name, want := range names {
		if got := line.Get("its_" + name).String(); got != want {
			t.Errorf("{http.continue_auth.%s} is %q, want %q", name, got, want)
		}
	}
	if got := line.Get("its_user").String(); got != testEmail {
		t.Errorf("{http.auth.user.id} is %q", got)
	}
}
