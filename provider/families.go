package provider

import "strings"

// families maps beginnings of model names to the models' providers. If several fit a name, they have the same
// provider.
var families = []struct{ prefix, provider string }{
	{"claude-", "anthropic"},
	{"gpt-", "openai"},
	{"chatgpt-", "openai"},
	{"codex-", "openai"},
	{"o1", "openai"},
	{"o3", "openai"},
	{"o4", "openai"},
	{"gemini-", "google-ai-studio"},
	{"@cf/", "workers-ai"},
	{"@hf/", "workers-ai"},
}

// Family returns the provider of a model that is named without one, such as anthropic for claude-opus-4-5. It
// returns "" if it does not know the name, and if the name begins with a provider.
func Family(name string) string {
	if provider, _, ok := strings.Cut(name, "/"); ok && validProvider(provider) {
		return ""
	}
	for _, family := range families {
		if strings.HasPrefix(name, family.prefix) {
			return family.provider
		}
	}
	return ""
}
