package provider

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/tidwall/sjson"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/openai"
)

// made are the parts of a response that are new each time.
var made = []struct {
	finds *regexp.Regexp
	with  string
}{
	{regexp.MustCompile(`"created_at":\d+`), `"created_at":0`},
	{regexp.MustCompile(`"(resp|msg|rs|fc|ctc)_[0-9A-Za-z]+"`), `"${1}_made"`},
}

// TestResponsesOfAgents sends what Codex and OpenCode send to models of each kind of provider, answers with a call
// of a tool, and compares what goes upstream and what comes back. OpenAI and Azure OpenAI have a Responses API
// themselves, and their answers pass.
func TestResponsesOfAgents(t *testing.T) {
	for recorded, body := range recordedResponses(t) {
		for _, upstream := range upstreams {
			body, err := sjson.Set(body, "model", upstream.name)
			if err != nil {
				t.Fatal(err)
			}
			r, err := openai.ParseRequest(hub.Responses, []byte(body))
			if err != nil {
				t.Fatal(err)
			}
			r.User = "dev@example.com"
			if r.Provider, r.Model, err = Split(r.Name); err != nil {
				t.Fatal(err)
			}
			name := recorded + "." + r.Provider
			t.Run(name, func(t *testing.T) {
				call, err := New().Call(r)
				if err != nil {
					t.Fatal(err)
				}
				var out bytes.Buffer
				out.WriteString("POST " + call.Path + "?" + call.Query + "\n")
				if err := json.Indent(&out, call.Body, "", " "); err != nil {
					t.Fatal(err)
				}
				out.WriteString("\n\n")
				if translator := call.Translate(&out, true); translator != nil {
					if _, err := translator.Write([]byte(upstream.answer)); err != nil {
						t.Fatal(err)
					}
					if err := translator.Close(); err != nil {
						t.Fatal(err)
					}
				}
				got := out.String()
				for _, part := range made {
					got = part.finds.ReplaceAllString(got, part.with)
				}
				golden(t, filepath.Join("testdata", "responses", name+".golden"), got)
			})
		}
	}
	if files, _ := os.ReadDir(filepath.Join("testdata", "responses")); len(files) < 24 {
		t.Errorf("%d golden files", len(files))
	}
}
