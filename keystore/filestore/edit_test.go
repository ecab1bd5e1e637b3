package filestore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/continue-auth/caddy-continue-auth/keystore"
)

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// to returns an edit that replaces every value by value.
func to(value string) func(string, []byte) ([]byte, error) {
	return func(string, []byte) ([]byte, error) { return []byte(value), nil }
}

// edit sets the value of name.
func (s *store) edit(name, value string) {
	s.t.Helper()
	if err := s.Edit(s.t.Context(), keystore.APIKeys, []string{name}, to(value)); err != nil {
		s.t.Error(err)
	}
}

// wantFiles compares the files in the folder of the keys.
func (s *store) wantFiles(want ...string) {
	s.t.Helper()
	entries, err := os.ReadDir(filepath.Dir(s.keys))
	if err != nil {
		s.t.Fatal(err)
	}
	var got []string
	for _, entry := range entries {
		got = append(got, entry.Name())
	}
	if !slices.Equal(got, want) {
		s.t.Errorf("the folder has %q, want %q", got, want)
	}
}

// wantRefused edits the key a. The edit must fail for the given reason and leave the file
// unchanged.
func (s *store) wantRefused(reason string) {
	s.t.Helper()
	before := read(s.t, s.keys)
	err := s.Edit(s.t.Context(), keystore.APIKeys, []string{"a"}, to("secret"))
	if want := "the keystore is unavailable: api_keys: " + s.keys + ": " + reason; !errors.Is(err, keystore.ErrUnavailable) || err.Error() != want {
		s.t.Errorf("%v, want %s", err, want)
	}
	if after := read(s.t, s.keys); after != before {
		s.t.Errorf("%q became %q", before, after)
	}
}

func TestAnEditWritesAReadableFile(t *testing.T) {
	s := open(t, "[]\n")
	s.edit("dev@example.com", `{"status":"Enabled"}`)
	s.edit("ops@example.com", `{"status":"Enabled"}`)
	s.edit("dev@example.com", `{"status":"Disabled"}`)
	want := `[
{"key":"dev@example.com","value":"{\"status\":\"Disabled\"}"},
{"key":"ops@example.com","value":"{\"status\":\"Enabled\"}"}
]
`
	if got := read(t, s.keys); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	s.wantFiles(".keys.json.lock", "keys.json", "providers.json")
	s.wantLogs()
}

func TestAnEditReadsTheFileAnew(t *testing.T) {
	s := open(t, entryA("1"))
	// A look-up cannot see this change, because the time and the size are the same.
	write(t, s.keys, entryA("2"))
	setTime(t, s.keys, s.apiKeys.modified)
	s.want("1")
	if err := s.Edit(t.Context(), keystore.APIKeys, []string{"a"}, func(_ string, value []byte) ([]byte, error) {
		return append(value, '!'), nil
	}); err != nil {
		t.Error(err)
	}
	s.want("2!")
}

func TestEditsAreSeenByOtherStores(t *testing.T) {
	s := open(t, "[]")
	other, err := Open(s.keys, filepath.Join(filepath.Dir(s.keys), "providers.json"), nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		s.edit("a", fmt.Sprint(i))
		values, err := other.Get(t.Context(), keystore.APIKeys, []string{"a"})
		if err != nil || string(values["a"]) != fmt.Sprint(i) {
			t.Errorf("%d: %q, %v", i, values, err)
		}
	}
}

func TestABrokenFileIsNeverEdited(t *testing.T) {
	s := open(t, entryA("1"))
	for content, reason := range map[string]string{
		`[{"key":"a","value":"sec`:             "line 1, column 24: not valid JSON",
		"":                                     "the file is empty; without entries it is []",
		"[]\n[]":                               "line 2, column 1: not valid JSON",
		`{"a":"secret"}`:                       `line 1, column 1: must be an array of {"key", "value"}`,
		"[\n{\"key\":\"secret\",\"value\":1}]": "line 2, column 1: value must be a string; JSON goes into it as text, with its quotes escaped",
	} {
		write(t, s.keys, content)
		s.wantRefused(reason)
	}
	s.want("1")
}

func TestAMissingFileIsNotEdited(t *testing.T) {
	s := open(t, "[]")
	if err := os.Remove(s.keys); err != nil {
		t.Fatal(err)
	}
	err := s.Edit(t.Context(), keystore.APIKeys, []string{"a"}, to("1"))
	if !errors.Is(err, keystore.ErrUnavailable) || !strings.HasPrefix(err.Error(), "the keystore is unavailable: api_keys: "+s.keys+": ") {
		t.Error(err)
	}
	s.wantFiles("providers.json")
	if err := os.Mkdir(s.keys, 0o700); err != nil {
		t.Fatal(err)
	}
	err = s.Edit(t.Context(), keystore.APIKeys, []string{"a"}, to("1"))
	if !errors.Is(err, keystore.ErrUnavailable) || !strings.HasSuffix(err.Error(), ": must be a regular file") {
		t.Error(err)
	}
}

func TestInvalidValuesAreNotWritten(t *testing.T) {
	s := open(t, entryA("1"))
	before := read(t, s.keys)
	err := s.Edit(t.Context(), keystore.APIKeys, []string{"a", ".."}, to("2"))
	want := "the keystore is unavailable: api_keys: " + s.keys + ": would have a fault if it were written: line 2, column 1: " +
		"key must be 1 to 512 bytes of UTF-8 without control characters, and neither . nor .. alone"
	if err == nil || err.Error() != want || read(t, s.keys) != before {
		t.Errorf("%v, want %s", err, want)
	}
	if err := check(make([]byte, maxSize+1)); err != errTooLarge {
		t.Error(err)
	}
}

func TestAnEditKeepsOtherBinaryValues(t *testing.T) {
	s := open(t, `[{"key":"a","value":"1"}, {"key":"binary","value":"/w==","base64":true}]`)
	if err := s.Edit(t.Context(), keystore.APIKeys, []string{"binary", "a"}, func(name string, value []byte) ([]byte, error) {
		if name == "binary" {
			return value, nil
		}
		return []byte("2"), nil
	}); err != nil {
		t.Error(err)
	}
	if got, want := read(t, s.keys), `[{"key":"a","value":"2"}, {"key":"binary","value":"/w==","base64":true}]`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestAnEditDoesNotExtendOtherEntries(t *testing.T) {
	s := open(t, "[]")
	hourAgo := time.Now().Add(-time.Hour)
	write(t, s.keys, `[{"key":"a","value":"1","expiration_ttl":7200},{"key":"b","value":"2","expiration_ttl":60}]`)
	setTime(t, s.keys, hourAgo)
	s.edit("c", "3")
	s.want("1")
	if names, err := s.List(t.Context(), keystore.APIKeys); err != nil || len(names) != 2 {
		t.Error(names, err)
	}
	want := fmt.Sprintf(`[{"key":"a","value":"1","expiration":%d},{"key":"b","value":"2","expiration":%d},`, hourAgo.Unix()+7200, hourAgo.Unix()+60)
	if got := read(t, s.keys); !strings.HasPrefix(got, want) {
		t.Errorf("%s, want %s", got, want)
	}
}
