package caddyauth

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

// TestWhatGeminiIsAsked is what was dropped in silence once.
func TestWhatGeminiIsAsked(t *testing.T) {
	u := newUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"candidates":[{"content":{"parts":[{"text":"Hi"}]},"finishReason":"STOP"}]}`)
	})
	p := start(t, setup{upstream: u.URL})
	const gemini3 = "google-ai-studio/gemini-3-flash-preview"
	for name, test := range map[string]struct{ model, members, at, want string }{
		"a media type":            {gemini, `"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/jpg;base64,AAAA"}}]}]`, "contents.0.parts.0.inlineData.mimeType", `"image/jpeg"`},
		"a detail":                {gemini, `"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA","detail":"low"}}]}]`, "generationConfig.mediaResolution", `"MEDIA_RESOLUTION_LOW"`},
		"a detail of Gemini 3":    {gemini3, `"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA","detail":"low"}}]}]`, "contents.0.parts.0.mediaResolution", `{"level":"MEDIA_RESOLUTION_LOW"}`},
		"a schema behind allOf":   {gemini, `"messages":[{"role":"user","content":"x"}],"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","allOf":[{"properties":{"a":{"type":"string"}}}]}}}]`, "tools.0.functionDeclarations.0.parametersJsonSchema", `{"type":"object","properties":{"a":{"type":"string"}}}`},
		"an id that is repeated":  {gemini, `"messages":[{"role":"user","content":"x"},{"role":"assistant","tool_calls":[{"id":"1","type":"function","function":{"name":"f"}},{"id":"1","type":"function","function":{"name":"f"}}]},{"role":"tool","tool_call_id":"1","content":"a"},{"role":"tool","tool_call_id":"1","content":"b"}]`, "contents.2.parts.#.functionResponse.id", `["1","1_1"]`},
		"a way to think":          {gemini, `"messages":[{"role":"user","content":"x"}],"extra_body":{"google":{"thinking_config":{"thinking_budget":99}}}`, "generationConfig.thinkingConfig", `{"thinkingBudget":99}`},
		"a cached content":        {gemini, `"messages":[{"role":"user","content":"x"}],"google":{"cached_content":"cachedContents/x"}`, "cachedContent", `"cachedContents/x"`},
		"a search":                {gemini, `"messages":[{"role":"user","content":"x"}],"web_search_options":{}`, "tools", `[{"googleSearch":{}}]`},
		"a search and a function": {gemini3, `"messages":[{"role":"user","content":"x"}],"web_search_options":{},"tools":[{"type":"function","function":{"name":"f"}}]`, "toolConfig", `{"includeServerSideToolInvocations":true}`},
	} {
		if res := p.do(request{path: "/v1/chat/completions", body: `{"model":"` + test.model + `",` + test.members + `}`}); res.StatusCode != 200 {
			t.Errorf("%s: status %d: %s", name, res.StatusCode, read(t, res))
			continue
		}
		if _, sent := u.seen(); gjson.Get(sent, test.at).Raw != test.want {
			t.Errorf("%s: sent %s, want %s at %s", name, sent, test.want, test.at)
		}
	}
	for field, members := range map[string]string{
		"extra_body.google.labels":         `"extra_body":{"google":{"labels":{}}}`,
		"reasoning_effort":                 `"reasoning_effort":"low","google":{"thinking_config":{"thinking_budget":1}}`,
		"web_search_options":               `"web_search_options":{},"tools":[{"type":"function","function":{"name":"f"}}]`,
		"web_search_options.user_location": `"web_search_options":{"user_location":{}}`,
	} {
		res := p.do(request{path: "/v1/chat/completions", body: `{"model":"` + gemini + `","messages":[{"role":"user","content":"x"}],` + members + `}`})
		if body := read(t, res); res.StatusCode != 400 || gjson.Get(body, "error.param").Str != field {
			t.Errorf("%s: status %d: %s", field, res.StatusCode, body)
		}
	}
}

// TestWhatGeminiAnswers is what was dropped in silence once, or looked like a normal end.
func TestWhatGeminiAnswers(t *testing.T) {
	answer := ""
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, ":streamGenerateContent") {
			events(w)
			send(w, "data: "+answer+"\r\n\r\n")
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, answer)
	})
	p := start(t, setup{upstream: u.URL})
	for name, test := range map[string]struct{ parts, rest, at, want string }{
		"sources":        {`{"text":"Zürich."}`, `"finishReason":"STOP","groundingMetadata":{"groundingChunks":[{"web":{"uri":"https://a","title":"A"}}],"groundingSupports":[{"segment":{"endIndex":8,"text":"Zürich."},"groundingChunkIndices":[0]}]}`, "annotations", `[{"type":"url_citation","url_citation":{"start_index":0,"end_index":7,"url":"https://a","title":"A"}}]`},
		"an image":       {`{"inlineData":{"mimeType":"image/png","data":"AAAA"}}`, `"finishReason":"STOP"`, "images", `[{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]`},
		"code":           {`{"executableCode":{"language":"PYTHON","code":"x"}}`, `"finishReason":"STOP"`, "content", "\"\\n```python\\nx\\n```\\n\""},
		"no signature":   {``, `"finishReason":"MISSING_THOUGHT_SIGNATURE"`, "", "MISSING_THOUGHT_SIGNATURE"},
		"unknown reason": {``, `"finishReason":"A_NEW_REASON"`, "", "A_NEW_REASON"},
		"a file":         {`{"fileData":{"fileUri":"gs://x"}}`, `"finishReason":"STOP"`, "", "fileData"},
	} {
		answer = `{"candidates":[{"content":{"parts":[` + test.parts + `]},` + test.rest + `}]}`
		ask := `{"model":"` + gemini + `","messages":[{"role":"user","content":"x"}],"web_search_options":{}`
		res := p.do(request{path: "/v1/chat/completions", body: ask + `}`})
		body := read(t, res)
		stream := read(t, p.do(request{path: "/v1/chat/completions", body: ask + `,"stream":true}`}))
		if test.at == "" {
			if res.StatusCode != 502 || !strings.Contains(gjson.Get(body, "error.message").Str, test.want) {
				t.Errorf("%s: status %d: %s", name, res.StatusCode, body)
			}
			if strings.Contains(stream, "[DONE]") || !strings.Contains(stream, test.want) {
				t.Errorf("%s: stream\n%s", name, stream)
			}
			continue
		}
		if got := gjson.Get(body, "choices.0.message."+test.at).Raw; res.StatusCode != 200 || got != test.want {
			t.Errorf("%s: status %d: %s", name, res.StatusCode, body)
		}
		if !strings.Contains(stream, `"delta":{"`+test.at+`":`+test.want+`}`) || !strings.HasSuffix(stream, "data: [DONE]\n\n") {
			t.Errorf("%s: stream\n%s", name, stream)
		}
	}
}
