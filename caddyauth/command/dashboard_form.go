package command

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/continue-auth/caddy-continue-auth/caddyauth/pages"
	"github.com/continue-auth/caddy-continue-auth/keystore"
)

// never is the end of a key that has none.
const never = "never"

// versionOf returns a text that differs for forms that differ.
func versionOf(form pages.UserForm) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%#v", form))
	return hex.EncodeToString(sum[:8])
}

// formOf returns the fields for a user's record.
func formOf(record *keystore.Record) pages.UserForm {
	info := record.Info()
	form := pages.UserForm{Only: info.Models != nil && !slices.Equal(info.Models, []string{"*"})}
	if !info.ExpiresAt.IsZero() {
		form.Expires = info.ExpiresAt.UTC().Format(time.RFC3339)
	}
	if form.Only {
		form.Models = strings.Join(info.Models, "\n")
	}
	var entries []string
	for _, entry := range info.Metadata {
		value := gjson.ParseBytes(entry.Value).String()
		if line := entry.Name + "=" + value; value != "" && len(lines(line)) == 1 && lines(line)[0] == line && !strings.Contains(entry.Name, "=") {
			entries = append(entries, line) // others cannot be shown as a line, and stay as they are
		}
	}
	form.Metadata = strings.Join(entries, "\n")
	if own := info.Limits; own != nil {
		form.Requests, form.Tokens = ratesOf(own.Requests), ratesOf(own.Tokens)
		if own.Parallel != nil {
			form.Parallel = strconv.FormatInt(*own.Parallel, 10)
			if *own.Parallel == 0 {
				form.Parallel = noLimit
			}
		}
	}
	return form
}

// ratesOf returns the field for rates. Nil is the server's limit, and an empty list is none.
func ratesOf(rates []string) string {
	if rates != nil && len(rates) == 0 {
		return noLimit
	}
	return strings.Join(rates, "\n")
}

// lines returns the lines of a field that are not empty, without the space around them.
func lines(field string) []string {
	var all []string
	for line := range strings.Lines(field) {
		if line = strings.TrimSpace(line); line != "" {
			all = append(all, line)
		}
	}
	return all
}

// restrictionsFor returns the restrictions of a new user.
func restrictionsFor(form pages.UserForm) *restrictions {
	change := changes(pages.UserForm{}, form)
	if change.expires == never {
		change.expires = ""
	}
	return &change.restrictions
}

// change is what a form changes of a user's record.
type change struct {
	restrictions
	limited, mustEnd bool // whether the models and the end change
}

func (c *change) none() bool {
	return !c.limited && !c.mustEnd && len(c.metadata) == 0 && len(c.limits) == 0
}

// changes returns how form differs from before, the form for the record as it is.
func changes(before, form pages.UserForm) (c change) {
	if end := strings.TrimSpace(form.Expires); end != before.Expires {
		c.mustEnd, c.expires = true, end
		if end == "" {
			c.expires = never
		}
	}
	if models := lines(form.Models); form.Only != before.Only || form.Only && !slices.Equal(models, lines(before.Models)) {
		c.limited, c.models = true, models
		if !form.Only {
			c.models = []string{"*"}
		}
	}
	c.metadata = changedMetadata(lines(before.Metadata), lines(form.Metadata))
	for _, field := range []struct {
		kind          string
		before, after []string
	}{
		{"requests", lines(before.Requests), lines(form.Requests)},
		{"tokens", lines(before.Tokens), lines(form.Tokens)},
		{"parallel", lines(before.Parallel), lines(form.Parallel)},
	} {
		if slices.Equal(field.before, field.after) {
			continue
		}
		if len(field.after) == 0 {
			field.after = []string{defaultLimits}
		}
		for _, line := range field.after {
			c.limits = append(c.limits, field.kind+"="+line)
		}
	}
	return c
}

// changedMetadata returns entries that remove what is no longer there, and set what is new.
func changedMetadata(before, after []string) []string {
	var changed []string
	for _, entry := range before {
		name, _, _ := strings.Cut(entry, "=")
		if !slices.ContainsFunc(after, func(line string) bool { return strings.HasPrefix(line, name+"=") }) {
			changed = append(changed, name+"=")
		}
	}
	for _, entry := range after {
		if !slices.Contains(before, entry) {
			changed = append(changed, entry)
		}
	}
	return changed
}
