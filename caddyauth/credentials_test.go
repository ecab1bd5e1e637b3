package caddyauth

import (
	"net/http"
	"strings"
	"testing"
)

func TestTheKeyAndTheEmailAreFound(t *testing.T) {
	for name, test := range map[string]struct {
		email, authorization string
		wantEmail, wantKey   string // both empty: refused
	}{
		"header and key":                            {"dev@example.com", "Bearer k", "dev@example.com", "k"},
		"both in one":                               {"", "Bearer dev@example.com:k", "dev@example.com", "k"},
		"both in one, with colons in the key":       {"", "Bearer dev@example.com:a:b:c", "dev@example.com", "a:b:c"},
		"in one and in the header":                  {"dev@example.com", "Bearer dev@example.com:k", "dev@example.com", "k"},
		"a key with colons beside the email header": {"dev@example.com", "Bearer a:b", "dev@example.com", "a:b"},
		"a name that is not an email, in one":       {"", "Bearer ci:k", "ci", "k"},
		"a name that is not an email, in both":      {"ci", "Bearer ci:k", "ci", "k"},
		"the scheme in lower case":                  {"dev@example.com", "bearer k", "dev@example.com", "k"},
		"several spaces":                            {"dev@example.com", "Bearer   k ", "dev@example.com", "k"},
		"a key with an @ beside the email header":   {"dev@example.com", "Bearer p@ss:word", "dev@example.com", "p@ss:word"},
		"both in one, with an @ in the key":         {"", "Bearer dev@example.com:p@ss:word", "dev@example.com", "p@ss:word"},
		"two different emails make a wrong key":     {"dev@example.com", "Bearer other@example.com:k", "dev@example.com", "other@example.com:k"},
		"two emails that differ in case agree":      {"Dev@example.com", "Bearer dev@Example.com:k:l", "Dev@example.com", "k:l"},
		"no key":                                    {"dev@example.com", "Bearer ", "", ""},
		"no key after the colon":                    {"", "Bearer dev@example.com:", "", ""},
		"no key after the colon, with the header":   {"dev@example.com", "Bearer dev@example.com:", "", ""},
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

func TestKeysInSeveralHeadersMustAgree(t *testing.T) {
	for name, test := range map[string]struct {
		email, bearer, anthropic, azure, google string
		wantEmail, wantKey                      string // both empty: refused
	}{
		"the second with the email in its header":            {"dev@example.com", "", "k", "", "", "dev@example.com", "k"},
		"the third with the email in its header":             {"dev@example.com", "", "", "k", "", "dev@example.com", "k"},
		"the fourth with the email in its header":            {"dev@example.com", "", "", "", "k", "dev@example.com", "k"},
		"the second with both":                               {"", "", "dev@example.com:k", "", "", "dev@example.com", "k"},
		"the fourth with both, with colons in the key":       {"", "", "", "", "dev@example.com:a:b", "dev@example.com", "a:b"},
		"a scheme where none belongs":                        {"dev@example.com", "", "Bearer k", "", "", "dev@example.com", "Bearer k"},
		"white space around a key":                           {"dev@example.com", "", " k ", "", "", "dev@example.com", "k"},
		"all the same":                                       {"dev@example.com", "Bearer k", "k", "k", "k", "dev@example.com", "k"},
		"all the same, with both":                            {"", "Bearer dev@example.com:k", "dev@example.com:k", "dev@example.com:k", "dev@example.com:k", "dev@example.com", "k"},
		"the email in one of them":                           {"", "Bearer k", "", "k", "dev@example.com:k", "dev@example.com", "k"},
		"the email in each, in different case":               {"", "Bearer DEV@example.com:k", "dev@EXAMPLE.com:k", "", "", "DEV@example.com", "k"},
		"the email in all places":                            {"dev@example.com", "Bearer Dev@example.com:k", "k", "dev@example.com:k", "", "dev@example.com", "k"},
		"another key in the second":                          {"dev@example.com", "Bearer k", "l", "", "", "", ""},
		"another key in the last":                            {"dev@example.com", "Bearer k", "k", "k", "l", "", ""},
		"another key of the same email":                      {"", "Bearer dev@example.com:k", "", "dev@example.com:l", "", "", ""},
		"another email with the same key":                    {"", "Bearer dev@example.com:k", "other@example.com:k", "", "", "", ""},
		"another email than in the header":                   {"dev@example.com", "Bearer k", "other@example.com:k", "", "", "", ""},
		"no email anywhere":                                  {"", "Bearer k", "k", "k", "k", "", ""},
		"no key after the email in one of them":              {"", "Bearer dev@example.com:k", "dev@example.com:", "", "", "", ""},
		"a key beside another scheme":                        {"dev@example.com", "Basic k", "k", "", "", "", ""},
		"a key beside a scheme without a key":                {"dev@example.com", "Bearer", "k", "", "", "dev@example.com", "k"},
		"a key with a colon, but without an email before it": {"", "Bearer a:b", "", "dev@example.com:a:b", "", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			header := http.Header{"X-User-Email": {test.email}, "Authorization": {test.bearer}, "X-Api-Key": {test.anthropic}, "Api-Key": {test.azure}, "X-Goog-Api-Key": {test.google}}
			for range 20 { // map order is random
				email, key, ok := credentials(header, "X-User-Email")
				if ok != (test.wantEmail != "") || ok && (email != test.wantEmail || key != test.wantKey) {
					t.Fatalf("credentials are %q, %q, %v", email, key, ok)
				}
			}
		})
	}
}

func TestRepeatedHeadersAreRefused(t *testing.T) {
	for name, header := range map[string]http.Header{
		"two keys":                 {"Authorization": {"Bearer a", "Bearer b"}, "X-User-Email": {"dev@example.com"}},
		"the same key twice":       {"X-Api-Key": {"a", "a"}, "X-User-Email": {"dev@example.com"}},
		"two keys beside a third":  {"Authorization": {"Bearer a"}, "X-Goog-Api-Key": {"a", "b"}, "X-User-Email": {"dev@example.com"}},
		"one key and an empty one": {"Api-Key": {"a", ""}, "X-User-Email": {"dev@example.com"}},
		"two emails":               {"Authorization": {"Bearer a"}, "X-User-Email": {"dev@example.com", "other@example.com"}},
	} {
		if email, key, ok := credentials(header, "X-User-Email"); ok {
			t.Errorf("%s: accepted %q and %q", name, email, key)
		}
	}
}

func TestReadingCredentialsAllocatesNothing(t *testing.T) {
	header := http.Header{"Authorization": {"Bearer k"}, "Api-Key": {"dev@example.com:k"}, "X-User-Email": {"dev@example.com"}}
	if n := testing.AllocsPerRun(100, func() { credentials(header, "X-User-Email") }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzCredentials checks that accepted credentials agree with every header that is not empty.
func FuzzCredentials(f *testing.F) {
	f.Add("dev@example.com", "Bearer k", "", "", "")
	f.Add("", "Bearer dev@example.com:k", "", "k", "")
	f.Add("dev@example.com", "bearer other@example.com:k", "", "", "")
	f.Add("", "", "dev@example.com:k", "DEV@example.com:k", "k")
	f.Fuzz(func(t *testing.T, header, bearer, anthropic, azure, google string) {
		all := []string{bearer, anthropic, azure, google}
		email, key, ok := credentials(http.Header{"Authorization": {bearer}, "X-Api-Key": {anthropic}, "Api-Key": {azure}, "X-Goog-Api-Key": {google}, "X-User-Email": {header}}, "X-User-Email")
		if !ok {
			return
		}
		if email == "" || key == "" {
			t.Errorf("accepted email %q and key %q", email, key)
		}
		if header != "" && email != header {
			t.Errorf("the header says %q, accepted was %q", header, email)
		}
		named := header != ""
		for i, value := range all {
			if i == 0 {
				_, value, _ = strings.Cut(value, " ")
			}
			if value = strings.TrimSpace(value); value == "" {
				continue
			}
			before, exact := strings.CutSuffix(value, key)
			named = named || before == email+":"
			if !exact || before != "" && !strings.EqualFold(before, email+":") {
				t.Errorf("accepted email %q and key %q, one header has %q", email, key, value)
			}
		}
		if !named {
			t.Errorf("accepted email %q, which is in none of %q", email, all)
		}
	})
}
