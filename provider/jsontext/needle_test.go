package jsontext

import (
	"bytes"
	"testing"
)

func TestANeedleIsFoundAtItsFirstPlace(t *testing.T) {
	needles := map[string]Needle{`"err`: NewNeedle(`"e`, "rr"), `"e`: NewNeedle(`"`, "e"), `rrr`: NewNeedle("r", "rr"), `rr`: NewNeedle("", "rr")}
	var all func(b []byte)
	all = func(b []byte) {
		for text, needle := range needles {
			want := bytes.Index(b, []byte(text))
			if got := needle.Index(b); got != want || needle.In(b) != (want >= 0) {
				t.Fatalf("%q in %q: at %d, want %d", text, b, got, want)
			}
		}
		if len(b) < 8 {
			for _, c := range []byte(`"er`) {
				all(append(b[:len(b):len(b)], c))
			}
		}
	}
	all(nil)
}
