package filestore

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/continue-auth/caddy-continue-auth/keystore"
)

var written = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

func TestParseReadsWhatWranglerAccepts(t *testing.T) {
	never := math.Inf(1)
	for name, tt := range map[string]struct {
		file string
		want map[string]entry
	}{
		"no entries":                  {"[]", nil},
		"white space":                 {" \r\n[\t]\n", nil},
		"a byte order mark":           {"\ufeff[\r\n{\"key\":\"a\",\r\n\"value\":\"1\"}\r\n]\r\n", map[string]entry{"a": {"1", never}}},
		"an entry":                    {`[{"key":"a","value":"1"}]`, map[string]entry{"a": {"1", never}}},
		"entries":                     {`[{"value":"1","key":"a"}, {"key":"b","value":""}]`, map[string]entry{"a": {"1", never}, "b": {"", never}}},
		"escapes":                     {`[{"\u006bey":"\u0061\u00e9\/b","value":"{\"n\":\"\\n\"}\n\ud83d\ude00"}]`, map[string]entry{"aé/b": {"{\"n\":\"\\n\"}\n😀", never}}},
		"other properties":            {`[{"key":"a","value":"1","metadata":{"key":"b","value":"2"},"Key":"c","x":[{"key":1}]}]`, map[string]entry{"a": {"1", never}}},
		"a property twice":            {`[{"key":"a","value":"1","key":"b","value":"2"}]`, map[string]entry{"b": {"2", never}}},
		"base64":                      {`[{"key":"a","value":"eyI/IjoifiJ9","base64":true}]`, map[string]entry{"a": {`{"?":"~"}`, never}}},
		"base64 is false":             {`[{"key":"a","value":"MTI=","base64":false}]`, map[string]entry{"a": {"MTI=", never}}},
		"expiration":                  {`[{"key":"a","value":"1","expiration":1800000000}]`, map[string]entry{"a": {"1", 1800000000}}},
		"expiration_ttl":              {`[{"key":"a","value":"1","expiration_ttl":60}]`, map[string]entry{"a": {"1", float64(written.Unix() + 60)}}},
		"expiration_ttl wins":         {`[{"key":"a","value":"1","expiration_ttl":60,"expiration":1}]`, map[string]entry{"a": {"1", float64(written.Unix() + 60)}}},
		"names that differ by case":   {`[{"key":"a","value":"1"},{"key":"A","value":"2"}]`, map[string]entry{"a": {"1", never}, "A": {"2", never}}},
		"a name of 512 bytes":         {`[{"key":"` + strings.Repeat("n", 512) + `","value":"1"}]`, map[string]entry{strings.Repeat("n", 512): {"1", never}}},
		"a value that looks like one": {`[{"key":"a","value":"[{\"key\":\"b\",\"value\":\"2\"}]"}]`, map[string]entry{"a": {`[{"key":"b","value":"2"}]`, never}}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parse([]byte(tt.file), written)
			if err != nil || fmt.Sprint(got) != fmt.Sprint(tt.want) || got == nil {
				t.Errorf("%v, %v, want %v", got, err, tt.want)
			}
		})
	}
}

func TestParseNamesThePlaceOfAFaultButNoContent(t *testing.T) {
	const (
		key        = "key must be 1 to 512 bytes of UTF-8 without control characters, and neither . nor .. alone"
		value      = "value must be a string; JSON goes into it as text, with its quotes escaped"
		base64     = "base64 must be true or false, and if true, value must be in base64"
		expiration = "expiration must be a number, Unix seconds"
	)
	for name, tt := range map[string]struct{ file, want string }{
		"an empty file":           {"", "the file is empty; without entries it is []"},
		"white space alone":       {"\n \n", "the file is empty; without entries it is []"},
		"half a file":             {"[{\"key\":\"secret\",\n\"value\":\"sec", "line 2, column 12: not valid JSON"},
		"more than an array":      {"[] secret", "line 1, column 4: not valid JSON"},
		"an extra comma":          {"[\n{\"key\":\"secret\",\"value\":\"\"},\n]", "line 3, column 1: not valid JSON"},
		"a comment":               {"[\n  // secret\n]", "line 2, column 3: not valid JSON"},
		"a mark alone":            {"\ufeff\r\n", "the file is empty; without entries it is []"},
		"a mark and a fault":      {"\ufeff[\r\n x]", "line 2, column 2: not valid JSON"},
		"two marks":               {"\ufeff\ufeff[]", "line 1, column 1: not valid JSON"},
		"UTF-16":                  {"\xff\xfe[\x00]\x00", "the text is UTF-16; save it as UTF-8"},
		"UTF-16, big endian":      {"\xfe\xff\x00[\x00]", "the text is UTF-16; save it as UTF-8"},
		"UTF-16 without a mark":   {"[\x00]\x00", "the text is UTF-16; save it as UTF-8"},
		"too deep":                {strings.Repeat("[", 20000) + strings.Repeat("]", 20000), "line 1, column 10001: not valid JSON"},
		"an object":               {"\n {\"secret\":\"secret\"}", `line 2, column 2: must be an array of {"key", "value"}`},
		"a string":                {`"secret"`, `line 1, column 1: must be an array of {"key", "value"}`},
		"null":                    {`null`, `line 1, column 1: must be an array of {"key", "value"}`},
		"an array of strings":     {"[\n \"secret\"]", `line 2, column 2: must be an object with "key" and "value"`},
		"an array in it":          {"[[\"key\",\"secret\"]]", `line 1, column 2: must be an object with "key" and "value"`},
		"no key":                  {"[{\"key\":\"a\",\"value\":\"1\"},\n{\"value\":\"secret\"}]", "line 2, column 1: key must be a string"},
		"a key that is null":      {`[{"key":null,"value":"secret"}]`, "line 1, column 2: key must be a string"},
		"a key that is a number":  {`[{"key":31337,"value":"secret"}]`, "line 1, column 2: key must be a string"},
		"an empty key":            {`[{"key":"","value":"secret"}]`, "line 1, column 2: " + key},
		"a key of dots":           {`[{"key":"..","value":"secret"}]`, "line 1, column 2: " + key},
		"a key of two lines":      {`[{"key":"secret\n","value":"secret"}]`, "line 1, column 2: " + key},
		"a key that is not UTF-8": {"[{\"key\":\"secret\xff\",\"value\":\"secret\"}]", "line 1, column 2: " + key},
		"a long key":              {`[{"key":"` + strings.Repeat("secret", 86) + `","value":""}]`, "line 1, column 2: " + key},
		"no value":                {`[{"key":"secret"}]`, "line 1, column 2: " + value},
		"a value that is JSON":    {`[{"key":"secret","value":{"apiKey":"secret"}}]`, "line 1, column 2: " + value},
		"a value that is null":    {`[{"key":"secret","value":null}]`, "line 1, column 2: " + value},
		"a broken base64":         {`[{"key":"secret","value":"secret!","base64":true}]`, "line 1, column 2: " + base64},
		"base64 in quotes":        {`[{"key":"secret","value":"MTI=","base64":"true"}]`, "line 1, column 2: " + base64},
		"base64 that is null":     {`[{"key":"secret","value":"MTI=","base64":null}]`, "line 1, column 2: " + base64},
		"a date":                  {`[{"key":"secret","value":"","expiration":"2026-01-31"}]`, "line 1, column 2: " + expiration},
		"no expiration":           {`[{"key":"secret","value":"","expiration":null}]`, "line 1, column 2: " + expiration},
		"a duration":              {`[{"key":"secret","value":"","expiration_ttl":"1h"}]`, "line 1, column 2: expiration_ttl must be a number of seconds"},
		"the same key twice":      {"[{\"key\":\"secret\",\"value\":\"1\"},\n {\"key\":\"\\u0073ecret\",\"value\":\"1\"}]", "line 2, column 2: key is in the file already"},
	} {
		t.Run(name, func(t *testing.T) {
			entries, err := parse([]byte(tt.file), written)
			if err == nil || err.Error() != tt.want || entries != nil {
				t.Errorf("%v, %v, want %s", entries, err, tt.want)
			}
		})
	}
}

// fixed matches every error of parse. None of them has content of the file, only a place in it.
var fixed = regexp.MustCompile(`^(the text is UTF-16; save it as UTF-8|the file is empty; without entries it is \[\]|line \d+, column \d+: ` +
	`(not valid JSON|must be an array of {"key", "value"}|must be an object with "key" and "value"|` +
	`key (must be a string|must be 1 to 512 bytes of UTF-8 without control characters, and neither \. nor \.\. alone|is in the file already)|` +
	`value must be a string; JSON goes into it as text, with its quotes escaped|` +
	`base64 must be true or false, and if true, value must be in base64|` +
	`expiration must be a number, Unix seconds|expiration_ttl must be a number of seconds))$`)

var surrogate = regexp.MustCompile(`(?i)\\ud[89a-f]`)

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		``, `[]`, `null`, `[null]`, `[{}]`, `{"key":"a"}`, `[{"key":"a","value":"1"}]`,
		`[{"key":"a","value":"1"},{"key":"a","value":"2"}]`,
		`[{"key":"a","value":"MQ==","base64":true,"expiration":1e9,"metadata":{}}]`,
		`[{"\u006bey":"\ud83d\ude00","value":"\"\\","expiration_ttl":-1}]`,
		"[{\"key\":\"a\xff\",\"value\":\"\xff\"}]", `[{"key":"a","value":"1"},`, "\ufeff[]", "[\x00]\x00", `[{"key":"a" "value":"1"}]`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, err := parse(data, written)
		if err != nil {
			if !fixed.MatchString(err.Error()) || entries != nil {
				t.Fatalf("%v, %v", entries, err)
			}
			return
		}
		for name := range entries {
			if !keystore.ValidName(name) {
				t.Fatalf("name %q", name)
			}
		}
		// encoding/json must read the same entries. It differs in text that is not UTF-8, which it
		// replaces.
		var reference []map[string]any
		if json.Unmarshal(data, &reference) != nil || !utf8.Valid(data) || surrogate.Match(data) {
			return
		}
		if len(reference) != len(entries) {
			t.Fatalf("%d entries, want %d", len(entries), len(reference))
		}
		for _, want := range reference {
			e, ok := entries[want["key"].(string)]
			if !ok || want["base64"] != true && e.value != want["value"] {
				t.Fatalf("%q, want %q", e.value, want["value"])
			}
		}
	})
}
