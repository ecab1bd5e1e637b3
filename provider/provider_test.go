package provider

import (
	"encoding/json"
	"errors"
	"io"
	"net/url"
	"path"
	"strings"
	"testing"

	"github.com/tidwall/sjson"

	"github.com/continue-auth/caddy-continue-auth/provider/anthropic"
	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/openai"
)

// call returns the call for a request for the model name.
func call(endpoint hub.Endpoint, name, body string) (*hub.Call, error) {
	content, err := sjson.Set(body, "model", name)
	if err != nil {
		return nil, err
	}
	r, err := openai.ParseRequest(endpoint, []byte(content))
	if endpoint == hub.Messages {
		r, err = anthropic.ParseRequest(endpoint, []byte(content))
	}
	if err != nil {
		return nil, err
	}
	if r.Provider, r.Model, err = Split(r.Name); err != nil {
		return nil, err
	}
	p := New()
	if err := p.For(r.Provider).Accepts(r.Model); err != nil {
		return nil, err
	}
	return p.Call(r)
}

// bodies are requests without their model.
var bodies = map[hub.Endpoint]string{
	hub.Chat:        `{"messages":[{"role":"user","content":"hi"}],"unknown":1.50}`,
	hub.Completions: `{"prompt":"def add","stop":["a"],"stream":true}`,
	hub.Responses:   `{"input":"hi"}`,
	hub.Embeddings:  `{"input":["a","b"]}`,
	hub.Messages:    `{"messages":[{"role":"user","content":"hi"}]}`,
}

func TestEachRequestGoesToItsProvidersPath(t *testing.T) {
	const llama = "workers-ai/@cf/meta/llama-3.1-8b-instruct"
	for _, test := range []struct {
		endpoint   hub.Endpoint
		name, path string
		model      string // in the body, if it differs from the client's
	}{
		{hub.Chat, llama, "workers-ai/v1/chat/completions", "@cf/meta/llama-3.1-8b-instruct"},
		{hub.Completions, llama, "workers-ai/@cf/meta/llama-3.1-8b-instruct", ""},
		{hub.Completions, "workers-ai/@hf/thebloke/deepseek-coder-6.7b-base-awq", "workers-ai/@hf/thebloke/deepseek-coder-6.7b-base-awq", ""},
		{hub.Responses, "workers-ai/@cf/openai/gpt-oss-20b", "workers-ai/v1/chat/completions", ""},
		{hub.Responses, "google-ai-studio/gemini-2.5-flash", "google-ai-studio/v1beta/models/gemini-2.5-flash:generateContent", ""},
		{hub.Responses, "groq/llama-3.3-70b", "compat/chat/completions", ""},
		{hub.Responses, "anthropic/claude-sonnet-4-5", "compat/chat/completions", ""},
		{hub.Embeddings, "workers-ai/@cf/baai/bge-m3", "workers-ai/v1/embeddings", "@cf/baai/bge-m3"},
		{hub.Chat, "azure-openai/your_instance/gpt-4o", "azure-openai/your_instance/gpt-4o/chat/completions", "gpt-4o"},
		{hub.Completions, "azure-openai/inst/gpt-4o", "azure-openai/inst/gpt-4o/chat/completions", ""},
		{hub.Responses, "azure-openai/inst/gpt-5", "azure-openai/inst/openai/responses", "gpt-5"},
		{hub.Embeddings, "azure-openai/inst/emb", "azure-openai/inst/emb/embeddings", "emb"},
		{hub.Chat, "google-ai-studio/gemini-2.5-flash", "google-ai-studio/v1beta/models/gemini-2.5-flash:generateContent", ""},
		{hub.Completions, "google-ai-studio/gemini-2.5-flash", "google-ai-studio/v1beta/models/gemini-2.5-flash:streamGenerateContent", ""},
		{hub.Messages, "google-ai-studio/gemini-2.5-flash", "google-ai-studio/v1beta/models/gemini-2.5-flash:generateContent", ""},
		{hub.Messages, "workers-ai/@cf/a/b", "workers-ai/v1/chat/completions", ""},
		{hub.Messages, "azure-openai/inst/gpt-5", "azure-openai/inst/gpt-5/chat/completions", ""},
		{hub.Messages, "openai/gpt-5", "compat/chat/completions", ""},
		{hub.Messages, "groq/llama-3.3-70b", "compat/chat/completions", ""},
		{hub.Embeddings, "google-ai-studio/gemini-embedding-001", "google-ai-studio/v1beta/models/gemini-embedding-001:batchEmbedContents", ""},
		{hub.Chat, "groq/llama-3.3-70b", "compat/chat/completions", "groq/llama-3.3-70b"},
		{hub.Chat, "dynamic/my-route", "compat/chat/completions", "dynamic/my-route"},
		{hub.Completions, "openai/gpt-4o-mini", "compat/chat/completions", ""},
		{hub.Responses, "openai/gpt-5", "openai/responses", "gpt-5"},
		{hub.Embeddings, "openai/text-embedding-3-small", "compat/embeddings", "openai/text-embedding-3-small"},
	} {
		got, err := call(test.endpoint, test.name, bodies[test.endpoint])
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		passes := got.Translate == nil || got.Translate(io.Discard, false) == nil
		if got.Path != test.path || passes != (test.model != "" && test.name != llama) {
			t.Errorf("%s: path %s, want %s; passes %v", test.name, got.Path, test.path, passes)
		}
		if test.model == "" {
			continue
		}
		if want, _ := sjson.Set(bodies[test.endpoint], "model", test.model); string(got.Body) != want {
			t.Errorf("%s: body %s, want %s", test.name, got.Body, want)
		}
	}
}

func TestLongNamesAreAccepted(t *testing.T) {
	provider, model := strings.Repeat("p", 64), strings.Repeat("m", 512)
	gotProvider, gotModel, err := Split(provider + "/" + model)
	if err != nil || gotProvider != provider || gotModel != model {
		t.Errorf("%q and %q, error %v", gotProvider, gotModel, err)
	}
}

func TestInvalidModelNamesAreRefused(t *testing.T) {
	for _, test := range []struct {
		endpoint hub.Endpoint
		name     string
	}{
		{hub.Chat, "gpt-5-mini"}, {hub.Chat, ""}, {hub.Chat, "/"}, {hub.Chat, "openai/"}, {hub.Chat, "/x"},
		{hub.Chat, "openai//x"}, {hub.Chat, "openai/x/"}, {hub.Chat, "openai/.."}, {hub.Chat, "openai/a/../b"}, {hub.Chat, "openai/a..b"},
		{hub.Chat, "openai/."}, {hub.Chat, "openai/x?y"}, {hub.Chat, "openai/x#y"}, {hub.Chat, "openai/x%2e"}, {hub.Chat, `openai/x\y`},
		{hub.Chat, "openai/x\ny"}, {hub.Chat, "openai/x y"}, {hub.Chat, "openai/x\u0085"}, {hub.Chat, "openai/x\u2028"}, {hub.Chat, "openai/\u202ex"},
		{hub.Chat, "OpenAI/x"}, {hub.Chat, "open ai/x"}, {hub.Chat, "../x"}, {hub.Chat, "./x"}, {hub.Chat, "openai/" + strings.Repeat("x", 513)},
		{hub.Chat, strings.Repeat("x", 65) + "/x"}, {hub.Chat, strings.Repeat("x", 20<<20) + "/x"},
		{hub.Chat, "workers-ai/llama"}, {hub.Chat, "workers-ai/@cf"}, {hub.Chat, "workers-ai/v1/chat"},
		{hub.Chat, "azure-openai/inst"}, {hub.Chat, "azure-openai/a/b/c"}, {hub.Chat, "azure-openai/evil.com/x"}, {hub.Chat, "azure-openai/a@b/x"}, {hub.Chat, "azure-openai/a:1/x"},
		{hub.Chat, "google-ai-studio/a/b"}, {hub.Chat, "google-ai-studio/gemini:countTokens"},
	} {
		_, err := call(test.endpoint, test.name, bodies[test.endpoint])
		var e *hub.Error
		if !errors.As(err, &e) || e.Status != 404 || e.Code != "model_not_found" || !e.Final {
			t.Errorf("%.100q: error %+v, want 404 model_not_found", test.name, err)
		}
	}
}

// FuzzModelToURL checks that the URL stays below the gateway's, whatever model a client names.
func FuzzModelToURL(f *testing.F) {
	for _, name := range []string{"workers-ai/@cf/meta/llama", "azure-openai/i/d", "google-ai-studio/gemini-x", "openai/x", "a/../b", "workers-ai/@cf/%2e%2e/x", "x/é:y;z"} {
		f.Add(name, uint8(0))
	}
	f.Fuzz(func(t *testing.T, name string, endpoint uint8) {
		got, err := call(hub.Endpoint(endpoint%4), name, bodies[hub.Endpoint(endpoint%4)])
		if err != nil {
			return
		}
		u := &url.URL{Path: "/v1/acc/gw/" + got.Path, RawQuery: got.Query}
		parsed, err := url.Parse(u.String())
		if err != nil || parsed.Path != u.Path || parsed.RawQuery != got.Query || parsed.Fragment != "" || parsed.Host != "" {
			t.Fatalf("%q became the URL %s (%v)", name, u, err)
		}
		provider, _, _ := strings.Cut(name, "/")
		first := map[string]string{"workers-ai": "workers-ai", "azure-openai": "azure-openai", "google-ai-studio": "google-ai-studio"}[provider]
		if first == "" {
			first = "compat"
			if endpoint%4 == uint8(hub.Responses) && provider == "openai" {
				first = "openai"
			}
		}
		if path.Clean(parsed.Path) != parsed.Path || !strings.HasPrefix(parsed.Path, "/v1/acc/gw/"+first+"/") {
			t.Fatalf("%q leads outside of the gateway: %s", name, parsed.Path)
		}
	})
}

// FuzzCall checks what goes upstream: it must be JSON and name the accepted model and no other. Otherwise the
// request must be refused.
func FuzzCall(f *testing.F) {
	for _, body := range []string{
		`{"model":"groq/m","prompt":["x"],"suffix":"y","stop":["1","2","3","4","5"],"max_completion_tokens":1,"stream":true}`,
		`{"model":"azure-openai/i/d","prompt":"x","messages":[{"role":"user","content":"hi"}],"\u006dessages":1,"input":"x","stream":true}`,
		`{"model":"workers-ai/@cf/a/qwen","prompt":"x","suffix":"y","temperature":1.50,"messages":[{"role":"user","content":[{"type":"text","text":"a"}]}],"input":["a"]}`,
		`{"model":"openai/gpt-5","input":"hi","prompt":"\ud800","best_of":2}`,
	} {
		for endpoint := range uint8(4) {
			f.Add(endpoint, []byte(body))
		}
	}
	providers := New()
	f.Fuzz(func(t *testing.T, endpoint uint8, body []byte) {
		r, err := openai.ParseRequest(hub.Endpoint(endpoint%4), body)
		if err != nil {
			return
		}
		if r.Provider, r.Model, err = Split(r.Name); err != nil || providers.For(r.Provider).Accepts(r.Model) != nil {
			return
		}
		r.AskUsage = true
		sent, err := providers.Call(r)
		var e *hub.Error
		if err != nil {
			if !errors.As(err, &e) || e.Status != 400 && e.Status != 404 || e.Message == "" {
				t.Fatalf("error %#v", err)
			}
			return
		}
		if !json.Valid(sent.Body) {
			t.Fatalf("%s sends %s", r.Name, sent.Body)
		}
		if r.Provider == "google-ai-studio" || sent.Path == "workers-ai/"+r.Model {
			return // only the path names the model
		}
		want := r.Model
		switch {
		case r.Provider == "azure-openai":
			_, want, _ = strings.Cut(r.Model, "/")
		case strings.HasPrefix(sent.Path, "compat/"):
			want = r.Name
		}
		if again, err := openai.ParseRequest(r.Endpoint, sent.Body); err != nil || again.Name != want {
			t.Fatalf("%s sends %s (%v)", r.Name, sent.Body, err)
		}
	})
}
