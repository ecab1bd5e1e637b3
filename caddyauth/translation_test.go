package caddyauth

import (
	"compress/gzip"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

const (
	azure  = "azure-openai/myinstance/gpt-4o"
	gemini = "google-ai-studio/gemini-2.5-flash"
)

// said returns the text and the tool calls of a stream's first choice.
func said(stream string) (text, calls string) {
	for line := range strings.Lines(stream) {
		delta := gjson.Get(strings.TrimPrefix(line, "data: "), "choices.0.delta")
		text += delta.Get("content").Str
		delta.Get("tool_calls").ForEach(func(_, call gjson.Result) bool {
			calls += call.Get("function.name").Str + call.Get("function.arguments").Str
			return true
		})
	}
	return text, calls
}

// Guardrails turn a stream into JSON. A client with OpenAI's library would read nothing and report no error.
func TestJSONIsTurnedIntoTheStreamThatTheClientWants(t *testing.T) {
	openaiBody := `{"id":"chatcmpl-1","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"whole","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}`
	for model, body := range map[string]string{
		azure:        openaiBody,
		"groq/llama": openaiBody,
		llama:        openaiBody,
		gemini:       `{"candidates":[{"content":{"parts":[{"text":"whole"},{"functionCall":{"name":"f"}}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":1}}`,
	} {
		t.Run(model, func(t *testing.T) {
			answer := body
			u := newUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				_, _ = io.WriteString(w, answer)
			})
			p := start(t, setup{upstream: u.URL})
			ask := request{path: "/v1/chat/completions", body: strings.Replace(streamBody(model), "{", `{"stream_options":{"include_usage":true},`, 1)}
			res := p.do(ask)
			stream := read(t, res)
			text, calls := said(stream)
			if res.StatusCode != 200 || res.Header.Get("Content-Type") != "text/event-stream" || text != "whole" || calls != "f{}" || !strings.HasSuffix(stream, "data: [DONE]\n\n") || strings.Count(stream, `"usage":{`) != 1 {
				t.Errorf("status %d, Content-Type %q, stream\n%s", res.StatusCode, res.Header.Get("Content-Type"), stream)
			}
			answer = "<html>a page</html>"
			wantError(t, p.do(ask), 502, "upstream_invalid_response")
		})
	}
}

// The client can read only an object.
func TestAStreamIsTurnedIntoTheJSONThatTheClientWants(t *testing.T) {
	u := newUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		events(w)
		send(w, `data: {"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]}`+"\n\ndata: [DONE]\n\n")
	})
	p := start(t, setup{upstream: u.URL})
	res := p.do(request{path: "/v1/chat/completions", body: chatBody(azure)})
	if got := read(t, res); res.Header.Get("Content-Type") != "application/json" || gjson.Get(got, "choices.0.message.content").Str != "a" {
		t.Errorf("Content-Type %q, body %s", res.Header.Get("Content-Type"), got)
	}
}

func TestAnUnwantedCompressionOfAStreamIsRemoved(t *testing.T) {
	for model, event := range map[string]string{
		"groq/llama": `data: {"choices":[{"index":0,"delta":{"content":"%"}}]}` + "\n\n",
		gemini:       `data: {"candidates":[{"content":{"parts":[{"text":"%"}]}}]}` + "\r\n\r\n",
	} {
		t.Run(model, func(t *testing.T) {
			arrived := make(chan struct{})
			u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Encoding", "gzip")
				events(w)
				z := gzip.NewWriter(w)
				for _, text := range []string{"a", "b"} {
					_, _ = io.WriteString(z, strings.Replace(event, "%", text, 1))
					_ = z.Flush()
					_ = http.NewResponseController(w).Flush()
					select {
					case <-arrived:
					case <-r.Context().Done():
						return
					}
				}
				_, _ = io.WriteString(z, "data: [DONE]\n\n")
				_ = z.Close()
			})
			p := start(t, setup{upstream: u.URL})
			res := p.do(request{path: "/v1/chat/completions", body: streamBody(model)})
			if encoding := res.Header.Get("Content-Encoding"); encoding != "" {
				t.Fatalf("Content-Encoding %q", encoding)
			}
			var got strings.Builder
			buffer := make([]byte, 4<<10)
			for _, text := range []string{"a", "b"} { // each before the next is sent
				for !strings.Contains(got.String(), `"content":"`+text+`"`) {
					n, err := res.Body.Read(buffer)
					if err != nil {
						t.Fatalf("%v after %q", err, got.String())
					}
					got.Write(buffer[:n])
				}
				arrived <- struct{}{}
			}
			if rest := read(t, res); !strings.HasSuffix(rest, "data: [DONE]\n\n") {
				t.Errorf("the stream ends on %q", rest)
			}
		})
	}
}

// Streams and objects that need no translation must pass byte for byte, whatever the pieces in which they
// arrive.
func TestAnswersThatPassAreNotChanged(t *testing.T) {
	const stream = ": hello\r\ndata: {\"choices\":[],\"prompt_filter_results\":[]}\r\n\r\ndata:{\"id\":\"\",\"x\":1.50}\ndata: \u00e9\n\nevent: a\n\ndata: {\"choices\":[{\"delta\":{\"content\":null,\"tool_calls\":[]}}],\"usage\":{}}\n\ndata: [DONE]\n\n"
	const object = " {\"choices\" : [ {\"message\":{\"content\":null}} ],\n\"x\":1.50,\"x\":\"\\u0041\"}\n"
	var contentType, body string
	var size int
	u := newUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(http.StatusOK)
		for piece := range slices.Chunk([]byte(body), size) {
			send(w, string(piece))
		}
	})
	p := start(t, setup{upstream: u.URL})
	for _, size = range []int{1, 2, 3, 5, 7, 11, 64, 1 << 20} {
		for _, model := range []string{azure, "groq/llama", "openai/gpt-4o-mini"} {
			contentType, body = "text/event-stream; charset=utf-8", stream
			res := p.do(request{path: "/chat/completions", body: streamBody(model)})
			if got := read(t, res); got != body || res.Header.Get("Content-Type") != contentType {
				t.Errorf("%s in pieces of %d: got %q, want %q", model, size, got, body)
			}
			contentType, body = "application/json", object
			for path, ask := range map[string]string{
				"/v1/chat/completions": chatBody(model),
				"/v1/embeddings":       `{"input":"x","model":"` + model + `"}`,
			} {
				if got := read(t, p.do(request{path: path, body: ask})); got != body {
					t.Errorf("%s of %s in pieces of %d: got %q, want %q", path, model, size, got, body)
				}
			}
		}
	}
}

// These stop words must also end chats and cancel the request upstream.
func TestStopWordsBeyondTheProvidersLimitAreApplied(t *testing.T) {
	cancelled := make(chan struct{}, 1)
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		events(w)
		for _, text := range []string{"a <", "/co", "de> b"} {
			send(w, `data: {"choices":[{"index":0,"delta":{"content":"`+text+`"}}]}`+"\n\n")
		}
		<-r.Context().Done()
		cancelled <- struct{}{}
	})
	p := start(t, setup{upstream: u.URL})
	for _, model := range []string{azure, "groq/llama", llama} {
		ask := strings.Replace(streamBody(model), "{", `{"stop":["1","2","3","4","</code>","6"],`, 1)
		got := read(t, p.do(request{path: "/v1/chat/completions", body: ask}))
		<-cancelled
		if text, _ := said(got); text != "a " || !strings.Contains(got, `"finish_reason":"stop"`) || !strings.HasSuffix(got, "data: [DONE]\n\n") {
			t.Errorf("%s: stream\n%s", model, got)
		}
		if _, sent := u.seen(); gjson.Get(sent, "stop").Raw != `["1","2","3","4"]` {
			t.Errorf("%s: sent %s", model, sent)
		}
	}
}

// Continue's IDE sends back only the ID of a call. The user who was sent a signature must get it back, also
// after a reload. Other users must not.
func TestThoughtSignaturesAreRestored(t *testing.T) {
	u := newUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"candidates":[{"content":{"parts":[{"functionCall":{"id":"c1","name":"f"},"thoughtSignature":"c2lnbmVk"}]}}]}`)
	})
	p := start(t, setup{upstream: u.URL})
	const signature = "contents.1.parts.0.thoughtSignature"
	second := `{"model":"` + gemini + `","messages":[{"role":"user","content":"x"},{"role":"assistant","content":" ","tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"c1","content":"y"}]}`
	ask := func(header map[string]string, body string) string {
		if res := p.do(request{path: "/v1/chat/completions", header: header, body: body}); res.StatusCode != 200 {
			t.Fatalf("status %d", res.StatusCode)
		}
		_, sent := u.seen()
		return gjson.Get(sent, signature).Str
	}
	ask(nil, chatBody(gemini))
	if got := ask(nil, second); got != "c2lnbmVk" {
		t.Errorf("the user gets %q back", got)
	}
	if got := ask(as("worker@example.com", "plain-key"), second); got != "skip_thought_signature_validator" {
		t.Errorf("another user gets %q", got)
	}
	if err := p.load(strings.Replace(p.config, "gateway gw", "gateway other", 1)); err != nil {
		t.Fatal(err)
	}
	if got := ask(nil, second); got != "c2lnbmVk" {
		t.Errorf("after a reload, the user gets %q back", got)
	}
}

// It must be merged into requests that generate text, and into no others.
func TestTheBodyOfTheProvidersSettingsIsMerged(t *testing.T) {
	u := newUpstream(t, answerChat)
	providers := defaultProviders()
	providers["google-ai-studio"] = `{"body":{"safetySettings":[{"category":"HARM_CATEGORY_HARASSMENT","threshold":"OFF"}],"generationConfig":{"thinkingConfig":{"thinkingBudget":0}}}}`
	providers["groq"] = `{"body":{"service_tier":"flex","user":null}}`
	p := start(t, setup{upstream: u.URL, providers: providers})
	for name, test := range map[string]struct{ path, body, want string }{
		"a chat": {"/v1/chat/completions", `{"model":"` + gemini + `","messages":[{"role":"user","content":"x"}],"max_tokens":5}`,
			`{"contents":[{"role":"user","parts":[{"text":"x"}]}],"generationConfig":{"maxOutputTokens":5,"thinkingConfig":{"thinkingBudget":0}},"safetySettings":[{"category":"HARM_CATEGORY_HARASSMENT","threshold":"OFF"}]}`},
		"a tab completion": {"/v1/completions", `{"model":"` + gemini + `","prompt":"x"}`,
			`{"contents":[{"role":"user","parts":[{"text":"x"}]}],"safetySettings":[{"category":"HARM_CATEGORY_HARASSMENT","threshold":"OFF"}],"generationConfig":{"thinkingConfig":{"thinkingBudget":0}}}`},
		"messages": {"/v1/messages", `{"model":"` + gemini + `","messages":[{"role":"user","content":"x"}],"max_tokens":5}`,
			`{"contents":[{"role":"user","parts":[{"text":"x"}]}],"generationConfig":{"maxOutputTokens":5,"thinkingConfig":{"thinkingBudget":0}},"safetySettings":[{"category":"HARM_CATEGORY_HARASSMENT","threshold":"OFF"}]}`},
		"a count of messages": {"/v1/messages/count_tokens", `{"model":"` + gemini + `","messages":[{"role":"user","content":"x"}]}`,
			`{"generateContentRequest":{"model":"models/gemini-2.5-flash","contents":[{"role":"user","parts":[{"text":"x"}]}]}}`},
		"an embedding": {"/v1/embeddings", `{"model":"google-ai-studio/gemini-embedding-001","input":"x"}`,
			`{"content":{"parts":[{"text":"x"}]}}`},
		"a request that passes": {"/v1/chat/completions", `{"user":"forged","model":"groq/llama", "x":1.50}`,
			`{"model":"groq/llama","x":1.50,"service_tier":"flex"}`},
	} {
		p.do(request{path: test.path, body: test.body})
		if _, sent := u.seen(); sent != test.want {
			t.Errorf("%s: sent %s, want %s", name, sent, test.want)
		}
	}
}

// The key must not reach the client.
func TestAKeyThatAProviderQuotesInAStreamIsRemoved(t *testing.T) {
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery == "" { // not for a stream
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"error":{"code":503,"message":"google-canary is tired","status":"UNAVAILABLE"}}`)
			return
		}
		events(w)
		send(w, `data: {"candidates":[{"content":{"parts":[{"text":"a"}]}}]}`+"\r\n\r\n")
		send(w, `data: {"error":{"code":503,"message":"google-canary is tired","status":"UNAVAILABLE"}}`+"\r\n\r\n")
	})
	p := start(t, setup{upstream: u.URL})
	for _, body := range []string{streamBody(gemini), chatBody(gemini)} {
		got := read(t, p.do(request{path: "/v1/chat/completions", body: body}))
		if !strings.Contains(got, "[redacted] is tired") || strings.Contains(got, "canary") {
			t.Errorf("the client reads\n%s", got)
		}
	}
}
