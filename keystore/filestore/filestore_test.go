package filestore

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/continue-auth/caddy-continue-auth/keystore"
	"github.com/continue-auth/caddy-continue-auth/keystore/storetest"
)

func TestContract(t *testing.T) { storetest.TestStore(t, backend) }

func TestEditorContract(t *testing.T) { storetest.TestEditor(t, backend) }

func backend(t *testing.T) storetest.Backend {
	s := open(t, "[]")
	// change edits a file by hand, not with Edit.
	change := func(ns keystore.Namespace, edit func(values map[string]string)) {
		path := s.file(ns).path
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		entries, err := parse(data, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		values := make(map[string]string)
		for name, e := range entries {
			values[name] = e.value
		}
		edit(values)
		type pair struct {
			Key   string `json:"key"`
			Value string `json:"value"`
		}
		pairs := []pair{}
		for name, value := range values {
			pairs = append(pairs, pair{name, value})
		}
		if data, err = json.Marshal(pairs); err != nil {
			t.Fatal(err)
		}
		write(t, path, string(data))
	}
	writes, last := 0, make(map[keystore.Namespace]os.FileInfo)
	return storetest.Backend{
		Store: s.Store,
		Put: func(ns keystore.Namespace, values map[string]string) {
			change(ns, func(all map[string]string) { maps.Copy(all, values) })
		},
		Delete: func(ns keystore.Namespace, names ...string) {
			change(ns, func(all map[string]string) {
				for _, name := range names {
					delete(all, name)
				}
			})
		},
		Version: func(ns keystore.Namespace) string {
			if now := stat(t, s.file(ns).path); last[ns] == nil || !same(last[ns], now) {
				writes, last[ns] = writes+1, now
			}
			return strconv.Itoa(writes)
		},
	}
}

// store is a Store whose files are in a temporary folder.
type store struct {
	*Store
	t    *testing.T
	keys string // the path of the keys
	logs *observer.ObservedLogs
}

// open makes a store whose file of keys has the given content. The file's time is in the past, so
// the store reads the file again only after a change.
func open(t *testing.T, keys string) *store {
	t.Helper()
	folder := t.TempDir()
	s := &store{t: t, keys: filepath.Join(folder, "keys.json")}
	providers := filepath.Join(folder, "providers.json")
	write(t, s.keys, keys)
	write(t, providers, "[]")
	setTime(t, s.keys, time.Now().Add(-time.Hour))
	core, logs := observer.New(zapcore.DebugLevel)
	s.logs = logs
	var err error
	if s.Store, err = Open(s.keys, providers, func() *zap.Logger { return zap.New(core) }); err != nil {
		t.Fatal(err)
	}
	return s
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func stat(t *testing.T, path string) os.FileInfo {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func setTime(t *testing.T, path string, modified time.Time) {
	t.Helper()
	if err := os.Chtimes(path, modified, modified); err != nil {
		t.Fatal(err)
	}
}

func entryA(value string) string { return fmt.Sprintf(`[{"key":"a","value":%q}]`, value) }

// want looks up the key a. "absent" means that it must not exist.
func (s *store) want(want string) {
	s.t.Helper()
	values, err := s.Get(s.t.Context(), keystore.APIKeys, []string{"a"})
	if err != nil {
		s.t.Fatal(err)
	}
	got, ok := values["a"]
	if !ok {
		got = []byte("absent")
	}
	if string(got) != want {
		s.t.Errorf("got %s, want %s", got, want)
	}
}

// wantLogs compares the level, message and error of what was logged since the last call.
func (s *store) wantLogs(want ...string) {
	s.t.Helper()
	var got []string
	for _, entry := range s.logs.TakeAll() {
		fields := entry.ContextMap()
		if fields["setting"] != "api_keys" || fields["path"] != s.keys {
			s.t.Errorf("logged with %v", fields)
		}
		line := entry.Level.String() + ": " + entry.Message
		if reason, ok := fields["error"]; ok {
			line += ": " + reason.(string)
		}
		got = append(got, line)
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		s.t.Errorf("logged %q, want %q", got, want)
	}
}

const (
	unusable  = "error: keystore file cannot be used, its last good content stays: "
	goodAgain = "info: keystore file is good again"
)

func TestOpenRefusesAMissingOrBrokenFile(t *testing.T) {
	folder := t.TempDir()
	path := func(name string) string { return filepath.Join(folder, name) }
	write(t, path("good.json"), entryA("1"))
	write(t, path("broken.json"), "[\n{\"key\":\"secret\" \"value\":\"secret\"}]")
	write(t, path("large.json"), "")
	if err := os.Truncate(path("large.json"), maxSize+1); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct{ keys, providers, want string }{
		"no keys":          {"none.json", "good.json", "api_keys: " + path("none.json") + ": no such file or directory"},
		"no providers":     {"good.json", "none.json", "provider_settings: " + path("none.json") + ": no such file or directory"},
		"broken keys":      {"broken.json", "good.json", "api_keys: " + path("broken.json") + ": line 2, column 17: not valid JSON"},
		"broken providers": {"good.json", "broken.json", "provider_settings: " + path("broken.json") + ": line 2, column 17: not valid JSON"},
		"a large file":     {"large.json", "good.json", "api_keys: " + path("large.json") + ": must not be larger than 256 MB"},
		"a folder":         {".", "good.json", "api_keys: " + path(".") + ": must be a regular file"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := Open(path(tt.keys), path(tt.providers), nil)
			if err == nil || runtime.GOOS != "windows" && err.Error() != tt.want || s != nil {
				t.Errorf("%v, %v, want %s", s, err, tt.want)
			}
		})
	}
	if _, err := Open(path("none.json"), path("good.json"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Error("the reason must not be lost:", err)
	}
}

func TestRelativePathsStartAtTheWorkingDirectory(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "keys.json", entryA("1"))
	write(t, "providers.json", "[]")
	s, err := Open("keys.json", "providers.json", nil)
	if err != nil {
		t.Fatal(err)
	}
	values, err := s.Get(t.Context(), keystore.APIKeys, []string{"a"})
	if err != nil || string(values["a"]) != "1" {
		t.Error(values, err)
	}
}

func TestExpiredEntriesAreAbsent(t *testing.T) {
	now := time.Now()
	s := open(t, "[]")
	write(t, s.keys, fmt.Sprintf(`[{"key":"a","value":"1","expiration":%d}]`, now.Add(-time.Second).Unix()))
	s.want("absent")
	if names, err := s.List(t.Context(), keystore.APIKeys); err != nil || len(names) != 0 {
		t.Error(names, err)
	}
	write(t, s.keys, fmt.Sprintf(`[{"key":"a","value":"1","expiration":%d}]`, now.Add(time.Hour).Unix()))
	s.want("1")

	// The seconds count from when the file was written, so the entry expires at some time.
	write(t, s.keys, `[{"key":"a","value":"1","expiration_ttl":3600}]`)
	s.want("1")
	setTime(t, s.keys, now.Add(-2*time.Hour))
	s.want("absent")
}

func TestEntriesExpireAtTheirSecond(t *testing.T) {
	e := entry{expires: 1800000000}
	for _, tt := range []struct {
		now  time.Time
		live bool
	}{{time.Unix(1799999999, 999999999), true}, {time.Unix(1800000000, 0), false}} {
		if e.live(tt.now) != tt.live {
			t.Errorf("at %v: %t", tt.now, e.live(tt.now))
		}
	}
}

func TestOpenWarnsIfOthersMayReadAFile(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no permission bits")
	}
	folder := t.TempDir()
	for mode, want := range map[os.FileMode]int{0o600: 0, 0o400: 0, 0o640: 2, 0o604: 2, 0o660: 2} {
		path := filepath.Join(folder, fmt.Sprintf("%o.json", mode))
		write(t, path, "[]")
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		core, logs := observer.New(zapcore.WarnLevel)
		s, err := Open(path, path, func() *zap.Logger { return zap.New(core) })
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if _, err := s.Get(t.Context(), keystore.APIKeys, []string{"a"}); err != nil {
				t.Fatal(err)
			}
		}
		if logs.Len() != want {
			t.Errorf("%o: %d warnings, want %d: %v", mode, logs.Len(), want, logs.All())
		}
	}
}

func BenchmarkGet(b *testing.B) {
	var file strings.Builder
	file.WriteString("[")
	for i := range 50_000 {
		fmt.Fprintf(&file, `{"key":"user%d@example.com","value":"{\"apiKeyHash\":\"sha256:%064d\",\"status\":\"Enabled\"}"},`, i, i)
	}
	folder := b.TempDir()
	keys, providers := filepath.Join(folder, "keys.json"), filepath.Join(folder, "providers.json")
	for path, content := range map[string]string{keys: file.String()[:file.Len()-1] + "]", providers: "[]"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	for _, file := range []struct {
		name string
		age  time.Duration
	}{{"settled", time.Hour}, {"just-written", -time.Second}} {
		b.Run("file="+file.name, func(b *testing.B) {
			modified := time.Now().Add(-file.age)
			if err := os.Chtimes(keys, modified, modified); err != nil {
				b.Fatal(err)
			}
			s, err := Open(keys, providers, nil)
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if values, err := s.Get(b.Context(), keystore.APIKeys, []string{"user1@example.com"}); err != nil || len(values) != 1 {
					b.Fatal(values, err)
				}
			}
		})
	}
}
