package keystore

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

// records are users' records that together have everything that a user can have.
var records = map[string]string{
	"a key in the clear":                `{"apiKey":"secret","status":"enabled"}`,
	"a hash":                            `{"apiKeyHash":"` + hashed("secret") + `","status":"Enabled","createdAt":"2026-01-31T12:00:00Z"}`,
	"no key at all":                     `{}`,
	"disabled":                          `{"apiKey":"secret","status":"Disabled"}`,
	"an end in another time zone":       `{"apiKey":"secret","status":"Enabled","expiresAt":"2026-01-31T12:30:00.5+01:00"}`,
	"a key that is being rotated":       `{"apiKeyHash":"` + hashed("new") + `","status":"Enabled","previous":{"apiKeyHash":"` + hashed("old") + `","expiresAt":"2026-02-01T00:00:00Z"}}`,
	"a list that allows no model":       `{"apiKey":"secret","models":[]}`,
	"a list that allows some":           `{"apiKey":"secret","models":["workers-ai/*","openai/gpt-4o"]}`,
	"metadata of every kind":            `{"apiKey":"secret","metadata":{"team":"c\"or\u00e9","level":1e2,"lead":true,"gone":null}}`,
	"metadata that is never sent":       `{"apiKey":"secret","metadata":{"user":"x","cf.a":1,"o":{}}}`,
	"limits of every kind":              `{"apiKey":"secret","limits":{"requests":["120/1m","1000/day"],"tokens":["5/1h"],"parallel":8}}`,
	"limits that lift the server's":     `{"apiKey":"secret","limits":{"requests":[],"tokens":[],"parallel":0}}`,
	"metadata with the same name twice": `{"apiKey":"secret","metadata":{"a":1,"a":2}}`,
}

func TestASnapshotOfAUserIsTheUser(t *testing.T) {
	for name, record := range records {
		t.Run(name, func(t *testing.T) {
			k, err := ParseAPIKey([]byte(record))
			if err != nil {
				t.Fatal(err)
			}
			snapshot, err := json.Marshal(k)
			if err != nil {
				t.Fatal(err)
			}
			again, err := ParseAPIKey(snapshot)
			if err != nil {
				t.Fatalf("%v: %s", err, snapshot)
			}
			if !again.until.Equal(k.until) || !again.previousUntil.Equal(k.previousUntil) {
				t.Errorf("ends at %v and %v, want %v and %v", again.until, again.previousUntil, k.until, k.previousUntil)
			}
			again.until, again.previousUntil = k.until, k.previousUntil
			if !reflect.DeepEqual(k, again) {
				t.Errorf("%s became %+v, want %+v", snapshot, again, k)
			}
			if strings.Contains(string(snapshot), "secret") {
				t.Errorf("the key itself is in %s", snapshot)
			}
		})
	}
}

// settingsRecords are providers' records that together have everything that settings can have.
var settingsRecords = map[string]string{
	"nothing":    `{}`,
	"everything": `{"headers":{"authorization":"Bearer x","x-n":5},"queryString":{"key":"k","on":true},"body":{"safetySettings":[{"a":1}]},"models":["a","b"]}`,
	"no models":  `{"models":[]}`,
}

func TestASnapshotOfSettingsIsTheSettings(t *testing.T) {
	for name, record := range settingsRecords {
		t.Run(name, func(t *testing.T) {
			s, err := ParseSettings([]byte(record))
			if err != nil {
				t.Fatal(err)
			}
			snapshot, err := json.Marshal(s)
			if err != nil {
				t.Fatal(err)
			}
			again, err := ParseSettings(snapshot)
			if err != nil || !reflect.DeepEqual(s, again) {
				t.Errorf("%s became %+v, want %+v (%v)", snapshot, again, s, err)
			}
		})
	}
}

// FuzzSnapshot checks that a snapshot of any user can be read, and is the same user.
func FuzzSnapshot(f *testing.F) {
	for _, record := range records {
		f.Add([]byte(record))
	}
	f.Add([]byte(`{"apiKey":"k","status":"Enabled","expiresAt":"2030-01-01T00:00:00+24:60"}`))
	f.Fuzz(func(t *testing.T, record []byte) {
		k, err := ParseAPIKey(record)
		if err != nil {
			return
		}
		snapshot, err := json.Marshal(k)
		if err != nil {
			t.Fatalf("%q: %v", record, err)
		}
		again, err := ParseAPIKey(snapshot)
		if err != nil || again.key != k.key || again.previous != k.previous || again.enabled != k.enabled || !again.until.Equal(k.until) {
			t.Errorf("%q became %s: %v", record, snapshot, err)
		}
	})
}

// FuzzSnapshotOfSettings checks that a snapshot of any settings can be read, and is the same
// settings.
func FuzzSnapshotOfSettings(f *testing.F) {
	for _, record := range settingsRecords {
		f.Add([]byte(record))
	}
	f.Add([]byte(`{"headers":{"a":"\ud800<\u2028"},"queryString":{"":"\u0000"},"body":{ "a" : "<&>\u2028", "a":1e400 }}`))
	f.Fuzz(func(t *testing.T, record []byte) {
		s, err := ParseSettings(record)
		if err != nil || !utf8.Valid(record) { // stores read JSON, which is valid UTF-8
			return
		}
		snapshot, err := json.Marshal(s)
		if err != nil {
			t.Fatalf("%q: %v", record, err)
		}
		again, err := ParseSettings(snapshot)
		if err != nil {
			t.Fatalf("%q became %s: %v", record, snapshot, err)
		}
		if !sameJSON(t, s.Body, again.Body) {
			t.Errorf("the body %s became %s", s.Body, again.Body)
		}
		again.Body = s.Body
		if !reflect.DeepEqual(s, again) {
			t.Errorf("%q became %s", record, snapshot)
		}
	})
}

// sameJSON reports whether two documents are equal, except for spaces and escapes.
func sameJSON(t *testing.T, a, b []byte) bool {
	t.Helper()
	plain := func(document []byte) (value any) {
		if document == nil {
			return nil
		}
		d := json.NewDecoder(bytes.NewReader(document))
		d.UseNumber()
		if err := d.Decode(&value); err != nil {
			t.Fatalf("%s: %v", document, err)
		}
		return value
	}
	return reflect.DeepEqual(plain(a), plain(b))
}
