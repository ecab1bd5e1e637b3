package agents

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Where the settings of each agent are described is named beside it.

// claudeCode: https://code.claude.com/docs/en/llm-gateway-protocol and
// https://code.claude.com/docs/en/settings.
func (c Config) claudeCode() ([]Part, error) {
	models, err := c.agentModels("anthropic/claude-")
	if err != nil {
		return nil, err
	}
	main := mainModel(models)
	family := func(name string) string {
		if m := choose(models, func(model string) bool { return strings.Contains(model, name) }); strings.Contains(m, name) {
			return m
		}
		return main
	}
	content, err := jsonText(map[string]any{"env": map[string]string{
		"ANTHROPIC_BASE_URL":             c.root(), // it adds /v1 itself
		"ANTHROPIC_AUTH_TOKEN":           c.withEmail(),
		"ANTHROPIC_MODEL":                main,
		"ANTHROPIC_DEFAULT_OPUS_MODEL":   family("opus"),
		"ANTHROPIC_DEFAULT_SONNET_MODEL": family("sonnet"),
		"ANTHROPIC_DEFAULT_HAIKU_MODEL":  family("haiku"),
	}})
	return []Part{{"File ~/.claude/settings.json", content}}, err
}

// keyVariable is the variable from which agents that let us name it read the key.
const keyVariable = "AI_PROXY_API_KEY"

// codex: https://github.com/openai/codex/blob/main/docs/config.md.
func (c Config) codex() ([]Part, error) {
	models, err := c.agentModels("openai/", "azure-openai/")
	if err != nil {
		return nil, err
	}
	return []Part{
		{"File ~/.codex/config.toml", fmt.Sprintf(`model = %s
model_provider = "ai-proxy"

[model_providers.ai-proxy]
name = "AI proxy"
base_url = %s
env_key = "%s"
wire_api = "responses"
http_headers = { %s = %s }
`, toml(mainModel(models)), toml(c.APIBase), keyVariable, toml(c.EmailHeader), toml(c.Email))},
		{"Variable for your shell", "export " + keyVariable + "=" + KeyPlaceholder + "\n"},
	}, nil
}

// geminiCLI: https://github.com/google-gemini/gemini-cli/blob/main/docs/reference/configuration.md.
// It puts the model's name in the path, so that the name has no provider.
func (c Config) geminiCLI() ([]Part, error) {
	model, err := c.gemini()
	if err != nil {
		return nil, err
	}
	key, err := dotenv(c.withEmail())
	if err != nil {
		return nil, err
	}
	settings, err := jsonText(map[string]any{"security": map[string]any{"auth": map[string]string{"selectedType": "gemini-api-key"}}})
	return []Part{
		{"File ~/.gemini/.env", fmt.Sprintf("GOOGLE_GEMINI_BASE_URL=%s\nGEMINI_API_KEY=%s\nGEMINI_MODEL=%s\n",
			c.root(), key, model)},
		{"File ~/.gemini/settings.json", settings},
	}, err
}

// gemini is the model for programs that speak Gemini's format, without the provider. They have no way to
// others.
func (c Config) gemini() (string, error) {
	const prefix = "google-ai-studio/"
	models, err := c.agentModels()
	if err != nil {
		return "", err
	}
	models = slices.DeleteFunc(models, func(m clientModel) bool { return !strings.HasPrefix(m.model, prefix+"gemini-") })
	if len(models) == 0 {
		return "", errors.New("there is no model " + prefix + "gemini-… that this user may use, and it speaks to no other")
	}
	return strings.TrimPrefix(mainModel(models), prefix), nil
}

type qwenModel struct {
	ID         string         `json:"id"`
	Name       string         `json:"name"`
	EnvKey     string         `json:"envKey"`
	BaseURL    string         `json:"baseUrl"`
	Generation map[string]any `json:"generationConfig"`
}

// qwenCode: https://qwenlm.github.io/qwen-code-docs/en/users/configuration/model-providers/.
func (c Config) qwenCode() ([]Part, error) {
	models, err := c.agentModels()
	if err != nil {
		return nil, err
	}
	var listed []qwenModel
	for _, m := range models {
		listed = append(listed, qwenModel{m.model, m.name, keyVariable, c.APIBase, map[string]any{"customHeaders": c.headers()}})
	}
	content, err := jsonText(map[string]any{
		"env":            map[string]string{keyVariable: KeyPlaceholder},
		"modelProviders": map[string]any{"openai": listed},
		"model":          map[string]string{"name": mainModel(models)},
		"security":       map[string]any{"auth": map[string]string{"selectedType": "openai"}},
	})
	return []Part{{"File ~/.qwen/settings.json", content}}, err
}

// cline: https://docs.cline.bot/provider-config/openai-compatible.
func (c Config) cline() ([]Part, error) {
	models, err := c.agentModels()
	if err != nil {
		return nil, err
	}
	return []Part{
		{"Settings of the extension", fmt.Sprintf("API Provider: OpenAI Compatible\nBase URL: %s\nAPI Key: %s\nModel ID: %s\n",
			c.APIBase, c.withEmail(), mainModel(models))},
		{"Or this command, for Cline in the terminal", fmt.Sprintf("cline auth -p openai-compatible -b %s -k %s -m %s\n",
			shell(c.APIBase), shell(c.withEmail()), shell(mainModel(models)))},
	}, nil
}

type zedModel struct {
	Name         string          `json:"name"`
	DisplayName  string          `json:"display_name"`
	MaxTokens    int             `json:"max_tokens"`
	Capabilities map[string]bool `json:"capabilities"`
}

// zedContext is what Zed is told of a model's context window, which it wants to know and nothing here
// says: what the providers' current models have at least.
const zedContext = 128_000

// zed: https://zed.dev/docs/ai/use-api-access#openai-compatible. The name of the variable is made of the
// provider's name.
func (c Config) zed() ([]Part, error) {
	models, err := c.agentModels()
	if err != nil {
		return nil, err
	}
	var listed []zedModel
	for _, m := range models {
		listed = append(listed, zedModel{m.model, m.name, zedContext, map[string]bool{
			"tools": m.can("tool_use"), "images": m.can("image_input"), "parallel_tool_calls": false, "prompt_cache_key": false,
		}})
	}
	content, err := jsonText(map[string]any{
		"agent": map[string]any{"default_model": map[string]string{"provider": "AI proxy", "model": mainModel(models)}},
		"language_models": map[string]any{"openai_compatible": map[string]any{"AI proxy": map[string]any{
			"api_url": c.APIBase, "available_models": listed,
		}}},
	})
	return []Part{
		{"Add to ~/.config/zed/settings.json (max_tokens is the size of the context window: correct it for your models)", content},
		{"Variable for your shell", "export " + keyVariable + "=" + shell(c.withEmail()) + "\n"},
	}, err
}

// copilot: https://docs.github.com/en/copilot/how-tos/copilot-cli/customize-copilot/use-byok-models.
func (c Config) copilot() ([]Part, error) {
	models, err := c.agentModels()
	if err != nil {
		return nil, err
	}
	return []Part{{"Variables for your shell", exports(
		"COPILOT_PROVIDER_TYPE", "openai",
		"COPILOT_PROVIDER_BASE_URL", c.APIBase,
		"COPILOT_PROVIDER_API_KEY", c.withEmail(),
		"COPILOT_MODEL", mainModel(models),
	)}}, nil
}

// env are the variables that the providers' own libraries read, and many agents with them. Those of
// Anthropic's and Google's come only with models of theirs.
func (c Config) env() ([]Part, error) {
	models, err := c.agentModels("openai/")
	if err != nil {
		return nil, err
	}
	parts := []Part{{"Variables for programs that speak OpenAI's format", exports(
		"OPENAI_BASE_URL", c.APIBase, "OPENAI_API_KEY", c.withEmail(), "OPENAI_MODEL", mainModel(models),
	)}}
	if models, _ := c.agentModels("anthropic/claude-"); strings.HasPrefix(models[0].model, "anthropic/claude-") {
		parts = append(parts, Part{"Variables for programs that speak Anthropic's format", exports(
			"ANTHROPIC_BASE_URL", c.root(), "ANTHROPIC_AUTH_TOKEN", c.withEmail(), "ANTHROPIC_MODEL", mainModel(models),
		)})
	}
	if model, err := c.gemini(); err == nil {
		parts = append(parts, Part{"Variables for programs that speak Gemini's format", exports(
			"GOOGLE_GEMINI_BASE_URL", c.root(), "GEMINI_API_KEY", c.withEmail(), "GEMINI_MODEL", model,
		)})
	}
	return parts, nil
}

// headers name the user beside the key.
func (c Config) headers() map[string]string { return map[string]string{c.EmailHeader: c.Email} }

func jsonText(v any) (string, error) {
	var b strings.Builder
	err := writeJSON(&b, v)
	return b.String(), err
}

// toml is a printable string in TOML, whose escapes are JSON's (https://toml.io/en/v1.0.0#string).
func toml(s string) string {
	text, _ := jsonText(s) // a string has no error
	return strings.TrimSuffix(text, "\n")
}

// plainWord is a string that a shell and a .env file take without quotes.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9@%+:,./_-]+$`)

// shell is a string in a POSIX shell.
func shell(s string) string {
	if plainWord.MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// exports are variables for a shell, given as name, value, name, value.
func exports(pairs ...string) string {
	var b strings.Builder
	for i := 0; i+1 < len(pairs); i += 2 {
		fmt.Fprintf(&b, "export %s=%s\n", pairs[i], shell(pairs[i+1]))
	}
	return b.String()
}

// dotenv is a string in a .env file, which knows no escapes but of line breaks
// (https://github.com/motdotla/dotenv#what-rules-does-the-parsing-engine-follow).
func dotenv(s string) (string, error) {
	if plainWord.MatchString(s) {
		return s, nil
	}
	for _, quote := range []string{"'", "`", `"`} {
		if !strings.ContainsAny(s, quote+"\n\r") && !(quote == `"` && strings.Contains(s, `\`)) {
			return quote + s + quote, nil
		}
	}
	return "", fmt.Errorf("a .env file cannot hold %q", s)
}
