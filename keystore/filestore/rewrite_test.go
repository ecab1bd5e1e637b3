package filestore

import (
	"bytes"
	"math"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/tidwall/gjson"

	"github.com/continue-auth/caddy-continue-auth/keystore"
)

func set(name, value string) keystore.Change {
	return keystore.Change{Name: name, Value: []byte(value)}
}

func removal(name string) keystore.Change { return keystore.Change{Name: name} }

func TestRewriteChangesOnlyWhatItMust(t *testing.T) {
	type changes = []keystore.Change
	const (
		lines    = "[\n{\"key\":\"a\",\"value\":\"1\"},\n{\"key\":\"b\",\"value\":\"2\"}\n]\n"
		indented = "[\r\n  {\r\n    \"key\": \"a\",\r\n    \"value\": \"1\"\r\n  },\r\n  { \"key\": \"b\", \"value\": \"2\" }\r\n]\r\n"
	)
	for name, tt := range map[string]struct {
		before  string
		changes changes
		want    string
	}{
		"an entry is added to an empty file":            {"[]\n", changes{set("a", "1")}, "[\n{\"key\":\"a\",\"value\":\"1\"}\n]\n"},
		"entries are added to an empty file":            {" [ ]", changes{set("b", "2"), set("a", "1")}, " [\n{\"key\":\"b\",\"value\":\"2\"},\n{\"key\":\"a\",\"value\":\"1\"} ]"},
		"an entry is added to lines":                    {lines, changes{set("c", "3")}, "[\n{\"key\":\"a\",\"value\":\"1\"},\n{\"key\":\"b\",\"value\":\"2\"},\n{\"key\":\"c\",\"value\":\"3\"}\n]\n"},
		"an entry is added to one line":                 {`[{"key":"a","value":"1"}]`, changes{set("b", "2")}, "[{\"key\":\"a\",\"value\":\"1\"},\n{\"key\":\"b\",\"value\":\"2\"}\n]"},
		"a new entry has the indentation of the others": {indented, changes{set("c", "3")}, "[\r\n  {\r\n    \"key\": \"a\",\r\n    \"value\": \"1\"\r\n  },\r\n  { \"key\": \"b\", \"value\": \"2\" },\r\n  {\"key\":\"c\",\"value\":\"3\"}\r\n]\r\n"},
		"the first entry is removed":                    {lines, changes{removal("a")}, "[\n{\"key\":\"b\",\"value\":\"2\"}\n]\n"},
		"the last entry is removed":                     {lines, changes{removal("b")}, "[\n{\"key\":\"a\",\"value\":\"1\"}\n]\n"},
		"all entries are removed":                       {lines, changes{removal("b"), removal("a")}, "[]\n"},
		"all entries are replaced by others":            {lines, changes{removal("b"), removal("a"), set("c", "3")}, "[\n{\"key\":\"c\",\"value\":\"3\"}\n]\n"},
		"an entry is edited in its place":               {lines, changes{set("a", "3")}, "[\n{\"key\":\"a\",\"value\":\"3\"},\n{\"key\":\"b\",\"value\":\"2\"}\n]\n"},
		"the others keep their form":                    {indented, changes{set("b", "3")}, "[\r\n  {\r\n    \"key\": \"a\",\r\n    \"value\": \"1\"\r\n  },\r\n  {\"key\":\"b\",\"value\":\"3\"}\r\n]\r\n"},
		"other properties are kept":                     {`[{"x":[ 1 ],"key":"\u0061","metadata":{"n":1.0},"value":"1","expiration":2e9,"":null}]`, changes{set("a", "2")}, `[{"x":[ 1 ],"key":"\u0061","metadata":{"n":1.0},"value":"2","expiration":2e9,"":null}]`},
		"a new value removes base64":                    {`[{"base64":true,"key":"a","value":"MQ=="}]`, changes{set("a", "2")}, `[{"key":"a","value":"2"}]`},
		"other entries keep base64":                     {`[{"base64":true, "key":"a","value":"MQ=="},{"key":"b","value":"1"}]`, changes{set("b", "2")}, `[{"base64":true, "key":"a","value":"MQ=="},{"key":"b","value":"2"}]`},
		"a ttl becomes an expiration":                   {`[{"key":"a", "expiration_ttl":60,"value":"1"},{"key":"b","value":"2"}]`, changes{removal("b")}, `[{"key":"a","expiration":1769860860,"value":"1"}]`},
		"so does the ttl of an edited entry":            {`[{"key":"a","value":"1","expiration_ttl":1e8}]`, changes{set("a", "2")}, `[{"key":"a","value":"2","expiration":1869860800}]`},
		"a ttl counts more than an expiration":          {`[{"expiration":1,"key":"a","value":"1","expiration_ttl":1e8,"expiration":2}]`, changes{set("b", "2")}, "[{\"key\":\"a\",\"value\":\"1\",\"expiration\":1869860800},\n{\"key\":\"b\",\"value\":\"2\"}\n]"},
		"a part of a second is rounded up":              {`[{"key":"a","value":"1","expiration_ttl":100000000.25}]`, changes{set("a", "2")}, `[{"key":"a","value":"2","expiration":1869860801}]`},
		"a ttl without end stays":                       {`[{"key":"a","value":"1","expiration_ttl":1e999,"expiration":1}]`, changes{set("a", "2")}, `[{"key":"a","value":"2","expiration_ttl":1e999}]`},
		"an expired entry is replaced by a new one":     {`[{"key":"a","value":"1","expiration":1,"metadata":{}}]`, changes{set("a", "2")}, `[{"key":"a","value":"2"}]`},
		"other expired entries stay":                    {`[{"key":"a","value":"1","expiration": 1},{"key":"b","value":"1"}]`, changes{set("b", "2")}, `[{"key":"a","value":"1","expiration": 1},{"key":"b","value":"2"}]`},
		"the last of several properties counts":         {`[{"value":"0","key":"b","value":"1","key":"a","\u0076alue":"2","base64":true,"base64":false}]`, changes{set("a", "3")}, `[{"key":"a","\u0076alue":"3"}]`},
		"a comma before its entry moves":                {"[ {\"key\":\"a\",\"value\":\"1\"}\n, {\"key\":\"b\",\"value\":\"2\"}]", changes{set("b", "3")}, "[ {\"key\":\"a\",\"value\":\"1\"},\n {\"key\":\"b\",\"value\":\"3\"}]"},
		"a byte order mark stays":                       {"\ufeff" + indented, changes{removal("a"), set("c", "3")}, "\ufeff[\r\n  { \"key\": \"b\", \"value\": \"2\" },\r\n  {\"key\":\"c\",\"value\":\"3\"}\r\n]\r\n"},
		"text stays readable":                           {"[]", changes{set("é<\"", "{\"a\":\"<b> & 'c'\\n\"}\n😀\u2028")}, "[\n{\"key\":\"é<\\\"\",\"value\":\"{\\\"a\\\":\\\"<b> & 'c'\\\\n\\\"}\\n😀\\u2028\"}\n]"},
	} {
		t.Run(name, func(t *testing.T) {
			got := rewrite([]byte(tt.before), written, written.Add(time.Second), tt.changes)
			if string(got) != tt.want {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
			if _, err := parse(got, written); err != nil {
				t.Error(err)
			}
		})
	}
}

func FuzzRewrite(f *testing.F) {
	for _, seed := range []string{
		`[]`, " [ ]\n", "\ufeff[]\r\n", `[{"key":"a","value":"1"}]`, "[\n  {\"key\": \"b\", \"value\": \"1\"},\n  {\"key\": \"a\", \"value\": \"2\"}\n]",
		`[{"key":"a","value":"MQ==","base64":true,"expiration":1e9,"metadata":{}},{"key":"b","value":"","expiration_ttl":60}]`,
		`[{"\u006bey":"\ud83d\ude00","value":"\"\\","expiration_ttl":-1,"expiration_ttl":1e999}]`,
		"[{\"key\":\"a\",\"\xff\":\"\xff\",\"value\":\"\xff\"} , {\"value\":\"\",\"key\":\"b\",\"value\":\"1\",\"key\":\"c\"}]",
	} {
		f.Add([]byte(seed), "a", "{}", "b")
	}
	now := written.Add(time.Hour)
	f.Fuzz(func(t *testing.T, data []byte, edited, value, removed string) {
		before, err := parse(data, written)
		if err != nil || !keystore.ValidName(edited) || !utf8.ValidString(value) || edited == removed {
			return
		}
		changes := []keystore.Change{set(edited, value)}
		if before[removed].live(now) {
			changes = append(changes, removal(removed))
		}
		data = bytes.Clone(data)
		result := rewrite(data, written, now, changes)
		after, err := parse(result, now)
		if err != nil {
			t.Fatalf("%v: %q", err, result)
		}
		for name, e := range before {
			if name == edited || name == removed && len(changes) == 2 {
				continue
			}
			if got, ok := after[name]; !ok || got.value != e.value || math.Ceil(got.expires) != math.Ceil(e.expires) {
				t.Fatalf("%q: %v became %v, %t", name, e, got, ok)
			}
			delete(after, name)
		}
		want := entry{value, math.Inf(1)}
		if old, ok := before[edited]; ok && old.live(now) {
			want.expires = math.Ceil(old.expires)
		}
		if got := after[edited]; len(after) != 1 || got.value != want.value || math.Ceil(got.expires) != want.expires {
			t.Fatalf("%v, want %v", after, want)
		}
		gjson.ParseBytes(data).ForEach(func(_, object gjson.Result) bool {
			name := properties(object)["key"].Str
			if name != edited && name != removed && !properties(object)["expiration_ttl"].Exists() && !bytes.Contains(result, []byte(object.Raw)) {
				t.Fatalf("%q is not as it was in %q", object.Raw, result)
			}
			return true
		})
	})
}
