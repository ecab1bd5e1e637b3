package jsontext

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// The scanner checks many bytes at a time, so the test puts each character at every place.
func TestAStringIsCheckedAtEveryPlace(t *testing.T) {
	for _, odd := range []string{"\x00", "\n", "\x1f", " ", "\x7f", "\x80", "\xff", `\`, `\\`, `\"`, `"`, `\n\t`, `\\\n`, `\u00e9`, `\u00g9`, `\u1`, `\x`, `\\x`, `\]`, `\\]]`} {
		for length := range 140 {
			for at := range length + 1 {
				text := strings.Repeat("é", length/2) + strings.Repeat("x", length%2)
				for _, end := range []string{`","b":1}`, `"}`} {
					body := slices.Clip([]byte(`{"a":"` + text[:at] + odd + text[at:] + end))
					if got, want := ValidObject(body), json.Valid(body); got != want {
						t.Fatalf("ValidObject(%q) is %v, encoding/json says %v", body, got, want)
					}
				}
			}
		}
	}
}

// FuzzScan compares the scanner with encoding/json.
func FuzzScan(f *testing.F) {
	for _, seed := range []string{`{"a":[1,2.5e10,"x\n"],"b":{"c":null}}`, `{"a":01}`, `{"a":"` + "\x1f" + `"}`, `{"é":"\u00e9\ud800"}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var object map[string]json.RawMessage
		want := json.Unmarshal(b, &object) == nil && object != nil
		if got := ValidObject(b); got != want {
			t.Errorf("ValidObject(%q) is %v, encoding/json says %v", b, got, want)
		}
	})
}
