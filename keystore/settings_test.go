package keystore

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

func TestParseSettingsReadsWhatTheWorkerReads(t *testing.T) {
	for name, test := range map[string]struct {
		record        string
		header, query string
		models        []string
	}{
		"the Worker's record":       {`{"headers":{"x-custom-header":"value"},"queryString":{"api-version":"2023-03-15-preview"}}`, "X-Custom-Header: value", "api-version=2023-03-15-preview", nil},
		"both left out":             {`{}`, "", "", nil},
		"numbers and booleans":      {`{"headers":{"x-n":1},"queryString":{"b":true,"a":1.50}}`, "X-N: 1", "a=1.50&b=true", nil},
		"a query that needs escape": {`{"queryString":{"key":"a&b=c"}}`, "", "key=a%26b%3Dc", nil},
		"models":                    {`{"models":["@cf/a","@cf/b"]}`, "", "", []string{"@cf/a", "@cf/b"}},
		"white space around values": {`{"headers":{"a":"\r\n k 1\t\n","b":" ","c":"\u00a0k"},"queryString":{"q":" 1\n"}}`, "A: k 1, B: , C: \u00a0k", "q=+1%0A", nil},
		"a byte order mark":         {"\ufeff\r\n{\"headers\":{\"a\":\"b\"}}\r\n", "A: b", "", nil},
		"null counts as left out":   {`{"headers":null,"queryString":null,"models":null}`, "", "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := ParseSettings([]byte(test.record))
			if err != nil {
				t.Fatal(err)
			}
			var header []string
			for _, name := range slices.Sorted(maps.Keys(s.Header)) {
				header = append(header, name+": "+s.Header.Get(name))
			}
			if got := strings.Join(header, ", "); got != test.header {
				t.Errorf("headers %q, want %q", got, test.header)
			}
			if got := s.Query.Encode(); got != test.query {
				t.Errorf("query %q, want %q", got, test.query)
			}
			if !slices.Equal(s.Models, test.models) {
				t.Errorf("models %q, want %q", s.Models, test.models)
			}
		})
	}
}

func TestTheBodyOfSettingsMustBeAnObject(t *testing.T) {
	for record, want := range map[string]string{
		`{}`:            "",
		`{"body":null}`: "",
		`{"body":{}}`:   "{}",
		`{"body":{"safetySettings": [{"threshold":"OFF"}],"x":1.50}}`: `{"safetySettings": [{"threshold":"OFF"}],"x":1.50}`,
	} {
		s, err := ParseSettings([]byte(record))
		if err != nil || string(s.Body) != want || (s.Body == nil) != (want == "") {
			t.Errorf("%s: body %q, error %v, want %q", record, s.Body, err, want)
		}
	}
}

func TestParseSettingsNamesTheFaultyField(t *testing.T) {
	const lineBreak = "not valid in HTTP: a value must not have a line break or another control character inside"
	for record, want := range map[string]string{
		`[]`:                            "must be a JSON object",
		`{"headers":{`:                  "must be valid JSON",
		`{"headers":"x"}`:               "headers: must not be a string",
		`{"headers":{"a":{}}}`:          "headers.a: must be a string, a number or a boolean",
		`{"headers":{"a":"b\r\nc: d"}}`: "headers.a: " + lineBreak,
		`{"headers":{"a":"b\nc"}}`:      "headers.a: " + lineBreak,
		`{"headers":{"a":"b\u0000"}}`:   "headers.a: " + lineBreak,
		`{"headers":{"a":"b\u000b"}}`:   "headers.a: " + lineBreak, // Fetch does not trim it
		`{"headers":{"a b":"c"}}`:       "headers: a name is not valid in HTTP",
		`{"headers":{" a":"c"}}`:        "headers: a name is not valid in HTTP",
		`{"headers":{"a\n":"c"}}`:       "headers: a name is not valid in HTTP",
		`{"headers":{"":"c"}}`:          "headers: a name is not valid in HTTP",
		"\ufeff":                        "must be a JSON object",
		"\ufeff\ufeff{}":                "must be a JSON object",
		"\xff\xfe{\x00}\x00":            "the text is UTF-16; save it as UTF-8",
		"\xfe\xff\x00{\x00}":            "the text is UTF-16; save it as UTF-8",
		"{\x00}\x00":                    "the text is UTF-16; save it as UTF-8",
		`{"queryString":{"a":[1]}}`:     "queryString.a: must be a string, a number or a boolean",
		`{"models":{}}`:                 "models: must not be a object",
		`{"body":[]}`:                   "body: must be an object",
		`{"body":{"model":"other"}}`:    "body.model: is the client's to set",
		`{"body":{"stream":null}}`:      "body.stream: is the client's to set",
	} {
		_, err := ParseSettings([]byte(record))
		if err == nil || err.Error() != want {
			t.Errorf("%s: error %v, want %q", record, err, want)
		}
	}
}

func FuzzParseSettings(f *testing.F) {
	f.Add([]byte(`{"headers":{"api-key":"secret"},"queryString":{"api-version":"1"},"models":["m"]}`))
	f.Fuzz(func(t *testing.T, record []byte) {
		s, err := ParseSettings(record)
		if err != nil {
			return
		}
		for name, values := range s.Header {
			if strings.ContainsAny(name+values[0], "\r\n\x00") || strings.Trim(values[0], " \t") != values[0] {
				t.Errorf("header %q: %q could end early, or be another for upstream", name, values)
			}
		}
	})
}

func TestValidName(t *testing.T) {
	for name, want := range map[string]bool{
		"dev@example.com":              true,
		"dev+tag/x@example.com":        true,
		"x/../../y":                    true, // names are sent in bodies, never in a URL
		"dév@example.com":              true,
		strings.Repeat("a", 512):       true,
		"":                             false,
		".":                            false,
		"..":                           false,
		strings.Repeat("a", 513):       false,
		"dev\n@example.com":            false,
		"dev\x00":                      false,
		"dev\x7f":                      false,
		"dev\u0085":                    false,
		"dev\xff@example.com":          false,
		strings.Repeat("é", 256) + "é": false,
	} {
		if got := ValidName(name); got != want {
			t.Errorf("ValidName(%q) is %v, want %v", name, got, want)
		}
	}
}
