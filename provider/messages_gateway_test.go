package provider

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	sdk "github.com/anthropics/anthropic-sdk-go/v2"

	"github.com/continue-auth/caddy-continue-auth/provider/gatewaytest"
	"github.com/continue-auth/caddy-continue-auth/provider/hub"
)

// everything has all kinds of content that other models take.
const everything = `{"model":"m","max_tokens":4096,"stream":true,"system":[{"type":"text","text":"x-anthropic-billing-header: a"},{"type":"text","text":"Be brief."}],
"thinking":{"type":"enabled","budget_tokens":2048},"stop_sequences":["NEVER"],"metadata":{"user_id":"u"},"context_management":{"edits":[]},
"tools":[{"name":"read","description":"Reads.","input_schema":{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","properties":{"path":{"type":"string"}},"required":["path"],"additionalProperties":false}},{"type":"web_search_20250305","name":"web_search"},{"type":"bash_20250124","name":"bash"}],
"tool_choice":{"type":"auto","disable_parallel_tool_use":true},
"messages":[
{"role":"user","content":[{"type":"text","text":"look"},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBORw0KGgo="}}]},
{"role":"system","content":"In the middle."},
{"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":""},{"type":"text","text":"I look."},{"type":"tool_use","id":"toolu_1","name":"read","input":{"path":"a"}},{"type":"tool_use","id":"toolu_b64_Zi5iOjE","name":"read","input":{"path":"b"}}]},
{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_b64_Zi5iOjE","is_error":true,"content":"no file"},{"type":"tool_result","tool_use_id":"toolu_1","content":[{"type":"text","text":"a"},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBORw0KGgo="}}]},{"type":"text","text":"please USETOOL read README.md"}]}]}`

// TestMessagesBeforeAStrictGateway sends what agents send through the simulated gateway, which refuses what the
// real providers do, and reads the answers with the official client's types.
func TestMessagesBeforeAStrictGateway(t *testing.T) {
	gateway, err := gatewaytest.NewServer(gatewaytest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer gateway.Close()
	requests := map[string][]byte{"everything": []byte(everything)}
	files, _ := filepath.Glob("testdata/messages/*.request.json")
	for _, file := range files {
		if requests[filepath.Base(file)], err = os.ReadFile(file); err != nil {
			t.Fatal(err)
		}
	}
	for name, body := range requests {
		for _, model := range []string{llama, "azure-openai/myinstance/gpt-5", "openai/gpt-5", "openai/gpt-4o-mini", "google-ai-studio/gemini-2.5-flash", "groq/llama-3.3-70b-versatile"} {
			for _, stream := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s, %s, stream %t", name, model, stream), func(t *testing.T) {
					body := bytes.Clone(body)
					if !stream {
						body = regexp.MustCompile(`"stream": ?true`).ReplaceAll(body, []byte(`"stream":false`))
					}
					r := messagesRequest(t, body, model)
					m := ask(t, gateway, r)
					reads, calls := strings.Contains(name, "toolresult"), name == "everything" || strings.Contains(name, "stream-tools")
					if (m.StopReason == "tool_use") != calls || len(m.Content) == 0 || reads && !strings.Contains(m.Content[0].Text, "The tool says") || m.Usage.OutputTokens == 0 || m.Usage.InputTokens == 0 || m.Model != model {
						t.Errorf("answer %s", m.RawJSON())
					}
				})
			}
		}
	}
	if complaints := gateway.Complaints(); len(complaints) > 0 {
		t.Error(complaints)
	}
}

// TestMessagesFromOddUpstreams reads answers that keep to their format less than they should.
func TestMessagesFromOddUpstreams(t *testing.T) {
	gateway, err := gatewaytest.NewServer(gatewaytest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer gateway.Close()
	for name, scenario := range map[string]gatewaytest.Scenario{
		"an object for a stream": {JSONForStream: true},
		"usage on every frame":   {UsageOnEveryFrame: true},
		"odd calls":              {OddToolCalls: true},
		"calls with many ids":    {ToolCallIDsDiffer: true},
		"empty reasons":          {EmptyFinishReason: true},
	} {
		for _, model := range []string{llama, "openai/gpt-5", "google-ai-studio/gemini-2.5-flash"} {
			t.Run(name+", "+model, func(t *testing.T) {
				gateway.Next(scenario)
				m := ask(t, gateway, messagesRequest(t, []byte(everything), model))
				last := m.Content[len(m.Content)-1]
				if m.StopReason != "tool_use" || last.Name != "read" || string(last.Input) != `{"path":"README.md"}` || last.ID == "" || m.Usage.OutputTokens == 0 {
					t.Errorf("answer %s", m.RawJSON())
				}
			})
		}
	}
	for _, model := range []string{llama, "openai/gpt-5", "google-ai-studio/gemini-2.5-flash"} {
		gateway.Next(gatewaytest.Scenario{Text: []string{"a", " NEV", "ER b"}})
		body := strings.Replace(everything, "please USETOOL", "please", 1)
		m := ask(t, gateway, messagesRequest(t, []byte(body), model))
		if m.StopReason != "stop_sequence" || m.StopSequence != "NEVER" || m.Content[0].Text != "a " {
			t.Errorf("%s: %s", model, m.RawJSON())
		}
	}
}

const llama = "workers-ai/@cf/meta/llama-3.1-8b-instruct"

// ask sends a request through the gateway and returns the answer as the official client reads it.
func ask(t *testing.T, gateway *gatewaytest.Server, r *hub.Request) sdk.Message {
	t.Helper()
	providerName := r.Provider
	made, err := New().Call(r)
	if err != nil {
		t.Fatal(err)
	}
	query := made.Query
	if providerName == "azure-openai" {
		query = "api-version=2024-10-21"
	}
	request, err := http.NewRequest(http.MethodPost, gateway.URL+"/v1/"+gateway.Config.Account+"/"+gateway.Config.Gateway+"/"+made.Path+"?"+query, bytes.NewReader(made.Body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Cf-Aig-Authorization", "Bearer "+gateway.Config.Token)
	request.Header.Set("Cf-Aig-Metadata", `{"user":"dev@example.com"}`)
	for name, value := range gateway.Config.ProviderHeaders[providerName] {
		request.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		refusal, _ := io.ReadAll(response.Body)
		t.Fatalf("status %d: %s\nfor %s", response.StatusCode, refusal, made.Body)
	}
	var out bytes.Buffer
	translator := made.Translate(&out, strings.HasPrefix(response.Header.Get("Content-Type"), "text/event-stream"))
	if _, err := io.Copy(translator, response.Body); err != nil {
		t.Fatal(err)
	}
	if err := translator.Close(); err != nil {
		t.Fatal(err)
	}
	var m sdk.Message
	if !r.Stream {
		if err := json.Unmarshal(out.Bytes(), &m); err != nil {
			t.Fatal(err)
		}
		return m
	}
	for event := range strings.SplitSeq(strings.TrimSuffix(out.String(), "\n\n"), "\n\n") {
		_, data, _ := strings.Cut(event, "\ndata: ")
		var read sdk.MessageStreamEventUnion
		if err := json.Unmarshal([]byte(data), &read); err != nil {
			t.Fatalf("%s: %v", event, err)
		}
		if err := m.Accumulate(read); err != nil {
			t.Fatalf("%s: %v", event, err)
		}
	}
	return m
}
