package gatewaytest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// recorded is a request of a real client. The client sent it to a server for the client's format.
// The test sends the same body to the providers that accept this format.
type recorded struct {
	Path    string            `json:"path"`
	Headers map[string]string `json:"headers"`
	Body    json.RawMessage   `json:"body"`
}

func readRecorded(t *testing.T, file string) recorded {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var r recorded
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(file, err)
	}
	return r
}

// upstream is a route that accepts a format.
type upstream struct {
	path  string
	model string // the model in the body, or "" if there is none
}

// placesOf has the routes that a request can be sent to unchanged, by the end of its path.
var placesOf = map[string][]upstream{
	"/chat/completions": {
		{"compat/chat/completions", "openai/gpt-4o"},
		{"compat/chat/completions", "groq/llama-3.3-70b-versatile"},
		{"azure-openai/myinstance/gpt-4o/chat/completions?api-version=2024-10-21", "gpt-4o"},
		{"workers-ai/v1/chat/completions", llama},
	},
	"/responses": {
		{"openai/responses", "gpt-5"},
		{"azure-openai/myinstance/openai/responses?api-version=2025-04-01-preview", "gpt-5"},
	},
	"/completions":           {{"azure-openai/myinstance/gpt-4o/completions?api-version=2024-10-21", "gpt-4o"}},
	"/embeddings":            {{"compat/embeddings", "openai/text-embedding-3-small"}, {"workers-ai/v1/embeddings", "@cf/baai/bge-m3"}},
	":streamGenerateContent": {{"google-ai-studio/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse", ""}},
	"/messages":              {{"anthropic/v1/messages", "claude-sonnet-4-5"}},
	"/messages/count_tokens": {{"anthropic/v1/messages/count_tokens", "claude-sonnet-4-5"}},
}

// refusedByRight are requests that the real API refuses too, because they were made for another
// provider. The values are parts of the error. The names are those of the file and the model.
var refusedByRight = map[string]string{
	// extra_content in a call is Google's. OpenAI does not know it.
	"cli-agent-tool-result-extra-content openai/gpt-4o": "Unknown parameter: 'messages[2].tool_calls[0].extra_content'",
	"cli-agent-tool-result-extra-content gpt-4o":        "Unknown parameter: 'messages[2].tool_calls[0].extra_content'",

	// Completions have no max_completion_tokens, and at most four stop words.
	"ide-autocomplete-azure-gpt-5-mini gpt-4o":      "Unrecognized request argument supplied: max_completion_tokens",
	"ide-autocomplete-gemini gpt-4o":                "Expected an array with maximum length 4",
	"ide-autocomplete-workers-ai-llama gpt-4o":      "Expected an array with maximum length 4",
	"ide-autocomplete-workers-ai-qwen-coder gpt-4o": "Expected an array with maximum length 4",
}

// notServed are the ends of recorded paths that no provider of the simulated gateway serves.
var notServed = []string{"/fim/completions", "/rerank", "/models"}

func TestRequestsOfRealClientsAreAccepted(t *testing.T) {
	files, err := filepath.Glob("testdata/agents/*.json")
	if err != nil || len(files) < 17 {
		t.Fatal(len(files), "agents' requests", err)
	}
	continues, err := filepath.Glob("../../cmd/caddy/testdata/continue/*.json")
	if err != nil || len(continues) < 30 {
		t.Fatal(len(continues), "requests of Continue", err)
	}
	for _, file := range append(files, continues...) {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		r := readRecorded(t, file)
		for _, to := range places(t, r.Path) {
			t.Run(name+" "+to.model, func(t *testing.T) { replay(t, r, to, refusedByRight[name+" "+to.model]) })
		}
	}
}

func places(t *testing.T, path string) []upstream {
	path, _, _ = strings.Cut(path, "?")
	for _, end := range notServed {
		if strings.Contains(path, end) {
			return nil
		}
	}
	longest := ""
	for end := range placesOf {
		if strings.HasSuffix(path, end) && len(end) > len(longest) {
			longest = end
		}
	}
	if longest == "" {
		t.Error("no place for", path)
	}
	return placesOf[longest]
}

func replay(t *testing.T, r recorded, to upstream, refusal string) {
	s := start(t)
	body, _, err := decodeObject(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	delete(body, "model")
	if to.model != "" {
		body["model"] = to.model
	}
	provider, _, _ := strings.Cut(to.path, "/")
	if provider == "compat" {
		provider, _, _ = strings.Cut(to.model, "/")
	}
	if _, query, ok := strings.Cut(r.Path, "?"); ok && provider == "anthropic" {
		to.path += "?" + query
	}
	post := newPost(t.Context(), s, to.path, provider, string(encode(body)))
	for name, value := range r.Headers {
		if strings.HasPrefix(name, "anthropic-") {
			post.Header.Set(name, value)
		}
	}
	res := send(t, post)
	switch {
	case refusal == "" && (res.status != 200 || res.body == ""):
		t.Error(res.status, res.body)
	case refusal != "" && (res.status != 400 || !strings.Contains(res.body, refusal)):
		t.Errorf("%d %s, want a refusal with %q", res.status, res.body, refusal)
	}
	if found := s.Complaints(); len(found) > 0 {
		t.Error(found)
	}
}
