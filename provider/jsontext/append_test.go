package jsontext

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

// AppendString checks eight bytes at a time, so the test puts each character at every place.
func TestAStringIsEscapedAtEveryPlace(t *testing.T) {
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

func TestCleanStringsReplacesInvalidCharacters(t *testing.T) {
	long := strings.Repeat(`  x\n`, 20)
	for name, test := range map[string]struct{ raw, want string }{
		"nothing":                    {`""`, `""`},
		"text":                       {`"` + long + `é😀"`, `"` + long + `é😀"`},
		"escapes stay":               {`"\"\\\/\b\f\n\r\t\u0000\u00e9\uFFFF"`, `"\"\\\/\b\f\n\r\t\u0000\u00e9\uFFFF"`},
		"no escape of a surrogate":   {`"\\ud83d"`, `"\\ud83d"`},
		"a pair of surrogates":       {`"\ud83d\ude00\/"`, `"😀/"`},
		"half a pair":                {`"\ud83d \uDE00"`, `"` + "\ufffd \ufffd" + `"`},
		"half a pair after text":     {`"` + long + `\uD83D"`, `"` + long + "\ufffd" + `"`},
		"half a pair before text":    {`"\ude00` + long + `"`, `"` + "\ufffd" + long + `"`},
		"half a pair beside another": {`"\ud83d\ud83d\ude00"`, `"` + "\ufffd😀" + `"`},
		"invalid UTF-8":              {"\"a\xff\xc3\"", `"` + "a\ufffd\ufffd" + `"`},
		"invalid UTF-8 and escapes":  {"\"\\n\xed\xa0\x80\\\"\"", `"\n` + "\ufffd\ufffd\ufffd" + `\""`},
	} {
		t.Run(name, func(t *testing.T) {
			if got := string(CleanString([]byte(test.raw))); got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}

// FuzzCleanString checks that a cleaned string has the same text and is valid for every JSON reader.
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
