package keystore

import (
	"strings"
	"testing"
)

func TestEditsOfSettingsKeepAllOtherMembers(t *testing.T) {
	const before = `{"headers":{"x-API-key":"old","a.b":"c"}, "queryString":{"api-version":"1","Key":"k"},"note":[1.50]}`
	for name, test := range map[string]struct {
		edit func(*SettingsRecord)
		want string
	}{
		"a header in another case": {func(r *SettingsRecord) { r.SetHeader("X-Api-Key", "new\"") },
			`{"headers":{"X-Api-Key":"new\"","a.b":"c"},"queryString":{"api-version":"1","Key":"k"},"note":[1.50]}`},
		"a new header": {func(r *SettingsRecord) { r.SetHeader("x", "y") },
			`{"headers":{"x-API-key":"old","a.b":"c","x":"y"},"queryString":{"api-version":"1","Key":"k"},"note":[1.50]}`},
		"no header": {func(r *SettingsRecord) { r.SetHeader("A.B", "") },
			`{"headers":{"x-API-key":"old"},"queryString":{"api-version":"1","Key":"k"},"note":[1.50]}`},
		"a parameter": {func(r *SettingsRecord) { r.SetQuery("key", "x") },
			`{"headers":{"x-API-key":"old","a.b":"c"},"queryString":{"api-version":"1","Key":"k","key":"x"},"note":[1.50]}`},
		"no parameter": {func(r *SettingsRecord) { r.SetQuery("Key", "") },
			`{"headers":{"x-API-key":"old","a.b":"c"},"queryString":{"api-version":"1"},"note":[1.50]}`},
		"models": {func(r *SettingsRecord) { r.SetModels([]string{"a", "b"}) },
			`{"headers":{"x-API-key":"old","a.b":"c"},"queryString":{"api-version":"1","Key":"k"},"note":[1.50],"models":["a","b"]}`},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := ParseSettingsRecord([]byte(before))
			if err != nil {
				t.Fatal(err)
			}
			test.edit(r)
			if got := string(r.Bytes()); got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
			if _, err := ParseSettings(r.Bytes()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestNewSettingsCanBeEdited(t *testing.T) {
	r, err := ParseSettingsRecord(nil)
	if err != nil {
		t.Fatal(err)
	}
	r.SetHeader("Authorization", "Bearer x")
	r.SetQuery("key", "y")
	if got := string(r.Bytes()); got != `{"headers":{"Authorization":"Bearer x"},"queryString":{"key":"y"}}` {
		t.Error(got)
	}
	headers, query := r.Names()
	if strings.Join(headers, " ") != "authorization" || strings.Join(query, " ") != "key" {
		t.Errorf("names %q, %q", headers, query)
	}
	if _, err := ParseSettingsRecord([]byte(`{"headers":1}`)); err == nil {
		t.Error("broken settings are taken")
	}
}

// encoding/json reads both members into one map, and null empties it.
func TestHeadersInTwoMembersAreJoined(t *testing.T) {
	for before, want := range map[string]string{
		`{"headers":{"a":"1"},"Headers":{"b":"2"}}`:                `{"headers":{"a":"1","b":"2","c":"3"}}`,
		`{"headers":{"a":"1"},"headers":null,"headers":{"b":"2"}}`: `{"headers":{"b":"2","c":"3"}}`,
		`{"headers":{"a":"1"},"headers":null}`:                     `{"headers":{"c":"3"}}`,
	} {
		r, err := ParseSettingsRecord([]byte(before))
		if err != nil {
			t.Fatal(err)
		}
		r.SetHeader("c", "3")
		if got := string(r.Bytes()); got != want {
			t.Errorf("%s became %s, want %s", before, got, want)
		}
	}
}
