// Package docs reads the documentation, so that tests can compare it with the code.
package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// Root returns the folder of the checkout.
func Root(t testing.TB) string {
	t.Helper()
	folder, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(folder, "go.mod")); err == nil {
			return folder
		}
		if folder == filepath.Dir(folder) {
			t.Fatal("the test does not run in a checkout")
		}
		folder = filepath.Dir(folder)
	}
}

// Pages returns the paths of README.md and the pages in docs/, relative to the root.
func Pages(t testing.TB) []string {
	t.Helper()
	root := Root(t)
	pages, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil || len(pages) == 0 {
		t.Fatalf("docs/ has %d pages, error %v", len(pages), err)
	}
	for i := range pages {
		if pages[i], err = filepath.Rel(root, pages[i]); err != nil {
			t.Fatal(err)
		}
	}
	return append([]string{"README.md"}, pages...)
}

// Read returns the content of a file. path is relative to the root.
func Read(t testing.TB, path string) string {
	t.Helper()
	return contentOf(t, filepath.Join(Root(t), path))
}

// Blocks returns the code blocks of a page in one language. If there are none, the test fails.
func Blocks(t testing.TB, page, language string) []string {
	t.Helper()
	blocks := find(Read(t, page), language)
	if len(blocks) == 0 {
		t.Fatalf("%s has no block of %s", page, language)
	}
	return blocks
}

// AllBlocks returns the code blocks of all pages in one language, in the order of Pages.
func AllBlocks(t testing.TB, language string) []string {
	t.Helper()
	var blocks []string
	for _, page := range Pages(t) {
		blocks = append(blocks, find(Read(t, page), language)...)
	}
	if len(blocks) == 0 {
		t.Fatalf("no page has a block of %s", language)
	}
	return blocks
}

func find(page, language string) []string {
	var blocks []string
	for _, match := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```").FindAllStringSubmatch(page, -1) {
		blocks = append(blocks, match[1])
	}
	return blocks
}

func contentOf(t testing.TB, file string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
