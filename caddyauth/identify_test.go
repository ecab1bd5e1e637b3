package caddyauth

import (
	"net/http"
	"strings"
	"testing"

	"github.com/continue-auth/caddy-continue-auth/keystore"
)

func TestCredentials(t *testing.T) {
	for name, test := range map[string]struct {
		email, authorization string
		wantEmail, wantKey   string // both empty: refused
	}{
		"header and key":                           {"dev@example.com", "Bearer k", "dev@example.com", "k"},
		"both in one":                              {"", "Bearer dev@example.com:k", "dev@example.com", "k"},
		"both in one, the key with colons":         {"", "Bearer dev@example.com:a:b:c", "dev@example.com", "a:b:c"},
		"in one and in the header":                 {"dev@example.com", "Bearer dev@example.com:k", "dev@example.com", "k"},
		"beside the header a key with colons":      {"dev@example.com", "Bearer a:b", "dev@example.com", "a:b"},
		"a name that is no email, in one":          {"", "Bearer ci:k", "ci", "k"},
		"a name that is no email, in both":         {"ci", "Bearer ci:k", "ci", "k"},
		"the scheme in small letters":              {"dev@example.com", "bearer k", "dev@example.com", "k"},
		"several spaces":                           {"dev@example.com", "Bearer   k ", "dev@example.com", "k"},
		"beside the header a key with an @":        {"dev@example.com", "Bearer p@ss:word", "dev@example.com", "p@ss:word"},
		"in one a key with an @":                   {"", "Bearer dev@example.com:p@ss:word", "dev@example.com", "p@ss:word"},
		"two emails that differ are a wrong key":   {"dev@example.com", "Bearer other@example.com:k", "dev@example.com", "other@example.com:k"},
		"two emails that differ in case agree":     {"Dev@example.com", "Bearer dev@Example.com:k:l", "Dev@example.com", "k:l"},
		"no key":                                   {"dev@example.com", "Bearer ", "", ""},
		"no key behind the colon":                  {"", "Bearer dev@example.com:", "", ""},
		"no key behind the colon, with the header": {"dev@example.com", "Bearer dev@example.com:", "", ""},
		"no email":       {"", "Bearer k", "", ""},
		"another scheme": {"dev@example.com", "Basic k", "", ""},
		"no scheme":      {"dev@example.com", "k", "", ""},
		"nothing":        {"", "", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			header := http.Header{}
			header.Set("Authorization", test.authorization)
			if test.email != "" {
				header.Set("X-User-Email", test.email)
			}
			email, key, ok := credentials(header, "X-User-Email")
			if ok != (test.wantEmail != "") || ok && (email != test.wantEmail || key != test.wantKey) {
				t.Errorf("credentials are %q, %q, %v", email, key, ok)
			}
		})
	}
}

func TestHeadersThatStandTwiceAreRefused(t *testing.T) {
	for name, header := range map[string]http.Header{
		"two keys":   {"Authorization": {"Bearer a", "Bearer b"}, "X-User-Email": {"dev@example.com"}},
		"two emails": {"Authorization": {"Bearer a"}, "X-User-Email": {"dev@example.com", "other@example.com"}},
	} {
		if email, key, ok := credentials(header, "X-User-Email"); ok {
			t.Errorf("%s: took %q and %q", name, email, key)
		}
	}
}

func FuzzCredentials(f *testing.F) {
	f.Add("dev@example.com", "Bearer k")
	f.Add("", "Bearer dev@example.com:k")
	f.Add("dev@example.com", "bearer other@example.com:k")
	f.Fuzz(func(t *testing.T, header, authorization string) {
		email, key, ok := credentials(http.Header{"Authorization": {authorization}, "X-User-Email": {header}}, "X-User-Email")
		if !ok {
			return
		}
		if email == "" || key == "" || !strings.Contains(authorization, key) {
			t.Errorf("took email %q and key %q of %q", email, key, authorization)
		}
		if header != "" && email != header {
			t.Errorf("the header says %q, taken was %q", header, email)
		}
		if header == "" && !strings.Contains(authorization, email+":"+key) {
			t.Errorf("took email %q and key %q of %q", email, key, authorization)
		}
	})
}

func TestMetadataIsASCIIAndBeginsWithTheUser(t *testing.T) {
	for name, test := range map[string]struct{ email, metadata, want string }{
		"the user alone":              {"dev@example.com", `{}`, `{"user":"dev@example.com"}`},
		"entries in their order":      {"dev@example.com", `{"z":"1","a":2,"m":true}`, `{"user":"dev@example.com","z":"1","a":2,"m":true}`},
		"beyond ASCII":                {"dév@example.com", `{"téam":"é😀"}`, `{"user":"d\u00e9v@example.com","t\u00e9am":"\u00e9\ud83d\ude00"}`},
		"quotes and backslashes":      {`a"b\c@example.com`, `{"a\"b":"c\\d"}`, `{"user":"a\"b\\c@example.com","a\"b":"c\\d"}`},
		"an entry that would forge":   {"dev@example.com", `{"user":"boss@example.com","team":"core"}`, `{"user":"dev@example.com","team":"core"}`},
		"escapes stay as they are":    {"dev@example.com", `{"a":"\u00e9"}`, `{"user":"dev@example.com","a":"\u00e9"}`},
		"a fifth entry is left out":   {"dev@example.com", `{"a":1,"b":2,"c":3,"d":4,"e":5}`, `{"user":"dev@example.com","a":1,"b":2,"c":3,"d":4}`},
		"a name that escapes to user": {"dev@example.com", `{"\u0075ser":"boss@example.com"}`, `{"user":"dev@example.com"}`},
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
