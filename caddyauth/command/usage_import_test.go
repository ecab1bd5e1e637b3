package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/continue-auth/caddy-continue-auth/usage"
	"github.com/continue-auth/caddy-continue-auth/usage/sqlite"
)

// at is when the lines of these tests were written, and some seconds later.
var at = time.Unix(1_777_777_777, 0)

// lineAt returns a line of a known user, written some seconds later.
func lineAt(seconds int, fields string) string {
	return strings.Replace(accessLine(`"user_id":"dev@example.com","provider":"openai","model":"gpt-4o","client":"codex","team":"core",`+fields), "1777777777.5", fmt.Sprint(at.Unix()+int64(seconds)), 1)
}

func newImporter(t *testing.T, to usage.Ledger) *importer {
	t.Helper()
	t.Cleanup(func() { _ = to.Close() })
	return &importer{to: &openedLedger{Ledger: to, ctx: t.Context(), keep: 48 * time.Hour}, now: at.Add(time.Hour)}
}

func TestAnImportSaysWhatItLeavesOut(t *testing.T) {
	to := sqlite.New(filepath.Join(t.TempDir(), "usage.db"))
	log := lineAt(0, `"prompt_tokens":5,"cached_tokens":4,"completion_tokens":3,"request_id":"a"`) +
		lineAt(1, `"refused_by":"proxy","request_id":"b"`) +
		lineAt(1, `"refused_by":"proxy","request_id":"b"`) + // the same line again
		lineAt(2, `"request_id":"same"`) + lineAt(3, `"request_id":"same"`) + // a client may choose its ids
		lineAt(-49*3600, `"request_id":"old"`) +
		accessLine(`"user_id":"","key_lookup":"absent","refused_by":"proxy"`) +
		strings.Replace(lineAt(4, `"request_id":"list"`), `"method":"POST"`, `"method":"GET"`, 1) +
		strings.Replace(lineAt(5, `"request_id":"count"`), `/v1/chat/completions`, `/prefix/v1/messages/count_tokens?beta=true`, 1) +
		strings.Replace(lineAt(6, `"request_id":"gemini"`), `/v1/chat/completions`, `/v1beta/models/x:countTokens`, 1) +
		accessLine(`"user_id":"dev@example.com"`) + "no JSON\n"
	for _, want := range []string{
		"4 requests were added to the ledger. 1 were in it already, 1 were older than it keeps, and 1 had no known user.\n",
		"0 requests were added to the ledger. 5 were in it already, 1 were older than it keeps, and 1 had no known user.\n",
	} {
		var out, messages strings.Builder
		if err := newImporter(t, to).run([]string{"-"}, strings.NewReader(log), &out, &messages); err != nil {
			t.Fatal(err)
		}
		if out.String() != want || messages.String() != "1 line was not JSON, and left out.\n" {
			t.Errorf("it says %q and %q, want %q", out.String(), messages.String(), want)
		}
	}
	got, err := to.Sum(t.Context(), usage.Query{By: usage.Dimensions})
	want := []usage.Row{{
		Hour: at.UTC().Truncate(24 * time.Hour), User: "dev@example.com", Team: "core", Provider: "openai", Model: "gpt-4o", Client: "codex",
		Requests: 4, Refused: 1, Prompt: 5, Completion: 3, Cached: 4,
	}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, error %v, want %+v", got, err, want)
	}
}

func TestAnImportNeedsTheTime(t *testing.T) {
	to := sqlite.New(filepath.Join(t.TempDir(), "usage.db"))
	log := lineAt(0, `"request_id":"a"`) + strings.Replace(lineAt(0, `"request_id":"b"`), `"ts":`, `"when":`, 1)
	err := newImporter(t, to).run([]string{"-"}, strings.NewReader(log), io.Discard, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "standard input, line 2: the time is needed in `ts`") || !strings.Contains(err.Error(), "run the command again, and nothing is counted twice") {
		t.Errorf("error %v", err)
	}
}

// breaking is a ledger that fails from some call on.
type breaking struct {
	usage.Ledger
	calls, works int
}

func (b *breaking) Import(ctx context.Context, lines []usage.Line) (int, error) {
	if b.calls++; b.calls > b.works {
		return 0, errors.New("the ledger is away")
	}
	return b.Ledger.Import(ctx, lines)
}

func TestAnImportThatFailsCanBeRunAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	var log strings.Builder
	const lines = 3500
	for i := range lines {
		log.WriteString(lineAt(i%60, fmt.Sprintf(`"request_id":"%d"`, i)))
	}
	if err := os.WriteFile(path, []byte(log.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	to := &breaking{Ledger: sqlite.New(filepath.Join(t.TempDir(), "usage.db")), works: 2}
	var out strings.Builder
	err := newImporter(t, to).run([]string{path}, nil, &out, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "the ledger is away (2000 requests were added before; run the command again") || out.String() != "" {
		t.Errorf("error %v, output %q", err, out.String())
	}
	to.works = 100
	if err := newImporter(t, to).run([]string{path}, nil, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(out.String(), "1500 requests were added to the ledger. 2000 were in it already") {
		t.Errorf("it says %q", out.String())
	}
	if got, err := to.Sum(t.Context(), usage.Query{}); err != nil || len(got) != 1 || got[0].Requests != lines {
		t.Errorf("got %+v, error %v", got, err)
	}
}
