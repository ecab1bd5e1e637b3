package agents

import (
	"encoding/json"
	"flag"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
	"golang.org/x/net/http/httpguts"
)

func configFor(models ...string) Config {
	return Config{Email: "dev@example.com", EmailHeader: "X-User-Email", APIBase: "https://ai.example.com/v1", Models: models}
}

var everyKind = configFor(
	"azure-openai/inst/gpt-5-mini", "azure-openai/inst/text-embedding-3-small", "google-ai-studio/gemini-2.5-flash", "google-ai-studio/gemini-embedding-001",
	"openai/gpt-4o-mini", "openrouter/openai/gpt-4o-mini", "workers-ai/@cf/meta/llama-3.1-8b-instruct", "workers-ai/@cf/qwen/qwen2.5-coder-32b-instruct",
	"workers-ai/@hf/thebloke/deepseek-coder-6.7b-base-awq", "workers-ai/@cf/baai/bge-m3", "workers-ai/@cf/baai/bge-reranker-base", "workers-ai/@cf/llava-hf/llava-1.5-7b-hf",
	"anthropic/claude-haiku-4-5", "groq/openai/gpt-oss-120b", "mistral/codestral-latest", "dynamic/team",
)

func TestClientConfigsAreTheGoldenFiles(t *testing.T) {
	for name, config := range map[string]Config{
		"every_kind": everyKind,
		"odd_names": {Email: "o\"brien\\x#y@example.com", EmailHeader: "*Mail", APIBase: "http://localhost:8080/v1", Models: []string{
			"groq/a: b", "groq/#x", "true/null", "x/é", `x/"q"`, "@x/@y", "1/-", "x/日本-語", "x/'s", "x/a\u007fb", "x/a\u0085\u2028b", "x/ ", "x/{a}", "x/a, b", "x/<&>",
		}},
		"odd_email":                      {Email: "a'b\"c\\d: #\n\u0085@example.com", EmailHeader: "on", APIBase: "http://[::1]:8080/v1", Models: []string{"groq/a"}},
		"the_same_name_twice":            configFor("azure-openai/one/gpt-4o", "azure-openai/two/gpt-4o", "azure-openai/two/gpt_4o", "azure-openai/one/gpt-4o"),
		"a_general_model_completes":      configFor("azure-openai/inst/gpt-5-mini", "azure-openai/inst/gpt-4o", "azure-openai/inst/gpt-4o-mini", "anthropic/claude-3-5-haiku"),
		"no_model_completes":             configFor("workers-ai/@cf/meta/llama-3.1-8b-instruct", "google-ai-studio/gemini-2.5-flash"),
		"embeddings_and_a_reranker_only": configFor("workers-ai/@cf/baai/bge-reranker-base", "workers-ai/@cf/baai/bge-m3"),
		"a_reranker_only":                configFor("workers-ai/@cf/baai/bge-reranker-base"),
		"no_models":                      configFor(),
	} {
		t.Run(name, func(t *testing.T) {
			asYAML, asJSON := written(t, config)
			golden(t, name+".yaml", asYAML)
			golden(t, name+".json", asJSON)
			checkYAML(t, config, asYAML)
			checkJSON(t, config, asJSON)
		})
	}
}

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil || got != string(want) {
		t.Errorf("%v: got\n%s\nwant\n%s", err, got, want)
	}
}

func written(t *testing.T, config Config) (asYAML, asJSON string) {
	t.Helper()
	var y, j strings.Builder
	if err := config.yaml(&y); err != nil {
		t.Fatal(err)
	}
	if err := config.json(&j); err != nil {
		t.Fatal(err)
	}
	return y.String(), j.String()
}

func TestAModelsNameDecidesItsRoles(t *testing.T) {
	const (
		chats       = "chat, edit, apply"
		chatsAsWell = "chat, edit, apply, autocomplete"
		completes   = "autocomplete"
		embeds      = "embed"
	)
	for model, want := range map[string]struct{ name, roles, capabilities string }{
		"workers-ai/@cf/meta/llama-3.1-8b-instruct":               {"Llama 3.1 8B Instruct (Workers AI)", chats, "tool_use"},
		"workers-ai/@cf/meta/llama-3.2-11b-vision-instruct":       {"Llama 3.2 11B Vision Instruct (Workers AI)", chats, "tool_use, image_input"},
		"workers-ai/@cf/llava-hf/llava-1.5-7b-hf":                 {"Llava 1.5 7B HF (Workers AI)", chats, "image_input"},
		"workers-ai/@cf/deepseek-ai/deepseek-r1-distill-qwen-32b": {"Deepseek R1 Distill Qwen 32B (Workers AI)", chats, ""},
		"workers-ai/@cf/openai/gpt-oss-120b":                      {"GPT OSS 120B (Workers AI)", chats, "tool_use"},
		"workers-ai/@cf/defog/sqlcoder-7b-2":                      {"Sqlcoder 7B 2 (Workers AI)", chats, "tool_use"}, // Continue does not know its markers
		"workers-ai/@cf/qwen/qwen2.5-coder-32b-instruct":          {"Qwen2.5 Coder 32B Instruct (Workers AI)", chatsAsWell, "tool_use"},
		"workers-ai/@hf/thebloke/deepseek-coder-6.7b-instruct":    {"Deepseek Coder 6.7B Instruct (Workers AI)", chatsAsWell, "tool_use"},
		"workers-ai/@hf/thebloke/deepseek-coder-6.7b-base-awq":    {"Deepseek Coder 6.7B Base AWQ (Workers AI)", completes, ""},
		"workers-ai/@hf/thebloke/codellama-7b-instruct-awq":       {"Codellama 7B Instruct AWQ (Workers AI)", chatsAsWell, "tool_use"},
		"huggingface/bigcode/starcoder2-15b":                      {"Starcoder2 15B (huggingface)", completes, ""},
		"mistral/codestral-latest":                                {"Codestral Latest (mistral)", chatsAsWell, "tool_use"},
		"openrouter/qwen/Qwen3-Coder":                             {"Qwen3 Coder (openrouter)", chatsAsWell, "tool_use"},
		"google-ai-studio/gemini-2.5-flash":                       {"Gemini 2.5 Flash (Google AI Studio)", chats, "tool_use, image_input"},
		"google-ai-studio/gemini-embedding-001":                   {"Gemini Embedding 001 (Google AI Studio)", embeds, ""},
		"google-ai-studio/text-embedding-004":                     {"Text Embedding 004 (Google AI Studio)", embeds, ""},
		"workers-ai/@cf/baai/bge-large-en-v1.5":                   {"BGE Large En V1.5 (Workers AI)", embeds, ""},
		"workers-ai/@cf/google/embeddinggemma-300m":               {"Embeddinggemma 300M (Workers AI)", embeds, ""},
		"huggingface/intfloat/multilingual-e5-large":              {"Multilingual E5 Large (huggingface)", embeds, ""},
		"azure-openai/inst/o3-mini":                               {"O3 Mini (Azure OpenAI)", chats, "tool_use"}, // unlike o3, it takes no images
		"azure-openai/inst/o3-2025-04-16":                         {"O3 2025 04 16 (Azure OpenAI)", chats, "tool_use, image_input"},
		"azure-openai/inst/gpt-5":                                 {"GPT 5 (Azure OpenAI)", chats, "tool_use, image_input"},
		"openai/gpt-3.5-turbo":                                    {"GPT 3.5 Turbo (OpenAI)", chats, "tool_use"},
		"x/--":                                                    {"-- (x)", chats, "tool_use"},
	} {
		t.Run(model, func(t *testing.T) {
			m := newClientModel(model)
			if m.name != want.name || strings.Join(m.roles, ", ") != want.roles || strings.Join(m.capabilities, ", ") != want.capabilities {
				t.Errorf("%+v, want %+v", m, want)
			}
		})
	}
}

func TestWithoutACodeModelOneModelCompletes(t *testing.T) {
	for name, c := range map[string]struct {
		models []string
		want   []string
	}{
		"a code model comes before a small one":                {[]string{"openai/gpt-4o-mini", "mistral/codestral-latest"}, []string{"mistral/codestral-latest"}},
		"all code models complete":                             {[]string{"mistral/codestral-latest", "openrouter/qwen/qwen3-coder"}, []string{"mistral/codestral-latest", "openrouter/qwen/qwen3-coder"}},
		"the first of two small models completes":              {[]string{"openai/gpt-4o", "openai/gpt-4.1-nano", "anthropic/claude-3-5-haiku"}, []string{"openai/gpt-4.1-nano"}},
		"a model that thinks first does not complete":          {[]string{"openai/gpt-5-mini", "groq/openai/gpt-oss-20b"}, nil},
		"a model that would be sent markers does not complete": {[]string{"workers-ai/@cf/meta/llama-3.1-8b-instruct", "google-ai-studio/gemini-2.5-flash"}, nil},
		"an embeddings model does not complete":                {[]string{"x/gpt-4-mini-embed"}, nil},
		"without models none completes":                        {nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			models, _ := configFor(c.models...).clientModels()
			var got []string
			for _, m := range models {
				if m.does("autocomplete") {
					got = append(got, m.model)
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestChatIsUsedWhereContinueWouldSendResponses(t *testing.T) {
	for model, want := range map[string]bool{
		"azure-openai/inst/gpt-5-mini": true, "openai/gpt-6": true, "o1/x": true, "openrouter/openai/gpt-5": true,
		"azure-openai/inst/o3-mini": false, "openai/o1": false, "openai/gpt-4o": false, "openai/GPT-5": false, "x/gpt-5-embed": false,
	} {
		if m := newClientModel(model); m.useChat != want {
			t.Errorf("%s: %t, want %t", model, m.useChat, want)
		}
	}
}

// Each listed model must be in the file once, and have a role.
func TestEveryModelIsInTheFileOnce(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	parts := []string{"gpt", "4o", "mini", "qwen", "coder", "bge", "embed", "rerank", "base", "Instruct", "8b", "é", "-", "_", "haiku", "claude", "@cf/x/", "gpt-5"}
	for range 500 {
		var models []string
		for range random.IntN(12) {
			model := []string{"workers-ai", "openai", "o1", "x"}[random.IntN(4)] + "/"
			for range 1 + random.IntN(4) {
				model += parts[random.IntN(len(parts))] + []string{"", "-", "_"}[random.IntN(3)]
			}
			models = append(models, model)
		}
		config := configFor(models...)
		asYAML, asJSON := written(t, config)
		checkYAML(t, config, asYAML)
		checkJSON(t, config, asJSON)
		if t.Failed() {
			t.Fatalf("seed %d: %q", seed, models)
		}
	}
}

// FuzzClientConfig checks that the YAML and the JSON say the same, whatever the names of models and
// users are.
func FuzzClientConfig(f *testing.F) {
	f.Add("dev@example.com", "X-User-Email", "https://ai.example.com/v1", "workers-ai/@cf/meta/llama-3.1-8b-instruct", "openai/gpt-4o")
	f.Add("a\"\\\n@b", "*", "x: #", "null/y", "x/a\u0085b")
	f.Add("\xff", "~", "", "@/`", "%/{[,]}")
	f.Fuzz(func(t *testing.T, email, header, apiBase, first, second string) {
		if !httpguts.ValidHeaderFieldName(header) || len(header) > 256 {
			return // no configuration loads with it
		}
		header = http.CanonicalHeaderKey(header)
		config := Config{Email: email, EmailHeader: header, APIBase: apiBase}
		for _, model := range []string{first, second} {
			config.Models = append(config.Models, "x/"+model)
		}
		for _, text := range append(config.Models, email, header, apiBase) {
			if strings.ToValidUTF8(text, "") != text {
				return // YAML and JSON have no way to write it
			}
		}
		asYAML, asJSON := written(t, config)
		checkYAML(t, config, asYAML)
		checkJSON(t, config, asJSON)
	})
}

// wanted are the models that belong in the file.
func wanted(config Config) []string {
	var models []string
	for _, model := range config.Models {
		if !slices.Contains(models, model) && !strings.Contains(strings.ToLower(model), "rerank") {
			models = append(models, model)
		}
	}
	return models
}

// checkYAML reads a configuration as others do: every model is there once, with something to do.
func checkYAML(t *testing.T, config Config, text string) {
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
	if read.Name == "" || read.Version == "" || read.Schema != "v1" || read.Models == nil || !strings.HasPrefix(text, "# ") {
		t.Errorf("not a whole configuration:\n%s", text)
	}
	var models, names []string
	for _, m := range read.Models {
		models, names = append(models, m.Model), append(names, m.Name)
		email, ok := m.RequestOptions.Headers[strings.ToLower(config.EmailHeader)]
		if m.Provider != "openai" || m.APIBase != config.APIBase || m.APIKey != KeyPlaceholder || len(m.Roles) == 0 || !ok || email != config.Email {
			t.Errorf("%+v in\n%s", m, text)
		}
		if m.UseResponsesAPI != nil && *m.UseResponsesAPI {
			t.Errorf("%s would be sent to /responses", m.Model)
		}
	}
	if want := wanted(config); !slices.Equal(models, want) {
		t.Errorf("models %q, want %q", models, want)
	}
	slices.Sort(names)
	if len(slices.Compact(names)) != len(models) {
		t.Errorf("a name is there twice: %q", names)
	}
}

// checkJSON reads an old configuration: every model that chats is there once, and one at most
// completes and embeds.
func checkJSON(t *testing.T, config Config, text string) {
	t.Helper()
	var read struct {
		Models       []oldModel `json:"models"`
		Autocomplete *oldModel  `json:"tabAutocompleteModel"`
		Embeddings   *oldModel  `json:"embeddingsProvider"`
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&read); err != nil || read.Models == nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	var chats []string
	var completes, embeds string
	models, _ := config.clientModels()
	for _, m := range models {
		if m.does("chat") {
			chats = append(chats, m.model)
		}
		if m.does("autocomplete") && completes == "" {
			completes = m.model
		}
		if m.does("embed") && embeds == "" {
			embeds = m.model
		}
	}
	all := slices.Clone(read.Models)
	for _, one := range []struct {
		got  *oldModel
		want string
	}{{read.Autocomplete, completes}, {read.Embeddings, embeds}} {
		if (one.got == nil) != (one.want == "") || one.got != nil && one.got.Model != one.want {
			t.Errorf("%+v, want %q", one.got, one.want)
		}
		if one.got != nil {
			all = append(all, *one.got)
		}
	}
	var listed []string
	for _, m := range read.Models {
		listed = append(listed, m.Model)
	}
	if !slices.Equal(listed, chats) {
		t.Errorf("models %q, want %q", listed, chats)
	}
	for _, m := range all {
		if m.Provider != "openai" || m.APIBase != config.APIBase || m.APIKey != KeyPlaceholder || m.Title == "" || m.RequestOptions.Headers[strings.ToLower(config.EmailHeader)] != config.Email {
			t.Errorf("%+v", m)
		}
	}
}
