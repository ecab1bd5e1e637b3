package jsontext

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

// Strings are looked at eight bytes at a time: what needs an escape must be found wherever it stands.
func TestAStringIsWrittenAsJSONWhereverItsCharactersStand(t *testing.T) {
	for _, odd := range []string{"\x00", "\x1f", " ", "!", `"`, "#", "[", `\`, "]", "\x7f", "\x80", "\xff", "é", "😀", "\n"} {
		for length := range 40 {
			for at := range length + 1 {
				text := strings.Repeat("x", at) + odd + strings.Repeat("x", length-at)
				var got string
				if err := json.Unmarshal(AppendString(nil, text), &got); err != nil || got != wellFormed(text) {
					t.Fatalf("%q became %q (%v)", text, got, err)
				}
			}
		}
	}
}

func TestCleanStrings(t *testing.T) {
	long := strings.Repeat(`  x\n`, 20)
	for name, test := range map[string]struct{ raw, want string }{
		"nothing":                       {`""`, `""`},
		"text":                          {`"` + long + `é😀"`, `"` + long + `é😀"`},
		"escapes stay":                  {`"\"\\\/\b\f\n\r\t\u0000\u00e9\uFFFF"`, `"\"\\\/\b\f\n\r\t\u0000\u00e9\uFFFF"`},
		"no escape of a surrogate":      {`"\\ud83d"`, `"\\ud83d"`},
		"a pair of surrogates":          {`"\ud83d\ude00\/"`, `"😀/"`},
		"half a pair":                   {`"\ud83d \uDE00"`, `"` + "\ufffd \ufffd" + `"`},
		"half a pair behind text":       {`"` + long + `\uD83D"`, `"` + long + "\ufffd" + `"`},
		"half a pair before text":       {`"\ude00` + long + `"`, `"` + "\ufffd" + long + `"`},
		"half a pair beside another":    {`"\ud83d\ud83d\ude00"`, `"` + "\ufffd😀" + `"`},
		"what is no UTF-8":              {"\"a\xff\xc3\"", `"` + "a\ufffd\ufffd" + `"`},
		"what is no UTF-8, and escapes": {"\"\\n\xed\xa0\x80\\\"\"", `"\n` + "\ufffd\ufffd\ufffd" + `\""`},
	} {
		t.Run(name, func(t *testing.T) {
			if got := string(CleanString([]byte(test.raw))); got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}

// FuzzCleanString: whatever becomes of a string, it is the same text, and no reader can stumble over it.
func FuzzCleanString(f *testing.F) {
	f.Add([]byte(`"\ud83d\ude00 a\n\u00e9"`))
	f.Add([]byte("\"\\ud83d\xff\""))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var want, got string
		if len(raw) == 0 || raw[0] != '"' || json.Unmarshal(raw, &want) != nil {
			return
		}
		clean := CleanString(raw[:strings.LastIndexByte(string(raw), '"')+1])
		if err := json.Unmarshal(clean, &got); err != nil || got != want || !utf8.Valid(clean) {
			t.Fatalf("%q became %q (%v)", raw, clean, err)
		}
	})
}
