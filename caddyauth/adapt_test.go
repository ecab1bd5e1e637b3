package caddyauth

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
)

var update = flag.Bool("update", false, "write the golden files anew")

const separator = "\n----------\n"

// TestAdapt adapts the Caddyfile at the beginning of each golden file and compares the result with the JSON
// or the error after it.
func TestAdapt(t *testing.T) {
	files, err := filepath.Glob("testdata/adapt/*.caddyfiletest")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".caddyfiletest"), func(t *testing.T) {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			input, want, _ := strings.Cut(string(content), separator)
			got := adapt(t, input)
			if *update {
				if err := os.WriteFile(file, []byte(input+separator+got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != want {
				t.Errorf("adapted to\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// FuzzCaddyfile checks that a valid Caddyfile adapts to JSON that loads as the same handler, and that the
// server accepts its durations, sizes and numbers.
func FuzzCaddyfile(f *testing.F) {
	for _, name := range []string{"every_option", "file_keystore", "values_with_placeholders", "error_alias_twice", "error_alias_without_provider", "error_unknown_keystore", "error_no_value"} {
		content, err := os.ReadFile("testdata/adapt/" + name + ".caddyfiletest")
		if err != nil {
			f.Fatal(err)
		}
		_, directive, _ := strings.Cut(string(content), "continue_auth")
		f.Add("continue_auth" + directive)
	}
	f.Fuzz(func(t *testing.T, text string) {
		tokens, err := caddyfile.Tokenize([]byte(text), "Caddyfile")
		if err != nil || !utf8.ValidString(text) { // JSON cannot contain it
			return
		}
		h := new(Handler)
		if h.UnmarshalCaddyfile(caddyfile.NewDispenser(tokens)) != nil {
			return
		}
		adapted, err := json.Marshal(h)
		if err != nil {
			t.Fatal(err)
		}
		loaded := new(Handler)
		if err := caddy.StrictUnmarshalJSON(adapted, loaded); err != nil {
			t.Fatalf("%v in %s", err, adapted)
		}
		if !reflect.DeepEqual(loaded, h) {
			t.Fatalf("%s loads as %+v, want %+v", adapted, loaded, h)
		}
		if slices.ContainsFunc(tokens, func(token caddyfile.Token) bool { return len(token.Text) > 1 && strings.Contains(token.Text, "{") }) {
			return // it has placeholders
		}
		loaded.AccountID, loaded.Gateway, loaded.GatewayToken, loaded.EmailHeader, loaded.ClientHeaders = "a", "g", "t", "", nil
		if _, err := loaded.resolve(); err != nil {
			t.Fatalf("%v in %s", err, adapted)
		}
	})
}

func adapt(t *testing.T, input string) string {
	t.Helper()
	adapted, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(input), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		return err.Error() + "\n"
	}
	for _, w := range warnings {
		if !strings.Contains(w.Message, "not formatted") {
			t.Errorf("warning: %s", w)
		}
	}
	var out bytes.Buffer
	if err := json.Indent(&out, adapted, "", "\t"); err != nil {
		t.Fatal(err)
	}
	return out.String() + "\n"
}
