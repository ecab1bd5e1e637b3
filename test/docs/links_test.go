package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// It follows links to files and links to headings.
func TestEveryRelativeLinkHasATarget(t *testing.T) {
	pages := append(Pages(t), "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md", "test/clients/README.md", "test/kv/README.md", "test/grafana/README.md")
	links := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	followed := 0
	for _, page := range pages {
		for _, match := range links.FindAllStringSubmatch(withoutBlocks(Read(t, page)), -1) {
			if strings.Contains(match[1], "://") {
				continue
			}
			followed++
			path, heading, _ := strings.Cut(match[1], "#")
			to := page
			if path != "" {
				to = filepath.Join(filepath.Dir(page), path)
			}
			if _, err := os.Stat(filepath.Join(Root(t), to)); err != nil {
				t.Errorf("%s: %s does not exist", page, match[1])
			} else if heading != "" && !anchors(Read(t, to))[heading] {
				t.Errorf("%s: %s has no heading %s", page, to, heading)
			}
		}
	}
	if followed < 50 {
		t.Errorf("%d links are followed", followed)
	}
}

func TestEveryPageIsLinkedFromTheReadme(t *testing.T) {
	readme := Read(t, "README.md")
	for _, page := range Pages(t)[1:] {
		if !strings.Contains(readme, "]("+page+")") {
			t.Errorf("the README does not link %s", page)
		}
	}
}

// anchors returns the anchors that GitHub makes of a page's headings: in lower case, without
// punctuation, and with - for each space.
func anchors(page string) map[string]bool {
	all := make(map[string]bool)
	for _, match := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(withoutBlocks(page), -1) {
		text := regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(strings.ToLower(match[1]), "")
		all[strings.ReplaceAll(text, " ", "-")] = true
	}
	return all
}

// withoutBlocks returns a page without its code blocks. They contain no links or headings.
func withoutBlocks(page string) string {
	return regexp.MustCompile("(?ms)^```.*?^```").ReplaceAllString(page, "")
}
