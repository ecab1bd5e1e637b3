package provider

import "testing"

func TestAFamilyIsFoundByTheBeginningOfAName(t *testing.T) {
	for name, want := range map[string]string{
		"claude-opus-4-5":             "anthropic",
		"gpt-5":                       "openai",
		"gpt-4o-mini":                 "openai",
		"chatgpt-4o-latest":           "openai",
		"codex-mini-latest":           "openai",
		"o1":                          "openai",
		"o3-mini":                     "openai",
		"o4-mini":                     "openai",
		"gemini-2.5-flash":            "google-ai-studio",
		"@cf/meta/llama-3.1-8b":       "workers-ai",
		"@hf/thebloke/deepseek":       "workers-ai",
		"@xx/meta/llama":              "",
		"claude":                      "",
		"gpt":                         "",
		"o2":                          "",
		"llama-3.1":                   "",
		"Claude-opus":                 "",
		"":                            "",
		"openai/gpt-5":                "",
		"o1/x":                        "",
		"gpt-4/x":                     "",
		"claude-code/claude-opus-4-5": "",
	} {
		if got := Family(name); got != want {
			t.Errorf("the family of %q is %q, want %q", name, got, want)
		}
	}
}
