package caddyauth

import (
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

// messagesTo is a request to the model for a stream or an object.
func messagesTo(model, stream string) string {
	return `{"model":"` + model + `","max_tokens":16,"stream":` + stream + `,"system":"Be brief.","stop_sequences":["STOP"],"messages":[{"role":"user","content":[{"type":"text","text":"hi","cache_control":{"type":"ephemeral"}}]}]}`
}

const chatHello = `data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"Hel"},"finish_reason":null}]}

data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"lo"},"finish_reason":null}]}

data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}

data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[],"usage":{"prompt_tokens":10,"completion_tokens":2,"total_tokens":12,"prompt_tokens_details":{"cached_tokens":4}}}

data: [DONE]

`

const geminiHello = `data: {"candidates":[{"index":0,"content":{"role":"model","parts":[{"text":"Hel"}]}}],"usageMetadata":{"promptTokenCount":10,"cachedContentTokenCount":4,"totalTokenCount":10},"responseId":"c1"}

data: {"candidates":[{"index":0,"content":{"role":"model","parts":[{"text":"lo"}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":10,"cachedContentTokenCount":4,"candidatesTokenCount":2,"totalTokenCount":12},"responseId":"c1"}

`

// messageStream is what becomes of both. At its beginning, INPUT and CACHED are known or zero.
const messageStream = `event: message_start
data: {"type":"message_start","message":{"id":"msg_c1","type":"message","role":"assistant","model":"MODEL","content":[],"stop_reason":null,"stop_sequence":null,"stop_details":null,"usage":{"input_tokens":INPUT,"cache_creation_input_tokens":0,"cache_read_input_tokens":CACHED,"output_tokens":0}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hel"}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"lo"}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null,"stop_details":null},"usage":{"input_tokens":6,"cache_creation_input_tokens":0,"cache_read_input_tokens":4,"output_tokens":2}}

event: message_stop
data: {"type":"message_stop"}

`

var counted = map[string]string{"outcome": "ok", "client_format": "messages", "prompt_tokens": "10", "completion_tokens": "2", "cached_tokens": "4"}

func TestMessagesStreamFromOtherModels(t *testing.T) {
	for name, test := range map[string]struct{ model, path, answer, input, cached string }{
		"workers-ai":       {llama, "/workers-ai/v1/chat/completions", chatHello, "0", "0"},
		"google-ai-studio": {gemini, "/google-ai-studio/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse", geminiHello, "6", "4"},
		"azure-openai":     {"azure-openai/inst/gpt", "/azure-openai/inst/gpt/chat/completions", chatHello, "0", "0"},
		"openai":           {"openai/gpt-5", "/compat/chat/completions", chatHello, "0", "0"},
	} {
		t.Run(name, func(t *testing.T) {
			u := newUpstream(t, answerWith("text/event-stream", test.answer))
			p := start(t, setup{upstream: u.URL, providers: messagesProviders()})
			res := p.do(request{path: "/v1/messages?beta=true", header: claude(nil), body: messagesTo(test.model, "true")})
			want := strings.NewReplacer("MODEL", test.model, "INPUT", test.input, "CACHED", test.cached).Replace(messageStream)
			if got := read(t, res); res.StatusCode != 200 || got != want || res.Header.Get("Content-Type") != "text/event-stream" {
				t.Errorf("status %d, headers %v, stream\n%s\nwant\n%s", res.StatusCode, res.Header, got, want)
			}
			sent, body := u.seen()
			if path, _, _ := strings.Cut(test.path, "?"); sent.URL.Path != "/v1/acc/gw"+path || strings.Contains(body, "STOP") || sent.Header.Get("Anthropic-Version") != "" {
				t.Errorf("sent to %s with %v: %s", sent.URL, sent.Header, body)
			}
			want2 := maps.Clone(counted)
			want2["provider"] = name
			wantFields(t, p.logged(res.Header.Get("X-Request-Id")), want2)
		})
	}
}

func TestMessagesAsAnObjectFromOtherModels(t *testing.T) {
	const answer = `{"id":"c1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Hello STOP x"},"finish_reason":"stop"}],"usage":{"prompt_tokens":10,"completion_tokens":2,"total_tokens":12,"prompt_tokens_details":{"cached_tokens":4}}}`
	u := newUpstream(t, answerWith("application/json", answer))
	p := start(t, setup{upstream: u.URL, providers: messagesProviders()})
	res := p.do(request{path: "/v1/messages", header: claude(nil), body: messagesTo(llama, "false")})
	const want = `{"id":"msg_c1","type":"message","role":"assistant","model":"` + llama + `","content":[{"type":"text","text":"Hello "}],"stop_reason":"stop_sequence","stop_sequence":"STOP","stop_details":null,"usage":{"input_tokens":6,"cache_creation_input_tokens":0,"cache_read_input_tokens":4,"output_tokens":2}}`
	if got := read(t, res); res.StatusCode != 200 || got != want {
		t.Errorf("status %d, answer\n%s\nwant\n%s", res.StatusCode, got, want)
	}
	wantFields(t, p.logged(res.Header.Get("X-Request-Id")), counted)
}

func TestErrorsOfOtherModelsHaveAnthropicsShape(t *testing.T) {
	for name, test := range map[string]struct {
		status       int
		body, stream string
		wantStatus   int
		kind, says   string
	}{
		"a bad request":      {400, `{"error":{"message":"too long","type":"invalid_request_error"}}`, "true", 400, "invalid_request_error", "too long"},
		"too many requests":  {429, `{"error":{"message":"slow down"}}`, "false", 429, "rate_limit_error", "slow down"},
		"the key refused":    {401, `{"error":{"message":"bad key"}}`, "false", 502, "api_error", "own credentials"},
		"an error in an 200": {200, `{"error":{"message":"broken","code":500}}`, "true", 500, "api_error", "broken"},
	} {
		t.Run(name, func(t *testing.T) {
			u := newUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(test.status)
				_, _ = io.WriteString(w, test.body)
			})
			p := start(t, setup{upstream: u.URL, providers: messagesProviders()})
			res := p.do(request{path: "/v1/messages", header: claude(nil), body: messagesTo("openai/gpt-5", test.stream)})
			wantAnthropicError(t, res, test.wantStatus, test.kind, test.says)
		})
	}
}

func TestAStreamOfAnotherModelThatFailsSaysSo(t *testing.T) {
	begun, _, _ := strings.Cut(chatHello, "\n\ndata: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},")
	for name, test := range map[string]struct{ end, says string }{
		"an error that quotes the key": {"data: {\"error\":{\"message\":\"the key " + "sk-openai-canary" + " has no credit\"}}\n\n", "the key [redacted] has no credit"},
		"no end":                       {"", "ended before it was complete"},
	} {
		t.Run(name, func(t *testing.T) {
			u := newUpstream(t, answerWith("text/event-stream", begun+"\n\n"+test.end))
			providers := messagesProviders()
			providers["openai"] = `{"headers":{"Authorization":"Bearer sk-openai-canary"}}`
			p := start(t, setup{upstream: u.URL, providers: providers})
			res := p.do(request{path: "/v1/messages", header: claude(nil), body: messagesTo("openai/gpt-5", "true")})
			stream := read(t, res)
			_, last, ok := strings.Cut(stream, "event: error\ndata: ")
			if e := gjson.Parse(last); !ok || e.Get("type").Str != "error" || !strings.Contains(e.Get("error.message").Str, test.says) || strings.Contains(stream, "canary") || strings.Contains(stream, "message_stop") {
				t.Errorf("stream\n%s", stream)
			}
			if outcome := p.logged(res.Header.Get("X-Request-Id")).Get("outcome").Str; outcome == "ok" {
				t.Error("logged as ok")
			}
		})
	}
}

func TestCountTokensByGeminisOwnCount(t *testing.T) {
	u := newUpstream(t, answerWith("application/json", `{"totalTokens":31,"promptTokensDetails":[]}`))
	p := start(t, setup{upstream: u.URL, providers: messagesProviders()})
	res := p.do(request{path: "/v1/messages/count_tokens?beta=true", header: claude(nil), body: messagesTo(gemini, "false")})
	if got := read(t, res); res.StatusCode != 200 || got != `{"input_tokens":31}` {
		t.Errorf("status %d, answer %s", res.StatusCode, got)
	}
	sent, body := u.seen()
	asked := gjson.Get(body, "generateContentRequest")
	if sent.URL.Path != "/v1/acc/gw/google-ai-studio/v1beta/models/gemini-2.5-flash:countTokens" || sent.URL.RawQuery != "" ||
		asked.Get("model").Str != "models/gemini-2.5-flash" || asked.Get("contents.0.parts.0.text").Str != "hi" || asked.Get("systemInstruction.parts.0.text").Str != "Be brief." {
		t.Errorf("sent to %s: %s", sent.URL, body)
	}
	wantAnthropicError(t, p.do(request{path: "/v1/messages/count_tokens", header: claude(nil), body: messagesTo(llama, "false")}), 404, "not_found_error", "Estimate")
}
