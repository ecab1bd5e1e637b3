package agents

import "strings"

type openCodeProvider struct {
	NPM       string                   `json:"npm,omitempty"`
	Name      string                   `json:"name,omitempty"`
	Options   openCodeOptions          `json:"options"`
	Whitelist []string                 `json:"whitelist,omitempty"`
	Models    map[string]openCodeModel `json:"models"`
}

type openCodeOptions struct {
	BaseURL string            `json:"baseURL"`
	APIKey  string            `json:"apiKey"`
	Headers map[string]string `json:"headers"`
}

// openCodeModel is a model that OpenCode may know under the name that it has in the configuration.
type openCodeModel struct {
	ID   string `json:"id,omitempty"` // what is sent; empty: the name that it has in the configuration
	Name string `json:"name,omitempty"`
}

// openCode: https://opencode.ai/docs/config and https://opencode.ai/docs/providers.
//
// Models of Anthropic and OpenAI go through OpenCode's own providers, which speak their formats and know
// what their models can do. Only the models here are offered there. All others go by chat completions.
func (c Config) openCode() ([]Part, error) {
	models, err := c.agentModels()
	if err != nil {
		return nil, err
	}
	providers := map[string]*openCodeProvider{}
	for _, m := range models {
		id, name := openCodeName(m.model)
		p := providers[id]
		if p == nil {
			p = &openCodeProvider{Options: openCodeOptions{c.APIBase, KeyPlaceholder, c.headers()}, Models: map[string]openCodeModel{}}
			providers[id] = p
		}
		if id == openCodeOther {
			p.NPM, p.Name = "@ai-sdk/openai-compatible", "AI proxy"
			p.Models[name] = openCodeModel{Name: m.name}
			continue
		}
		p.Whitelist = append(p.Whitelist, name)
		p.Models[name] = openCodeModel{ID: m.model}
	}
	full := func(model string) string {
		id, name := openCodeName(model)
		return id + "/" + name
	}
	content, err := jsonText(map[string]any{
		"$schema":     "https://opencode.ai/config.json",
		"model":       full(mainModel(models)),
		"small_model": full(choose(models, isSmall)),
		"provider":    providers,
	})
	return []Part{{"File ~/.config/opencode/opencode.json", content}}, err
}

const openCodeOther = "ai-proxy"

// openCodeName is the provider in OpenCode that a model goes through, and the model's name there.
func openCodeName(model string) (provider, name string) {
	provider, name, _ = strings.Cut(model, "/")
	if provider == "anthropic" || provider == "openai" {
		return provider, name
	}
	return openCodeOther, model
}
