package docs

import (
	"regexp"
	"strings"
	"testing"
)

// Users and operators read these names in errors, logs and metrics.
func TestEveryNameIsDocumented(t *testing.T) {
	for _, test := range []struct {
		what, page string
		folders    []string
		name       *regexp.Regexp
		least      int
	}{
		{"the code of an error", "docs/errors.md", []string{"caddyauth", "provider"}, regexp.MustCompile(`Code(?:, e\.Param)?(?::| =) .*?"([a-z]+(?:_[a-z]+)+)"`), 15},
		{"a field of the access log", "docs/operating.md", []string{"caddyauth"}, regexp.MustCompile(`(?:\ttext|log\.Add[A-Z]\w+)\("([a-z_]+)", [^)]`), 12},
		{"a metric", "docs/operating.md", []string{"caddyauth"}, regexp.MustCompile(`Subsystem: "continue_auth", Name: "([a-z_]+)"`), 7},
	} {
		t.Run(test.what, func(t *testing.T) {
			page := Read(t, test.page)
			found := make(map[string]bool)
			for _, folder := range test.folders {
				for _, match := range test.name.FindAllStringSubmatch(sources(t, folder), -1) {
					found[match[1]] = true
				}
			}
			for name := range found {
				if !strings.Contains(page, "`"+name+"`") {
					t.Errorf("%s does not have %s", test.page, name)
				}
			}
			if len(found) < test.least {
				t.Errorf("only %d are found", len(found))
			}
		})
	}
}
