package command

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
)

// agent is a program that client-config knows.
type agent struct {
	name, title string

	// formats are what --format takes for it. The first is the default; "text" cannot be asked for.
	formats []string

	// setup says how to connect it. nil: it is Continue, whose files are written elsewhere.
	setup func(clientConfig) ([]part, error)
}

// part is one thing to do to connect an agent: a file to write, variables to set, or fields to fill in.
type part struct {
	heading string
	content string // ends with a line break
}

const defaultAgent = "continue"

var agents = []agent{
	{defaultAgent, "Continue", []string{"yaml", "json"}, nil},
	{"claude-code", "Claude Code", []string{"text", "json"}, clientConfig.claudeCode},
	{"codex", "Codex", []string{"text"}, clientConfig.codex},
	{"opencode", "OpenCode", []string{"text", "json"}, clientConfig.openCode},
	{"gemini-cli", "Gemini CLI", []string{"text"}, clientConfig.geminiCLI},
	{"qwen-code", "Qwen Code", []string{"text", "json"}, clientConfig.qwenCode},
	{"cline", "Cline", []string{"text"}, clientConfig.cline},
	{"zed", "Zed", []string{"text"}, clientConfig.zed},
	{"copilot", "GitHub Copilot CLI", []string{"text"}, clientConfig.copilot},
	{"env", "Other programs", []string{"text"}, clientConfig.env},
}

// agentNames are the names that --for takes.
func agentNames() []string {
	var names []string
	for _, a := range agents {
		names = append(names, a.name)
	}
	return names
}

// findAgent returns an agent by its name, and the format to write for it: the one that is asked for,
// or its default if that is empty.
func findAgent(name, format string) (agent, string, error) {
	i := slices.IndexFunc(agents, func(a agent) bool { return a.name == name })
	if i < 0 {
		return agent{}, "", fmt.Errorf("--for %q: must be one of %s", name, strings.Join(agentNames(), ", "))
	}
	a := agents[i]
	switch {
	case format == "":
		return a, a.formats[0], nil
	case format != "yaml" && format != "json":
		return a, "", fmt.Errorf("--format %q: must be yaml or json", format)
	case slices.Contains(a.formats, format):
		return a, format, nil
	}
	others := slices.DeleteFunc(slices.Clone(a.formats), func(format string) bool { return format == "text" })
	if len(others) == 0 {
		return a, "", fmt.Errorf("--format %s: there is no such format for %s: leave --format out", format, name)
	}
	return a, "", fmt.Errorf("--format %s: there is no such format for %s: leave --format out, or take %s", format, name, strings.Join(others, " or "))
}

// write writes the configuration of an agent in one of its formats.
func (c clientConfig) write(out io.Writer, a agent, format string) error {
	if a.setup == nil {
		if format == "json" {
			return c.json(out)
		}
		return c.yaml(out)
	}
	if printable(c.email) != c.email {
		return fmt.Errorf("the email %q has characters that no client can send", c.email)
	}
	parts, err := a.setup(c)
	if err != nil {
		return fmt.Errorf("%s: %w", a.name, err)
	}
	if format == "json" { // of an agent that needs one file and nothing else
		_, err := io.WriteString(out, parts[0].content)
		return err
	}
	text := fmt.Sprintf("# %s for %s. Put your API key in the place of %s.\n", a.title, c.email, keyPlaceholder)
	for _, p := range parts {
		text += "\n# " + p.heading + ":\n" + p.content
	}
	_, err = io.WriteString(out, text)
	return err
}

// errNoChat is what an agent gets for a user who may use no chat model.
var errNoChat = errors.New("there is no chat model that this user may use: list some with `caddy continue-auth providers set NAME --model MODEL`")

// agentModels returns the models for an agent: those that chat and call tools, or if there are none,
// those that chat. The models of a preferred prefix come first, in the order of the prefixes. Names with
// control characters are left out: not every format can hold them.
func (c clientConfig) agentModels(prefer ...string) ([]clientModel, error) {
	all, _ := c.clientModels()
	chats := slices.DeleteFunc(all, func(m clientModel) bool { return !m.does("chat") || printable(m.model) != m.model })
	models := slices.DeleteFunc(slices.Clone(chats), func(m clientModel) bool { return !m.can("tool_use") })
	if len(models) == 0 {
		models = chats
	}
	if len(models) == 0 {
		return nil, errNoChat
	}
	rank := func(m clientModel) int {
		if i := slices.IndexFunc(prefer, func(prefix string) bool { return strings.HasPrefix(m.model, prefix) }); i >= 0 {
			return i
		}
		return len(prefer)
	}
	slices.SortStableFunc(models, func(a, b clientModel) int { return rank(a) - rank(b) })
	return models, nil
}

// small are models that are cheap enough for titles and summaries.
var small = regexp.MustCompile(`(?i)haiku|mini\b|nano|flash|lite`)

func isSmall(model string) bool { return small.MatchString(model) }

// mainModel is the model that an agent begins with.
func mainModel(models []clientModel) string {
	return choose(models, func(model string) bool { return !isSmall(model) })
}

// choose returns the first of the models that is of the same provider as the first of all and fits, or
// if none is, the first of all.
func choose(models []clientModel, fits func(string) bool) string {
	provider, _, _ := strings.Cut(models[0].model, "/")
	for _, m := range models {
		if strings.HasPrefix(m.model, provider+"/") && fits(m.model) {
			return m.model
		}
	}
	return models[0].model
}

// withEmail is the key for a client that cannot send the email in a header.
func (c clientConfig) withEmail() string { return c.email + ":" + keyPlaceholder }

// root is the base URL without /v1.
func (c clientConfig) root() string { return strings.TrimSuffix(c.apiBase, "/v1") }
