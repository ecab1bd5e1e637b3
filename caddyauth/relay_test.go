package caddyauth

import (
	"bufio"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/continue-auth/caddy-continue-auth/test/freeport"
	"github.com/tidwall/gjson"
)

func streamBody(model string) string {
	return `{"messages":[{"role":"user","content":"hi"}],"model":"` + model + `","stream":true}`
}

func completionBody(model string) string {
	return `{"model":"` + model + `","prompt":"def add","max_tokens":16,"stream":true,"stop":["\n\n"]}`
}

// events begins a stream of events.
func events(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	_ = http.NewResponseController(w).Flush()
}

func send(w http.ResponseWriter, text string) {
	_, _ = io.WriteString(w, text)
	_ = http.NewResponseController(w).Flush()
}

func TestEachChunkOfAStreamArrivesBeforeTheNextIsSent(t *testing.T) {
	for name, test := range map[string]struct{ path, body, chunk, want string }{
		"passed": {"/v1/chat/completions", streamBody("groq/llama"),
			"data: {\"choices\":[{\"delta\":{\"content\":\"%d\"}}]}\n\n", `"content":"%d"`},
		"translated": {"/v1/completions", completionBody(llama),
			"data: {\"response\":\"%d\"}\n\n", `"text":"%d"`},
		"a chat as a response": {"/v1/responses", `{"model":"groq/llama","input":"x","stream":true}`,
			"data: {\"choices\":[{\"delta\":{\"content\":\"%d\"}}]}\n\n", `"delta":"%d"`},
	} {
		t.Run(name, func(t *testing.T) {
			arrived := make(chan struct{})
			u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
				events(w)
				for i := range 5 {
					send(w, fmt.Sprintf(test.chunk, i))
					select {
					case <-arrived:
					case <-r.Context().Done():
						return
					}
				}
				send(w, "data: [DONE]\n\n")
			})
			p := start(t, setup{upstream: u.URL})
			res := p.do(request{path: test.path, body: test.body})
			if got := res.Header.Get("Content-Type"); got != "text/event-stream" {
				t.Errorf("Content-Type is %q", got)
			}
			lines := bufio.NewScanner(res.Body)
			next := 0
			for lines.Scan() {
				if strings.Contains(lines.Text(), fmt.Sprintf(test.want, next)) {
					next++
					arrived <- struct{}{}
				}
			}
			if err := lines.Err(); err != nil || next != 5 {
				t.Errorf("%d chunks arrived, error %v", next, err)
			}
		})
	}
}

func TestAStreamPassesByteForByte(t *testing.T) {
	const stream = ": hello\r\ndata: {\"choices\":[],\"prompt_filter_results\":[]}\r\n\r\ndata:{\"x\":1}\ndata: 2\n\nevent: a\n\ndata: [DONE]\n\n"
	u := newUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		events(w)
		for i := range stream {
			send(w, stream[i:i+1])
		}
	})
	p := start(t, setup{upstream: u.URL})
	if got := read(t, p.do(request{path: "/chat/completions", body: streamBody("azure-openai/myinstance/gpt-4o")})); got != stream {
		t.Errorf("got %q, want %q", got, stream)
	}
}

// cutOff ends an answer in the middle, like a lost connection.
func cutOff(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err == nil {
		_ = conn.(*net.TCPConn).SetLinger(0)
		_ = conn.Close()
	}
}

func TestAStreamThatIsCutOffEndsWithOneErrorAndNotAsComplete(t *testing.T) {
	for name, test := range map[string]struct{ path, body, sent, want string }{
		"passed through, between events":      {"/v1/chat/completions", streamBody("groq/llama"), "data: {\"a\":1}\n\n", "data: {\"a\":1}\n\ndata: {\"error\""},
		"passed through, between CRLF events": {"/v1/chat/completions", streamBody("groq/llama"), "data: {\"a\":1}\r\n\r\n", "data: {\"a\":1}\r\n\r\ndata: {\"error\""},
		"passed through, in an event":         {"/v1/chat/completions", streamBody("groq/llama"), "data: {\"a\":1}\n", "data: {\"a\":1}\n\ndata: {\"error\""},
		"passed through, in a line":           {"/v1/chat/completions", streamBody("groq/llama"), "data: {\"a\"", "data: {\"a\"\n\ndata: {\"error\""},
		"translated, between events":          {"/v1/completions", completionBody(llama), "data: {\"response\":\"a\"}\n\n", "\"finish_reason\":null}]}\n\ndata: {\"error\""},
		"translated, in an event":             {"/v1/completions", completionBody(llama), "data: {\"response\":\"a\"}\n\ndata: {\"resp", "\"finish_reason\":null}]}\n\ndata: {\"error\""},
	} {
		t.Run(name, func(t *testing.T) {
			u := newUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
				events(w)
				send(w, test.sent)
				cutOff(w)
			})
			p := start(t, setup{upstream: u.URL})
			got := read(t, p.do(request{path: test.path, body: test.body}))
			if !strings.Contains(got, test.want) || strings.Contains(got, "[DONE]") || strings.Count(got, `"error"`) != 1 {
				t.Errorf("stream %q, want it to go on %q", got, test.want)
			}
			_, frame, _ := strings.Cut(got, `data: {"error"`)
			if kind := gjson.Get(`{"error"`+frame, "error.type").Str; kind != "api_error" || !strings.HasSuffix(got, "}\n\n") {
				t.Errorf("the error's type is %q in %q", kind, frame)
			}
		})
	}
}

func TestACompleteStreamIsNotCutOff(t *testing.T) {
	for _, path := range []string{"/v1/chat/completions", "/v1/completions"} {
		for _, end := range []string{"\n\n", "\r\n\r\n"} {
			u := newUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
				events(w)
				send(w, `data: {"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]}`+end+"data: [DONE]"+end)
				cutOff(w)
			})
			p := start(t, setup{upstream: u.URL})
			body := streamBody("groq/llama")
			if path == "/v1/completions" {
				body = completionBody("groq/llama")
			}
			if got := read(t, p.do(request{path: path, body: body})); strings.Contains(got, `"error"`) || !strings.HasSuffix(strings.TrimSpace(got), "data: [DONE]") {
				t.Errorf("stream %q", got)
			}
		}
	}
}

func TestAStreamOfAnIncompleteAnswerEndsWithAnError(t *testing.T) {
	const chat, response = `data: {"error":{"message":"`, `event: error
data: {"type":"error","code":"upstream_invalid_response","message":"`
	for name, test := range map[string]struct{ path, body, sent, frame string }{
		"translated":             {"/v1/completions", completionBody(llama), "data: {\"response\":\"a\"}\n\n", chat},
		"passed through":         {"/v1/chat/completions", streamBody("groq/llama"), "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"},\"finish_reason\":null}]}\n\n", chat},
		"a response":             {"/v1/responses", `{"model":"openai/gpt-5","input":"x","stream":true}`, "data: {\"type\":\"response.created\"}\n\n", response},
		"in the middle of error": {"/v1/chat/completions", streamBody("groq/llama"), "data: {\"error\":", chat},
	} {
		t.Run(name, func(t *testing.T) {
			u := newUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
				events(w)
				send(w, test.sent)
			})
			p := start(t, setup{upstream: u.URL})
			got := read(t, p.do(request{path: test.path, body: test.body}))
			if strings.Contains(got, "[DONE]") || !strings.HasSuffix(got, "\n\n") || strings.Count(got, "\n\n"+test.frame+"Try again: the provider's answer ended") != 1 {
				t.Errorf("stream %q", got)
			}
		})
	}
}

func TestClientsDoNotRetryAnErrorInAStreamThatPasses(t *testing.T) {
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		events(w)
		send(w, "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n")
		send(w, "data: {\"error\":{\"message\":\"overloaded, by "+r.Header.Get("Cf-Aig-Authorization")+"\",\"type\":\"server_error\",\"code\":null}}\n\n")
		send(w, "data: [DONE]\n\n")
	})
	for name, options := range map[string]string{"as it came": "", "without the usage that we asked for": "ask_usage"} {
		t.Run(name, func(t *testing.T) {
			p := start(t, setup{upstream: u.URL, options: options})
			got := read(t, p.do(request{path: "/v1/chat/completions", body: streamBody("groq/llama")}))
			want := "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n" +
				"data: {\"error\":{\"message\":\"overloaded, by Bearer [redacted]\",\"type\":\"api_error\",\"param\":null,\"code\":null}}\n\n"
			if got != want {
				t.Errorf("stream %q, want %q", got, want)
			}
		})
	}
}

func TestAnObjectThatIsCutOffBecomesAnError(t *testing.T) {
	u := newUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", "1000")
		send(w, `{"result":{"respo`)
		cutOff(w)
	})
	p := start(t, setup{upstream: u.URL})
	t.Run("translated, it becomes an error", func(t *testing.T) {
		res := p.do(request{path: "/v1/completions", body: `{"model":"` + llama + `","prompt":"x"}`})
		wantError(t, res, 502, "upstream_invalid_response")
	})
	t.Run("passed through, it becomes an error", func(t *testing.T) {
		res := p.do(request{path: "/v1/chat/completions", body: chatBody("groq/llama")})
		wantError(t, res, 502, "upstream_invalid_response")
	})
}

func TestALongObjectThatIsCutOffIsCutOffForTheClientToo(t *testing.T) {
	u := newUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", "1000000")
		send(w, `{"choices":[{"message":{"content":"`+strings.Repeat("a", 100_000))
		cutOff(w)
	})
	p := start(t, setup{upstream: u.URL})
	res := p.do(request{path: "/v1/chat/completions", body: chatBody("groq/llama")})
	if body, err := io.ReadAll(res.Body); err == nil || res.StatusCode != 200 || len(body) < 100_000 {
		t.Errorf("status %d, %d bytes, error %v", res.StatusCode, len(body), err)
	}
}

func TestAnUnwantedCompressionOfAnAnswerIsRemoved(t *testing.T) {
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		encoding := "gzip"
		if strings.Contains(r.URL.Path, "qwen") {
			encoding = "br"
		}
		w.Header().Set("Content-Encoding", encoding)
		z := gzip.NewWriter(w)
		_, _ = io.WriteString(z, `{"result":{"response":"compressed"},"success":true}`)
		_ = z.Close()
	})
	p := start(t, setup{upstream: u.URL})
	res := p.do(request{path: "/v1/completions", body: `{"model":"` + llama + `","prompt":"x"}`})
	if got := read(t, res); gjson.Get(got, "choices.0.text").Str != "compressed" || res.Header.Get("Content-Encoding") != "" {
		t.Errorf("Content-Encoding %q, body %q", res.Header.Get("Content-Encoding"), got)
	}
	res = p.do(request{path: "/v1/completions", body: `{"model":"workers-ai/@cf/qwen/qwq","prompt":"x"}`})
	wantError(t, res, 502, "upstream_invalid_response")
	if res.Header.Get("Content-Encoding") != "" {
		t.Error("the error has the upstream's Content-Encoding")
	}
}

func TestATranslatedAnswerHasItsOwnLength(t *testing.T) {
	u := newUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Etag", `"1"`)
		_, _ = io.WriteString(w, `{"result":{"response":"four"},"success":true}`)
	})
	p := start(t, setup{upstream: u.URL})
	res := p.do(request{path: "/v1/completions", body: `{"model":"` + llama + `","prompt":"x"}`})
	if got := read(t, res); res.ContentLength != int64(len(got)) || res.Header.Get("Etag") != "" {
		t.Errorf("length %d and ETag %q for %d bytes", res.ContentLength, res.Header.Get("Etag"), len(got))
	}
}

func TestAClientThatHangsUpCancelsTheUpstream(t *testing.T) {
	for name, test := range map[string]struct {
		begun bool // whether the answer has begun
		proxy string
		path  string
		body  string
	}{
		"before the answer":                      {false, "transport continue_auth", "/v1/chat/completions", streamBody(llama)},
		"while a stream passes":                  {true, "transport continue_auth", "/v1/chat/completions", streamBody(llama)},
		"while a stream is translated":           {true, "transport continue_auth", "/v1/completions", completionBody(llama)},
		"with every write flushed at once":       {true, "transport continue_auth\nflush_interval -1", "/v1/chat/completions", streamBody(llama)},
		"before the answer, with flush_interval": {false, "transport continue_auth\nflush_interval -1", "/v1/chat/completions", streamBody(llama)},
	} {
		t.Run(name, func(t *testing.T) {
			reached, cancelled := make(chan struct{}), make(chan struct{})
			u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
				if test.begun {
					events(w)
					send(w, "data: {\"response\":\"a\",\"choices\":[]}\n\n")
				}
				close(reached)
				<-r.Context().Done()
				close(cancelled)
			})
			p := start(t, setup{upstream: u.URL, proxy: test.proxy})
			ctx, hangUp := context.WithCancel(t.Context())
			go func() {
				req, _ := http.NewRequestWithContext(ctx, http.MethodPost, p.url+test.path, strings.NewReader(test.body))
				req.Header.Set("Authorization", "Bearer "+testEmail+":"+testKey)
				res, err := http.DefaultClient.Do(req)
				if err == nil {
					_, _ = io.Copy(io.Discard, res.Body)
					_ = res.Body.Close()
				}
			}()
			<-reached
			hangUp()
			select {
			case <-cancelled:
			case <-time.After(time.Minute):
				t.Error("the upstream was not cancelled")
			}
		})
	}
}

func TestAStopWordEndsTheTextAndCancelsTheUpstream(t *testing.T) {
	cancelled := make(chan struct{})
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		events(w)
		for _, piece := range []string{"return a", " + b\\n", "\\nprint(", "never seen"} {
			send(w, `data: {"response":"`+piece+"\"}\n\n")
		}
		<-r.Context().Done()
		close(cancelled)
	})
	p := start(t, setup{upstream: u.URL})
	got := read(t, p.do(request{path: "/v1/completions", body: completionBody(llama)}))
	var text strings.Builder
	for line := range strings.Lines(got) {
		text.WriteString(gjson.Get(strings.TrimPrefix(line, "data: "), "choices.0.text").Str)
	}
	if text.String() != "return a + b" || !strings.HasSuffix(got, "data: [DONE]\n\n") || !strings.Contains(got, `"finish_reason":"stop"`) {
		t.Errorf("text %q of stream %q", text.String(), got)
	}
	select {
	case <-cancelled:
	case <-time.After(time.Minute):
		t.Error("the upstream was not cancelled")
	}
	if strings.Contains(p.log.String(), "incomplete response") {
		t.Error("Caddy's log reports the end as an error")
	}
}

func TestAReverseProxyWithoutTheTransportFailsClosed(t *testing.T) {
	u := newUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Of-Another", "1")
		_, _ = io.WriteString(w, "an answer that must not get out")
	})
	silent := newUpstream(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	for name, test := range map[string]struct{ upstream, lines string }{
		"with Caddy's own transport":              {u.URL, "transport http"},
		"without a transport":                     {u.URL, "flush_interval -1"},
		"with an upstream that cannot be reached": {"127.0.0.1:1", "transport http"},
		"with an upstream that takes too long":    {silent.URL, "transport http {\nresponse_header_timeout 10ms\n}"},
	} {
		t.Run(name, func(t *testing.T) {
			p := start(t, setup{upstream: test.upstream, proxy: test.lines})
			res := p.do(request{path: "/v1/chat/completions", body: chatBody(llama)})
			if res.Header.Get("X-Of-Another") != "" {
				t.Error("a header of the answer reached the client")
			}
			e := wantError(t, res, 500, "misconfigured")
			if strings.Contains(e.Raw, "must not get out") {
				t.Errorf("the answer reached the client: %s", e.Raw)
			}
			p.log.WaitFor(t, "add `transport continue_auth` to its block")
		})
	}
}

func TestTheTransportRefusesRequestsThatWereNotChecked(t *testing.T) {
	u := newUpstream(t, answerChat)
	p := start(t, setup{upstream: u.URL})
	p.url = fmt.Sprintf("http://127.0.0.1:%d", freeport.For(t))
	if err := p.load(p.config + "\n" + p.url + " {\nreverse_proxy " + u.URL + " {\ntransport continue_auth\n}\n}"); err != nil {
		t.Fatal(err)
	}
	if res := p.do(request{path: "/v1/chat/completions", body: chatBody(llama)}); res.StatusCode != 502 {
		t.Errorf("status %d, want 502", res.StatusCode)
	}
	if seen, _ := u.seen(); seen != nil {
		t.Error("the request reached the upstream")
	}
}
