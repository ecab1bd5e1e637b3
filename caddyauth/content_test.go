package caddyauth

import (
	"net/http"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

// answering returns an upstream that answers with that body and Content-Type. If contentType is empty, it
// sends none.
func answering(t *testing.T, contentType, body *string) *upstream {
	return newUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = nil
		if *contentType != "" {
			w.Header().Set("Content-Type", *contentType)
		}
		send(w, *body)
	})
}

// Otherwise a client would read an answer without content, and the log would say ok.
func TestAnErrorWithStatus200BecomesAnError(t *testing.T) {
	var contentType, body string
	p := start(t, setup{upstream: answering(t, &contentType, &body).URL})
	for name, test := range map[string]struct {
		body   string
		status int
		says   string
	}{
		"OpenRouter's":               {`{"error":{"message":"Provider returned error","code":429},"user_id":"u"}`, 429, "Provider returned error"},
		"beside null for choices":    {`{"error":{"message":"Provider returned error","code":429},"choices":null}`, 429, "Provider returned error"},
		"without a status":           {`{"error":{"message":"overloaded","type":"server_error"}}`, 502, "overloaded"},
		"Cloudflare's":               {`{"success":false,"errors":[{"code":3040,"message":"Capacity"}],"messages":[],"result":null}`, 429, "Capacity"},
		"a page of HTML":             {`<html>Error 1101</html>`, 502, ""},
		"text":                       {`error code: 1010`, 502, ""},
		"nothing":                    {``, 502, "empty"},
		"white space":                {"\n ", 502, "empty"},
		"half an object":             {`{"choices":[{"mess`, 502, "the provider's answer"},
		"a list with an error in it": {`[{"error":{"code":503,"message":"tired","status":"UNAVAILABLE"}}]`, 503, "tired"},
	} {
		t.Run(name, func(t *testing.T) {
			body = test.body
			for path, asks := range map[string][]string{
				"/v1/chat/completions": {chatBody(azure), chatBody("openai/gpt-4o"), chatBody(llama), streamBody(azure), streamBody(llama)},
				"/v1/embeddings":       {`{"input":"x","model":"openai/e"}`, `{"input":"x","model":"azure-openai/i/e"}`, `{"input":"x","model":"` + llama + `"}`},
				"/v1/responses":        {`{"input":"x","model":"openai/gpt-5"}`, `{"input":"x","model":"azure-openai/i/gpt-5","stream":true}`},
			} {
				for _, ask := range asks {
					contentType = "application/json"
					res := p.do(request{path: path, body: ask})
					got := read(t, res)
					if message := gjson.Get(got, "error.message").Str; res.StatusCode != test.status || !strings.Contains(message, test.says) || message == "" {
						t.Errorf("%s: status %d, want %d, body %s", ask, res.StatusCode, test.status, got)
					}
				}
			}
		})
	}
	p.log.WaitFor(t, `"outcome":"upstream_`)
}

// The Content-Type may be missing or wrong.
func TestTheBodyDecidesWhatAnAnswerIs(t *testing.T) {
	const (
		stream = `data: {"id":"x","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}` + "\n\n" +
			`data: {"id":"x","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\ndata: [DONE]\n\n"
		object = `{"id":"x","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"a"},"finish_reason":"stop"}]}`
		google = `data: {"candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":"STOP"}]}` + "\r\n\r\n"
	)
	var contentType, body string
	p := start(t, setup{upstream: answering(t, &contentType, &body).URL})
	for _, contentType = range []string{"", "text/plain", "text/event-stream", "application/json", "application/octet-stream"} {
		for _, model := range []string{azure, "groq/llama", llama, gemini} {
			for _, body = range []string{stream, ": hello\n\nevent: message\n" + stream, object} {
				if model == gemini {
					body = google
				}
				res := p.do(request{path: "/v1/chat/completions", body: streamBody(model)})
				got := read(t, res)
				if text, _ := said(got); res.StatusCode != 200 || text != "a" || !strings.HasSuffix(got, "data: [DONE]\n\n") || !strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
					t.Errorf("%s under %q: status %d, Content-Type %q, stream\n%s", model, contentType, res.StatusCode, res.Header.Get("Content-Type"), got)
				}
				if body == stream && model != gemini && got != body {
					t.Errorf("%s under %q became\n%s", model, contentType, got)
				}
				res = p.do(request{path: "/v1/chat/completions", body: chatBody(model)})
				if got := read(t, res); gjson.Get(got, "choices.0.message.content").Str != "a" || res.Header.Get("Content-Type") != "application/json" {
					t.Errorf("%s under %q: Content-Type %q, object %s", model, contentType, res.Header.Get("Content-Type"), got)
				}
			}
		}
	}
}

// The stream must end with one error frame, and without [DONE].
func TestAnErrorOfAnyShapeEndsAStreamThatPasses(t *testing.T) {
	contentType, body := "text/event-stream", ""
	p := start(t, setup{upstream: answering(t, &contentType, &body).URL})
	const chunk = `data: {"id":"x","choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}` + "\n\n"
	for name, reported := range map[string]string{
		"OpenAI's":                 "data: {\"error\":{\"message\":\"overloaded\"}}\n\n",
		"OpenAI's without a field": "{\"error\":{\"message\":\"overloaded\"}}\n\n",
		"Cloudflare's":             "data: {\"success\":false,\"errors\":[{\"code\":1,\"message\":\"overloaded\"}]}\n\n",
		"the policies'":            "data: {\"success\":false,\"error\":{\"message\":\"overloaded\"}}\n\n",
		"the gateway's":            "data: {\"success\":false,\"error\":[{\"code\":1,\"message\":\"overloaded\"}],\"name\":\"AiGatewayError\"}\n\n",
	} {
		for _, before := range []string{"", chunk} {
			for _, model := range []string{azure, "groq/llama", llama} {
				body = before + reported + "data: [DONE]\n\n"
				got := read(t, p.do(request{path: "/v1/chat/completions", body: streamBody(model)}))
				if strings.Count(got, `data: {"error":{"message":"overloaded`) != 1 || strings.Contains(got, "[DONE]") {
					t.Errorf("%s: %s of %s became\n%s", name, body, model, got)
				}
			}
		}
	}
}

// That holds even if the blank line after it is missing.
func TestTheEndOfAStreamIsSentOnce(t *testing.T) {
	contentType, body := "text/event-stream", ""
	p := start(t, setup{upstream: answering(t, &contentType, &body).URL})
	const usage = `"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}`
	for _, member := range []string{"", `"id":"x","object":"chat.completion.chunk","created":1,"model":"m",`} {
		for _, end := range []string{"data: [DONE]", "data: [DONE]\n", "data: [DONE]\n\n", "data: [DONE]\r"} {
			body = `data: {` + member + `"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}` + "\n\n" +
				`data: {` + member + `"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\n" +
				`data: {` + member + `"choices":[],` + usage + "}\n\n" + end
			for _, model := range []string{llama, azure, "groq/llama"} {
				for path, ask := range map[string]string{
					"/v1/chat/completions": streamBody(model),
					"/v1/completions":      `{"prompt":"x","stream":true,"model":"` + model + `"}`,
				} {
					ask = strings.Replace(ask, "{", `{"stream_options":{"include_usage":true},`, 1)
					got := read(t, p.do(request{path: path, body: ask}))
					if strings.Count(got, "[DONE]") != 1 || strings.Count(got, `"usage":{`) != 1 || strings.Count(got, `"finish_reason":"stop"`) != 1 {
						t.Errorf("%s of %s, ending on %q:\n%s", path, model, end, got)
					}
				}
			}
		}
	}
}

// A piece of an answer may end with half a character. The client must get whole characters wherever pieces
// are translated or held back.
func TestACharacterInTwoPiecesArrivesWhole(t *testing.T) {
	contentType, body := "text/event-stream", ""
	p := start(t, setup{upstream: answering(t, &contentType, &body).URL})
	const (
		chat   = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":%}}]}\n\n"
		native = "data: {\"response\":%}\n\n"
		google = "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":%}]}}]}\r\n\r\n"
		done   = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n"
	)
	for name, test := range map[string]struct{ path, model, frame, end string }{
		"a chat of Workers AI":       {"/v1/chat/completions", llama, chat, done},
		"a completion of Workers AI": {"/v1/completions", llama, native, "data: [DONE]\n\n"},
		"a completion of Azure":      {"/v1/completions", azure, chat, done},
		"a chat of Azure":            {"/v1/chat/completions", azure, chat, done},
		"a completion of OpenAI":     {"/v1/completions", "openai/gpt-4o", chat, done},
		"a chat of Gemini":           {"/v1/chat/completions", gemini, google, "data: {\"candidates\":[{\"finishReason\":\"STOP\"}]}\r\n\r\n"},
		"a completion of Gemini":     {"/v1/completions", gemini, google, "data: {\"candidates\":[{\"finishReason\":\"STOP\"}]}\r\n\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			body = strings.Replace(test.frame, "%", `"ok \ud83d"`, 1) + strings.Replace(test.frame, "%", `"\ude00!"`, 1) + test.end
			for _, stop := range []string{"", `"stop":["1","2","3","4","5","6","</code>"],`} {
				ask := `{` + stop + `"messages":[{"role":"user","content":"x"}],"prompt":"x","stream":true,"model":"` + test.model + `"}`
				got := read(t, p.do(request{path: test.path, body: ask}))
				text := ""
				for line := range strings.Lines(got) {
					choice := gjson.Get(strings.TrimPrefix(line, "data: "), "choices.0")
					text += choice.Get("delta.content").Raw + choice.Get("text").Raw
				}
				text = strings.ReplaceAll(text, `""`, "")
				if text == `"ok \ud83d\ude00!"` { // passed unchanged: the client joins the pieces
					text = `"ok 😀!"`
				}
				if whole := strings.ReplaceAll(strings.ReplaceAll(text, `" "`, " "), `"`, ""); whole != "ok 😀!" {
					t.Errorf("with %q: %s in\n%s", stop, text, got)
				}
			}
		})
	}
}
