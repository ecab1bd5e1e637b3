package provider

import "strings"

// families are the beginnings of models' names by which their makers can be told. Where several fit, they
// name the same provider.
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

// Family returns the provider of a model that is named without one, such as anthropic for claude-opus-4-5;
// "" where the name does not tell, and where it begins with a provider.
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
