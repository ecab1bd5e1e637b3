package gatewaytest

import (
	"net/http"
	"strings"
	"testing"
)

func TestWhatACorrectClientDoesNotSendIsAComplaint(t *testing.T) {
	set := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header[http.CanonicalHeaderKey(name)] = []string{value} }
	}
	opaque := func(from, to string) func(*http.Request) {
		return func(r *http.Request) { r.URL.Opaque = strings.Replace(r.URL.Path, from, to, 1) }
	}
	for name, test := range map[string]struct {
		edit func(r *http.Request)
		want string
	}{
		"a cookie":                      {set("Cookie", "a=b"), "Cookie must never arrive"},
		"the user's email":              {set("X-User-Email", "dev@example.com"), "X-User-Email must never arrive"},
		"the client's address":          {set("X-Forwarded-For", "192.0.2.1"), "X-Forwarded-For must never arrive"},
		"the client's host":             {set("X-Forwarded-Host", "ai.example.com"), "X-Forwarded-Host must never arrive"},
		"a Forwarded header":            {set("Forwarded", "for=192.0.2.1"), "Forwarded must never arrive"},
		"a Via header":                  {set("Via", "1.1 Caddy"), "Via must never arrive"},
		"the client's API key":          {set("X-Api-Key", "sk-user-key"), "X-Api-Key is no credential of workers-ai"},
		"another API key of the client": {set("Api-Key", "sk-user-key"), "Api-Key is no credential of workers-ai"},
		"the client's Google key":       {set("X-Goog-Api-Key", "sk-user-key"), "X-Goog-Api-Key is no credential of workers-ai"},
		"another gateway":               {set("Cf-Aig-Gateway-Id", "other"), "Cf-Aig-Gateway-Id must never arrive"},
		"another stored key":            {set("Cf-Aig-Byok-Alias", "other"), "Cf-Aig-Byok-Alias must never arrive"},
		"no log":                        {set("Cf-Aig-Collect-Log", "false"), "Cf-Aig-Collect-Log must never arrive"},
		"the client's address in Cloudflare's header": {set("Cf-Connecting-Ip", "192.0.2.1"), "Cf-Connecting-Ip must never arrive"},
		"cache headers that are not allowed": {set("Cf-Aig-Cache-Ttl", "60"),
			"Cf-Aig-Cache-Ttl is on no allow-list"},
		"any other header":     {set("X-Stainless-Lang", "js"), "X-Stainless-Lang is on no allow-list"},
		"two tokens":           {func(r *http.Request) { r.Header.Add("Cf-Aig-Authorization", "Bearer x") }, "Cf-Aig-Authorization comes twice"},
		"two provider headers": {func(r *http.Request) { r.Header.Add("Authorization", "Bearer x") }, "Authorization comes twice"},
		"another content type": {set("Content-Type", "text/plain"), "application/json"},
		"no content type":      {func(r *http.Request) { r.Header.Del("Content-Type") }, "application/json"},

		"no metadata":                    {func(r *http.Request) { r.Header.Del("Cf-Aig-Metadata") }, "cf-aig-metadata is missing"},
		"metadata that is not an object": {set("Cf-Aig-Metadata", `["user"]`), "not a JSON object"},
		"metadata that is broken":        {set("Cf-Aig-Metadata", `{"user":`), "not a JSON object"},
		"metadata without a user":        {set("Cf-Aig-Metadata", `{"team":"core"}`), "does not begin with user"},
		"metadata with the user second":  {set("Cf-Aig-Metadata", `{"team":"core","user":"dev@example.com"}`), "does not begin with user"},
		"metadata with an empty user":    {set("Cf-Aig-Metadata", `{"user":""}`), "user is not a text"},
		"metadata of six entries":        {set("Cf-Aig-Metadata", `{"user":"u","a":1,"b":2,"c":3,"d":4,"e":5}`), "more than 5"},
		"metadata with two users":        {set("Cf-Aig-Metadata", `{"user":"u","user":"v"}`), "twice"},
		"metadata with an object":        {set("Cf-Aig-Metadata", `{"user":"u","a":{}}`), `"a" is not a text`},
		"metadata with null":             {set("Cf-Aig-Metadata", `{"user":"u","a":null}`), `"a" is not a text`},
		"metadata beyond ASCII":          {set("Cf-Aig-Metadata", `{"user":"ü"}`), "not ASCII"},
		"metadata with a reserved name":  {set("Cf-Aig-Metadata", `{"user":"u","cf.user_id":"x"}`), "reserved"},

		"the session as the client names it": {set("Cf-Aig-Session-Id", "00000000-0000-4000-8000-000000000000"), "cf-aig-session-id is not a hash"},
		"a session that names the user":      {set("Cf-Aig-Session-Id", "dev@example.com/00000000000000000000000000"), "cf-aig-session-id is not a hash"},
		"an empty session":                   {set("Cf-Aig-Session-Id", ""), "cf-aig-session-id is not a hash"},
		"a session that is too long":         {set("Cf-Aig-Session-Id", strings.Repeat("0", 65)), "cf-aig-session-id is not a hash"},
		"two sessions":                       {func(r *http.Request) { r.Header["Cf-Aig-Session-Id"] = []string{sessionHash, sessionHash} }, "Cf-Aig-Session-Id comes twice"},

		"a path with an empty segment":    {opaque("/v1/chat", "//v1/chat"), "empty segment"},
		"a path that goes up":             {opaque("/v1/chat", "/x/../v1/chat"), "a segment .."},
		"a path with a dot":               {opaque("/v1/chat", "/./v1/chat"), "a segment ."},
		"a path that hides that it does":  {opaque("/v1/chat", "/x/%2e%2e/v1/chat"), "has escapes"},
		"a path with an escaped model":    {opaque("/v1/chat/completions", "/%40cf/meta/llama"), "has escapes"},
		"a query with a name twice":       {func(r *http.Request) { r.URL.RawQuery = "alt=sse&alt=sse" }, `"alt" twice`},
		"a body with a name twice":        {func(r *http.Request) { setBody(r, `{"model":"a","model":"b"}`) }, `"model" twice`},
		"a body that hides that it has":   {func(r *http.Request) { setBody(r, `{"model":"a","mod\u0065l":"b"}`) }, `"model" twice`},
		"a body that has one deep within": {func(r *http.Request) { setBody(r, `{"a":[{"b":1,"b":2}]}`) }, `"a[0].b" twice`},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			s.Always(Stream("data: not for this\n\n"))
			r := newPost(t.Context(), s, chatPath, "workers-ai", chatBody)
			test.edit(r)
			res := send(t, r)
			complaints := strings.Join(s.Complaints(), "; ")
			if res.status != 400 || !strings.Contains(res.body, `"type":"complaint"`) || !strings.Contains(complaints, test.want) {
				t.Errorf("%d %s\ncomplaints: %s", res.status, res.body, complaints)
			}
		})
	}
}

// sessionHash is a session as a proxy names it.
const sessionHash = "0123456789abcdef0123456789abcdef"

func TestWhatMayArriveIsNoComplaint(t *testing.T) {
	s, err := NewServer(Config{
		ProviderHeaders: map[string]map[string]string{
			"workers-ai": {"Authorization": "Bearer t"},
			"anthropic":  {"x-api-key": "k"},
		},
		ClientHeaders: []string{"x-trace", "cf-aig-cache-ttl", "cf-aig-byok-alias", "cookie"},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	for name, test := range map[string]struct {
		provider, path, body string
		header               http.Header
		status               int
	}{
		"a header that clients may send":      {"workers-ai", chatPath, chatBody, http.Header{"X-Trace": {"1", "2"}}, 200},
		"the cache of clients that may":       {"workers-ai", chatPath, chatBody, http.Header{"Cf-Aig-Cache-Ttl": {"60"}}, 200},
		"a stored key even if clients may":    {"workers-ai", chatPath, chatBody, http.Header{"Cf-Aig-Byok-Alias": {"x"}}, 400},
		"a cookie even if clients may":        {"workers-ai", chatPath, chatBody, http.Header{"Cookie": {"a=b"}}, 400},
		"metadata of five kinds":              {"workers-ai", chatPath, chatBody, http.Header{"Cf-Aig-Metadata": {`{"user":"u","a":1,"b":true,"c":"\u00fc","d":1.5}`}}, 200},
		"a session in hexadecimal":            {"workers-ai", chatPath, chatBody, http.Header{"Cf-Aig-Session-Id": {sessionHash}}, 200},
		"a session in base64url":              {"workers-ai", chatPath, chatBody, http.Header{"Cf-Aig-Session-Id": {"aB3_-0123456789abcdefg"}}, 200},
		"a provider's own header":             {"anthropic", "compat/chat/completions", `{"model":"anthropic/claude-sonnet-4-5","messages":[{"role":"user","content":"hi"}]}`, nil, 200},
		"nothing where the gateway has a key": {"", "compat/chat/completions", `{"model":"dynamic/fast","messages":[{"role":"user","content":"hi"}]}`, nil, 200},
		"a key where the gateway has one":     {"workers-ai", "compat/chat/completions", `{"model":"dynamic/fast","messages":[{"role":"user","content":"hi"}]}`, nil, 400},
	} {
		t.Run(name, func(t *testing.T) {
			r := newPost(t.Context(), s, test.path, test.provider, test.body)
			for name, values := range test.header {
				r.Header[name] = values
			}
			if res := send(t, r); res.status != test.status {
				t.Error(res.status, res.body)
			}
		})
	}
}

func setBody(r *http.Request, body string) {
	replaced, err := http.NewRequest("POST", "http://127.0.0.1", strings.NewReader(body))
	if err == nil {
		r.Body, r.ContentLength, r.GetBody = replaced.Body, replaced.ContentLength, replaced.GetBody
	}
}
