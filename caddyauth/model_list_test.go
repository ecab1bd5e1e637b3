package caddyauth

import (
	"testing"

	"github.com/anthropics/anthropic-sdk-go/v2"
	"github.com/anthropics/anthropic-sdk-go/v2/option"
	"github.com/tidwall/gjson"
)

// The list is read with Anthropic's own library.
func TestAnthropicsClientsReadTheListOfModels(t *testing.T) {
	providers := defaultProviders()
	providers["anthropic"] = `{"models":["claude-sonnet-4-5"]}`
	p := start(t, setup{upstream: "127.0.0.1:1", providers: providers, options: `alias claude-fast groq/llama
alias "a \"quote\"" groq/llama`})
	client := func(key string) anthropic.Client {
		return anthropic.NewClient(option.WithBaseURL(p.url), option.WithAPIKey(key), option.WithMaxRetries(0))
	}
	dev := client(testEmail + ":" + testKey)
	want := []string{"claude-fast", `a "quote"`, "anthropic/claude-sonnet-4-5", "azure-openai/myinstance/gpt-4o", "google-ai-studio/gemini-2.5-flash", "openai/gpt-4o-mini", llama, "workers-ai/@cf/baai/bge-m3"}
	page, err := dev.Models.List(t.Context(), anthropic.ModelListParams{Limit: anthropic.Int(1000)})
	if err != nil {
		t.Fatal(err)
	}
	if len(page.Data) != len(want) || page.HasMore || page.FirstID != want[0] || page.LastID != want[len(want)-1] {
		t.Fatalf("the list is %s", page.RawJSON())
	}
	for i, model := range page.Data {
		if model.ID != want[i] || model.DisplayName != want[i] || model.Type != "model" || model.CreatedAt.Unix() != 0 {
			t.Errorf("model %d is %s, want %s", i, model.RawJSON(), want[i])
		}
	}
	one, err := dev.Models.Get(t.Context(), "claude-fast", anthropic.ModelGetParams{})
	if err != nil || one.ID != "claude-fast" || one.Type != "model" || one.DisplayName != "claude-fast" {
		t.Errorf("one model is %v, error %v", one, err)
	}
	nobody := client("none@example.com:plain-key")
	page, err = nobody.Models.List(t.Context(), anthropic.ModelListParams{})
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"data":[],"has_more":false,"first_id":null,"last_id":null}`; page.RawJSON() != want {
		t.Errorf("an empty list is %s, want %s", page.RawJSON(), want)
	}
}

func TestCodexGetsAnEmptyListOfModels(t *testing.T) {
	p := start(t, setup{upstream: "127.0.0.1:1"})
	for _, path := range []string{"/v1/models?client_version=0.171.0", "/models?x=1&client_version="} {
		res := p.do(request{method: "GET", path: path})
		if got := read(t, res); res.StatusCode != 200 || got != `{"models":[]}` || res.Header.Get("Etag") == "" {
			t.Errorf("status %d, ETag %q, body %s", res.StatusCode, res.Header.Get("Etag"), got)
		}
	}
	wantError(t, p.do(request{method: "GET", path: "/v1/models?client_version=0.171.0", header: as(testEmail, "wrong")}), 401, "invalid_api_key")
	one := read(t, p.do(request{method: "GET", path: "/v1/models/openai/gpt-4o-mini?client_version=0.171.0"}))
	if gjson.Get(one, "object").Str != "model" {
		t.Errorf("one model is %s", one)
	}
}
