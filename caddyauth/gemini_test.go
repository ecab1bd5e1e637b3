package caddyauth

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

const (
	geminiPath   = "/v1beta/models/gemini-2.5-flash"
	geminiBody   = `{"contents":[{"role":"user","parts":[{"text":"hi"}]}], "x":1.50}`
	geminiAnswer = `{"candidates":[{"content":{"role":"model","parts":[{"text":"an \"error\""}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":4,"totalTokenCount":7}}`
	geminiStream = "data: {\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"text\":\"a\"}]}}]}\r\n\r\ndata: " + geminiAnswer + "\r\n\r\n"
)

// geminiCLI returns the headers that Gemini CLI sends.
func geminiCLI() map[string]string {
	return map[string]string{"X-Goog-Api-Key": testEmail + ":" + testKey, "User-Agent": "GeminiCLI/0.50.0/gemini-2.5-flash (linux; x64)"}
}

func TestGeminisOwnFormatPassesUnchanged(t *testing.T) {
	for name, test := range map[string]struct{ path, answer, contentType, wantPath, prompt string }{
		"an object":                         {geminiPath + ":generateContent?key=never", geminiAnswer, "application/json", "google-ai-studio/v1beta/models/gemini-2.5-flash:generateContent", "3"},
		"a stream":                          {geminiPath + ":streamGenerateContent?alt=sse", geminiStream, "text/event-stream", "google-ai-studio/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse", "3"},
		"a stream that is a list":           {geminiPath + ":streamGenerateContent", "[" + geminiAnswer + "\n,\n" + geminiAnswer + "]", "application/json", "google-ai-studio/v1beta/models/gemini-2.5-flash:streamGenerateContent", "3"},
		"a count":                           {geminiPath + ":countTokens", `{"totalTokens":9}`, "application/json", "google-ai-studio/v1beta/models/gemini-2.5-flash:countTokens", ""},
		"a full name":                       {"/v1beta/models/google-ai-studio/gemini-2.5-flash:generateContent", geminiAnswer, "application/json", "google-ai-studio/v1beta/models/gemini-2.5-flash:generateContent", "3"},
		"a full name with an escaped slash": {"/v1beta/models/google-ai-studio%2Fgemini-2.5-flash:generateContent", geminiAnswer, "application/json", "google-ai-studio/v1beta/models/gemini-2.5-flash:generateContent", "3"},
	} {
		t.Run(name, func(t *testing.T) {
			u := newUpstream(t, answerWith(test.contentType, test.answer))
			p := start(t, setup{upstream: u.URL})
			res := p.do(request{path: test.path, header: geminiCLI(), body: geminiBody})
			if got := read(t, res); res.StatusCode != 200 || got != test.answer {
				t.Errorf("status %d, answer %s", res.StatusCode, got)
			}
			sent, body := u.seen()
			if body != geminiBody || sent.URL.String() != "/v1/acc/gw/"+test.wantPath || sent.Header.Get("X-Goog-Api-Key") != "google-canary" {
				t.Errorf("sent to %s with %v: %s", sent.URL, sent.Header, body)
			}
			wantFields(t, p.logged(res.Header.Get("X-Request-Id")), map[string]string{
				"client": "gemini-cli", "client_format": "gemini", "provider": "google-ai-studio", "model": "gemini-2.5-flash", "outcome": "ok", "prompt_tokens": test.prompt,
			})
		})
	}
}

// wantGoogleError checks that an answer is an error in Google's format.
func wantGoogleError(t *testing.T, res *http.Response, status int, name, says string) {
	t.Helper()
	body := read(t, res)
	e := gjson.Get(body, "error")
	if res.StatusCode != status || int(e.Get("code").Int()) != status || e.Get("status").Str != name || !strings.Contains(e.Get("message").Str, says) {
		t.Errorf("status %d, body %s, want %d %s that says %q", res.StatusCode, body, status, name, says)
	}
}

func TestErrorsOnGeminisPathsHaveGooglesShape(t *testing.T) {
	p := start(t, setup{upstream: "127.0.0.1:1"})
	wrong := map[string]string{"X-Goog-Api-Key": testEmail + ":wrong"}
	few := map[string]string{"X-Goog-Api-Key": "few@example.com:plain-key"}
	for name, test := range map[string]struct {
		request      request
		status       int
		google, says string
	}{
		"a wrong key":                 {request{path: geminiPath + ":generateContent", header: wrong, body: geminiBody}, 401, "UNAUTHENTICATED", "Invalid API key"},
		"a key in the URL":            {request{path: geminiPath + ":generateContent?key=" + testEmail + ":" + testKey, header: map[string]string{"X": ""}, body: geminiBody}, 401, "UNAUTHENTICATED", "Invalid API key"},
		"an array":                    {request{path: geminiPath + ":generateContent", header: geminiCLI(), body: "[]"}, 400, "INVALID_ARGUMENT", "JSON object"},
		"a model in the body":         {request{path: geminiPath + ":generateContent", header: geminiCLI(), body: `{"\u006dodel":"models/other"}`}, 400, "INVALID_ARGUMENT", "`model`"},
		"a model further inside":      {request{path: geminiPath + ":countTokens", header: geminiCLI(), body: `{"generateContentRequest":{"model":"models/other"}}`}, 400, "INVALID_ARGUMENT", "generateContentRequest.model"},
		"a model not allowed":         {request{path: geminiPath + ":generateContent", header: few, body: geminiBody}, 403, "PERMISSION_DENIED", ""},
		"another provider":            {request{path: "/v1beta/models/gpt-4o:generateContent", header: geminiCLI(), body: geminiBody}, 404, "NOT_FOUND", "google-ai-studio"},
		"a model out of place":        {request{path: "/v1beta/models/google-ai-studio/..%2Fx:generateContent", header: geminiCLI(), body: geminiBody}, 404, "NOT_FOUND", ""},
		"the list of models":          {request{method: "GET", path: "/v1beta/models", header: geminiCLI()}, 404, "NOT_FOUND", "base URL"},
		"a method that is not served": {request{path: geminiPath + ":batchGenerateContent", header: geminiCLI()}, 404, "NOT_FOUND", "base URL"},
		"a wrong HTTP method":         {request{method: "GET", path: geminiPath + ":generateContent", header: geminiCLI()}, 405, "UNIMPLEMENTED", "POST"},
		"no upstream":                 {request{path: geminiPath + ":generateContent", header: geminiCLI(), body: geminiBody}, 502, "UNAVAILABLE", "cannot be reached"},
		"a path that does not exist":  {request{path: "/v1beta", header: geminiCLI()}, 404, "NOT_FOUND", "base URL"},
	} {
		t.Run(name, func(t *testing.T) { wantGoogleError(t, p.do(test.request), test.status, test.google, test.says) })
	}
}

func TestGooglesOwnErrorsPass(t *testing.T) {
	const quota = `{"error":{"code":429,"message":"Quota of project_number:123 exceeded.","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"7s"}]}}`
	for name, test := range map[string]struct {
		status       int
		body, passes string
		want         int
		google, says string
	}{
		"a quota":               {429, quota, strings.Replace(quota, "project_number:123", "[redacted]", 1), 429, "", ""},
		"a bad key":             {400, `{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT","details":[{"reason":"API_KEY_INVALID"}]}}`, "", 502, "UNAVAILABLE", "own credentials"},
		"a gateway without key": {400, `{"success":false,"errors":[{"code":2040,"message":"no credentials"}]}`, "", 502, "UNAVAILABLE", "no credentials"},
	} {
		t.Run(name, func(t *testing.T) {
			u := newUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(test.status)
				_, _ = io.WriteString(w, test.body)
			})
			p := start(t, setup{upstream: u.URL})
			res := p.do(request{path: geminiPath + ":generateContent", header: geminiCLI(), body: geminiBody})
			if test.passes == "" {
				wantGoogleError(t, res, test.want, test.google, test.says)
				return
			}
			if got := read(t, res); res.StatusCode != test.want || got != test.passes {
				t.Errorf("status %d, body %s", res.StatusCode, got)
			}
		})
	}
}

func TestAFailedStreamOfGeminiEndsWithAnError(t *testing.T) {
	first, _, _ := strings.Cut(geminiStream, "data: "+geminiAnswer)
	const cut = `{"error":{"code":502,"message":"Try again: the provider's answer ended before it was complete.","status":"UNAVAILABLE","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"UPSTREAM_INVALID_RESPONSE","domain":"caddy-continue-auth"}]}}` + "\n\n"
	for name, test := range map[string]struct{ sent, want string }{
		"no finish reason":         {first, first + cut},
		"a complete stream":        {geminiStream, geminiStream},
		"a prompt that is blocked": {"data: {\"promptFeedback\":{\"blockReason\":\"SAFETY\"}}\n\n", "data: {\"promptFeedback\":{\"blockReason\":\"SAFETY\"}}\n\n"},
	} {
		t.Run(name, func(t *testing.T) {
			u := newUpstream(t, answerWith("text/event-stream", test.sent))
			p := start(t, setup{upstream: u.URL})
			res := p.do(request{path: geminiPath + ":streamGenerateContent?alt=sse", header: geminiCLI(), body: geminiBody})
			if got := read(t, res); got != test.want {
				t.Errorf("stream\n%q\nwant\n%q", got, test.want)
			}
		})
	}
}
