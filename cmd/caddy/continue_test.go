package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"
)

// recorded is a request of a real client.
type recorded struct {
	Name, Method, Path string
	Headers            map[string]string
	Body               json.RawMessage
}

// fate is what must become of a recorded request.
type fate struct {
	status int
	path   string // the path at the gateway after /v1/{account}/{gateway}/; "" means that the request does not get there
	model  string // the model that goes upstream, if the body passes
	says   string // a part of the answer
}

const (
	workersChat = "workers-ai/v1/chat/completions"
	llama       = "@cf/meta/llama-3.1-8b-instruct"
	gemini      = "google-ai-studio/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse"
)

var fates = map[string]fate{
	"cli-agent-parallel-tool-results":               {200, workersChat, llama, "[DONE]"},
	"cli-agent-tool-result-extra-content":           {200, workersChat, llama, "[DONE]"},
	"cli-agent-turn1":                               {200, workersChat, llama, "[DONE]"},
	"cli-agent-turn2":                               {200, workersChat, llama, "[DONE]"},
	"cli-chat":                                      {200, workersChat, llama, "[DONE]"},
	"cli-gpt-5-uses-responses":                      {200, "openai/responses", "gpt-5-mini", "response.completed"},
	"ide-agent-turn1-gemini":                        {200, gemini, "", `"tool_calls":[`},
	"ide-agent-turn2-gemini":                        {200, gemini, "", "[DONE]"},
	"ide-autocomplete-azure-gpt-4o-mini":            {200, "azure-openai/myinstance/gpt-4o-mini/chat/completions?api-version=2024-10-21", "", "[DONE]"},
	"ide-autocomplete-azure-gpt-5-mini":             {200, "azure-openai/myinstance/gpt-5-mini/chat/completions?api-version=2024-10-21", "", "[DONE]"},
	"ide-autocomplete-gemini":                       {200, gemini, "", "[DONE]"},
	"ide-autocomplete-openai-gpt-4o-mini-uses-chat": {200, "compat/chat/completions", "openai/gpt-4o-mini", "[DONE]"},
	"ide-autocomplete-workers-ai-llama":             {200, "workers-ai/" + llama, "", "[DONE]"},
	"ide-autocomplete-workers-ai-qwen-coder":        {200, "workers-ai/@cf/qwen/qwen2.5-coder-32b-instruct", "", "[DONE]"},
	"ide-chat-all-options":                          {200, gemini, "", "[DONE]"},
	"ide-chat-azure-gpt-5-useResponsesApi-false":    {200, "azure-openai/myinstance/gpt-5-mini/chat/completions?api-version=2024-10-21", "gpt-5-mini", "[DONE]"},
	"ide-chat-azure-gpt-5-uses-responses":           {200, "azure-openai/myinstance/openai/responses?api-version=2024-10-21", "gpt-5-mini", "response.completed"},
	"ide-chat-azure":                                {200, "azure-openai/myinstance/gpt-4o/chat/completions?api-version=2024-10-21", "gpt-4o", "[DONE]"},
	"ide-chat-image-gemini":                         {200, gemini, "", "[DONE]"},
	"ide-chat-non-stream":                           {200, workersChat, llama, `"object":"chat.completion"`},
	"ide-chat-workers-ai":                           {200, workersChat, llama, "[DONE]"},
	"ide-edit-template-string-prompt":               {200, "workers-ai/" + llama, "", "[DONE]"},
	"ide-edit":                                      {200, "azure-openai/myinstance/gpt-4o/chat/completions?api-version=2024-10-21", "gpt-4o", "[DONE]"},
	"ide-embeddings":                                {200, "workers-ai/v1/embeddings", "@cf/baai/bge-m3", `"embedding"`},
	"ide-fim-provider-mistral-only":                 {404, "", "", "base URL"},
	"ide-list-models-autodetect":                    {200, "", "", `"id":"workers-ai/` + llama + `"`},
	"ide-prediction-azure-gpt-4o":                   {200, "azure-openai/myinstance/gpt-4o/chat/completions?api-version=2024-10-21", "gpt-4o", "[DONE]"},
	"ide-rerank":                                    {404, "", "", "base URL"},
	"ide-session-title-complete":                    {200, workersChat, llama, "[DONE]"},
	"sdk-openai6-chat-stream":                       {200, workersChat, llama, "[DONE]"},
	"sdk-openai7-chat-stream-helper-tools":          {200, workersChat, llama, "[DONE]"},
	"sdk-openai7-chat-stream":                       {200, workersChat, llama, "[DONE]"},
	"sdk-openai7-chat":                              {200, workersChat, llama, `"object":"chat.completion"`},
	"sdk-openai7-completions-stream":                {200, "workers-ai/" + llama, "", "[DONE]"},
	"sdk-openai7-completions":                       {200, "workers-ai/" + llama, "", `"object":"text_completion"`},
	"sdk-openai7-embeddings-float":                  {200, "workers-ai/v1/embeddings", "@cf/baai/bge-m3", `"embedding"`},
	"sdk-openai7-embeddings":                        {200, "workers-ai/v1/embeddings", "@cf/baai/bge-m3", `"embedding"`},
	"sdk-openai7-models-list":                       {200, "", "", `"id":"workers-ai/` + llama + `"`},
	"sdk-openai7-models-retrieve":                   {200, "", "", `"id":"workers-ai/` + llama + `"`},
}

func TestEveryRecordedRequestOfContinueWorks(t *testing.T) {
	s := start(t)
	files, err := filepath.Glob("testdata/continue/*.json")
	if err != nil || len(files) != len(fates) {
		t.Fatalf("%d recordings for %d fates, %v", len(files), len(fates), err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var r recorded
		if err := json.Unmarshal(content, &r); err != nil {
			t.Fatal(err)
		}
		t.Run(r.Name, func(t *testing.T) { s.replay(t, r, fates[r.Name]) })
	}
}

func (s *server) replay(t *testing.T, r recorded, want fate) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	body := []byte(r.Body)
	if r.Method == http.MethodGet {
		body = nil
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, s.http+r.Path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range r.Headers {
		if !strings.EqualFold(name, "host") && !strings.EqualFold(name, "connection") {
			req.Header.Set(name, value)
		}
	}
	before := len(s.gateway.Requests())
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != want.status || !strings.Contains(string(answer), want.says) {
		t.Errorf("status %d, error %v, want %d with %q in\n%s", res.StatusCode, err, want.status, want.says, answer)
	}
	sent := s.gateway.Requests()[before:]
	if want.path == "" {
		if len(sent) != 0 {
			t.Errorf("%s reached the gateway", sent[0].Path)
		}
		return
	}
	if len(sent) != 1 {
		t.Fatalf("%d requests reached the gateway", len(sent))
	}
	path := sent[0].Path
	if sent[0].RawQuery != "" {
		path += "?" + sent[0].RawQuery
	}
	if prefix := "/v1/" + s.gateway.Config.Account + "/" + s.gateway.Config.Gateway + "/"; path != prefix+want.path {
		t.Errorf("path %s, want %s", path, prefix+want.path)
	}
	if want.model == "" {
		return
	}
	edited, err := sjson.SetBytes(body, "model", want.model)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(sent[0].Body, edited) {
		t.Errorf("body\n%s\nwant\n%s", sent[0].Body, edited)
	}
	if strings.Contains(want.says, "[DONE]") && gjson.GetBytes(body, "stream_options.include_usage").Bool() && !strings.Contains(string(answer), `"usage":{`) {
		t.Errorf("no usage in\n%s", answer)
	}
}
