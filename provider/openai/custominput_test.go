package openai

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// inputOf is the text in a custom tool's arguments that come in these pieces.
func inputOf(pieces ...string) string {
	var r inputReader
	text := ""
	for _, piece := range pieces {
		text += r.next(piece)
	}
	return text + r.rest()
}

func TestTheInputOfACustomTool(t *testing.T) {
	for name, test := range map[string]struct{ arguments, input string }{
		"plain":                       {`{"input":"*** Begin Patch"}`, "*** Begin Patch"},
		"white space":                 {" {\n \"input\" :\t\"x\" } ", "x"},
		"escapes":                     {`{"input":"a\"b\\c\/d\b\f\n\r\te\u00e9\u0022"}`, "a\"b\\c/d\b\f\n\r\te\u00e9\""},
		"a character of two escapes":  {`{"input":"\ud83d\ude00!"}`, "😀!"},
		"half a character":            {`{"input":"\ud83d!"}`, "\ufffd!"},
		"half a character at the end": {`{"input":"\ud83d"}`, "\ufffd"},
		"the wrong half":              {`{"input":"\ude00x"}`, "\ufffdx"},
		"half before an escape":       {`{"input":"\ud83d\n\ud83d\u0041\ud83d\ud83d\ude00"}`, "\ufffd\n\ufffdA\ufffd😀"},
		"line breaks that are none":   {"{\"input\":\"a\nb\"}", "a\nb"},
		"other members":               {`{"a":{"input":"no","x":["}",{}]},"b":"i\"nput","c":1,"input":"yes","d":"no"}`, "yes"},
		"empty":                       {`{"input":""}`, ""},
		"no arguments":                {`{}`, ""},
		"nothing":                     {``, ""},
		"no JSON":                     {"*** Begin Patch\n{\"input\":\"x\"}", "*** Begin Patch\n{\"input\":\"x\"}"},
		"another member alone":        {`{"patch":"x"}`, `{"patch":"x"}`},
		"no string":                   {`{"input":{"a":1}}`, `{"input":{"a":1}}`},
		"cut in the text":             {`{"input":"ab`, "ab"},
		"cut in an escape":            {`{"input":"ab\`, "ab"},
		"cut in an escape by number":  {`{"input":"ab\u00`, "ab"},
		"cut in a pair":               {`{"input":"ab\ud83d\ud`, "ab\ufffd"},
		"an escape that is none":      {`{"input":"\u00zz\q"}`, "\ufffdq"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := inputOf(test.arguments); got != test.input {
				t.Errorf("in one piece: %q, want %q", got, test.input)
			}
			if got := inputOf(strings.Split(test.arguments, "")...); got != test.input {
				t.Errorf("in small pieces: %q, want %q", got, test.input)
			}
		})
	}
}

func TestTheInputOfACustomToolIsNotHeldBack(t *testing.T) {
	var r inputReader
	for _, step := range []struct{ piece, text string }{
		{`{"in`, ""}, {`put":"`, ""}, {"ab", "ab"}, {`c\`, "c"}, {"n", "\n"}, {`\ud83d\ud`, ""}, {"e00d", "😀d"}, {`"}`, ""},
	} {
		if got := r.next(step.piece); got != step.text {
			t.Errorf("behind %q came %q, want %q", step.piece, got, step.text)
		}
	}
	var plain inputReader
	for _, piece := range []string{" ", "ab", "c"} {
		if got := plain.next(piece); piece != " " && got == "" {
			t.Errorf("%q is held back", piece)
		}
	}
}

// FuzzCustomInput: however the arguments are torn, the text is the same; of valid ones it is that which a JSON
// parser finds.
func FuzzCustomInput(f *testing.F) {
	for _, arguments := range []string{`{"input":"a\"b\\cé\u00e9\ud83d\ude00\ud83d"}`, `{"a":[{"input":"\"}"}],"input":"x"}`, "no JSON", `{"input":1}`, `{"input":"\ud83d\ud83d`, `{"input"`} {
		for at := range 4 {
			f.Add(arguments, uint(at*5), uint(at*9))
		}
	}
	f.Fuzz(func(t *testing.T, arguments string, first, second uint) {
		whole := inputOf(arguments)
		i := int(first % uint(len(arguments)+1))
		j := i + int(second%uint(len(arguments)-i+1))
		if torn := inputOf(arguments[:i], arguments[i:j], arguments[j:]); torn != whole {
			t.Fatalf("%q torn at %d and %d: %q, whole: %q", arguments, i, j, torn, whole)
		}
		if small := inputOf(strings.Split(arguments, "")...); strings.ToValidUTF8(small, "") != strings.ToValidUTF8(whole, "") {
			t.Fatalf("%q in small pieces: %q, whole: %q", arguments, small, whole)
		}
		var object map[string]json.RawMessage
		if json.Unmarshal([]byte(arguments), &object) != nil || len(object) != 1 || strings.Count(arguments, "input") != 1 || !utf8.ValidString(arguments) {
			return // readers differ in how many characters they make of bytes that are not UTF-8
		}
		var want string
		if raw, ok := object["input"]; ok && gjson.ParseBytes(raw).Type == gjson.String && json.Unmarshal(raw, &want) == nil {
			if strings.ToValidUTF8(whole, "\ufffd") != strings.ToValidUTF8(want, "\ufffd") {
				t.Fatalf("%q has %q, want %q", arguments, whole, want)
			}
		}
	})
}
