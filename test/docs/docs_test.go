package docs

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
	"github.com/tidwall/gjson"

	_ "github.com/continue-auth/caddy-continue-auth/caddyauth"
	"github.com/continue-auth/caddy-continue-auth/keystore"
)

func TestTheReadmeIsShort(t *testing.T) {
	if lines := strings.Count(Read(t, "README.md"), "\n"); lines > 200 {
		t.Errorf("the README has %d lines, of at most 200", lines)
	}
}

func TestTheReadmesCaddyfileIsTheExample(t *testing.T) {
	if Blocks(t, "README.md", "caddyfile")[0] != Read(t, "Caddyfile.example") {
		t.Error("the first Caddyfile is not Caddyfile.example")
	}
}

func TestEveryCaddyfileIsValid(t *testing.T) {
	for _, block := range AllBlocks(t, "caddyfile") {
		if _, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(block), nil); err != nil {
			t.Errorf("%v in\n%s", err, block)
		}
	}
}

func TestEveryOptionIsDocumented(t *testing.T) {
	options := Blocks(t, "docs/configuration.md", "caddyfile-options")[0]
	golden, _, _ := strings.Cut(Read(t, "caddyauth/testdata/adapt/every_option.caddyfiletest"), "----------")
	directive := regexp.MustCompile(`(?s)continue_auth @v1 \{.*`).FindString(golden)
	for _, line := range strings.Split(directive, "\n")[1:] {
		if name := strings.Fields(line); len(name) > 0 && name[0] != "}" && !strings.Contains(options, "\t"+name[0]) {
			t.Errorf("option %s is missing", name[0])
		}
	}
}

func TestEveryKeystoreFileCanBeRead(t *testing.T) {
	users, providers := 0, 0
	for _, block := range AllBlocks(t, "json") {
		if !json.Valid([]byte(block)) {
			t.Errorf("not JSON:\n%s", block)
		}
		for _, entry := range gjson.Parse(block).Array() {
			value := strings.Replace(entry.Get("value").Str, "SHA256_OF_THE_KEY_IN_HEX", strings.Repeat("0", 64), 1)
			var err error
			switch {
			case strings.Contains(entry.Get("key").Str, "@"):
				users++
				_, err = keystore.ParseAPIKey([]byte(value))
			case entry.Get("key").Type == gjson.String:
				providers++
				_, err = keystore.ParseSettings([]byte(value))
			case entry.Get("headers").Exists(): // a value as an object, not as a string
				providers++
				_, err = keystore.ParseSettings([]byte(entry.Raw))
			}
			if err != nil {
				t.Errorf("%v in\n%s", err, block)
			}
		}
	}
	if users != 1 || providers != 5 {
		t.Errorf("%d users and %d providers", users, providers)
	}
}

func TestEveryContinueConfigurationIsComplete(t *testing.T) {
	for _, block := range AllBlocks(t, "yaml") {
		for _, model := range strings.Split(block, "  - name: ")[1:] {
			for _, line := range []string{"    provider: openai\n", "    model: ", "    apiBase: https://ai.example.com/v1\n", "    apiKey: ", "    roles: [", "    requestOptions:"} {
				if !strings.Contains(model, line) {
					t.Errorf("no %q in\n%s", line, model)
				}
			}
		}
	}
	old := gjson.Parse(Blocks(t, "docs/clients.md", "json")[0])
	for _, model := range append(old.Get("models").Array(), old.Get("tabAutocompleteModel")) {
		for _, field := range []string{"provider", "model", "apiBase", "apiKey", "requestOptions.headers.x-user-email"} {
			if !model.Get(field).Exists() {
				t.Errorf("no %s in %s", field, model.Raw)
			}
		}
	}
}

// It compares the two tables of docs/performance.md.
func TestTheShortTableHasTheFiguresOfTheLongTable(t *testing.T) {
	short, long, ok := strings.Cut(Read(t, "docs/performance.md"), "## Measure it yourself")
	figures := make(map[string]string)
	for _, row := range rows(long) {
		if len(row) > 4 {
			figures[row[0]] = row[3]
		}
	}
	compared := 0
	for _, row := range rows(short) {
		if figure, there := figures[row[0]]; there {
			compared++
			if row[1] != figure {
				t.Errorf("%s is %s in the short table and %s in the long one", row[0], row[1], figure)
			}
		} else if row[0] != "measured" && !strings.HasPrefix(row[0], "---") {
			t.Errorf("the long table has no row %q", row[0])
		}
	}
	if !ok || compared < 5 {
		t.Errorf("%d rows are compared", compared)
	}
}

// rows returns the cells of all tables in a text.
func rows(text string) [][]string {
	var all [][]string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "|") {
			cells := strings.Split(strings.Trim(line, "|"), "|")
			for i := range cells {
				cells[i] = strings.TrimSpace(cells[i])
			}
			all = append(all, cells)
		}
	}
	return all
}
