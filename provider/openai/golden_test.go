package openai

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
)

var update = flag.Bool("update", false, "write what comes out to testdata")

// golden compares got with what a file holds.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", file, got, want)
	}
}

// TestRecordedRequestsAsChats has what Codex and OpenCode send to /responses become chats.
func TestRecordedRequestsAsChats(t *testing.T) {
	for _, name := range []string{
		"codex-0.171-responses-compact", "codex-0.171-responses-toolresult", "codex-responses-turn",
		"opencode-1.18-responses-toolresult", "opencode-openai-responses-title", "opencode-openai-responses-turn",
	} {
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join("..", "gatewaytest", "testdata", "agents", name+".json"))
			if err != nil {
				t.Fatal(err)
			}
			body, err := sjson.SetBytes([]byte(gjson.GetBytes(text, "body").Raw), "model", "groq/m")
			if err != nil {
				t.Fatal(err)
			}
			r, err := ParseRequest(hub.Responses, body)
			if err != nil {
				t.Fatal(err)
			}
			chat, err := ToChat(r)
			if err != nil {
				t.Fatal(err)
			}
			var indented bytes.Buffer
			if err := json.Indent(&indented, chat.Body, "", "  "); err != nil {
				t.Fatal(err)
			}
			golden(t, "testdata/responses/"+name+".chat", indented.String()+"\n")
		})
	}
}

// TestEventsOfEveryKind compares a stream with all that a response has a place for, byte for byte.
func TestEventsOfEveryKind(t *testing.T) {
	stream, err := answered(t, true, everything)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/responses/everything.events", strings.TrimSuffix(stream, "\n"))
}
