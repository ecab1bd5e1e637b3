package provider

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/continue-auth/caddy-continue-auth/provider/anthropic"
	"github.com/continue-auth/caddy-continue-auth/provider/hub"
)

var update = flag.Bool("update", false, "write what comes out to testdata")

// upstreams are models that are not Anthropic's, with an answer of each that calls a tool.
var upstreams = []struct{ name, answer string }{
	{"workers-ai/@cf/moonshotai/kimi-k2", chatCall},
	{"azure-openai/instance/gpt-5", chatCall},
	{"openai/gpt-5", chatCall},
	{"google-ai-studio/gemini-3-pro-preview", geminiCall},
}

const chatCall = `data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":null,"reasoning_content":"Which file?"},"finish_reason":null}]}

data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"I will look."},"finish_reason":null}]}

data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"functions.Read:0","type":"function","function":{"name":"Read","arguments":""}}]},"finish_reason":null}]}

data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"file_path\":"}}]},"finish_reason":null}]}

data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"\"README.md\"}"}}]},"finish_reason":null}]}

data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}

data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[],"usage":{"prompt_tokens":1200,"completion_tokens":30,"total_tokens":1230,"prompt_tokens_details":{"cached_tokens":1000}}}

data: [DONE]

`

const geminiCall = `data: {"candidates":[{"index":0,"content":{"role":"model","parts":[{"text":"Which file?","thought":true}]}}],"usageMetadata":{"promptTokenCount":1200,"cachedContentTokenCount":1000,"totalTokenCount":1200},"responseId":"r1"}

data: {"candidates":[{"index":0,"content":{"role":"model","parts":[{"text":"I will look."},{"functionCall":{"id":"fc.1","name":"Read","args":{"file_path":"README.md"}},"thoughtSignature":"c2ln"}]}}],"responseId":"r1"}

data: {"candidates":[{"index":0,"content":{"role":"model","parts":[]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":1200,"cachedContentTokenCount":1000,"candidatesTokenCount":20,"thoughtsTokenCount":10,"totalTokenCount":1230},"responseId":"r1"}

`

// messagesRequest reads a request in Anthropic's format for a model.
func messagesRequest(t *testing.T, body []byte, name string) *hub.Request {
	t.Helper()
	r, err := anthropic.ParseRequest(hub.Messages, body)
	if err != nil {
		t.Fatal(err)
	}
	r.User, r.Name = "dev@example.com", name
	if r.Provider, r.Model, err = Split(name); err != nil {
		t.Fatal(err)
	}
	r.SetModel(name)
	return r
}

// TestMessagesOfAgents sends what agents send (*.request.json, recorded from them) to models that are not
// Anthropic's, answers with a call of a tool, and compares what goes upstream and what comes back.
func TestMessagesOfAgents(t *testing.T) {
	files, err := filepath.Glob("testdata/messages/*.request.json")
	if err != nil || len(files) < 5 {
		t.Fatalf("%d requests, error %v", len(files), err)
	}
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, upstream := range upstreams {
			r := messagesRequest(t, bytes.Clone(body), upstream.name)
			base := strings.TrimSuffix(file, "request.json") + r.Provider
			t.Run(filepath.Base(base), func(t *testing.T) {
				made, err := New().Call(r)
				if err != nil {
					t.Fatal(err)
				}
				var out bytes.Buffer
				out.WriteString("POST " + made.Path + "?" + made.Query + "\n")
				if err := json.Indent(&out, made.Body, "", " "); err != nil {
					t.Fatal(err)
				}
				out.WriteString("\n\n")
				translator := made.Translate(&out, true)
				if _, err := translator.Write([]byte(upstream.answer)); err != nil {
					t.Fatal(err)
				}
				if err := translator.Close(); err != nil {
					t.Fatal(err)
				}
				golden(t, base+".golden", out.String())
			})
		}
	}
}

// golden compares what came out with a file.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; got\n%s", file, got)
	}
}

// TestGeminisSignaturesAreFoundAgain holds that the id of a call, which Anthropic's clients would not take as it
// is, leads back to the thought signature that came with it.
func TestGeminisSignaturesAreFoundAgain(t *testing.T) {
	const name = "google-ai-studio/gemini-3-pro-preview"
	providers := New()
	first, err := providers.Call(messagesRequest(t, []byte(`{"model":"m","messages":[{"role":"user","content":"x"}],"tools":[{"name":"Read"}]}`), name))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	translator := first.Translate(&out, true)
	_, _ = translator.Write([]byte(geminiCall))
	if err := translator.Close(); err != nil {
		t.Fatal(err)
	}
	var message struct{ Content json.RawMessage }
	if err := json.Unmarshal(out.Bytes(), &message); err != nil || bytes.Contains(out.Bytes(), []byte("fc.1")) || bytes.Contains(out.Bytes(), []byte("c2ln")) {
		t.Fatalf("%v: %s", err, out.Bytes())
	}
	var blocks []struct{ Type, ID string }
	_ = json.Unmarshal(message.Content, &blocks)
	call := blocks[len(blocks)-1]
	second, err := providers.Call(messagesRequest(t, []byte(`{"model":"m","messages":[{"role":"user","content":"x"},{"role":"assistant","content":`+string(message.Content)+`},{"role":"user","content":[{"type":"tool_result","tool_use_id":"`+call.ID+`","content":"text"}]}],"tools":[{"name":"Read"}]}`), name))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"functionCall":{"id":"fc.1"`, `"thoughtSignature":"c2ln"`, `"functionResponse":{"id":"fc.1","name":"Read"`} {
		if !bytes.Contains(second.Body, []byte(want)) {
			t.Errorf("no %s in %s", want, second.Body)
		}
	}
}

// message is a request in Anthropic's format with these members.
func message(members string) []byte {
	return []byte(`{"model":"m","max_tokens":9,"output_config":{"effort":"low"},` + members + `}`)
}

func TestMessagesInTheWordsOfTheProvider(t *testing.T) {
	const hi = `"messages":[{"role":"user","content":"hi"}]`
	for name, test := range map[string]struct{ has, hasNot []string }{
		"openai/gpt-5":                       {[]string{`"max_completion_tokens":9`, `"reasoning_effort":"low"`}, []string{`"max_tokens"`}},
		"openai/gpt-4o-mini":                 {[]string{`"max_tokens":9`}, []string{"reasoning_effort", "max_completion_tokens"}},
		"azure-openai/instance/o3":           {[]string{`"max_completion_tokens":9`, `"reasoning_effort":"low"`}, []string{`"max_tokens"`}},
		"azure-openai/instance/gpt-4o":       {[]string{`"max_tokens":9`}, []string{"reasoning_effort", "max_completion_tokens"}},
		"groq/openai/gpt-oss-120b":           {[]string{`"max_tokens":9`, `"reasoning_effort":"low"`}, nil},
		"workers-ai/@cf/openai/gpt-oss-120b": {[]string{`"max_tokens":9`, `"reasoning_effort":"low"`}, nil},
		"google-ai-studio/gemini-2.5-flash":  {[]string{`"maxOutputTokens":9`, `"thinkingBudget":1024`}, nil},
		"google-ai-studio/gemini-2.0-flash":  {[]string{`"maxOutputTokens":9`}, []string{"thinking"}},
	} {
		t.Run(name, func(t *testing.T) {
			made, err := New().Call(messagesRequest(t, message(hi), name))
			if err != nil {
				t.Fatal(err)
			}
			if !json.Valid(made.Body) || !made.Chat {
				t.Errorf("chat %t, body %s", made.Chat, made.Body)
			}
			for _, part := range test.has {
				if !bytes.Contains(made.Body, []byte(part)) {
					t.Errorf("no %s in %s", part, made.Body)
				}
			}
			for _, part := range test.hasNot {
				if bytes.Contains(made.Body, []byte(part)) {
					t.Errorf("%s in %s", part, made.Body)
				}
			}
		})
	}
	const chat = `{"model":"openai/gpt-5","messages":[{"role":"user","content":"hi"}],"max_tokens":9}`
	if made, err := call(hub.Chat, "openai/gpt-5", chat); err != nil || string(made.Body) != chat {
		t.Errorf("a client's own chat became %s, error %v", made.Body, err)
	}
}

func TestPDFsGoToWhoCanReadThem(t *testing.T) {
	body := message(`"messages":[{"role":"user","content":[{"type":"text","text":"x"},{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"aGk="}}]}]`)
	for name, want := range map[string]string{
		"google-ai-studio/gemini-2.5-flash": `{"inlineData":{"mimeType":"application/pdf","data":"aGk="}}`,
		"openai/gpt-5":                      `"file_data":"data:application/pdf;base64,aGk="`,
	} {
		made, err := New().Call(messagesRequest(t, bytes.Clone(body), name))
		if err != nil || !bytes.Contains(made.Body, []byte(want)) {
			t.Errorf("%s: error %v, no %s in %s", name, err, want, made.Body)
		}
	}
	var e *hub.Error
	_, err := New().Call(messagesRequest(t, bytes.Clone(body), "workers-ai/@cf/meta/llama"))
	if !errors.As(err, &e) || e.Status != 400 || e.Param != "messages[0].content[1].source" {
		t.Errorf("workers-ai: %+v", err)
	}
}

func TestCountsAreAskedOfWhoCounts(t *testing.T) {
	for name, want := range map[string]string{
		"anthropic/claude-x":                "anthropic/v1/messages/count_tokens",
		"google-ai-studio/gemini-2.5-flash": "google-ai-studio/v1beta/models/gemini-2.5-flash:countTokens",
		"workers-ai/@cf/meta/llama":         "",
		"azure-openai/instance/gpt-5":       "",
		"openai/gpt-5":                      "",
	} {
		r := messagesRequest(t, message(`"messages":[{"role":"user","content":"hi"}],"tools":[{"name":"f"}],"stream":true`), name)
		r.Endpoint = hub.MessageTokens
		made, err := New().Call(r)
		var e *hub.Error
		switch {
		case want == "" && (!errors.As(err, &e) || e.Status != 404 || e.Code != "model_not_found"):
			t.Errorf("%s: %+v", name, err)
		case want != "" && (err != nil || made.Path != want || made.Query != "" || made.Chat):
			t.Errorf("%s: %+v, error %v", name, made, err)
		}
	}
}

func TestAnAnswerWithoutACountIsAnError(t *testing.T) {
	r := messagesRequest(t, message(`"messages":[{"role":"user","content":"hi"}]`), "google-ai-studio/gemini-2.5-flash")
	r.Endpoint = hub.MessageTokens
	made, err := New().Call(r)
	if err != nil {
		t.Fatal(err)
	}
	for answer, status := range map[string]int{
		`{}`: 502, `no`: 502, `{"error":{"code":429,"message":"slow","status":"RESOURCE_EXHAUSTED"}}`: 429, `{"totalTokens":"7"}`: 502,
	} {
		var out bytes.Buffer
		translator := made.Translate(&out, false)
		_, _ = translator.Write([]byte(answer))
		var e *hub.Error
		if err := translator.Close(); !errors.As(err, &e) || e.Status != status || out.Len() > 0 {
			t.Errorf("%s: error %v, answer %s", answer, err, out.String())
		}
	}
}
