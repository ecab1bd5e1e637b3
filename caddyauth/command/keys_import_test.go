package command

import (
	"encoding/csv"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/continue-auth/caddy-continue-auth/keystore"
)

var madeKey = regexp.MustCompile(`^cca_[0-9A-Za-z]{43}$`)

// FuzzImport checks that the server lets in every user of an import that is accepted, and that each
// occurs once.
func FuzzImport(f *testing.F) {
	f.Add("email,expires,models,metadata.team\ndev@example.com,90d,workers-ai/* openai/*,core\n\n,,,\nops@example.com,2030-12-31,,\n")
	f.Add("\ufeffEmail;Key; Models\r\n\"dev@example.com\";old key;\"a;b\"\r\n")
	f.Add("email,key\na,\na,\n")
	f.Add("email,metadata.a,metadata.b,metadata.c,metadata.d,metadata.e\nx,1,2,3,4,5")
	f.Fuzz(func(t *testing.T, content string) {
		now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
		users, err := parseImport(strings.NewReader(content), now)
		if err != nil {
			return
		}
		seen := make(map[string]bool)
		for _, u := range users {
			if checkEmail(u.email) != nil || seen[u.email] {
				t.Fatalf("%q is taken", u.email)
			}
			seen[u.email] = true
			if u.key != "" && !madeKey.MatchString(u.key) {
				t.Fatalf("made the key %q", u.key)
			}
			user, err := keystore.ParseAPIKey(u.record.Bytes())
			if err != nil {
				t.Fatalf("%s: %v", u.record.Bytes(), err)
			}
			if u.record.Info().PlainKey || u.key != "" && !user.Check(u.key, now) {
				t.Fatalf("%s lets nobody in", u.record.Bytes())
			}
		}
		again, err := parseImport(strings.NewReader(emailsAsCSV(t, users)), now)
		if err != nil || len(again) != len(users) {
			t.Fatalf("of %d users, their emails alone make %d, error %v", len(users), len(again), err)
		}
	})
}

func emailsAsCSV(t *testing.T, users []newUser) string {
	var out strings.Builder
	w := csv.NewWriter(&out)
	_ = w.Write([]string{"email"})
	for _, u := range users {
		_ = w.Write([]string{u.email})
	}
	if w.Flush(); w.Error() != nil {
		t.Fatal(w.Error())
	}
	return out.String()
}

func TestImportsAreReadInSpreadsheetsEncodings(t *testing.T) {
	const utf16 = "the text is UTF-16; save it as UTF-8"
	for name, test := range map[string]struct{ content, email, err string }{
		"UTF-8":                   {"email\ndev@example.com\n", "dev@example.com", ""},
		"a byte order mark, CRLF": {"\ufeffemail,models\r\ndev@example.com,a\r\n", "dev@example.com", ""},
		"a mark before quotes":    {"\ufeff\"email\"\r\n\"dev@example.com\"\r\n", "dev@example.com", ""},
		"UTF-16, as PowerShell's": {"\xff\xfee\x00m\x00a\x00i\x00l\x00\n\x00", "", utf16},
		"UTF-16, big endian":      {"\xfe\xff\x00e\x00m\x00a\x00i\x00l\x00\n", "", utf16},
		"UTF-16 without a mark":   {"e\x00m\x00a\x00i\x00l\x00\n\x00", "", utf16},
		"a mark and nothing else": {"\ufeff", "", "its first line must name the columns: EOF"},
		"one byte":                {"e", "", `there is no column "e": there are email, key, expires, models and metadata.NAME`},
	} {
		t.Run(name, func(t *testing.T) {
			users, err := parseImport(strings.NewReader(test.content), time.Now())
			switch {
			case test.err != "":
				if err == nil || err.Error() != test.err {
					t.Errorf("error %v, want %s", err, test.err)
				}
			case err != nil || len(users) != 1 || users[0].email != test.email:
				t.Errorf("read %v, error %v", users, err)
			}
		})
	}
}
