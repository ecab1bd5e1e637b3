package caddyauth

import (
	"net/http"
	"strings"
	"testing"
)

func TestARequestPassesTheKeyCheckAndReachesTheGateway(t *testing.T) {
	u := newUpstream(t, answerChat)
	p := start(t, setup{upstream: u.URL})
	header := as(testEmail, testKey)
	for name, value := range map[string]string{
		"Accept": "application/json", "User-Agent": "OpenAI/JS 5.23.2", "Cookie": "a=b", "Api-Key": testKey, "X-Api-Key": testKey,
		"X-Goog-Api-Key": testEmail + ":" + testKey, "X-Forwarded-For": "10.0.0.9", "Cf-Aig-Metadata": `{"user":"forged"}`, "Cf-Aig-Authorization": "Bearer forged",
		"Cf-Aig-Cache-Key": "shared", "Forwarded": "for=10.0.0.9", "X-Stainless-Lang": "js",
	} {
		header[name] = value
	}
	body := `{ "messages":[{"role":"user","content":"h\u0069"}],  "model" : "azure-openai/myinstance/gpt-4o","unknown":[1.50,null] }`
	res := p.do(request{path: "/v1/chat/completions?api-version=forged", header: header, body: body})
	if got := read(t, res); res.StatusCode != 200 || got != chatAnswer {
		t.Fatalf("status %d, body %s", res.StatusCode, got)
	}
	seen, sent := u.seen()
	if got, want := seen.URL.RequestURI(), "/v1/acc/gw/azure-openai/myinstance/gpt-4o/chat/completions?api-version=2024-10-21"; got != want {
		t.Errorf("URL %s, want %s", got, want)
	}
	if want := strings.Replace(body, "azure-openai/myinstance/gpt-4o", "gpt-4o", 1); sent != want {
		t.Errorf("body %s, want %s", sent, want)
	}
	want := http.Header{
		"Accept": {"application/json"}, "Accept-Encoding": {"identity"}, "Content-Length": {seen.Header.Get("Content-Length")}, "Content-Type": {"application/json"},
		"User-Agent": {"OpenAI/JS 5.23.2"}, "Api-Key": {testAzure}, "Cf-Aig-Authorization": {"Bearer " + testToken},
		"Cf-Aig-Metadata": {`{"user":"dev@example.com","team":"core","vip":true}`},
	}
	for name := range seen.Header {
		if len(want[name]) == 0 {
			t.Errorf("header %s must not reach the gateway", name)
		}
	}
	for name := range want {
		if got := seen.Header.Get(name); got != want.Get(name) {
			t.Errorf("header %s is %q, want %q", name, got, want.Get(name))
		}
	}
}

func TestABodyIsSentUpstreamAsJSONWhateverTheClientCallsIt(t *testing.T) {
	u := newUpstream(t, answerChat)
	p := start(t, setup{upstream: u.URL})
	for sent, want := range map[string]string{
		"":                                  "application/json",
		"application/x-www-form-urlencoded": "application/json",
		"application/json; charset=utf-8":   "application/json; charset=utf-8",
	} {
		header := as(testEmail, testKey)
		header["Content-Type"] = sent
		read(t, p.do(request{path: "/v1/chat/completions", header: header, body: chatBody(llama)}))
		if seen, _ := u.seen(); seen.Header.Get("Content-Type") != want {
			t.Errorf("%q went upstream as %q, want %q", sent, seen.Header.Get("Content-Type"), want)
		}
	}
}

func TestOnlyAllowedClientHeadersAreSentUpstream(t *testing.T) {
	u := newUpstream(t, answerChat)
	p := start(t, setup{upstream: u.URL, options: "client_headers X-Trace Cookie Cf-Aig-Cache-Ttl Cf-Aig-Metadata X-Forwarded-For Authorization"})
	header := as(testEmail, testKey)
	for name, value := range map[string]string{"X-Trace": "1", "Cookie": "a=b", "Cf-Aig-Cache-Ttl": "60", "Cf-Aig-Metadata": "forged", "X-Forwarded-For": "10.0.0.9"} {
		header[name] = value
	}
	read(t, p.do(request{path: "/v1/chat/completions", header: header, body: chatBody("groq/llama")}))
	seen, _ := u.seen()
	for name, want := range map[string]string{
		"X-Trace": "1", "Cf-Aig-Cache-Ttl": "60", "Cookie": "", "Cf-Aig-Metadata": `{"user":"dev@example.com","team":"core","vip":true}`, "X-Forwarded-For": "", "Authorization": "",
	} {
		if got := seen.Header.Get(name); got != want {
			t.Errorf("header %s is %q, want %q", name, got, want)
		}
	}
	p.log.WaitFor(t, "header in client_headers is never sent upstream")
}

func TestAllInvalidCredentialsGetTheSameAnswer(t *testing.T) {
	u := newUpstream(t, answerChat)
	p := start(t, setup{upstream: u.URL, options: "failed_attempts 1000 1m"})
	first := ""
	for name, header := range map[string]map[string]string{
		"no credentials":                   {},
		"no email":                         {"Authorization": "Bearer " + testKey},
		"no key":                           {"X-User-Email": testEmail},
		"an empty key":                     {"X-User-Email": testEmail, "Authorization": "Bearer"},
		"another scheme":                   {"X-User-Email": testEmail, "Authorization": "Basic " + testKey},
		"a wrong key":                      as(testEmail, "wrong"),
		"the hash as the key":              as(testEmail, hashOf(testKey)),
		"an unknown user":                  as("nobody@example.com", testKey),
		"a name that is not valid":         as("..", testKey),
		"a disabled user":                  as("disabled@example.com", "plain-key"),
		"an expired user":                  as("expired@example.com", "plain-key"),
		"a broken record":                  as("broken@example.com", "plain-key"),
		"two different emails":             as(testEmail, "worker@example.com:plain-key"),
		"another user's key":               as("worker@example.com", testKey),
		"a colon but no key":               {"Authorization": "Bearer " + testEmail + ":"},
		"a colon but no email":             {"Authorization": "Bearer :" + testKey},
		"a wrong key, email in upper case": as("DEV@example.com", "wrong"),
		"an unknown user in upper case":    as("NOBODY@example.com", testKey),
		"a wrong key in x-api-key":         {"X-Api-Key": testEmail + ":wrong"},
		"a key in x-api-key alone":         {"X-Api-Key": testKey},
		"two different keys":               {"X-User-Email": testEmail, "Authorization": "Bearer " + testKey, "X-Api-Key": "wrong"},
		"two users, each with a key":       {"Authorization": "Bearer " + testEmail + ":" + testKey, "X-Goog-Api-Key": "worker@example.com:plain-key"},
		"a right key beside Basic":         {"Authorization": "Basic " + testKey, "Api-Key": testEmail + ":" + testKey},
	} {
		t.Run(name, func(t *testing.T) {
			res := p.do(request{path: "/v1/chat/completions", header: header, body: "{"})
			if got := res.Header.Get("WWW-Authenticate"); got != "Bearer" {
				t.Errorf("WWW-Authenticate is %q", got)
			}
			if got := res.Header.Get("X-Should-Retry"); got != "false" {
				t.Errorf("X-Should-Retry is %q", got)
			}
			e := wantError(t, res, 401, "invalid_api_key")
			if e.Get("type").Str != "authentication_error" || !strings.Contains(e.Get("message").Str, "Invalid API key") {
				t.Errorf("error %s", e.Raw)
			}
			if first == "" {
				first = e.Raw
			}
			if e.Raw != first {
				t.Errorf("answer %s differs from %s", e.Raw, first)
			}
		})
	}
	if seen, _ := u.seen(); seen != nil {
		t.Error("a request reached the gateway")
	}
}

func TestValidCredentialsAreAccepted(t *testing.T) {
	p := start(t, setup{upstream: newUpstream(t, answerChat).URL})
	for name, header := range map[string]map[string]string{
		"header and key":                     as(testEmail, testKey),
		"email and key in one":               {"Authorization": "Bearer " + testEmail + ":" + testKey},
		"both, and they agree":               as(testEmail, testEmail+":"+testKey),
		"the scheme in another case":         {"Authorization": "bearer " + testKey, "X-User-Email": testEmail},
		"a plain key of the Worker":          as("worker@example.com", "plain-key"),
		"a plain key of the Worker, in one":  {"Authorization": "Bearer worker@example.com:plain-key"},
		"a key beside the email header":      as(testEmail, testKey),
		"x-api-key and the email":            {"X-Api-Key": testKey, "X-User-Email": testEmail},
		"x-api-key alone":                    {"X-Api-Key": testEmail + ":" + testKey},
		"api-key alone":                      {"Api-Key": testEmail + ":" + testKey},
		"x-goog-api-key alone":               {"X-Goog-Api-Key": testEmail + ":" + testKey},
		"two that are the same":              {"Authorization": "Bearer " + testEmail + ":" + testKey, "X-Api-Key": testEmail + ":" + testKey},
		"two, one of which has the email":    {"Authorization": "Bearer " + testKey, "X-Api-Key": testEmail + ":" + testKey},
		"all, as Continue and others do":     {"X-User-Email": testEmail, "Authorization": "Bearer " + testKey, "Api-Key": testKey, "X-Api-Key": testKey, "X-Goog-Api-Key": testEmail + ":" + testKey},
		"x-api-key beside an empty bearer":   {"Authorization": "Bearer ", "X-Api-Key": testEmail + ":" + testKey},
		"a bearer beside an empty x-api-key": {"Authorization": "Bearer " + testEmail + ":" + testKey, "X-Api-Key": ""},
	} {
		t.Run(name, func(t *testing.T) {
			if res := p.do(request{path: "/v1/chat/completions", header: header, body: chatBody(llama)}); res.StatusCode != 200 {
				t.Errorf("status %d: %s", res.StatusCode, read(t, res))
			}
		})
	}
}

func TestTheEmailHeaderCanBeChanged(t *testing.T) {
	u := newUpstream(t, answerChat)
	p := start(t, setup{upstream: u.URL, options: "email_header x-who\nclient_headers X-Who"})
	header := map[string]string{"Authorization": "Bearer " + testKey, "X-Who": testEmail}
	if res := p.do(request{path: "/v1/chat/completions", header: header, body: chatBody(llama)}); res.StatusCode != 200 {
		t.Errorf("status %d: %s", res.StatusCode, read(t, res))
	}
	if seen, _ := u.seen(); seen.Header.Get("X-Who") != "" {
		t.Error("the email header reached the gateway")
	}
}

func TestInvalidRequestsAreRefused(t *testing.T) {
	u := newUpstream(t, answerChat)
	p := start(t, setup{upstream: u.URL, options: "max_body_size 1KB"})
	few := as("few@example.com", "plain-key")
	for name, test := range map[string]struct {
		request
		status int
		code   string
		param  string
		says   string
	}{
		"another path":                       {request{path: "/v1/rerank", body: chatBody(llama)}, 404, "not_found", "", "base URL"},
		"the path of a provider":             {request{path: "/v1/fim/completions", body: chatBody(llama)}, 404, "not_found", "", "base URL"},
		"an empty model's path":              {request{method: "GET", path: "/v1/models/"}, 404, "not_found", "", "base URL"},
		"a path that only looks like models": {request{method: "GET", path: "/v1xmodels"}, 404, "not_found", "", "base URL"},
		"a path that begins like models":     {request{method: "GET", path: "/v1/modelsx"}, 404, "not_found", "", "base URL"},
		"the root":                           {request{method: "GET", path: "/"}, 404, "not_found", "", "base URL"},
		"POST for the root":                  {request{path: "/"}, 404, "not_found", "", "base URL"},
		"GET for a chat":                     {request{method: "GET", path: "/v1/chat/completions"}, 405, "method_not_allowed", "", "POST"},
		"POST for models":                    {request{path: "/models"}, 405, "method_not_allowed", "", "GET"},
		"text":                               {request{path: "/v1/chat/completions", body: "hello"}, 400, "invalid_request_error", "", "JSON"},
		"an empty body":                      {request{path: "/v1/chat/completions"}, 400, "invalid_request_error", "", "JSON"},
		"two documents":                      {request{path: "/v1/chat/completions", body: chatBody(llama) + "{}"}, 400, "invalid_request_error", "", "JSON"},
		"an array":                           {request{path: "/v1/chat/completions", body: "[]"}, 400, "invalid_request_error", "", "JSON"},
		"no model":                           {request{path: "/v1/chat/completions", body: `{"messages":[]}`}, 400, "invalid_request_error", "model", "no `model`"},
		"two models":                         {request{path: "/v1/chat/completions", body: `{"model":"` + llama + `","model":"groq/x"}`}, 400, "invalid_request_error", "model", "more than one"},
		"two models, one escaped":            {request{path: "/v1/chat/completions", body: `{"model":"` + llama + `","m\u006fdel":"groq/x"}`}, 400, "invalid_request_error", "model", "more than one"},
		"a model that is not a string":       {request{path: "/v1/chat/completions", body: `{"model":{}}`}, 400, "invalid_request_error", "model", "string"},
		"a body too large":                   {request{path: "/v1/chat/completions", body: `{"x":"` + strings.Repeat("a", 2000) + `"}`}, 413, "request_too_large", "", "1.0 kB"},
		"a model without provider":           {request{path: "/v1/chat/completions", body: chatBody("qwen3-coder")}, 404, "model_not_found", "model", "<provider>/<model>"},
		"a provider without settings":        {request{path: "/v1/chat/completions", body: chatBody("anthropic/claude")}, 404, "model_not_found", "model", "not served"},
		"a family without settings":          {request{path: "/v1/chat/completions", body: chatBody("claude-opus-4-5")}, 404, "model_not_found", "model", "not served"},
		"a family not on the allow-list":     {request{path: "/v1/chat/completions", header: few, body: chatBody("gpt-5")}, 403, "model_not_allowed", "model", ""},
		"a model of an unknown author":       {request{path: "/v1/chat/completions", body: chatBody("@xx/meta/llama")}, 404, "model_not_found", "model", ""},
		"a model that would change the path": {request{path: "/v1/chat/completions", body: chatBody("workers-ai/@cf/../../x")}, 404, "model_not_found", "model", ""},
		"a model with a query":               {request{path: "/v1/chat/completions", body: chatBody("workers-ai/@cf/a?b")}, 404, "model_not_found", "model", ""},
		"a model not on the allow-list":      {request{path: "/v1/chat/completions", header: few, body: chatBody("workers-ai/@cf/qwen/qwq")}, 403, "model_not_allowed", "model", ""},
		"an empty allow-list":                {request{path: "/v1/chat/completions", header: as("none@example.com", "plain-key"), body: chatBody(llama)}, 403, "model_not_allowed", "model", ""},
		"a provider with invalid settings":   {request{path: "/v1/chat/completions", body: chatBody("broken/x")}, 500, "provider_misconfigured", "", "settings"},
		"a response that is to be stored":    {request{path: "/v1/responses", body: `{"model":"google-ai-studio/gemini-2.5-flash","input":"x","previous_response_id":"resp_1"}`}, 400, "invalid_request_error", "previous_response_id", "whole conversation"},
		"a response to nothing":              {request{path: "/v1/responses", body: `{"model":"groq/llama"}`}, 400, "invalid_request_error", "input", "`input`"},
		"one model not on the allow-list":    {request{method: "GET", path: "/v1/models/openai%2Fgpt-4o-mini", header: few}, 403, "model_not_allowed", "model", ""},
		"one model that is not listed":       {request{method: "GET", path: "/v1/models/openai/gpt-9"}, 404, "model_not_found", "model", ""},
		"one model of an unknown provider":   {request{method: "GET", path: "/v1/models/nobody/x"}, 404, "model_not_found", "model", ""},
		"stream that is not a boolean":       {request{path: "/v1/chat/completions", body: `{"model":"` + llama + `","stream":"yes"}`}, 400, "invalid_request_error", "stream", ""},
		"two prompts":                        {request{path: "/v1/completions", body: `{"model":"` + llama + `","prompt":["a","b"]}`}, 400, "invalid_request_error", "prompt", ""},
		"an Azure model without deployment":  {request{path: "/v1/chat/completions", body: chatBody("azure-openai/myinstance")}, 404, "model_not_found", "model", "<instance>/<deployment>"},
		"a Workers AI model of another kind": {request{path: "/v1/chat/completions", body: chatBody("workers-ai/llama")}, 404, "model_not_found", "model", "@cf/"},
	} {
		t.Run(name, func(t *testing.T) {
			res := p.do(test.request)
			if allow := res.Header.Get("Allow"); test.status == 405 && !strings.HasPrefix(allow, test.says) {
				t.Errorf("Allow is %q, want %s first", allow, test.says)
			}
			if res.Header.Get("X-Should-Retry") != "false" {
				t.Error("X-Should-Retry is not false")
			}
			e := wantError(t, res, test.status, test.code)
			if e.Get("param").Str != test.param || !strings.Contains(e.Get("message").Str, test.says) {
				t.Errorf("error %s, want param %q and the words %q", e.Raw, test.param, test.says)
			}
		})
	}
	if seen, _ := u.seen(); seen != nil {
		t.Errorf("%s reached the gateway", seen.URL)
	}
}

func TestTheListHasTheModelsThatTheUserMayUse(t *testing.T) {
	p := start(t, setup{upstream: "127.0.0.1:1"})
	const all = `{"object":"list","data":[` +
		`{"id":"azure-openai/myinstance/gpt-4o","object":"model","created":0,"owned_by":"azure-openai"},` +
		`{"id":"google-ai-studio/gemini-2.5-flash","object":"model","created":0,"owned_by":"google-ai-studio"},` +
		`{"id":"openai/gpt-4o-mini","object":"model","created":0,"owned_by":"openai"},` +
		`{"id":"workers-ai/@cf/meta/llama-3.1-8b-instruct","object":"model","created":0,"owned_by":"workers-ai"},` +
		`{"id":"workers-ai/@cf/baai/bge-m3","object":"model","created":0,"owned_by":"workers-ai"}]}`
	const one = `{"id":"workers-ai/@cf/meta/llama-3.1-8b-instruct","object":"model","created":0,"owned_by":"workers-ai"}`
	for name, test := range map[string]struct{ email, key, path, want string }{
		"all":                              {testEmail, testKey, "/v1/models", all},
		"without /v1":                      {testEmail, testKey, "/models", all},
		"those on the allow-list":          {"few@example.com", "plain-key", "/v1/models", `{"object":"list","data":[` + one + `]}`},
		"none":                             {"none@example.com", "plain-key", "/v1/models", `{"object":"list","data":[]}`},
		"one, not escaped":                 {testEmail, testKey, "/v1/models/workers-ai/@cf/meta/llama-3.1-8b-instruct", one},
		"one, escaped as by the SDK":       {testEmail, testKey, "/v1/models/workers-ai%2F@cf%2Fmeta%2Fllama-3.1-8b-instruct", one},
		"one, all escaped":                 {testEmail, testKey, "/models/workers-ai%2F%40cf%2Fmeta%2Fllama-3.1-8b-instruct", one},
		"one of a provider without a list": {testEmail, testKey, "/v1/models/groq/llama", `{"id":"groq/llama","object":"model","created":0,"owned_by":"groq"}`},
	} {
		t.Run(name, func(t *testing.T) {
			res := p.do(request{method: "GET", path: test.path, header: as(test.email, test.key)})
			if got := read(t, res); res.StatusCode != 200 || got != test.want {
				t.Errorf("status %d, body %s, want %s", res.StatusCode, got, test.want)
			}
		})
	}
	if !strings.Contains(p.log.String(), "settings of a provider are broken") {
		p.log.WaitFor(t, "settings of a provider are broken")
	}
}
