package pages

import (
	"html"
	"strings"
)

// SignIn is the page on which a developer signs in.
type SignIn struct {
	Email string // as it was typed before
}

func (SignIn) template() string { return "signin" }

// Portal is what a developer sees after signing in.
type Portal struct {
	Key    Key
	Team   string // or ""
	Limits []Limit

	// Usage is what the developer has used. Nil means that the server does not keep it, or if UsageUnread is set,
	// that it cannot be read now.
	Usage       *Usage
	UsageUnread bool

	// Agents are the agents that can be set up. The chosen one is Here.
	Agents []Link

	// Parts are what to do to connect the chosen agent, and Placeholder stands for the key in them. If they
	// are nil, the user has no model for the agent.
	Parts       []Code
	Placeholder string

	// LeftOut is how many models are not in Parts because they would be too long.
	LeftOut int64

	// Providers are the models that the user may use. MoreModels is how many are not shown.
	Providers  []Provider
	MoreModels int64
}

func (Portal) template() string { return "portal" }

// Code is a text that can be copied.
type Code struct {
	ID, Heading, Text string
}

// Provider is an AI provider with the names of its models.
type Provider struct {
	Name   string
	Models []string
}

// aliases is the heading of the names that do not begin with a provider.
const aliases = "Short names"

// maxListed is how many bytes of HTML the names of models take, so that a page stays small.
const maxListed = 16 << 10

// SetModels sets Providers and MoreModels. names are the models' full names, in any order, and aliases.
func (p *Portal) SetModels(names []string) {
	var short Provider
	places := make(map[string]int)
	size := 0
	for _, name := range names {
		if size += len(html.EscapeString(name)) + len("<li><code></code></li>\n"); size > maxListed {
			p.MoreModels++
			continue
		}
		provider, _, ok := strings.Cut(name, "/")
		if !ok {
			short.Models = append(short.Models, name)
			continue
		}
		i, known := places[provider]
		if !known {
			i = len(p.Providers)
			places[provider] = i
			p.Providers = append(p.Providers, Provider{Name: provider})
		}
		p.Providers[i].Models = append(p.Providers[i].Models, name)
	}
	if short.Models != nil {
		short.Name = aliases
		p.Providers = append(p.Providers, short)
	}
}
