package command

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

func TestSinceIsADurationADayOrATime(t *testing.T) {
	now := time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]string{
		"24h": "2026-11-01T12:00:00Z", "30d": "2026-10-03T12:00:00Z", "2026-11-01": "2026-11-01T00:00:00Z",
		"2026-11-01T12:00:00+01:00": "2026-11-01T11:00:00Z", "0s": "2026-11-02T12:00:00Z",
	} {
		if got, err := parseBeginning(text, now); err != nil || got.UTC().Format(time.RFC3339) != want {
			t.Errorf("%s is %v, error %v, want %s", text, got, err, want)
		}
	}
	for text, says := range map[string]string{"soon": "must be a duration such as 24h", "24": "must be a duration", "2027-01-01": "is yet to come", "-1h": "is yet to come"} {
		if _, err := parseBeginning(text, now); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: error %v, want %q", text, err, says)
		}
	}
	line := accessLine(`"provider":"openai"`)
	for since, requests := range map[string]int64{"2h": 2, "30m": 0, "2026-05-03T03:09:37.5Z": 2, "2026-05-03T03:09:38Z": 0} {
		if _, l := usageOf(t, byUser, since, line+line); l.total().Requests != requests {
			t.Errorf("%s: %d requests, want %d", since, l.total().Requests, requests)
		}
	}
}

func TestATableHasNoControlCharacters(t *testing.T) {
	_, l := usageOf(t, byModel, "", accessLine(`"provider":"openai","model":"\u001b[2Jgpt\t\u202e4\u009b"`))
	var out strings.Builder
	if err := l.report().table(&out); err != nil || strings.ContainsAny(out.String(), "\x1b\t\u202e\u009b") || !strings.Contains(out.String(), "openai/?[2Jgpt??4?") {
		t.Errorf("error %v, table %q", err, out.String())
	}
}

func TestProgressCountsTheBytesThatAreRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	line := accessLine(`"x":"` + strings.Repeat("x", 1000) + `"`)
	if err := os.WriteFile(path, bytes.Repeat([]byte(line), 3*megabyte/len(line)), 0o600); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	progress := newProgress(&out, "read", 2)
	progress.terminal, progress.unit, progress.step = true, " MB", 1
	l, err := newUsageLog(byUser, "", time.Now())
	if err == nil {
		err = l.readFile(path, nil, progress)
	}
	if err != nil || !strings.HasPrefix(out.String(), "\rread 1 of 2 MB\rread 2 of 2 MB") {
		t.Errorf("error %v, said %q", err, out.String())
	}
}

func TestAnUnreadableFileIsAnError(t *testing.T) {
	folder := t.TempDir()
	write := func(name string, content []byte) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, _ = io.WriteString(w, strings.Repeat(accessLine(`"provider":"openai"`), 100))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for path, says := range map[string]string{
		filepath.Join(folder, "nowhere.log"): "no such file",
		folder:                               "is a directory",
		write("text.log.gz", []byte("plain text")):                     "invalid header",
		write("half.log.gz", packed.Bytes()[:200]):                     "unexpected EOF",
		write("access.log.zst", []byte("(\xb5/\xfd")):                  "zstd -dc",
		write("whole.log.gz", packed.Bytes()):                          "",
		write("empty.log", nil):                                        "",
		write("two.log.gz", append(packed.Bytes(), packed.Bytes()...)): "",
	} {
		l, err := newUsageLog(byUser, "", time.Now())
		if err == nil {
			err = l.readAll([]string{path}, nil, io.Discard)
		}
		if says == "" && err != nil || says != "" && (err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), path)) {
			t.Errorf("%s: error %v, want %q", path, err, says)
		}
	}
	l, _ := newUsageLog(byUser, "", time.Now())
	broken := errors.New("the pipe is broken")
	if err := l.readAll([]string{"-"}, iotest.ErrReader(broken), io.Discard); !errors.Is(err, broken) || !strings.Contains(err.Error(), "standard input") {
		t.Errorf("error %v", err)
	}
}

func TestIncompleteFiguresAreReported(t *testing.T) {
	for want, l := range map[string]*usageLog{
		"": {},
		"1 line was not JSON, and left out.\n2 lines were longer than 1 MB, and left out.\n":    {notJSON: 1, tooLong: 2},
		"3 requests ended before the provider had counted all tokens: it may have used more.\n": {byName: map[string]*tally{"a": {TokensPartial: 1}, "b": {TokensPartial: 2}}},
	} {
		var said strings.Builder
		if l.sayWhatIsMissing(&said); said.String() != want {
			t.Errorf("said %q, want %q", said.String(), want)
		}
	}
}
