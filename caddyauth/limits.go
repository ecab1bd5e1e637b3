package caddyauth

import (
	"cmp"
	"errors"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/tidwall/gjson"

	"github.com/continue-auth/caddy-continue-auth/usage"
)

// Limits are what each user may use, and what all users of a team may use together.
type Limits struct {
	Allowance

	// What all users with the same value of a metadata entry may use together.
	Team *TeamLimits `json:"team,omitempty"`
}

// Allowance is the most that may be used.
type Allowance struct {
	// How many requests may be made within a time, in the form `<n>/<window>`, such as `120/1m`. A window is a
	// duration from `1s` to `24h`, which slides, or `day` or `month`, which begin at 00:00 UTC. All of them
	// apply.
	Requests []string `json:"requests,omitempty"`

	// How many tokens may be used within a time, in the same form. Tokens are those of the prompt, cached ones
	// included, and of the answer.
	Tokens []string `json:"tokens,omitempty"`

	// How many requests may be in flight at once. Default: any number.
	Parallel Value `json:"parallel,omitempty"`
}

// TeamLimits are what a team may use.
type TeamLimits struct {
	Allowance

	// The name of the entry in users' metadata whose value is the name of their team. Required.
	Metadata string `json:"metadata,omitempty"`
}

// quotas are Limits with placeholders replaced.
type quotas struct {
	user, team usage.Limits
	teamEntry  string // the name of the metadata entry; "" if teams have no limits
}

// resolve replaces the placeholders.
func (l *Limits) resolve(r resolver) quotas {
	resolved := quotas{user: l.Allowance.resolve(r, "limits")}
	if l.Team != nil {
		resolved.teamEntry = r.required("limits.team.metadata", l.Team.Metadata, "the name of the metadata entry that names a user's team")
		resolved.team = l.Team.resolve(r, "limits.team")
		if resolved.team.Empty() {
			r.fail("limits.team", errors.New("has no limits; set requests, tokens or parallel"))
		}
	}
	return resolved
}

func (a *Allowance) resolve(r resolver, name string) (l usage.Limits) {
	l.Requests = r.rates(name+".requests", a.Requests)
	l.Tokens = r.rates(name+".tokens", a.Tokens)
	l.Parallel = int64(r.count(name+".parallel", a.Parallel, 0))
	return l
}

func (r resolver) rates(name string, written []string) []usage.Rate {
	resolved := make([]string, len(written))
	for i := range written {
		resolved[i] = r.text(name, written[i])
	}
	rates, err := usage.ParseRates(resolved)
	if err != nil {
		r.fail(name, err)
	}
	return rates
}

// defaultTeamEntry names the team in the ledger if teams have no limits.
const defaultTeamEntry = "team"

// teamOf returns the name of the user's team, or "".
func (q *quotas) teamOf(u user) string {
	name := cmp.Or(q.teamEntry, defaultTeamEntry)
	for _, entry := range u.Metadata {
		if entry.Name == name {
			return gjson.ParseBytes(entry.Value).String()
		}
	}
	return ""
}

func (l *Limits) unmarshalCaddyfile(d *caddyfile.Dispenser) error {
	return block(d, func(name string) error {
		if name == "team" {
			return l.unmarshalTeam(d)
		}
		return l.unmarshalOption(d, name)
	}, "requests", "tokens")
}

func (l *Limits) unmarshalTeam(d *caddyfile.Dispenser) error {
	if !d.NextArg() {
		return d.Errf("team: the name of a metadata entry is missing, such as team team { ... }")
	}
	l.Team = &TeamLimits{Metadata: d.Val()}
	return block(d, func(name string) error { return l.Team.unmarshalOption(d, name) }, "requests", "tokens")
}

func (a *Allowance) unmarshalOption(d *caddyfile.Dispenser, name string) error {
	switch name {
	case "requests":
		return unmarshalRate(d, &a.Requests)
	case "tokens":
		return unmarshalRate(d, &a.Tokens)
	case "parallel":
		return value(d, &a.Parallel, parseCount)
	}
	return d.Errf("unknown option %q of limits", name)
}

// unmarshalRate reads a number and a window, and appends them in the form of a rate.
func unmarshalRate(d *caddyfile.Dispenser, to *[]string) error {
	name := d.Val()
	var number, window string
	if !d.AllArgs(&number, &window) {
		return d.Errf("%s: expected a number and a window, such as 120 1m", name)
	}
	if strings.Contains(number, "/") {
		return d.Errf("%s: the number must be a whole number larger than 0", name)
	}
	*to = append(*to, number+"/"+window)
	if strings.Contains(strings.Join(*to, ""), "{") { // only the server can replace a placeholder
		return nil
	}
	if _, err := usage.ParseRates(*to); err != nil {
		return d.Errf("%s: %v", name, err)
	}
	return nil
}
