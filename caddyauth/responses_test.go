package caddyauth

import (
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

// responseBody is a request of Codex's, in short.
const responseBody = `{"model":"MODEL","stream":STREAM,"store":false,"input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"hi"}]}],"tools":[{"type":"custom","name":"apply_patch"}],"client_metadata":{"x-codex-installation-id":"canary","cwd":"/home/dev"}}`

func askResponse(model string, stream bool) request {
	choice := "false"
	if stream {
		choice = "true"
	}
	return request{path: "/v1/responses", body: strings.NewReplacer("MODEL", model, "STREAM", choice).Replace(responseBody)}
}

// Answers of providers that have no Responses API of their own.
const (
	chatObject   = `{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":7,"total_tokens":12,"prompt_tokens_details":{"cached_tokens":3}}}`
	chatStream   = `data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"Hi"},"finish_reason":null}]}` + "\n\n"
	chatEnd      = `data: {"id":"chatcmpl-1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\n" + `data: {"id":"chatcmpl-1","choices":[],"usage":{"prompt_tokens":5,"completion_tokens":7,"total_tokens":12,"prompt_tokens_details":{"cached_tokens":3}}}` + "\n\ndata: [DONE]\n\n"
	geminiObject = `{"candidates":[{"content":{"role":"model","parts":[{"text":"Hi"}]},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":5,"candidatesTokenCount":7,"totalTokenCount":12,"cachedContentTokenCount":3},"modelVersion":"m","responseId":"r1"}`
)

func TestResponsesOfProvidersThatHaveNone(t *testing.T) {
	for model, answer := range map[string]struct{ object, stream, objectPath, streamPath string }{
		llama:        {chatObject, chatStream + chatEnd, "/workers-ai/v1/chat/completions", "/workers-ai/v1/chat/completions"},
		"groq/llama": {chatObject, chatStream + chatEnd, "/compat/chat/completions", "/compat/chat/completions"},
		gemini:       {geminiObject, "data: " + geminiObject + "\r\n\r\n", "/google-ai-studio/v1beta/models/gemini-2.5-flash:generateContent", "/google-ai-studio/v1beta/models/gemini-2.5-flash:streamGenerateContent"},
	} {
		for form, stream := range map[string]bool{"an object": false, "a stream": true} {
			t.Run(model+" "+form, func(t *testing.T) {
				body, contentType, path := answer.object, "application/json", answer.objectPath
				if stream {
					body, contentType, path = answer.stream, "text/event-stream", answer.streamPath
				}
				u := newUpstream(t, answerWith(contentType, body))
				p := start(t, setup{upstream: u.URL})
				res := p.do(askResponse(model, stream))
				got := read(t, res)
				if res.StatusCode != 200 || res.Header.Get("Content-Type") != contentType {
					t.Errorf("status %d, Content-Type %q", res.StatusCode, res.Header.Get("Content-Type"))
				}
				response := gjson.Parse(got)
				if stream {
					events := strings.Split(strings.TrimSpace(got), "\n\n")
					_, data, _ := strings.Cut(events[len(events)-1], "\ndata: ")
					response = gjson.Get(data, "response")
					if !strings.HasPrefix(got, "event: response.created\n") || !strings.HasPrefix(events[len(events)-1], "event: response.completed\n") || !strings.Contains(got, `"delta":"Hi"`) {
						t.Errorf("stream\n%s", got)
					}
				}
				if response.Get("object").Str != "response" || response.Get("status").Str != "completed" || response.Get("model").Str != model || response.Get("output.0.content.0.text").Str != "Hi" || response.Get("usage.input_tokens").Int() != 5 {
					t.Errorf("response %s", response.Raw)
				}
				sent, sentBody := u.seen()
				if sent.URL.Path != "/v1/acc/gw"+path || strings.Contains(sentBody, "canary") || !strings.Contains(sentBody, `"apply_patch"`) {
					t.Errorf("sent to %s: %s", sent.URL.Path, sentBody)
				}
				wantFields(t, p.logged(res.Header.Get("X-Request-Id")), map[string]string{
					"client_format": "responses", "outcome": "ok", "prompt_tokens": "5", "completion_tokens": "7", "cached_tokens": "3",
				})
			})
		}
	}
}

func TestTheOperatorsBodyIsMergedIntoResponsesThatGoAsChats(t *testing.T) {
	providers := defaultProviders()
	providers["groq"] = `{"body":{"service_tier":"flex"}}`
	providers["openai"] = `{"body":{"service_tier":"flex"}}`
	for model, tier := range map[string]string{"groq/llama": "flex", "openai/gpt-5": ""} {
		u := newUpstream(t, answerWith("application/json", chatObject))
		p := start(t, setup{upstream: u.URL, providers: providers})
		res := p.do(askResponse(model, false))
		if _, body := u.seen(); gjson.Get(body, "service_tier").Str != tier {
			t.Errorf("%s is sent %s", model, body)
		}
		wantFields(t, p.logged(res.Header.Get("X-Request-Id")), map[string]string{"client_format": "responses"})
	}
}

func TestResponsesThatFail(t *testing.T) {
	const quoting = `{"error":{"message":"Incorrect key: workers-ai-canary","code":"odd"}}`
	for name, test := range map[string]struct{ body, says, outcome string }{
		"an error in mid-stream": {chatStream + `data: {"error":{"message":"slow down workers-ai-canary","code":"slow"}}` + "\n\n", "slow down [redacted]", "upstream_server_error"},
		"no end":                 {chatStream, "before it was complete", "upstream_server_error"},
	} {
		t.Run(name, func(t *testing.T) {
			u := newUpstream(t, answerWith("text/event-stream", test.body))
			p := start(t, setup{upstream: u.URL})
			res := p.do(askResponse(llama, true))
			got := read(t, res)
			events := strings.Split(strings.TrimSpace(got), "\n\n")
			last, data, _ := strings.Cut(events[len(events)-1], "\ndata: ")
			if last != "event: response.failed" || !strings.Contains(gjson.Get(data, "response.error.message").Str, test.says) || strings.Contains(got, "canary") {
				t.Errorf("stream\n%s", got)
			}
			wantFields(t, p.logged(res.Header.Get("X-Request-Id")), map[string]string{"outcome": test.outcome})
		})
	}
	for name, test := range map[string]struct {
		upstream, status int
		body, code       string
	}{
		"too many requests": {429, 429, `{"error":{"message":"slow down","code":"slow"}}`, "slow"},
		"overloaded":        {503, 503, `{"error":{"message":"busy"}}`, "server_is_overloaded"},
		"a refused key":     {401, 502, quoting, "upstream_auth_failed"},
		"200 with an error": {200, 502, `{"error":{"message":"broken","code":"odd"}}`, "odd"},
		"200 with nothing":  {200, 502, ``, "upstream_invalid_response"},
	} {
		for form, stream := range map[string]bool{"an object": false, "a stream": true} {
			t.Run(name+" for "+form, func(t *testing.T) {
				u := newUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Content-Type", "application/json")
					w.WriteHeader(test.upstream)
					_, _ = io.WriteString(w, test.body)
				})
				p := start(t, setup{upstream: u.URL})
				wantError(t, p.do(askResponse(llama, stream)), test.status, test.code)
			})
		}
	}
}

func TestResponsesOfOpenAIPassWithoutWhatIsPrivate(t *testing.T) {
	providers := defaultProviders()
	maps.Copy(providers, map[string]string{"azure-openai": `{"queryString":{"api-version":"2025-04-01-preview"}}`})
	for model, want := range map[string]struct{ path, model string }{
		"openai/gpt-5":               {"/v1/acc/gw/openai/responses", "gpt-5"},
		"azure-openai/i/gpt-5":       {"/v1/acc/gw/azure-openai/i/openai/responses", "gpt-5"},
		"azure-openai/i/gpt-5-codex": {"/v1/acc/gw/azure-openai/i/openai/responses", "gpt-5-codex"},
	} {
		t.Run(model, func(t *testing.T) {
			const answer = `{"id":"resp_1","object":"response","output":[ ]}`
			u := newUpstream(t, answerWith("application/json", answer))
			p := start(t, setup{upstream: u.URL, providers: providers})
			ask := askResponse(model, false)
			if got := read(t, p.do(ask)); got != answer {
				t.Errorf("answer %s", got)
			}
			before, _, _ := strings.Cut(strings.Replace(ask.body, model, want.model, 1), `,"client_metadata"`)
			if sent, body := u.seen(); sent.URL.Path != want.path || body != before+"}" {
				t.Errorf("sent to %s: %s", sent.URL.Path, body)
			}
		})
	}
}
