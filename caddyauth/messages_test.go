package caddyauth

import (
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

// messagesProviders returns the usual providers and Anthropic. Anthropic's key is set for the
// OpenAI-compatible route.
func messagesProviders() map[string]string {
	providers := defaultProviders()
	providers["anthropic"] = `{"headers":{"Authorization":"Bearer sk-ant-canary"},"models":["claude-sonnet-4-5"]}`
	return providers
}

// claude returns the headers that Claude Code sends, and more.
func claude(more map[string]string) map[string]string {
	header := map[string]string{"X-Api-Key": testEmail + ":" + testKey, "Anthropic-Version": "2023-06-01"}
	maps.Copy(header, more)
	return header
}

const messagesBody = `{"model":"claude-sonnet-4-5", "max_tokens":16,"messages":[{"role":"user","content":"hi"}],"unknown":[1.50]}`

const messagesAnswer = `{"id":"msg_1","type":"message","role":"assistant","model":"claude-sonnet-4-5","content":[{"type":"text","text":"an \"error\""}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":10,"cache_creation_input_tokens":20,"cache_read_input_tokens":30,"output_tokens":4}}`

// messagesStream contains an event and a member that are not documented.
const messagesStream = `event: message_start
data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","content":[],"model":"m","stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":10,"cache_creation_input_tokens":20,"cache_read_input_tokens":30,"output_tokens":1}}}

event: ping
data: {"type": "ping"}

event: something_new
data: {"type":"something_new","x":{"error":"no"}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"{\"error\": 1}"}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":4}}

event: message_stop
data: {"type":"message_stop"}

`

func answerWith(contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Request-Id", "req_upstream")
		_, _ = io.WriteString(w, body)
	}
}

func TestMessagesPassToAnthropicAndBackUnchanged(t *testing.T) {
	for name, test := range map[string]struct {
		path, body, contentType, answer string
		wantPath                        string
		counted                         bool
	}{
		"an object":    {"/v1/messages?beta=true&key=never", messagesBody, "application/json", messagesAnswer, "/v1/acc/gw/anthropic/v1/messages?beta=true", true},
		"a stream":     {"/messages", strings.Replace(messagesBody, `"max`, `"stream":true,"max`, 1), "text/event-stream; charset=utf-8", messagesStream, "/v1/acc/gw/anthropic/v1/messages", true},
		"count_tokens": {"/v1/messages/count_tokens?beta=true", messagesBody, "application/json", `{"input_tokens":7}`, "/v1/acc/gw/anthropic/v1/messages/count_tokens?beta=true", false},
	} {
		t.Run(name, func(t *testing.T) {
			u := newUpstream(t, answerWith(test.contentType, test.answer))
			p := start(t, setup{upstream: u.URL, providers: messagesProviders()})
			header := claude(map[string]string{"Anthropic-Beta": "a,b", "Anthropic-Unheard-Of": "1", "X-Stainless-Lang": "js", "X-Claude-Code-Session-Id": "s"})
			res := p.do(request{path: test.path, body: strings.Replace(test.body, "claude-sonnet", "anthropic/claude-sonnet", 1), header: header})
			if got := read(t, res); res.StatusCode != 200 || got != test.answer {
				t.Errorf("status %d, answer\n%s", res.StatusCode, got)
			}
			sent, body := u.seen()
			if body != test.body || sent.URL.String() != test.wantPath {
				t.Errorf("sent to %s: %s", sent.URL, body)
			}
			for name, want := range map[string]string{
				"X-Api-Key": "sk-ant-canary", "Authorization": "", "Anthropic-Version": "2023-06-01", "Anthropic-Beta": "a,b",
				"Anthropic-Unheard-Of": "1", "X-Stainless-Lang": "", "X-Claude-Code-Session-Id": "", "Cf-Aig-Authorization": "Bearer " + testToken,
			} {
				if got := sent.Header.Get(name); got != want {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
			want := map[string]string{"client_format": "messages", "provider": "anthropic", "model": "claude-sonnet-4-5", "outcome": "ok", "prompt_tokens": "", "completion_tokens": ""}
			if test.counted {
				maps.Copy(want, map[string]string{"prompt_tokens": "60", "completion_tokens": "4", "cached_tokens": "30"})
			}
			wantFields(t, p.logged(res.Header.Get("X-Request-Id")), want)
		})
	}
}

func TestAnthropicsKeyIsSentInTheHeaderOfTheRoute(t *testing.T) {
	for name, test := range map[string]struct{ settings, key, authorization string }{
		"no key, because the gateway has it": {`{}`, "", ""},
		"a key of its own":                   {`{"headers":{"x-api-key":"sk-ant-own","Authorization":"Bearer sk-ant-canary"}}`, "sk-ant-own", "Bearer sk-ant-canary"},
		"another kind of token":              {`{"headers":{"Authorization":"Bearer oauth-canary"}}`, "", "Bearer oauth-canary"},
	} {
		t.Run(name, func(t *testing.T) {
			u := newUpstream(t, answerWith("application/json", messagesAnswer))
			p := start(t, setup{upstream: u.URL, providers: map[string]string{"anthropic": test.settings}})
			res := p.do(request{path: "/v1/messages", body: messagesBody, header: as(testEmail, testKey)})
			sent, _ := u.seen()
			if res.StatusCode != 200 || sent.Header.Get("X-Api-Key") != test.key || sent.Header.Get("Authorization") != test.authorization {
				t.Errorf("status %d, headers %v", res.StatusCode, sent.Header)
			}
			if got := sent.Header.Get("Anthropic-Version"); got != "2023-06-01" {
				t.Errorf("version %q if the client sends none", got)
			}
		})
	}
}

// wantAnthropicError checks that an answer is an error in Anthropic's format.
func wantAnthropicError(t *testing.T, res *http.Response, status int, kind, says string) {
	t.Helper()
	body := read(t, res)
	e := gjson.Parse(body)
	if res.StatusCode != status || e.Get("type").Str != "error" || e.Get("error.type").Str != kind || !strings.Contains(e.Get("error.message").Str, says) {
		t.Errorf("status %d, body %s, want %d %s that says %q", res.StatusCode, body, status, kind, says)
	}
	if id := res.Header.Get("X-Request-Id"); id == "" || e.Get("request_id").Str != id {
		t.Errorf("request_id is %s, the header %q", e.Get("request_id"), id)
	}
}

func TestErrorsOfMessagesHaveAnthropicsShape(t *testing.T) {
	p := start(t, setup{upstream: "127.0.0.1:1", providers: messagesProviders(), options: "max_body_size 1KB"})
	wrong := claude(map[string]string{"X-Api-Key": testEmail + ":wrong"})
	few := claude(map[string]string{"X-Api-Key": "few@example.com:plain-key"})
	for name, test := range map[string]struct {
		request request
		status  int
		kind    string
		says    string
	}{
		"a wrong key":                 {request{path: "/v1/messages", header: wrong, body: messagesBody}, 401, "authentication_error", "Invalid API key"},
		"a wrong key, no body":        {request{path: "/v1/messages/count_tokens", header: wrong}, 401, "authentication_error", "Invalid API key"},
		"half an object":              {request{path: "/v1/messages", header: claude(nil), body: "{"}, 400, "invalid_request_error", "JSON"},
		"too large":                   {request{path: "/v1/messages", header: claude(nil), body: strings.Repeat(" ", 2000)}, 413, "request_too_large", "1.0 kB"},
		"an unknown encoding":         {request{path: "/v1/messages", header: claude(map[string]string{"Content-Encoding": "br"}), body: "x"}, 415, "invalid_request_error", "gzip"},
		"a model that is not allowed": {request{path: "/v1/messages", header: few, body: messagesBody}, 403, "permission_error", ""},
		"an unknown model":            {request{path: "/v1/messages", header: claude(nil), body: `{"model":"nobody"}`}, 404, "not_found_error", ""},
		"a wrong method":              {request{method: "GET", path: "/v1/messages", header: claude(nil)}, 405, "invalid_request_error", "POST"},
		"a path below messages":       {request{path: "/v1/messages/batches", header: claude(nil)}, 404, "not_found_error", "base URL"},
		"no upstream":                 {request{path: "/v1/messages", header: claude(nil), body: messagesBody}, 502, "api_error", "cannot be reached"},
		"a list, with a wrong key":    {request{method: "GET", path: "/v1/models", header: wrong}, 401, "authentication_error", "Invalid API key"},
	} {
		t.Run(name, func(t *testing.T) { wantAnthropicError(t, p.do(test.request), test.status, test.kind, test.says) })
	}
}

func TestAnthropicsOwnErrorsPass(t *testing.T) {
	const own = `{ "type":"error","error":{"type":"invalid_request_error","message":"thinking.signature: sk-ant-canary is 0123456789abcdef0123456789abcdef"},"request_id":"req_1" }`
	masked := strings.Replace(own, "sk-ant-canary", "*************", 1)
	for name, test := range map[string]struct {
		status       int
		body, passes string
		want         int
		kind, says   string
	}{
		"a bad request":                {400, own, masked, 400, "", ""},
		"too many":                     {429, `{"type":"error","error":{"type":"rate_limit_error","message":"slow down"}}`, `{"type":"error","error":{"type":"rate_limit_error","message":"slow down"}}`, 429, "", ""},
		"overloaded":                   {529, `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`, `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`, 529, "", ""},
		"the operator's key refused":   {401, `{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}`, "", 502, "api_error", "own credentials"},
		"the gateway's token refused":  {401, `{"success":false,"errors":[{"code":2009,"message":"Unauthorized"}]}`, "", 502, "api_error", "own credentials"},
		"a policy of the gateway":      {403, `{"success":false,"error":{"message":"Access denied by policy"}}`, "", 403, "permission_error", "Choose another model"},
		"HTML":                         {503, "<html>", "", 503, "overloaded_error", "status 503"},
		"status 200 with an error":     {200, `{"type":"error","error":{"type":"api_error","message":"broken"}}`, "", 502, "api_error", "broken"},
		"status 200 with nothing else": {200, ``, "", 502, "api_error", "empty"},
	} {
		t.Run(name, func(t *testing.T) {
			u := newUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.Header().Set("Request-Id", "req_upstream")
				w.Header().Set("Retry-After", "7")
				w.WriteHeader(test.status)
				_, _ = io.WriteString(w, test.body)
			})
			p := start(t, setup{upstream: u.URL, providers: messagesProviders()})
			res := p.do(request{path: "/v1/messages", header: claude(nil), body: messagesBody})
			if test.passes == "" {
				wantAnthropicError(t, res, test.want, test.kind, test.says)
				return
			}
			if got := read(t, res); res.StatusCode != test.want || got != test.passes || res.Header.Get("Request-Id") != "req_upstream" || res.Header.Get("Retry-After") != "7" {
				t.Errorf("status %d, headers %v, body %s", res.StatusCode, res.Header, got)
			}
			if line := p.logged(res.Header.Get("X-Request-Id")); line.Get("outcome").Str == "ok" || line.Get("refused_by").Str != "provider" {
				t.Errorf("logged %s", line)
			}
		})
	}
}

func TestAFailedStreamOfMessagesEndsWithAnError(t *testing.T) {
	begun, _, _ := strings.Cut(messagesStream, "event: message_delta")
	const ownError = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n"
	for name, test := range map[string]struct{ sent, want string }{
		"an error of Anthropic":        {begun + ownError, begun + ownError},
		"no end":                       {begun, begun + "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"Try again: the provider's answer ended before it was complete.\"}}\n\n"},
		"an error of the gateway":      {begun + "data: {\"success\":false,\"errors\":[{\"code\":2003,\"message\":\"slow\"}]}\n\n", begun + "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":\"slow\"}}\n\n"},
		"an error outside of an event": {begun + "{\"error\":{\"message\":\"gone\"}}\n", begun + "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"gone\"}}\n\n"},
		"a complete stream":            {messagesStream, messagesStream},
		"a comment after the end":      {messagesStream + ": bye\n\n", messagesStream + ": bye\n\n"},
		"an event of several lines":    {strings.Replace(messagesStream, "\"type\": \"ping\"", "\ndata: \"type\": \"ping\"", 1), strings.Replace(messagesStream, "\"type\": \"ping\"", "\ndata: \"type\": \"ping\"", 1)},
		"a complete stream with CRLF":  {strings.ReplaceAll(messagesStream, "\n", "\r\n"), strings.ReplaceAll(messagesStream, "\n", "\r\n")},
	} {
		t.Run(name, func(t *testing.T) {
			u := newUpstream(t, answerWith("text/event-stream", test.sent))
			p := start(t, setup{upstream: u.URL, providers: messagesProviders()})
			res := p.do(request{path: "/v1/messages", header: claude(nil), body: strings.Replace(messagesBody, `"max`, `"stream":true,"max`, 1)})
			if got := read(t, res); got != test.want {
				t.Errorf("stream\n%s\nwant\n%s", got, test.want)
			}
			outcome := p.logged(res.Header.Get("X-Request-Id")).Get("outcome").Str
			if whole := test.sent == test.want && !strings.Contains(test.sent, "overloaded"); (outcome == "ok") != whole {
				t.Errorf("outcome %s", outcome)
			}
		})
	}
}

func TestChatsForAnthropicUseTheCompatibleRoute(t *testing.T) {
	u := newUpstream(t, answerChat)
	p := start(t, setup{upstream: u.URL, providers: messagesProviders()})
	res := p.do(request{path: "/v1/chat/completions", body: chatBody("claude-sonnet-4-5")})
	sent, body := u.seen()
	if res.StatusCode != 200 || sent.URL.Path != "/v1/acc/gw/compat/chat/completions" || gjson.Get(body, "model").Str != "anthropic/claude-sonnet-4-5" || sent.Header.Get("Authorization") != "Bearer sk-ant-canary" {
		t.Errorf("status %d, sent to %s: %s", res.StatusCode, sent.URL, body)
	}
	wantError(t, p.do(request{path: "/v1/embeddings", body: `{"model":"anthropic/x","input":"a"}`}), 404, "model_not_found")
}
