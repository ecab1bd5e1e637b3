package caddyauth

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strings"
)

// clientConfig is what Continue is to be told for one user.
type clientConfig struct {
	email, emailHeader string
	apiBase            string
	models             []string // "<provider>/<model>"
}

// keyPlaceholder stands for the user's key, which nobody has but the user.
const keyPlaceholder = "USER_KEY"

// clientModel is how Continue is to use a model.
type clientModel struct {
	name, model  string
	roles        []string
	capabilities []string
	useChat      bool // Continue would send POST /responses, which not every provider has
	batch        int  // how many inputs an embeddings model takes at once; 0: as many as Continue sends
}

// What Continue is told goes by the models' names, as Continue's own defaults do: nothing else says
// what a model can do.
var (
	embeds    = regexp.MustCompile(`(?i)embed|bge-(m3|small|base|large)|e5-|gte-`)
	reranks   = regexp.MustCompile(`(?i)rerank`)
	completes = regexp.MustCompile(`(?i)coder|codestral|starcoder|codellama|codegemma`)
	isBase    = regexp.MustCompile(`(?i)-base\b`)
	sees      = regexp.MustCompile(`(?i)vision|gpt-4o|gpt-4\.1|gpt-[5-9]|/o[34]\b|gemini|gemma-3|claude|llava|pixtral|llama-4|mistral-small-3`)
	callsNone = regexp.MustCompile(`(?i)llama-2|llava|gemma-2|deepseek-r1|-base\b|mistral-7b|phi-2|tinyllama`)
	responds  = regexp.MustCompile(`gpt-[5-9]`) // Continue's own test, of the whole name
)

// clientModels returns the models that Continue can use.
func (c clientConfig) clientModels() []clientModel {
	var all []clientModel
	for _, model := range c.models {
		m := clientModel{name: displayName(model), model: model, useChat: responds.MatchString(model)}
		switch {
		case reranks.MatchString(model):
			continue // there is no endpoint for it
		case embeds.MatchString(model):
			m.roles, m.useChat = []string{"embed"}, false
			if strings.HasPrefix(model, "google-ai-studio/") {
				m.batch = 100
			}
		case completes.MatchString(model) && isBase.MatchString(model):
			m.roles = []string{"autocomplete"}
		case completes.MatchString(model):
			m.roles = []string{"chat", "edit", "apply", "autocomplete"}
		default:
			m.roles = []string{"chat", "edit", "apply"}
		}
		if slices.Contains(m.roles, "chat") {
			if !callsNone.MatchString(model) {
				m.capabilities = append(m.capabilities, "tool_use")
			}
			if sees.MatchString(model) {
				m.capabilities = append(m.capabilities, "image_input")
			}
		}
		if slices.ContainsFunc(all, func(other clientModel) bool { return other.name == m.name }) {
			m.name = model
		}
		all = append(all, m)
	}
	return all
}

// displayName is a model's last part, with its provider.
func displayName(model string) string {
	provider, _, _ := strings.Cut(model, "/")
	if known := map[string]string{"workers-ai": "Workers AI", "azure-openai": "Azure OpenAI", "google-ai-studio": "Google AI Studio"}[provider]; known != "" {
		provider = known
	}
	return path.Base(model) + " (" + provider + ")"
}

// yaml writes Continue's config.yaml.
func (c clientConfig) yaml(out io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# Continue's configuration for %s: ~/.continue/config.yaml.\n# Put your API key in the place of %s.\n", printable(c.email), keyPlaceholder)
	b.WriteString("name: AI proxy\nversion: 1.0.0\nschema: v1\n")
	models := c.clientModels()
	if len(models) == 0 {
		b.WriteString("models: [] # none is listed that this user may use\n")
	} else {
		b.WriteString("models:\n")
	}
	for i, m := range models {
		fmt.Fprintf(&b, "  - name: %s\n    provider: openai\n    model: %s\n    apiBase: %s\n    apiKey: %s\n", scalar(m.name), scalar(m.model), scalar(c.apiBase), keyPlaceholder)
		if m.useChat {
			b.WriteString("    useResponsesApi: false\n")
		}
		fmt.Fprintf(&b, "    roles: [%s]\n", strings.Join(m.roles, ", "))
		if m.batch > 0 {
			fmt.Fprintf(&b, "    embedOptions:\n      maxBatchSize: %d\n", m.batch)
		}
		if len(m.capabilities) > 0 {
			fmt.Fprintf(&b, "    capabilities: [%s]\n", strings.Join(m.capabilities, ", "))
		}
		if i == 0 {
			fmt.Fprintf(&b, "    requestOptions: &user\n      headers:\n        %s: %s\n", strings.ToLower(c.emailHeader), scalar(c.email))
		} else {
			b.WriteString("    requestOptions: *user\n")
		}
	}
	_, err := out.Write(b.Bytes())
	return err
}

// printable is s without what would end a comment.
func printable(s string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f || c == 0x85 || c == 0x2028 || c == 0x2029 {
			return '?'
		}
		return c
	}, s)
}

// plainScalar is what YAML takes for a string without quotes.
var plainScalar = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9._/@()+-]*([ ][A-Za-z0-9._/@()+-]+)*$`)

// scalar is a string in YAML. One in double quotes is written as in JSON
// (https://yaml.org/spec/1.2.2/#732-double-quoted-style).
func scalar(s string) string {
	if plainScalar.MatchString(s) && !slices.Contains([]string{"true", "false", "null", "yes", "no", "on", "off", "y", "n"}, strings.ToLower(s)) {
		return s
	}
	if url := strings.TrimPrefix(strings.TrimPrefix(s, "https://"), "http://"); url != s && regexp.MustCompile(`^[A-Za-z0-9._/-]+(:[0-9]+)?[A-Za-z0-9._/-]*$`).MatchString(url) {
		return s
	}
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string can be encoded
	return strings.TrimSuffix(b.String(), "\n")
}

// oldModel is a model in Continue's old config.json.
type oldModel struct {
	Title           string           `json:"title,omitempty"`
	Provider        string           `json:"provider"`
	Model           string           `json:"model"`
	APIBase         string           `json:"apiBase"`
	APIKey          string           `json:"apiKey"`
	UseResponsesAPI *bool            `json:"useResponsesApi,omitempty"`
	MaxBatch        int              `json:"maxEmbeddingBatchSize,omitempty"`
	Capabilities    *oldCapabilities `json:"capabilities,omitempty"`
	RequestOptions  struct {
		Headers map[string]string `json:"headers"`
	} `json:"requestOptions"`
}

type oldCapabilities struct {
	Tools       bool `json:"tools"`
	UploadImage bool `json:"uploadImage"`
}

// json writes Continue's old config.json, which has one model each for tab completion and
// embeddings.
func (c clientConfig) json(out io.Writer) error {
	config := struct {
		Models       []oldModel `json:"models"`
		Autocomplete *oldModel  `json:"tabAutocompleteModel,omitempty"`
		Embeddings   *oldModel  `json:"embeddingsProvider,omitempty"`
	}{Models: []oldModel{}}
	for _, m := range c.clientModels() {
		old := oldModel{Title: m.name, Provider: "openai", Model: m.model, APIBase: c.apiBase, APIKey: keyPlaceholder, MaxBatch: m.batch}
		old.RequestOptions.Headers = map[string]string{strings.ToLower(c.emailHeader): c.email}
		if m.useChat {
			old.UseResponsesAPI = new(bool)
		}
		if slices.Contains(m.roles, "autocomplete") && config.Autocomplete == nil {
			config.Autocomplete = &old
		}
		if slices.Contains(m.roles, "embed") && config.Embeddings == nil {
			config.Embeddings = &old
		}
		if slices.Contains(m.roles, "chat") {
			chat := old
			chat.Capabilities = &oldCapabilities{slices.Contains(m.capabilities, "tool_use"), slices.Contains(m.capabilities, "image_input")}
			config.Models = append(config.Models, chat)
		}
	}
	return printJSON(out, config)
}
