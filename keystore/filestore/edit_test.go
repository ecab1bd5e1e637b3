package filestore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
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

func TestOnlyTheOwnerMayReadAnEditedFile(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no permission bits")
	}
	s := open(t, "[]")
	if err := os.Chmod(s.keys, 0o644); err != nil {
		t.Fatal(err)
	}
	s.edit("a", "1")
	for _, path := range []string{s.keys, beside(s.keys, "lock")} {
		if mode := stat(t, path).Mode(); mode != 0o600 {
			t.Errorf("%s: %v", path, mode)
		}
	}
}

func TestTheGroupMayStillReadAnEditedFile(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no permission bits")
	}
	for mode, want := range map[os.FileMode]os.FileMode{0o600: 0o600, 0o640: 0o640, 0o660: 0o640, 0o644: 0o600, 0o604: 0o600} {
		s := open(t, "[]")
		if err := os.Chmod(s.keys, mode); err != nil {
			t.Fatal(err)
		}
		s.edit("a", "1")
		if got := stat(t, s.keys).Mode(); got != want {
			t.Errorf("%v has become %v, want %v", mode, got, want)
		}
	}
}

func TestAnEditFollowsASymbolicLink(t *testing.T) {
	s := open(t, entryA("1"))
	folder := t.TempDir()
	link := filepath.Join(folder, "link.json")
	if err := os.Symlink(s.keys, link); err != nil {
		t.Skip("no links here:", err)
	}
	linked, err := Open(link, link, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := linked.Edit(t.Context(), keystore.APIKeys, []string{"a"}, to("2")); err != nil {
		t.Error(err)
	}
	s.want("2")
	s.wantFiles(".keys.json.lock", "keys.json", "providers.json")
	if points, err := os.Readlink(link); err != nil || points != s.keys {
		t.Error(points, err)
	}
	if entries, err := os.ReadDir(folder); err != nil || len(entries) != 1 {
		t.Error(entries, err)
	}
}

func TestAnEditRemovesTheTemporaryFileOfACrash(t *testing.T) {
	s := open(t, entryA("1"))
	write(t, beside(s.keys, "tmp"), `[{"key":"a","value":"half`)
	write(t, beside(s.keys, "lock"), "")
	s.want("1")
	s.edit("a", "2")
	s.want("2")
	s.wantFiles(".keys.json.lock", "keys.json", "providers.json")
}

func TestAnEditThatFailsChangesNothing(t *testing.T) {
	s := open(t, entryA("1"))
	taken := beside(s.keys, "tmp")
	if err := os.MkdirAll(filepath.Join(taken, "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	before := read(t, s.keys)
	err := s.Edit(t.Context(), keystore.APIKeys, []string{"a"}, to("2"))
	if !errors.Is(err, keystore.ErrUnavailable) || !strings.HasPrefix(err.Error(), "the keystore is unavailable: api_keys: "+s.keys+": .keys.json.tmp: ") || read(t, s.keys) != before {
		t.Error(err)
	}
	s.want("1")
	if err := os.RemoveAll(taken); err != nil {
		t.Fatal(err)
	}
	s.edit("a", "2")
	s.want("2")
}

func TestAFileThatCannotBeReplacedStays(t *testing.T) {
	folder := t.TempDir()
	inside := filepath.Join(folder, "keys.json", "inside")
	if err := os.MkdirAll(inside, 0o700); err != nil {
		t.Fatal(err)
	}
	err := replace(filepath.Dir(inside), nil, []byte("[]"))
	if err == nil || !strings.HasPrefix(err.Error(), "cannot be replaced: ") || strings.Contains(err.Error(), folder) {
		t.Error(err)
	}
	stat(t, inside)
	if entries, err := os.ReadDir(folder); err != nil || len(entries) != 1 {
		t.Error("the temporary file stays:", entries, err)
	}

	err = replace(filepath.Join(folder, "missing", "keys.json"), nil, []byte("[]"))
	if !errors.Is(err, os.ErrNotExist) || !strings.HasPrefix(err.Error(), ".keys.json.tmp: ") {
		t.Error(err)
	}
}

func TestAFileWithATooLongNameForALockIsNotEdited(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("other limits")
	}
	path := filepath.Join(t.TempDir(), strings.Repeat("k", 250)) // the limit is 255
	write(t, path, entryA("1"))
	s, err := Open(path, path, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = s.Edit(t.Context(), keystore.APIKeys, []string{"a"}, to("2"))
	if !errors.Is(err, keystore.ErrUnavailable) || !strings.HasSuffix(err.Error(), "k.lock: file name too long") || read(t, path) != entryA("1") {
		t.Error(err)
	}
}

func TestAChangeByHandDuringAnEditIsNotOverwritten(t *testing.T) {
	s := open(t, entryA("1"))
	err := s.Edit(t.Context(), keystore.APIKeys, []string{"a"}, func(string, []byte) ([]byte, error) {
		write(t, s.keys, entryA("by hand"))
		return []byte("2"), nil
	})
	want := "the keystore is unavailable: api_keys: " + s.keys + ": has been changed meanwhile, by a program that does not wait for the lock; nothing is written"
	if !errors.Is(err, keystore.ErrUnavailable) || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	s.want("by hand")
	s.wantFiles(".keys.json.lock", "keys.json", "providers.json")

	err = s.Edit(t.Context(), keystore.APIKeys, []string{"a"}, func(string, []byte) ([]byte, error) {
		return []byte("2"), os.Remove(s.keys)
	})
	if err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	s.wantFiles(".keys.json.lock", "providers.json")
}

func TestAnEditWaitsForTheLockUntilItsContextIsDone(t *testing.T) {
	s := open(t, entryA("1"))
	unlock, err := lock(t.Context(), s.keys)
	if err != nil {
		t.Fatal(err)
	}
	edit := func(ctx context.Context) error {
		return s.Edit(ctx, keystore.APIKeys, []string{"a"}, to("2"))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*poll)
	defer cancel()
	if err := edit(ctx); err != keystore.ErrTimeout {
		t.Error(err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	time.AfterFunc(10*poll, cancel)
	if err := edit(ctx); err != context.Canceled {
		t.Error(err)
	}
	s.want("1")

	// The namespaces have different locks.
	if err := s.Edit(t.Context(), keystore.ProviderSettings, []string{"a"}, to("2")); err != nil {
		t.Error(err)
	}
	waiting := make(chan error, 1)
	go func() { waiting <- edit(t.Context()) }()
	select {
	case err := <-waiting:
		t.Fatal("did not wait:", err)
	case <-time.After(10 * poll):
	}
	unlock()
	if err := <-waiting; err != nil {
		t.Error(err)
	}
	s.want("2")
}

func TestAPanicInAnEditReleasesTheLock(t *testing.T) {
	s := open(t, entryA("1"))
	func() {
		defer func() { _ = recover() }()
		_ = s.Edit(t.Context(), keystore.APIKeys, []string{"a"}, func(string, []byte) ([]byte, error) { panic("no") })
	}()
	s.edit("a", "2")
}

func TestCreateMakesAMissingFile(t *testing.T) {
	t.Chdir(t.TempDir())
	for range 2 {
		if err := Create("keys.json"); err != nil {
			t.Fatal(err)
		}
		if got := read(t, "keys.json"); got != "[]\n" {
			t.Errorf("%q", got)
		}
	}
	if mode := stat(t, "keys.json").Mode(); runtime.GOOS != "windows" && mode != 0o600 {
		t.Error(mode)
	}
	if _, err := Open("keys.json", "keys.json", nil); err != nil {
		t.Error(err)
	}
	write(t, "keys.json", "half of a fi")
	if err := Create("keys.json"); err != nil || read(t, "keys.json") != "half of a fi" {
		t.Error("what is there must stay:", err)
	}
}

func TestCreateNamesThePathThatItCannotMake(t *testing.T) {
	folder := t.TempDir()
	missing := filepath.Join(folder, "missing", "keys.json")
	if err := Create(missing); err == nil || !errors.Is(err, os.ErrNotExist) || !strings.HasPrefix(err.Error(), missing+": .keys.json.lock: ") {
		t.Error(err)
	}
	path := filepath.Join(folder, "keys.json")
	if err := os.MkdirAll(filepath.Join(beside(path, "tmp"), "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Create(path); err == nil || !strings.HasPrefix(err.Error(), path+": .keys.json.tmp: ") {
		t.Error(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}
