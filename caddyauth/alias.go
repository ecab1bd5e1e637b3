package caddyauth

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/continue-auth/caddy-continue-auth/provider"
)

// Alias is another name for a model, or for several models.
type Alias struct {
	// The name that clients use, such as `fast`. If it ends in `*`, it matches all names that begin with the
	// part before the `*`. It may also be the full name of a model, to redirect requests for that model.
	Name string `json:"name,omitempty"`

	// The full name of the model, `<provider>/<model>`. If it ends in `*`, the name must end in `*` too. The
	// part of the client's name that matches the name's `*` then replaces this one.
	Model string `json:"model,omitempty"`
}

// parseAlias checks an alias without knowing the providers' settings. A provider without settings is noticed
// only when a client asks for the model.
func parseAlias(name, model string) error {
	_, pattern := strings.CutSuffix(name, "*")
	start, moves := strings.CutSuffix(model, "*")
	switch {
	case name == "":
		return errors.New("the name is empty")
	case model == "":
		return fmt.Errorf("%q has no model: name one as <provider>/<model>", name)
	case strings.Contains(strings.TrimSuffix(name, "*"), "*"):
		return fmt.Errorf("%q can match no model: a * may stand at the end alone", name)
	case strings.Contains(start, "*"):
		return fmt.Errorf("%q is no model: a * may stand at the end alone", model)
	case moves && !pattern:
		return fmt.Errorf("%q has nothing to put in the place of the * of %q: end it in * too", name, model)
	}
	example := model
	if moves {
		example = start + "x" // any model
	}
	providerName, example, err := provider.Split(example)
	if err == nil && !moves {
		err = known().For(providerName).Accepts(example)
	}
	if err != nil {
		return fmt.Errorf("%q is no model: %s", model, strings.TrimSuffix(err.Error(), "."))
	}
	return nil
}

// known are the providers that check names. They have no requests, so they remember nothing.
var known = sync.OnceValue(provider.New)

// unmarshalAlias reads `alias <name> <provider>/<model>`. If a name has placeholders, it is checked when the
// configuration loads.
func (h *Handler) unmarshalAlias(d *caddyfile.Dispenser) error {
	var name, model string
	if !d.AllArgs(&name, &model) {
		return d.Errf("alias: expected a name and a model, such as fast groq/llama-3.3-70b-versatile")
	}
	added := Alias{strings.TrimSpace(name), strings.TrimSpace(model)}
	if !hasPlaceholder(name) && !hasPlaceholder(model) {
		if err := parseAlias(added.Name, added.Model); err != nil {
			return d.Errf("alias: %v", err)
		}
	}
	if slices.ContainsFunc(h.Aliases, func(a Alias) bool { return a.Name == added.Name }) {
		return d.Errf("alias: %q stands here twice", added.Name)
	}
	h.Aliases = append(h.Aliases, added)
	return nil
}

func hasPlaceholder(text string) bool {
	return strings.Contains(text, "{") && strings.Contains(text, "}")
}

// aliases returns the aliases with their placeholders replaced.
func (h *Handler) aliases(r resolver) (names modelNames) {
	names.exact = make(map[string]string)
	for _, alias := range h.Aliases {
		name, model := r.text("alias", alias.Name), r.text("alias", alias.Model)
		if err := parseAlias(name, model); err != nil {
			r.fail("alias", err)
		}
		if !names.add(name, model) {
			r.fail("alias", fmt.Errorf("%q stands here twice", name))
		}
	}
	slices.SortStableFunc(names.patterns, func(a, b namePattern) int { return cmp.Compare(len(b.start), len(a.start)) })
	return names
}
