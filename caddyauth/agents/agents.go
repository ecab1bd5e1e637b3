// Package agents writes the configurations of coding agents: the files and variables with which they use this
// server. The operator's commands and the pages for developers share it.
package agents

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
)

// Config is what the configuration of an agent needs for one user.
type Config struct {
	// Email is the user's email, and EmailHeader the request header that contains it.
	Email, EmailHeader string

	// APIBase is the server's base URL. It ends with /v1.
	APIBase string

	// Models are the models that the user may use, each as "<provider>/<model>".
	Models []string
}

// KeyPlaceholder stands for the user's key. Only the user has the key.
const KeyPlaceholder = "USER_KEY"

// Agent is a program that can be set up.
type Agent struct {
	// Name identifies the agent. Title is its name for people.
	Name, Title string

	// formats are the formats of its configuration. The first is the default. "text" cannot be asked for.
	formats []string

	// setup says how to connect it. Nil: it is Continue, whose files are written elsewhere.
	setup func(Config) ([]Part, error)
}

// Part is one thing to do to connect an agent: a file to write, variables to set, or fields to fill in.
type Part struct {
	Heading string
	Content string // ends with a line break
}

// Default is the name of the agent that is set up if no other is named.
const Default = "continue"

var agents = []Agent{
	{Default, "Continue", []string{"yaml", "json"}, nil},
	{"claude-code", "Claude Code", []string{"text", "json"}, Config.claudeCode},
	{"codex", "Codex", []string{"text"}, Config.codex},
	{"opencode", "OpenCode", []string{"text", "json"}, Config.openCode},
	{"gemini-cli", "Gemini CLI", []string{"text"}, Config.geminiCLI},
	{"qwen-code", "Qwen Code", []string{"text", "json"}, Config.qwenCode},
	{"cline", "Cline", []string{"text"}, Config.cline},
	{"zed", "Zed", []string{"text"}, Config.zed},
	{"copilot", "GitHub Copilot CLI", []string{"text"}, Config.copilot},
	{"env", "Other programs", []string{"text"}, Config.env},
}

// All returns the agents in the order in which they are shown.
func All() []Agent { return slices.Clone(agents) }

// Names returns the names of the agents.
func Names() []string {
	var names []string
	for _, a := range agents {
		names = append(names, a.Name)
	}
	return names
}

// Find returns an agent by its name, and the format to write for it: the one that is asked for, or the agent's
// default if that is empty. Its errors name the flags of `client-config`.
func Find(name, format string) (Agent, string, error) {
	i := slices.IndexFunc(agents, func(a Agent) bool { return a.Name == name })
	if i < 0 {
		return Agent{}, "", fmt.Errorf("--for %q: must be one of %s", name, strings.Join(Names(), ", "))
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

// Parts returns what to do to connect an agent. It returns an error if the agent cannot use any of the models.
func (c Config) Parts(a Agent) ([]Part, error) {
	if a.setup == nil {
		var b strings.Builder
		err := c.yaml(&b)
		return []Part{{"File ~/.continue/config.yaml", b.String()}}, err
	}
	if Printable(c.Email) != c.Email {
		return nil, fmt.Errorf("the email %q has characters that no client can send", c.Email)
	}
	parts, err := a.setup(c)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", a.Name, err)
	}
	return parts, nil
}

// Write writes the configuration of an agent in one of its formats.
func (c Config) Write(out io.Writer, a Agent, format string) error {
	if a.setup == nil {
		if format == "json" {
			return c.json(out)
		}
		return c.yaml(out)
	}
	parts, err := c.Parts(a)
	if err != nil {
		return err
	}
	if format == "json" { // of an agent that needs one file and nothing else
		_, err := io.WriteString(out, parts[0].Content)
		return err
	}
	text := fmt.Sprintf("# %s for %s. Put your API key in the place of %s.\n", a.Title, c.Email, KeyPlaceholder)
	for _, p := range parts {
		text += "\n# " + p.Heading + ":\n" + p.Content
	}
	_, err = io.WriteString(out, text)
	return err
}

// errNoChat means that the user may use no chat model.
var errNoChat = errors.New("there is no chat model that this user may use: list some with `caddy continue-auth providers set NAME --model MODEL`")

// agentModels returns the models for an agent: those that chat and call tools, or if there are none,
// those that chat. The models of a preferred prefix come first, in the order of the prefixes. Names with
// control characters are left out: not every format can hold them.
func (c Config) agentModels(prefer ...string) ([]clientModel, error) {
	all, _ := c.clientModels()
	chats := slices.DeleteFunc(all, func(m clientModel) bool { return !m.does("chat") || Printable(m.model) != m.model })
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
func (c Config) withEmail() string { return c.Email + ":" + KeyPlaceholder }

// root is the base URL without /v1.
func (c Config) root() string { return strings.TrimSuffix(c.APIBase, "/v1") }
