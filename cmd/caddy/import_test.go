package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/continue-auth/caddy-continue-auth/keystore"
	"github.com/continue-auth/caddy-continue-auth/keystore/kvtest"
)

// keysOf reads the output of an import: emails and their keys.
func keysOf(t *testing.T, printed string) map[string]string {
	t.Helper()
	rows, err := csv.NewReader(strings.NewReader(printed)).ReadAll()
	if err != nil || len(rows) == 0 || strings.Join(rows[0], ",") != "email,key" {
		t.Fatalf("%v in %q", err, printed)
	}
	keys := make(map[string]string)
	for _, row := range rows[1:] {
		if keys[row[0]] != "" {
			t.Errorf("%s has two keys", row[0])
		}
		keys[row[0]] = row[1]
	}
	return keys
}

// hashes returns the hashes of all users in the keystore.
func (o *operator) hashes() map[string]string {
	o.t.Helper()
	hashes := make(map[string]string)
	add := func(name, value string) {
		var record struct{ APIKeyHash string }
		if err := json.Unmarshal([]byte(value), &record); err != nil {
			o.t.Fatal(err)
		}
		hashes[name] = record.APIKeyHash
	}
	if o.kv != nil {
		for name, value := range o.kv.Entries(kvtest.APIKeys) {
			add(name, value)
		}
		return hashes
	}
	var entries []struct{ Key, Value string }
	if err := json.Unmarshal([]byte(o.everything()), &entries); err != nil {
		o.t.Fatal(err)
	}
	for _, e := range entries {
		add(e.Key, e.Value)
	}
	return hashes
}

func team(size int) string {
	var b strings.Builder
	b.WriteString("\ufeffemail,expires,models,metadata.team\r\n")
	for i := range size {
		fmt.Fprintf(&b, "dev%04d@example.com,90d,workers-ai/* openai/gpt-4o-mini,\"core, %d\"\r\n", i, i)
	}
	return b.String()
}

func TestImportMakesEachUserOnce(t *testing.T) {
	withoutRaces(t)
	for name, o := range operators(t) {
		t.Run(name, func(t *testing.T) {
			o.t = t
			there := o.newKey("keys", "add", "dev0007@example.com")
			o.write("team.csv", team(250))
			keys := keysOf(t, o.run("keys", "import", "team.csv"))
			hashes := o.hashes()
			if len(keys) != 249 || len(hashes) != 250 || keys["dev0007@example.com"] != "" || hashes["dev0007@example.com"] != keystore.HashKey(there) {
				t.Fatalf("%d keys, %d users", len(keys), len(hashes))
			}
			for email, key := range keys {
				if hashes[email] != keystore.HashKey(key) {
					t.Errorf("%s has another key than was printed", email)
				}
			}
			if got := o.run("keys", "show", "dev0008@example.com"); !strings.Contains(got, "workers-ai/*, openai/gpt-4o-mini") || !strings.Contains(got, `{"team":"core, 8"}`) {
				t.Errorf("show\n%s", got)
			}
			if again := keysOf(t, o.run("keys", "import", "team.csv")); len(again) != 0 {
				t.Errorf("again: %d keys", len(again))
			}
			o.write("old.csv", "email,key\nold@example.com,sk-old\n")
			if out := o.run("keys", "import", "old.csv"); out != "email,key\n" {
				t.Errorf("a user with a key: printed %q", out)
			}
			if o.hashes()["old@example.com"] != keystore.HashKey("sk-old") || strings.Contains(o.everything(), "sk-old") {
				t.Error("the user's own key was not taken over as its hash")
			}
		})
	}
}

// Running the import again finishes it. Every user then has one key, which was printed.
func TestAnImportThatBreaksOffCanBeRepeated(t *testing.T) {
	withoutRaces(t)
	for name, fault := range map[string]kvtest.Fault{
		"half of a batch was written before the connection was lost": kvtest.HalfApplied,
		"nothing was written": kvtest.Reply(http.StatusInternalServerError, ""),
	} {
		t.Run(name, func(t *testing.T) {
			o := operators(t)["cloudflare_kv"]
			o.t = t
			o.write("team.csv", team(250))
			var writes atomic.Int32
			o.kv.FailAll(func(w http.ResponseWriter, r *http.Request, next http.HandlerFunc) {
				if r.Method == http.MethodPut && writes.Add(1) > 1 { // starting with the second batch
					fault(w, r, next)
					return
				}
				next(w, r)
			})
			printed, stderr, status := o.try("keys", "import", "team.csv")
			if status != 1 || !strings.Contains(stderr, "Run the same import again") {
				t.Fatalf("exit status %d\n%s", status, stderr)
			}
			first := keysOf(t, printed)
			o.kv.Heal()
			second := keysOf(t, o.run("keys", "import", "team.csv"))
			hashes := o.hashes()
			if len(hashes) != 250 || len(first) < 100 || len(second) < 150-50 {
				t.Errorf("%d users; %d keys at first, %d then", len(hashes), len(first), len(second))
			}
			maps.Copy(first, second) // this is what the operator was told
			for email, hash := range hashes {
				if hash != keystore.HashKey(first[email]) {
					t.Errorf("%s has another key than was printed", email)
				}
			}
		})
	}
}

func TestAnInvalidImportIsRefused(t *testing.T) {
	withoutRaces(t)
	o := newOperator(t, "keystore file", "off")
	for content, says := range map[string]string{
		"":                             "first line must name the columns",
		"name\nx\n":                    `there is no column "name"`,
		"key\nx\n":                     "must be a column email",
		"email,email\nx,y\n":           `two columns "email"`,
		"email\na@x\nb@x\na@x\n":       "line 4: a@x is in line 2 already",
		"email,expires\na@x,soon\n":    "line 2: --expires",
		"email,expires\na@x\n":         "wrong number of fields",
		"email\na b\n":                 "line 2: \"a b\": an email must not be empty",
		"email,metadata.user\na@x,y\n": "reserved",
		"email,expires\nok@x,\nlate@x,2020-01-01\n": "is over already",
		"email;expires\nok@x;\nlate@x;2020-01-01\n": "is over already",
	} {
		o.write("team.csv", content)
		o.refused(says, "keys", "import", "team.csv")
		if entries := o.hashes(); len(entries) != 0 {
			t.Errorf("%q: %v were written", content, entries)
		}
	}
}

func TestMigrateHashesEveryPlainKey(t *testing.T) {
	withoutRaces(t)
	for name, o := range operators(t) {
		t.Run(name, func(t *testing.T) {
			o.t = t
			const note = `"note":[1.50,"é"]`
			records := map[string]string{
				"hashed@example.com": `{"apiKeyHash":"` + keystore.HashKey("sk-hashed") + `","status":"Enabled"}`,
				"broken@example.com": `{"apiKey":`,
			}
			for i := range 230 {
				records[fmt.Sprintf("worker%03d@example.com", i)] = fmt.Sprintf(`{"apiKey":"sk-plain-%d","createdAt":"2023-10-27T12:00:00Z","status":"enabled",%s}`, i, note)
			}
			if o.kv == nil {
				write(t, o.folder+"/keys.json", records)
				o.write("providers.json", "[]")
			} else {
				for email, record := range records {
					o.kv.Put(kvtest.APIKeys, email, record)
				}
			}
			before := o.everything()
			_, stderr, status := o.try("keys", "migrate")
			if status != 0 || !strings.Contains(stderr, "230 of 232 keys lie in the keystore in the clear; 1 entries are broken.") || !strings.Contains(stderr, "say --yes") {
				t.Errorf("exit status %d\n%s", status, stderr)
			}
			if len(o.everything()) != len(before) {
				t.Error("what was only to be said was done")
			}
			if _, stderr, status = o.try("keys", "migrate", "--yes"); status != 0 || !strings.Contains(stderr, "Hashed 230 keys") {
				t.Fatalf("exit status %d\n%s", status, stderr)
			}
			after := o.everything()
			if strings.Contains(after, "sk-plain") || strings.Count(after, `note`) != 230 || !strings.Contains(after, keystore.HashKey("sk-plain-229")) {
				t.Error("a key still lies there in the clear, or something is lost")
			}
			if _, stderr, _ = o.try("keys", "migrate"); !strings.Contains(stderr, "0 of 232 keys") {
				t.Errorf("again:\n%s", stderr)
			}
		})
	}
}

// Nothing of what spreadsheets write may be lost.
func TestImportsOfSpreadsheetsAreRead(t *testing.T) {
	withoutRaces(t)
	for name, content := range map[string]string{
		"a byte order mark and quotes": "\ufeff\"Email\",\"models\"\r\n\"a@x\",\"workers-ai/*,openai/*\"\r\n",
		"semicolons":                   "email;models\r\na@x;workers-ai/* openai/*\r\n",
		"empty lines":                  "email,models\n,\na@x,workers-ai/* openai/*\n,\n\n",
		"spaces":                       " email , models\n a@x , workers-ai/* openai/*\n",
	} {
		o := newOperator(t, "keystore file", "off")
		o.write("team.csv", content)
		if keys := keysOf(t, o.run("keys", "import", "team.csv")); len(keys) != 1 || keys["a@x"] == "" {
			t.Errorf("%s: keys %v", name, keys)
		}
		if got := o.run("keys", "show", "a@x"); !strings.Contains(got, "workers-ai/*, openai/*") {
			t.Errorf("%s: show\n%s", name, got)
		}
	}
}

// Relative paths in the configuration start at the current folder, as they do for a server that is
// started here with the same --config. The messages name the files, so the operator sees where they
// are.
func TestPathsInAConfigurationElsewhereStartHere(t *testing.T) {
	withoutRaces(t)
	here, there := newOperator(t, "keystore file", "off"), newOperator(t, "keystore file", "off")
	config := filepath.Join(there.folder, "Caddyfile")
	here.refused(filepath.Join(here.folder, "keys.json")+": no such file", "keys", "list", "--config", config)
	stdout, stderr, status := here.try("keys", "add", "dev@example.com", "--config", config)
	if status != 0 || !keyForm.MatchString(stdout) {
		t.Fatalf("exit status %d, printed %q\n%s", status, stdout, stderr)
	}
	for _, name := range []string{"keys.json", "providers.json"} {
		if made := filepath.Join(here.folder, name); !strings.Contains(stderr, "Made the file "+made+", which was not there.\n") {
			t.Errorf("nothing about %s in %q", made, stderr)
		}
	}
	if left, err := os.ReadDir(there.folder); err != nil || len(left) != 1 {
		t.Errorf("beside the configuration are %v (%v)", left, err)
	}
	if got := here.run("keys", "list"); !strings.Contains(got, "dev@example.com") {
		t.Errorf("here the users are\n%s", got)
	}

}
