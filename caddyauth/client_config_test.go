package caddyauth

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

var everyKind = clientConfig{
	email: "dev@example.com", emailHeader: "X-User-Email", apiBase: "https://ai.example.com/v1",
	models: []string{
		"azure-openai/inst/gpt-5-mini", "azure-openai/inst/text-embedding-3-small", "google-ai-studio/gemini-2.5-flash", "google-ai-studio/gemini-embedding-001",
		"openai/gpt-4o-mini", "openrouter/openai/gpt-4o-mini", "workers-ai/@cf/meta/llama-3.1-8b-instruct", "workers-ai/@cf/qwen/qwen2.5-coder-32b-instruct",
		"workers-ai/@hf/thebloke/deepseek-coder-6.7b-base-awq", "workers-ai/@cf/baai/bge-m3", "workers-ai/@cf/baai/bge-reranker-base", "workers-ai/@cf/llava-hf/llava-1.5-7b-hf",
	},
}

func TestClientConfigs(t *testing.T) {
	for name, config := range map[string]clientConfig{
		"every_kind": everyKind,
		"odd_names":  {email: "o\"brien\\x#y@example.com", emailHeader: "X-Mail", apiBase: "http://localhost:8080/v1", models: []string{"groq/a: b", "groq/#x", "true/null", "x/é", `x/"q"`}},
		"no_models":  {email: "dev@example.com", emailHeader: "X-User-Email", apiBase: "https://ai.example.com/v1"},
	} {
		t.Run(name, func(t *testing.T) {
			var asYAML, asJSON strings.Builder
			if err := config.yaml(&asYAML); err != nil {
				t.Fatal(err)
			}
			if err := config.json(&asJSON); err != nil {
				t.Fatal(err)
			}
			for extension, got := range map[string]string{"yaml": asYAML.String(), "json": asJSON.String()} {
				file := filepath.Join("testdata", "client_config", name+"."+extension)
				if *update {
					if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(file)
				if err != nil || got != string(want) {
					t.Errorf("%v: got\n%s\nwant\n%s", err, got, want)
				}
			}
			checkYAML(t, config, asYAML.String())
			if !json.Valid([]byte(asJSON.String())) {
				t.Errorf("no JSON: %s", asJSON.String())
			}
		})
	}
}

// checkYAML reads a configuration as others do: every model is there once, with something to do.
func checkYAML(t *testing.T, config clientConfig, text string) {
	t.Helper()
	var read struct {
		Name, Version, Schema string
		Models                []struct {
			Name, Provider, Model string
			APIBase               string `yaml:"apiBase"`
			APIKey                string `yaml:"apiKey"`
			Roles, Capabilities   []string
			UseResponsesAPI       *bool          `yaml:"useResponsesApi"`
			EmbedOptions          map[string]int `yaml:"embedOptions"`
			RequestOptions        struct {
				Headers map[string]string
			} `yaml:"requestOptions"`
		}
	}
	d := yaml.NewDecoder(strings.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&read); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	var models, names []string
	for _, m := range read.Models {
		models, names = append(models, m.Model), append(names, m.Name)
		if m.Provider != "openai" || m.APIBase != config.apiBase || m.APIKey != keyPlaceholder || len(m.Roles) == 0 || m.RequestOptions.Headers[strings.ToLower(config.emailHeader)] != config.email {
			t.Errorf("%+v", m)
		}
		if responses := strings.Contains(m.Model, "gpt-5"); responses != (m.UseResponsesAPI != nil) {
			t.Errorf("useResponsesApi of %s", m.Model)
		}
	}
	want := slices.DeleteFunc(slices.Clone(config.models), func(m string) bool { return strings.Contains(m, "rerank") })
	if !slices.Equal(models, want) {
		t.Errorf("models %q, want %q", models, want)
	}
	slices.Sort(names)
	if len(slices.Compact(names)) != len(models) {
		t.Errorf("names %q", names)
	}
}
