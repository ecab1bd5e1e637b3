package caddyauth

import (
	"testing"

	"github.com/continue-auth/caddy-continue-auth/keystore"
)

func TestMetadataIsASCIIAndBeginsWithTheUser(t *testing.T) {
	for name, test := range map[string]struct{ email, metadata, want string }{
		"only the user":                      {"dev@example.com", `{}`, `{"user":"dev@example.com"}`},
		"entries in their order":             {"dev@example.com", `{"z":"1","a":2,"m":true}`, `{"user":"dev@example.com","z":"1","a":2,"m":true}`},
		"beyond ASCII":                       {"dév@example.com", `{"téam":"é😀"}`, `{"user":"d\u00e9v@example.com","t\u00e9am":"\u00e9\ud83d\ude00"}`},
		"quotes and backslashes":             {`a"b\c@example.com`, `{"a\"b":"c\\d"}`, `{"user":"a\"b\\c@example.com","a\"b":"c\\d"}`},
		"an entry that would forge the user": {"dev@example.com", `{"user":"boss@example.com","team":"core"}`, `{"user":"dev@example.com","team":"core"}`},
		"escapes are kept":                   {"dev@example.com", `{"a":"\u00e9"}`, `{"user":"dev@example.com","a":"\u00e9"}`},
		"a fifth entry is left out":          {"dev@example.com", `{"a":1,"b":2,"c":3,"d":4,"e":5}`, `{"user":"dev@example.com","a":1,"b":2,"c":3,"d":4}`},
		"a name that escapes to user":        {"dev@example.com", `{"\u0075ser":"boss@example.com"}`, `{"user":"dev@example.com"}`},
	} {
		t.Run(name, func(t *testing.T) {
			key, err := keystore.ParseAPIKey([]byte(`{"metadata":` + test.metadata + `}`))
			if err != nil {
				t.Fatal(err)
			}
			if got := metadata(user{test.email, key}); got != test.want {
				t.Errorf("metadata %s, want %s", got, test.want)
			}
		})
	}
}
