package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheRecipeOfThisCheckoutCanBeRead(t *testing.T) {
	content, err := os.ReadFile(filepath.Join("..", "..", "xcaddy.json"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parse(content); err != nil {
		t.Error(err)
	}
}

func TestIncompleteRecipesAreRefused(t *testing.T) {
	for content, want := range map[string]string{
		`{`:                   "unexpected EOF",
		`{"dependencies":[]}`: "caddy: name a version, such as v2.11.9",
		`{"caddy":"v2.11.9","dependencies":[{"module":"example.com/m"}]}`: "dependencies[0]: name a module and a version",
		`{"caddy":"v2.11.9","plugins":[]}`:                                `json: unknown field "plugins"`,
	} {
		if _, err := parse([]byte(content)); err == nil || err.Error() != want {
			t.Errorf("%s: error %v, want %q", content, err, want)
		}
	}
}

func TestTheArgumentsNameEveryModule(t *testing.T) {
	r := recipe{Caddy: "v2.11.9", Dependencies: []dependency{{"example.com/m", "v1.2.3"}}}
	got := strings.Join(r.arguments("/src", "/out/caddy"), " ")
	want := "build v2.11.9 --output /out/caddy --with " + module + "@v0.0.0=/src --with example.com/m@v1.2.3"
	if got != want {
		t.Errorf("arguments\n%s, want\n%s", got, want)
	}
}

func TestTheCheckoutIsFoundFromAFolderInIt(t *testing.T) {
	root, err := checkout()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "xcaddy.json")); err != nil {
		t.Error(err)
	}
}
