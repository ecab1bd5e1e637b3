package provider

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/openai/openai-go/v3/responses"
	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

	"github.com/continue-auth/caddy-continue-auth/provider/gatewaytest"
	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/openai"
)

// recordedResponses are the requests to /responses that were recorded from Codex and OpenCode.
func recordedResponses(t *testing.T) map[string]string {
	t.Helper()
	bodies := map[string]string{}
	for _, pattern := range []string{"codex-*.json", "opencode-*responses*.json"} {
		files, err := filepath.Glob("gatewaytest/testdata/agents/" + pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, error %v", pattern, len(files), err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			bodies[strings.TrimSuffix(filepath.Base(file), ".json")] = gjson.GetBytes(text, "body").Raw
		}
	}
	return bodies
}

// respondents are models of each kind of provider that /responses is served for by way of a chat.
var respondents = []string{"workers-ai/@cf/openai/gpt-oss-120b", "google-ai-studio/gemini-2.5-flash", "google-ai-studio/gemini-3-flash-preview", "groq/llama-3.3-70b-versatile"}

// asked sends a request to /responses through the simulated gateway, and returns what its client gets.
func asked(t *testing.T, providers *Providers, gateway *gatewaytest.Server, name, body string) string {
	t.Helper()
	body, err := sjson.Set(body, "model", name)
	if err != nil {
		t.Fatal(err)
	}
	r, err := openai.ParseRequest(hub.Responses, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	if r.Provider, r.Model, err = Split(r.Name); err != nil {
		t.Fatal(err)
	}
	r.User = "dev@example.com"
	call, err := providers.Call(r)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(call.Body, []byte("installation")) {
		t.Errorf("client_metadata goes upstream: %s", call.Body)
	}
	address := gateway.URL + "/v1/" + gateway.Config.Account + "/" + gateway.Config.Gateway + "/" + call.Path + "?" + call.Query
	out, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, bytes.NewReader(call.Body))
	if err != nil {
		t.Fatal(err)
	}
	out.Header = http.Header{
		"Content-Type": {"application/json"}, "Accept-Encoding": {"identity"},
		"Cf-Aig-Authorization": {"Bearer " + gateway.Config.Token}, "Cf-Aig-Metadata": {`{"user":"dev@example.com"}`},
	}
	for name, value := range gateway.Config.ProviderHeaders[r.Provider] {
		out.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(out)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		refusal, _ := io.ReadAll(res.Body)
		t.Fatalf("status %d: %s\nfor %s", res.StatusCode, refusal, call.Body)
	}
	var answer bytes.Buffer
	translator := call.Translate(&answer, strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream"))
	if _, err := io.Copy(translator, res.Body); err != nil {
		t.Fatal(err)
	}
	if err := translator.Close(); err != nil {
		t.Fatal(err)
	}
	return answer.String()
}

// accumulated is the response that the official client makes of a stream.
func accumulated(t *testing.T, stream string) *responses.Response {
	t.Helper()
	var all responses.ResponseAccumulator
	for line := range strings.Lines(stream) {
		data, ok := strings.CutPrefix(line, "data: ")
		if !ok {
			continue
		}
		var event responses.ResponsesServerEventUnion
		if err := json.Unmarshal([]byte(data), &event); err != nil {
			t.Fatalf("%v in %s", err, data)
		}
		if err := all.AddEvent(event); err != nil {
			t.Fatalf("%v at %s", err, data)
		}
	}
	response, err := all.ReconstructedResponse()
	if err != nil {
		t.Fatalf("%v in\n%s", err, stream)
	}
	if said := all.Snapshot().OutputText(); said != response.OutputText() {
		t.Fatalf("the pieces say %q, the whole %q", said, response.OutputText())
	}
	return response
}

// asStreamAndObject are an answer's two forms.
var asStreamAndObject = map[string]bool{"as a stream": true, "as an object": false}

// response is what the official client makes of an answer.
func response(t *testing.T, stream bool, answer string) *responses.Response {
	t.Helper()
	if stream {
		return accumulated(t, answer)
	}
	var r responses.Response
	if err := json.Unmarshal([]byte(answer), &r); err != nil {
		t.Fatalf("%v in %s", err, answer)
	}
	return &r
}

func TestRecordedRequestsToResponsesOnEveryProvider(t *testing.T) {
	gateway, err := gatewaytest.NewServer(gatewaytest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = gateway.Close() }()
	for file, body := range recordedResponses(t) {
		for _, name := range respondents {
			for form, stream := range asStreamAndObject {
				t.Run(file+" "+name+" "+form, func(t *testing.T) {
					body, _ := sjson.Set(body, "stream", stream)
					r := response(t, stream, asked(t, New(), gateway, name, body))
					if r.Status != "completed" || r.OutputText() == "" || r.Model != name || r.Usage.InputTokens == 0 || r.Usage.TotalTokens != r.Usage.InputTokens+r.Usage.OutputTokens {
						t.Errorf("response %s", r.RawJSON())
					}
				})
			}
		}
	}
	if complaints := gateway.Complaints(); len(complaints) > 0 {
		t.Errorf("complaints: %v", complaints)
	}
}

// TestToolsOfCodexOnEveryProvider has a model call tools of all kinds, sends their results with the calls as the
// client got them, and so finds out whether the ids survive: Gemini 3 refuses calls without its signatures.
func TestToolsOfCodexOnEveryProvider(t *testing.T) {
	gateway, err := gatewaytest.NewServer(gatewaytest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = gateway.Close() }()
	const tools = `[{"type":"function","name":"shell","strict":false,"parameters":{"type":"object","properties":{"cmd":{"type":"string"}},"required":["cmd"]}},
		{"type":"custom","name":"apply_patch","description":"Edits.","format":{"type":"grammar","syntax":"lark","definition":"start: x"}},
		{"type":"namespace","name":"agents","description":"d","tools":[{"type":"function","name":"spawn","parameters":{"type":"object","properties":{"path":{"type":"string"}},"required":["path"]}}]},
		{"type":"web_search"}]`
	for _, name := range respondents {
		for tool, want := range map[string]string{
			"shell":       `"type":"function_call" "arguments":"{\"cmd\":\"cat a.go\"}" "name":"shell"`,
			"apply_patch": `"type":"custom_tool_call" "input":"a.go" "name":"apply_patch"`,
			"spawn":       `"type":"function_call" "arguments":"{\"path\":\"a.go\"}" "name":"spawn" "namespace":"agents"`,
		} {
			for form, stream := range asStreamAndObject {
				t.Run(name+" "+tool+" "+form, func(t *testing.T) {
					providers := New()
					input := `{"role":"user","content":"please USETOOL ` + tool + ` a.go b.go"}`
					ask := func() *responses.Response {
						body, _ := sjson.SetRaw(`{"tools":`+tools+`}`, "input", "["+input+"]")
						body, _ = sjson.Set(body, "stream", stream)
						return response(t, stream, asked(t, providers, gateway, name, body))
					}
					r := ask()
					calls := 0
					var outputs string
					for _, item := range r.Output {
						input += "," + item.RawJSON()
						if item.CallID == "" {
							continue
						}
						for part := range strings.SplitSeq(want, " \"") {
							if part = `"` + strings.TrimPrefix(part, `"`); calls == 0 && !strings.Contains(item.RawJSON(), part) {
								t.Errorf("call %s, want %s", item.RawJSON(), part)
							}
						}
						calls++
						outputs += `,{"type":"` + item.Type + `_output","call_id":"` + item.CallID + `","output":"done ` + item.CallID + `"}`
					}
					if calls != 2 {
						t.Fatalf("%d calls in %s", calls, r.RawJSON())
					}
					input += outputs
					if r = ask(); !strings.Contains(r.OutputText(), "The tool says") {
						t.Errorf("response %s", r.RawJSON())
					}
				})
			}
		}
	}
	if complaints := gateway.Complaints(); len(complaints) > 0 {
		t.Errorf("complaints: %v", complaints)
	}
}

func TestRequestsToResponsesOfOpenAIPassButForWhatIsPrivate(t *testing.T) {
	for name, model := range map[string]string{"azure-openai/inst/gpt-5": "gpt-5", "openai/gpt-5": "gpt-5"} {
		for file, body := range recordedResponses(t) {
			sent, err := call(hub.Responses, name, body)
			if err != nil {
				t.Fatal(err)
			}
			want, _ := sjson.Set(body, "model", model)
			want = privateMember.ReplaceAllString(want, "")
			if string(sent.Body) != want || strings.Contains(want, "client_metadata") {
				t.Errorf("%s for %s sends\n%s\nwant\n%s", file, name, sent.Body, want)
			}
		}
		for body, want := range map[string]string{
			`{"client_metadata":{"a":[1]} , "input":"x"}`:              `{ "input":"x"}`,
			`{"input":"x", "client_metadata" : null }`:                 `{"input":"x" }`,
			`{"a":1.50,"client\u005fmetadata":"}","input":"\u00e9"}`:   `{"a":1.50,"input":"\u00e9"}`,
			`{"input":"client_metadata","x":{"client_metadata":"no"}}`: `{"input":"client_metadata","x":{"client_metadata":"no"}}`,
			`{ "client_metadata" :1}`:                                  `{ }`,
		} {
			sent, err := call(hub.Responses, name, body)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Replace(strings.Replace(string(sent.Body), `,"model":"`+model+`"`, "", 1), `"model":"`+model+`"`, "", 1); got != want {
				t.Errorf("%s for %s sends %s, want %s", body, name, got, want)
			}
		}
		if sent, err := call(hub.Responses, name, `{"client_metadata":1,"client\u005fmetadata":2}`); err == nil {
			t.Errorf("two of a name send %s", sent.Body)
		}
	}
}

var privateMember = regexp.MustCompile(`(?s),\s*"client_metadata": \{.*?\n\s*\}`)

func TestWhatAProviderRefusesNamesTheFieldsOfResponses(t *testing.T) {
	for body, param := range map[string]string{
		`{"input":[{"role":"user","content":[{"type":"input_image","image_url":"https://x/y.png"}]}]}`: "input",
		`{"input":"x","tools":[{"type":"function","name":"7up"}]}`:                                     "tools",
		`{"input":"x","reasoning":{"effort":"endless"}}`:                                               "reasoning.effort",
	} {
		sent, err := call(hub.Responses, "google-ai-studio/gemini-2.5-flash", body)
		var e *hub.Error
		if !errors.As(err, &e) || e.Status != 400 || e.Param != param {
			t.Errorf("%s: error %#v, call %v", body, err, sent)
		}
	}
}
