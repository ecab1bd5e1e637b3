package caddyauth

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/tidwall/gjson"

	"github.com/continue-auth/caddy-continue-auth/keystore"
)

// blocks returns the README's code blocks of a language.
func blocks(t *testing.T, language string) []string {
	t.Helper()
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, match := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(string(readme), -1) {
		found = append(found, match[1])
	}
	if len(found) == 0 {
		t.Fatalf("the README has no %s", language)
	}
	return found
}

func TestTheReadmesCaddyfiles(t *testing.T) {
	example, err := os.ReadFile("../Caddyfile.example")
	if err != nil {
		t.Fatal(err)
	}
	all := blocks(t, "caddyfile")
	if all[0] != string(example) {
		t.Error("the first Caddyfile is not Caddyfile.example")
	}
	for _, block := range all {
		if _, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(block), nil); err != nil {
			t.Errorf("%v in\n%s", err, block)
		}
	}
}

func TestTheReadmeNamesEveryOption(t *testing.T) {
	options := blocks(t, "caddyfile-options")[0]
	golden, err := os.ReadFile("testdata/adapt/every_option.caddyfiletest")
	if err != nil {
		t.Fatal(err)
	}
	directive := regexp.MustCompile(`(?s)continue_auth @v1 \{.*`).FindString(strings.Split(string(golden), separator)[0])
	for _, line := range strings.Split(directive, "\n")[1:] {
		if name := strings.Fields(line); len(name) > 0 && name[0] != "}" && !strings.Contains(options, "\t"+name[0]) {
			t.Errorf("option %s is missing", name[0])
		}
	}
}

func TestTheReadmesKeystoreFiles(t *testing.T) {
	users, providers := 0, 0
	for _, block := range blocks(t, "json") {
		if !json.Valid([]byte(block)) {
			t.Errorf("not JSON:\n%s", block)
		}
		for _, entry := range gjson.Parse(block).Array() {
			value := strings.Replace(entry.Get("value").Str, "SHA256_OF_THE_KEY_IN_HEX", strings.Repeat("0", 64), 1)
			switch {
			case strings.Contains(entry.Get("key").Str, "@"):
				users++
				if _, err := keystore.ParseAPIKey([]byte(value)); err != nil {
					t.Errorf("%s: %v", entry.Get("key"), err)
				}
			case entry.Get("key").Exists():
				providers++
				if _, err := keystore.ParseSettings([]byte(value)); err != nil {
					t.Errorf("%s: %v", entry.Get("key"), err)
				}
			}
		}
	}
	if users != 1 || providers != 4 {
		t.Errorf("%d users and %d providers", users, providers)
	}
}

func TestTheReadmesContinueConfigurations(t *testing.T) {
	models := strings.Split(blocks(t, "yaml")[0], "  - name: ")[1:]
	for _, model := range models {
		for _, line := range []string{"    provider: openai\n", "    model: ", "    apiBase: https://ai.example.com/v1\n", "    apiKey: ", "    roles: [", "    requestOptions: "} {
			if !strings.Contains(model, line) {
				t.Errorf("no %q in\n%s", line, model)
			}
		}
	}
	old := gjson.Parse(blocks(t, "json")[0])
	for _, model := range append(old.Get("models").Array(), old.Get("tabAutocompleteModel")) {
		for _, field := range []string{"provider", "model", "apiBase", "apiKey", "requestOptions.headers.x-user-email"} {
			if !model.Get(field).Exists() {
				t.Errorf("no %s in %s", field, model.Raw)
			}
		}
	}
}

// TestCIRunsTheReadmesCommands holds the README's shell blocks against .ci/run.
func TestCIRunsTheReadmesCommands(t *testing.T) {
	ci, err := os.ReadFile("../.ci/run")
	if err != nil {
		t.Fatal(err)
	}
	behind := regexp.MustCompile(` [|>#].*`) // a command: where its output goes, or a comment
	var runs []string
	for line := range strings.Lines(string(ci)) {
		if line = behind.ReplaceAllString(strings.TrimSpace(line), ""); !strings.HasPrefix(line, "step ") && !strings.HasPrefix(line, "#") {
			runs = append(runs, strings.TrimSuffix(line, ")")) // of $(…)
		}
	}
	run := func(command string) bool { // as a whole, perhaps behind what is said of it
		return slices.ContainsFunc(runs, func(line string) bool {
			before, ok := strings.CutSuffix(line, command)
			return ok && (before == "" || strings.HasSuffix(before, " ") || strings.HasSuffix(before, "("))
		})
	}
	inCI := strings.NewReplacer("-o caddy", `-o "$work/caddy"`, "./caddy ", `"$work/caddy" `, "./test/load", "./test/load -quick")
	for _, block := range blocks(t, "sh") {
		for command := range strings.Lines(block) {
			if command = strings.TrimSpace(command); !run(inCI.Replace(command)) {
				t.Errorf("CI does not run %s", command)
			}
		}
	}
}
