package caddyauth

import (
	"slices"
	"strings"

	"github.com/continue-auth/caddy-continue-auth/provider"
)

// modelNames are the operator's aliases.
type modelNames struct {
	exact    map[string]string
	listed   []string      // the names of exact, as the operator has ordered them
	patterns []namePattern // the longest first
}

// namePattern leads all names that begin with start to model. If moves, model is a beginning too, and gets what is
// left of the name.
type namePattern struct {
	start, model string
	moves        bool
}

// add adds an alias, which is in order. It reports whether there was none of that name.
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

// full returns the name, "<provider>/<model>", of the model that a client means by a name: that of an
// alias, of the longest pattern among those that match, of a family, or the name as it is. It does this
// once: what an alias leads to is a model, not a further alias.
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
