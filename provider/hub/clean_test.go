package hub

import (
	"strings"
	"testing"

	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
)

func TestMessagesAreCleanedOnlyWhereReadersCouldDisagree(t *testing.T) {
	long := strings.Repeat("x", 100)
	for name, test := range map[string]struct{ messages, want string }{
		"ASCII":                                 {`["` + long + `\n"]`, ""},
		"other characters":                      {`["` + long + `é😀"]`, ""},
		"an escape by number":                   {`["\u00e9` + long + `"]`, ""},
		"half a surrogate pair":                 {`[ "a\ud83db" , {"c":"` + long + `\"\\"}]`, "[ \"a\uFFFDb\" , {\"c\":\"" + long + `\"\\"}]`},
		"half a surrogate pair in upper case":   {`["\uDE00"]`, "[\"\uFFFD\"]"},
		"a pair of them":                        {`["\ud83d\ude00"]`, `["😀"]`},
		"an escaped backslash before ud83d":     {`["\\ud83d"]`, `["\\ud83d"]`},
		"invalid UTF-8":                         {"[\"a\xff\",\"" + long + "\"]", "[\"a\uFFFD\",\"" + long + "\"]"},
		"invalid UTF-8 after much text":         {"[\"" + long + "\xe2\x82\"]", "[\"" + long + "\uFFFD\uFFFD\"]"},
		"half a pair in a short and a long one": {`["\ud83d","` + long + `\ud83d"]`, "[\"\uFFFD\",\"" + long + "\uFFFD\"]"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := ParseRequest(Chat, []byte(`{"messages":`+test.messages+`,"model":"a/b"}`))
			if err != nil {
				t.Fatal(err)
			}
			got := r.CleanMessages()
			if want := test.want; want != "" && string(got) != want {
				t.Errorf("%s, want %s", got, want)
			}
			if copied := &got[0] != &r.Messages()[0]; copied != (test.want != "") {
				t.Errorf("copied: %v, %s", copied, got)
			}
		})
	}
}

func TestARequestWithoutMessagesHasNothingToClean(t *testing.T) {
	r, err := ParseRequest(Chat, []byte(`{"model":"a/b","user":"\ud83d"}`))
	if err != nil || r.CleanMessages() != nil {
		t.Errorf("%q, %v", r.CleanMessages(), err)
	}
}

func TestReadingAgainFindsWhatParsingFound(t *testing.T) {
	const text = `["a\"b\\", "` + "0123456789012345678901234567890123456789" + `\\\"\u00e9" , {"c\\":[1,null]}]`
	var first, again []string
	for got, r := range map[*[]string]jsontext.Reader{&first: jsontext.NewReader([]byte(text)), &again: jsontext.NewRereader([]byte(text))} {
		r.Array(func() { *got = append(*got, string(r.Raw())) })
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	if len(first) != 3 || strings.Join(first, "\n") != strings.Join(again, "\n") {
		t.Errorf("%q, and again %q", first, again)
	}
}
