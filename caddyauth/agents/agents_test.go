package agents

import (
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// forAgents is a configuration with a model of every provider whose format an agent speaks, and several
// of each size.
var forAgents = configFor(
	"anthropic/claude-haiku-4-5", "anthropic/claude-sonnet-4-5", "anthropic/claude-opus-4-5", "azure-openai/inst/gpt-5-mini", "dynamic/everyday",
	"google-ai-studio/gemini-embedding-001", "google-ai-studio/gemini-2.5-flash", "openai/text-embedding-3-small", "openai/gpt-5-mini", "openai/gpt-5",
	"workers-ai/@cf/llava-hf/llava-1.5-7b-hf", "workers-ai/@cf/meta/llama-3.1-8b-instruct", "workers-ai/@cf/baai/bge-reranker-base",
)

// oddAgents has what needs quotes in every format.
var oddAgents = Config{
	Email: "o'b\"r$ien\\#é<&>@example.com", EmailHeader: "X-Mail", APIBase: "http://[::1]:8080/v1",
	Models: []string{"anthropic/claude-x", "google-ai-studio/gemini-x", `groq/a "b" $(c)'d\e`, "openai/gpt-x"},
}

// mustWrite is the configuration of an agent in a format, or in its default if that is empty.
func mustWrite(t *testing.T, c Config, name, format string) string {
	t.Helper()
	a, format, err := Find(name, format)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := c.Write(&b, a, format); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestConfigurationsOfAgents(t *testing.T) {
	for _, name := range Names()[1:] {
		t.Run(name, func(t *testing.T) {
			golden(t, name+".txt", mustWrite(t, forAgents, name, ""))
			golden(t, name+"_other_models.txt", mustWrite(t, configFor("workers-ai/@cf/meta/llama-3.1-8b-instruct", "google-ai-studio/gemini-2.5-flash"), name, ""))
			if name != "gemini-cli" { // the .env file has no way to write it
				golden(t, name+"_odd_names.txt", mustWrite(t, oddAgents, name, ""))
			}
		})
	}
}

func TestJSONIsTheFileAlone(t *testing.T) {
	for _, a := range agents[1:] {
		if !slices.Contains(a.formats, "json") {
			continue
		}
		text, alone := mustWrite(t, forAgents, a.Name, ""), mustWrite(t, forAgents, a.Name, "json")
		if !json.Valid([]byte(alone)) || !strings.HasSuffix(text, ":\n"+alone) {
			t.Errorf("%s: got\n%s\nfor\n%s", a.Name, alone, text)
		}
	}
}

func TestContinueIsTheDefaultAgent(t *testing.T) {
	asYAML, asJSON := written(t, everyKind)
	if got := mustWrite(t, everyKind, Default, ""); got != asYAML {
		t.Errorf("got\n%s", got)
	}
	if got := mustWrite(t, everyKind, Default, "json"); got != asJSON {
		t.Errorf("got\n%s", got)
	}
}

func TestTheModelThatAnAgentBeginsWith(t *testing.T) {
	for name, c := range map[string]struct {
		agent  string
		models []string
		want   string
	}{
		"Claude Code takes a Claude before all others":     {"claude-code", []string{"azure-openai/i/gpt-5", "anthropic/claude-opus-4-5"}, `"ANTHROPIC_MODEL": "anthropic/claude-opus-4-5"`},
		"Claude Code takes no small Claude if it need not": {"claude-code", []string{"anthropic/claude-haiku-4-5", "anthropic/claude-opus-4-5"}, `"ANTHROPIC_MODEL": "anthropic/claude-opus-4-5"`},
		"Claude Code takes a small Claude if it must":      {"claude-code", []string{"anthropic/claude-haiku-4-5", "openai/gpt-5"}, `"ANTHROPIC_MODEL": "anthropic/claude-haiku-4-5"`},
		"Claude Code takes another model":                  {"claude-code", []string{"groq/x"}, `"ANTHROPIC_DEFAULT_HAIKU_MODEL": "groq/x"`},
		"what is not listed is the first model":            {"claude-code", []string{"anthropic/claude-haiku-4-5", "anthropic/claude-sonnet-4-5"}, `"ANTHROPIC_DEFAULT_OPUS_MODEL": "anthropic/claude-sonnet-4-5"`},
		"Codex takes OpenAI's before all others":           {"codex", []string{"anthropic/claude-opus-4-5", "azure-openai/i/gpt-5", "openai/gpt-5"}, `model = "openai/gpt-5"`},
		"Codex takes Azure's next":                         {"codex", []string{"anthropic/claude-opus-4-5", "azure-openai/i/gpt-5"}, `model = "azure-openai/i/gpt-5"`},
		"Codex takes another model":                        {"codex", []string{"groq/x"}, `model = "groq/x"`},
		"Codex takes no model that embeds":                 {"codex", []string{"openai/text-embedding-3-small", "openai/gpt-5"}, `model = "openai/gpt-5"`},
		"Gemini CLI takes a Gemini, without the provider":  {"gemini-cli", []string{"anthropic/claude-x", "google-ai-studio/gemma-3", "google-ai-studio/gemini-x"}, "GEMINI_MODEL=gemini-x\n"},
		"Codex takes no small model if it need not":        {"codex", []string{"openai/gpt-5-mini", "openai/gpt-5"}, `model = "openai/gpt-5"`},
		"a model that calls tools goes first":              {"copilot", []string{"workers-ai/@cf/llava-hf/llava-1.5-7b-hf", "groq/x"}, "COPILOT_MODEL=groq/x\n"},
		"a model that calls none is better than nothing":   {"copilot", []string{"workers-ai/@cf/llava-hf/llava-1.5-7b-hf"}, "COPILOT_MODEL=workers-ai/@cf/llava-hf/llava-1.5-7b-hf\n"},
		"OpenCode has a small model for titles":            {"opencode", []string{"openai/gpt-5", "openai/gpt-5-mini"}, `"small_model": "openai/gpt-5-mini"`},
		"OpenCode's small model is of the same provider":   {"opencode", []string{"openai/gpt-5", "workers-ai/gemini-flash"}, `"small_model": "openai/gpt-5"`},
	} {
		t.Run(name, func(t *testing.T) {
			if got := mustWrite(t, configFor(c.models...), c.agent, ""); !strings.Contains(got, c.want) {
				t.Errorf("no %s in\n%s", c.want, got)
			}
		})
	}
}

func TestAgentsAndFormatsThatAreRefused(t *testing.T) {
	for name, c := range map[string]struct{ agent, format, want string }{
		"an unknown agent":                  {"emacs", "", `--for "emacs": must be one of continue, claude-code, codex, opencode, gemini-cli, qwen-code, cline, zed, copilot, env`},
		"no agent":                          {"", "", `--for "": must be one of`},
		"an unknown format":                 {"codex", "toml", `--format "toml": must be yaml or json`},
		"the name of the usual format":      {"codex", "text", `--format "text": must be yaml or json`},
		"a format that the agent has not":   {"claude-code", "yaml", "--format yaml: there is no such format for claude-code: leave --format out, or take json"},
		"an agent with more than one file":  {"gemini-cli", "json", "--format json: there is no such format for gemini-cli: leave --format out"},
		"variables, which have no format":   {"env", "yaml", "--format yaml: there is no such format for env: leave --format out"},
		"an agent whose file is not JSON":   {"codex", "json", "--format json: there is no such format for codex: leave --format out"},
		"an agent with a file and a secret": {"zed", "json", "--format json: there is no such format for zed: leave --format out"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, _, err := Find(c.agent, c.format); err == nil || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("%v, want %s", err, c.want)
			}
		})
	}
}

func TestUsersWithoutAModelForTheAgent(t *testing.T) {
	for _, a := range agents[1:] {
		for what, c := range map[string]Config{"no model": configFor(), "none that chats": configFor("openai/text-embedding-3-small", "x/rerank")} {
			if err := c.Write(&strings.Builder{}, a, "text"); err == nil || !strings.HasPrefix(err.Error(), a.Name+": there is no chat model that this user may use") {
				t.Errorf("%s, %s: %v", a.Name, what, err)
			}
		}
	}
	a, _, _ := Find("gemini-cli", "")
	for _, model := range []string{"openai/gpt-5", "google-ai-studio/gemma-3", "x/gemini-2.5-flash"} {
		if err := configFor(model).Write(&strings.Builder{}, a, "text"); err == nil || !strings.Contains(err.Error(), "there is no model google-ai-studio/gemini-… that this user may use") {
			t.Errorf("%s: %v", model, err)
		}
	}
}

// TestAShellReadsTheVariables has a real shell read what is printed.
func TestAShellReadsTheVariables(t *testing.T) {
	for agent, variable := range map[string]string{"copilot": "COPILOT_PROVIDER_API_KEY", "env": "OPENAI_API_KEY", "zed": keyVariable} {
		text := mustWrite(t, oddAgents, agent, "")
		lines := text[strings.Index(text, "export "):]
		sh := exec.Command("sh", "-c", lines+"\nprintf %s \"$"+variable+"\"")
		got, err := sh.Output()
		if err != nil || string(got) != oddAgents.withEmail() {
			t.Errorf("%s: %s, %v", agent, got, err)
		}
	}
}

func TestDotenv(t *testing.T) {
	for s, want := range map[string]string{
		"dev@example.com:KEY": "dev@example.com:KEY",
		"o'b@x":               "`o'b@x`",
		"a b#c$d":             "'a b#c$d'",
		"o'b`@x":              "\"o'b`@x\"",
	} {
		if got, err := dotenv(s); got != want || err != nil {
			t.Errorf("%s: %s, %v; want %s", s, got, err, want)
		}
	}
	for _, s := range []string{"'`\"", "a\nb", "'`\\"} {
		if got, err := dotenv(s); err == nil {
			t.Errorf("%q: %s", s, got)
		}
	}
}

func TestNamesWithControlCharactersAreLeftOut(t *testing.T) {
	c := configFor("openai/a\x1b[2Jb", "anthropic/claude-\x1b", "google-ai-studio/gemini-\x1b", "google-ai-studio/gemini-x")
	for _, a := range agents[1:] {
		if got := mustWrite(t, c, a.Name, ""); strings.ContainsAny(got, "\x1b") || strings.Contains(got, "u001b") || !strings.Contains(got, "gemini-x") {
			t.Errorf("%s: %q", a.Name, got)
		}
	}
	c.Email = "a\x1bb@example.com"
	for _, a := range agents[1:] {
		if err := c.Write(&strings.Builder{}, a, "text"); err == nil || !strings.Contains(err.Error(), "characters that no client can send") {
			t.Errorf("%s: %v", a.Name, err)
		}
	}
}
