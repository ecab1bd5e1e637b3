package caddyauth

import (
	"slices"
	"strings"

	"github.com/continue-auth/caddy-continue-auth/provider"
)

// modelNames are the operator's aliases.
type modelNames struct {
	exact    map[string]string
	listed   []string      // the names in exact, in the operator's order
	patterns []namePattern // the longest first
}

// namePattern is an alias that ends in `*`. It replaces all names that begin with start by model. If moves is
// true, the rest of the name is appended to model.
type namePattern struct {
	start, model string
	moves        bool
}

// add adds a valid alias. It reports false if there is one of that name already.
func (n *modelNames) add(name, model string) bool {
	start, pattern := strings.CutSuffix(name, "*")
	if !pattern {
		if _, there := n.exact[name]; there {
			return false
		}
		n.exact[name] = model
		n.listed = append(n.listed, name)
		return true
	}
	if slices.ContainsFunc(n.patterns, func(p namePattern) bool { return p.start == start }) {
		return false
	}
	model, moves := strings.CutSuffix(model, "*")
	n.patterns = append(n.patterns, namePattern{start, model, moves})
	return true
}

// full returns the full name, "<provider>/<model>", for a name that a client uses. It tries, in this order,
// the exact aliases, the longest pattern that matches, and the families. Other names are returned unchanged.
// The result is not looked up among the aliases again.
func (n *modelNames) full(name string) string {
	if model, ok := n.exact[name]; ok {
		return model
	}
	for _, p := range n.patterns {
		rest, ok := strings.CutPrefix(name, p.start)
		switch {
		case ok && p.moves:
			return p.model + rest
		case ok:
			return p.model
		}
	}
	if family := provider.Family(name); family != "" {
		return family + "/" + name
	}
	return name
}
