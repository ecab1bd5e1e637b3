package googleaistudio

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
)

var update = flag.Bool("update", false, "write what comes out to testdata")

// TestConversations sends requests that were recorded from Continue (*.request.json) and compares what goes
// to Gemini with *.request.gemini. If there is an *.answer.gemini, Gemini answers with it, and the client's
// answer is compared with *.answer.openai.
func TestConversations(t *testing.T) {
	files, err := filepath.Glob("testdata/conversations/*.request.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d conversations, error %v", len(files), err)
	}
	for _, file := range files {
		base := strings.TrimSuffix(file, ".request.json")
		t.Run(filepath.Base(base), func(t *testing.T) {
			r := recorded(t, file)
			call, err := Provider{}.Call(r)
			if err != nil {
				t.Fatal(err)
			}
			if r.Endpoint != hub.Embeddings {
				read(t, call.Body)
			}
			var sent bytes.Buffer
			sent.WriteString("POST " + call.Path + "?" + call.Query + "\n")
			if err := json.Indent(&sent, call.Body, "", "  "); err != nil {
				t.Fatal(err)
			}
			sent.WriteByte('\n')
			golden(t, base+".request.gemini", sent.String())

			answer, err := os.ReadFile(base + ".answer.gemini")
			if errors.Is(err, os.ErrNotExist) {
				return
			} else if err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			translator := call.Translate(&out, r.Stream)
			if _, err := translator.Write(answer); err != nil {
				t.Fatal(err)
			}
			if err := translator.Close(); err != nil {
				t.Fatal(err)
			}
			golden(t, base+".answer.openai", created.ReplaceAllString(out.String(), `"created":0`))
		})
	}
}

// recorded reads a recorded request and makes its model one of Google's.
func recorded(t *testing.T, file string) *hub.Request {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var request struct {
		Path string
		Body json.RawMessage
	}
	if err := json.Unmarshal(text, &request); err != nil {
		t.Fatal(err)
	}
	endpoint, ok := map[string]hub.Endpoint{
		"/v1/chat/completions": hub.Chat,
		"/v1/completions":      hub.Completions,
		"/v1/embeddings":       hub.Embeddings,
	}[request.Path]
	if !ok {
		t.Fatalf("path %s", request.Path)
	}
	r := parseBody(t, endpoint, string(request.Body))
	if r.Provider != "google-ai-studio" {
		r.Provider, r.Model = "google-ai-studio", map[hub.Endpoint]string{
			hub.Chat:       "gemini-3-flash-preview",
			hub.Embeddings: embedder,
		}[endpoint]
		r.Name = r.Provider + "/" + r.Model
	}
	return r
}

// golden compares got with the content of a file.
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
