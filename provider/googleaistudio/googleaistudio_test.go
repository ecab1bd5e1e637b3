package googleaistudio

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/genai"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
	"github.com/continue-auth/caddy-continue-auth/provider/openai"
)

// parse returns a client's request. members are its members without the braces and the model.
func parse(t testing.TB, endpoint hub.Endpoint, model, members string) *hub.Request {
	t.Helper()
	return parseBody(t, endpoint, `{"model":"google-ai-studio/`+model+`",`+members+`}`)
}

func parseBody(t testing.TB, endpoint hub.Endpoint, body string) *hub.Request {
	t.Helper()
	r, err := openai.ParseRequest(endpoint, []byte(body))
	if err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	r.Provider, r.Model, _ = strings.Cut(r.Name, "/")
	return r
}

// The parts of a generateContent request, as in Google's own client.
type (
	generateContent struct {
		SystemInstruction *content                `json:"systemInstruction,omitempty"`
		Contents          []*content              `json:"contents"`
		Tools             []*genai.Tool           `json:"tools,omitempty"`
		ToolConfig        *genai.ToolConfig       `json:"toolConfig,omitempty"`
		GenerationConfig  *genai.GenerationConfig `json:"generationConfig,omitempty"`
	}
	content struct {
		Role  string  `json:"role,omitempty"`
		Parts []*part `json:"parts"`
	}
	part struct {
		genai.Part
		ThoughtSignature string `json:"thoughtSignature,omitempty"` // kept in base64
	}
)

// read reads a request to Gemini as strictly as possible: no unknown names, no other types, and nothing that
// changes when Google's client writes it again.
func read(t testing.TB, body []byte) *generateContent {
	t.Helper()
	var g generateContent
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&g); err != nil {
		t.Fatalf("Google's client cannot read %s: %v", body, err)
	}
	again, err := json.Marshal(&g)
	if err != nil {
		t.Fatal(err)
	}
	if sent, written := tree(t, body), tree(t, again); !reflect.DeepEqual(sent, written) {
		t.Errorf("Google's client writes\n%s\nnot\n%s", again, body)
	}
	checkTurns(t, g.Contents)
	return &g
}

// tree returns JSON as Go values. It leaves out empty arguments, as Google's client does.
func tree(t testing.TB, body []byte) any {
	t.Helper()
	var all any
	if err := json.Unmarshal(bytes.ReplaceAll(body, []byte(`,"args":{}`), nil), &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// checkTurns checks the rules that Gemini enforces: the user begins and ends, user and model take turns, no
// turn or text is empty, and the result of every call comes at the beginning of the next turn.
func checkTurns(t testing.TB, contents []*content) {
	t.Helper()
	if len(contents)%2 != 1 {
		t.Errorf("%d turns", len(contents))
	}
	var calls []*genai.FunctionCall
	for i, c := range contents {
		if want := []string{"user", "model"}[i%2]; c.Role != want {
			t.Errorf("turn %d is by %s", i, c.Role)
		}
		if len(c.Parts) == 0 {
			t.Errorf("turn %d is empty", i)
		}
		for j, call := range calls {
			if j >= len(c.Parts) || c.Parts[j].FunctionResponse == nil || c.Parts[j].FunctionResponse.Name != call.Name || c.Parts[j].FunctionResponse.ID != call.ID {
				t.Errorf("turn %d does not answer call %d of the one before", i, j)
			}
		}
		responses := 0
		signed := false
		answered := len(calls)
		calls = nil
		for _, p := range c.Parts {
			if p.FunctionResponse != nil {
				responses++
			}
			if p.FunctionCall != nil {
				signed = signed || len(calls) == 0 && p.ThoughtSignature != ""
				calls = append(calls, p.FunctionCall)
			}
		}
		if responses != answered {
			t.Errorf("turn %d answers %d calls, there were %d", i, responses, answered)
		}
		if len(calls) > 0 && !signed {
			t.Errorf("the first call of turn %d has no thought signature", i)
		}
	}
}

// send returns the body of the request that goes to Gemini for a chat.
func send(t testing.TB, model, members string) []byte {
	t.Helper()
	call, err := Provider{}.Call(parse(t, hub.Chat, model, members))
	if err != nil {
		t.Fatal(err)
	}
	read(t, call.Body)
	return call.Body
}

// wantRefused checks that a request is refused with status 400 about param.
func wantRefused(t *testing.T, endpoint hub.Endpoint, members, param string) {
	t.Helper()
	call, err := Provider{}.Call(parse(t, endpoint, "gemini-2.5-flash", members))
	var e *hub.Error
	if call != nil || !errors.As(err, &e) || e.Status != 400 || e.Param != param || e.Message == "" {
		t.Errorf("call %v, error %#v, want one about %s", call, err, param)
	}
}

func TestEachRequestGoesToItsMethod(t *testing.T) {
	const chat, prompt = `"messages":[{"role":"user","content":"hi"}]`, `"prompt":"hi"`
	for name, test := range map[string]struct {
		endpoint             hub.Endpoint
		members, path, query string
	}{
		"a chat":                {hub.Chat, chat, "google-ai-studio/v1beta/models/gemini-2.5-flash:generateContent", ""},
		"a streamed chat":       {hub.Chat, chat + `,"stream":true`, "google-ai-studio/v1beta/models/gemini-2.5-flash:streamGenerateContent", "alt=sse"},
		"a completion":          {hub.Completions, prompt, "google-ai-studio/v1beta/models/gemini-2.5-flash:generateContent", ""},
		"a streamed completion": {hub.Completions, prompt + `,"stream":true`, "google-ai-studio/v1beta/models/gemini-2.5-flash:streamGenerateContent", "alt=sse"},
		"one embedding":         {hub.Embeddings, `"input":"hi"`, "google-ai-studio/v1beta/models/gemini-2.5-flash:embedContent", ""},
		"several embeddings":    {hub.Embeddings, `"input":["a","b"]`, "google-ai-studio/v1beta/models/gemini-2.5-flash:batchEmbedContents", ""},
	} {
		t.Run(name, func(t *testing.T) {
			call, err := Provider{}.Call(parse(t, test.endpoint, "gemini-2.5-flash", test.members))
			if err != nil {
				t.Fatal(err)
			}
			if call.Path != test.path || call.Query != test.query || call.WithoutQuery != "alt" || call.Translate == nil {
				t.Errorf("goes to %s?%s", call.Path, call.Query)
			}
		})
	}
}

func TestModelNamesAreChecked(t *testing.T) {
	for name, test := range map[string]struct {
		model string
		known bool
	}{
		"a version and a date":       {"gemini-2.5-flash-preview-09-2025", true},
		"an underscore and capitals": {"Gemma_3n", true},
		"two segments":               {"models/gemini-2.5-flash", false},
		"another method":             {"gemini-2.5-flash:countTokens", false},
		"an escape":                  {"gemini%2F..", false},
		"a query":                    {"gemini?key=x", false},
		"a letter beyond ASCII":      {"gemini-é", false},
		"none":                       {"", false},
	} {
		t.Run(name, func(t *testing.T) {
			err := Provider{}.Accepts(test.model)
			if test.known {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var e *hub.Error
			if !errors.As(err, &e) || e.Status != 404 || e.Code != "model_not_found" || e.Param != "model" {
				t.Errorf("error %#v", err)
			}
		})
	}
}

func TestACompletionIsAChatOfOneMessage(t *testing.T) {
	call, err := Provider{}.Call(parse(t, hub.Completions, "gemini-2.5-flash",
		`"prompt":["a\nb"],"max_tokens":9,"logprobs":3,"echo":true,"best_of":2,"tools":[{"type":"function","function":{"name":"f"}}],"stop":["1","2"]`))
	if err != nil {
		t.Fatal(err)
	}
	read(t, call.Body)
	const want = `{"contents":[{"role":"user","parts":[{"text":"a\nb"}]}],"generationConfig":{"maxOutputTokens":9,"stopSequences":["1","2"]}}`
	if string(call.Body) != want {
		t.Errorf("sends %s", call.Body)
	}
}

func TestInvalidCompletionsAreRefused(t *testing.T) {
	for name, test := range map[string]struct{ members, param string }{
		"no prompt":                {`"stream":false`, "prompt"},
		"an empty prompt":          {`"prompt":""`, "prompt"},
		"several prompts":          {`"prompt":["a","b"]`, "prompt"},
		"a number for a suffix":    {`"prompt":"a","suffix":1`, "suffix"},
		"a number for a stop word": {`"prompt":"a","stop":1`, "stop"},
		"a string for a limit":     {`"prompt":"a","max_tokens":"9"`, "max_tokens"},
	} {
		t.Run(name, func(t *testing.T) { wantRefused(t, hub.Completions, test.members, test.param) })
	}
}

func TestLongListsTakeLittleMemory(t *testing.T) {
	const elements = 1 << 19
	var b strings.Builder
	for i := range elements / 8 {
		b.WriteString(`"x` + strconv.Itoa(i) + `":1,`)
	}
	names := b.String()
	for name, test := range map[string]struct {
		endpoint hub.Endpoint
		members  string
		refused  bool
	}{
		"inputs of a character":       {hub.Embeddings, `"input":[` + strings.Repeat(`"a",`, elements) + `"a"]`, true},
		"inputs that are numbers":     {hub.Embeddings, `"input":[` + strings.Repeat(`1,`, elements) + `1]`, true},
		"modalities that are text":    {hub.Chat, messages + `"modalities":[` + strings.Repeat(`"text",`, elements) + `"text"]`, false},
		"modalities that are numbers": {hub.Chat, messages + `"modalities":[` + strings.Repeat(`1,`, elements) + `1]`, true},
		"unknown members":             {hub.Chat, names + messages[:len(messages)-1], false},
		"properties":                  {hub.Chat, messages + `"tools":[{"type":"function","function":{"name":"f","parameters":{"properties":{` + names + `"a":{}}}}}]`, false},
	} {
		r := parse(t, test.endpoint, "gemini-2.5-flash", test.members)
		var err error
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err = Provider{}.Call(r)
		runtime.ReadMemStats(&after)
		if got := int(after.TotalAlloc - before.TotalAlloc); got > 10*len(r.Body) || (err != nil) != test.refused {
			t.Errorf("%s: %d bytes for a body of %d, error %v", name, got, len(r.Body), err)
		}
	}
}

func FuzzCall(f *testing.F) {
	f.Add(uint8(0), []byte(`{"model":"google-ai-studio/gemini-3-pro","messages":[{"role":"system","content":"s"},{"role":"user","content":[{"type":"text","text":"t"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]},{"role":"assistant","content":" ","tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{\"a\":[1]}"}}]},{"role":"tool","tool_call_id":"1","content":"{\"b\":2}"}],"tools":[{"type":"function","function":{"name":"f","parameters":{"$schema":"x","type":"object","properties":{"a":{}}}}}],"tool_choice":"required","n":2,"stop":["a"," "],"reasoning_effort":"low","response_format":{"type":"json_schema","json_schema":{"schema":{}}}}`))
	f.Add(uint8(0), []byte(`{"model":"google-ai-studio/gemini-2.5-pro","messages":[{"role":"assistant","function_call":{"name":"f","arguments":"x"}},{"role":"function","name":"f","content":"r"},{"role":"assistant","content":"end"}],"functions":[{"name":"f"}],"function_call":{"name":"f"},"seed":-5,"logprobs":true,"top_logprobs":2}`))
	f.Add(uint8(0), []byte(`{"model":"google-ai-studio/gemini-3-pro","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/jpg;base64,AAAA","detail":"low"}}]},{"role":"assistant","tool_calls":[{"id":"1","function":{"name":"f"}},{"id":"1","function":{"name":"g"}},{"id":"","function":{"name":"f"}}]},{"role":"tool","tool_call_id":"1","name":"g","content":"a"},{"role":"tool","tool_call_id":"","content":"b"}],"tools":[{"type":"function","function":{"name":"f","parameters":{"allOf":[{"properties":{"a":{}}}]}}}],"web_search_options":{"search_context_size":"low"},"extra_body":{"google":{"thinking_config":{"thinking_level":"low","include_thoughts":true},"cached_content":"c"}}}`))
	f.Add(uint8(0), []byte(`{"model":"google-ai-studio/gemini-2.5-pro","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA","detail":"high"}}]}],"google":{"thinking_config":{"thinking_budget":-1}}}`))
	f.Add(uint8(1), []byte(`{"model":"google-ai-studio/gemini-flash-latest","prompt":"<fim_prefix>a","suffix":"b","stop":["1","2","3","4","5","6"],"stream":true}`))
	f.Add(uint8(3), []byte(`{"model":"google-ai-studio/gemini-embedding-001","input":["a","b"],"dimensions":256,"encoding_format":"base64"}`))
	f.Add(uint8(3), []byte(`{"model":"google-ai-studio/gem\ni-embedding-001","input":["a","b"]}`))
	f.Fuzz(func(t *testing.T, endpoint uint8, body []byte) {
		r, err := openai.ParseRequest(hub.Endpoint(endpoint%4), body)
		if err != nil {
			return
		}
		r.Provider, r.Model, _ = strings.Cut(r.Name, "/")
		call, err := Provider{}.Call(r)
		var e *hub.Error
		if err != nil {
			if !errors.As(err, &e) || e.Status != 400 && e.Status != 404 || e.Message == "" {
				t.Fatalf("error %#v", err)
			}
			return
		}
		if !jsontext.ValidObject(call.Body) && !tooDeep(call.Body) {
			t.Fatalf("sends %s", call.Body)
		}
		if r.Endpoint == hub.Embeddings {
			return
		}
		var g struct{ Contents []*content }
		if json.Unmarshal(call.Body, &g) == nil { // values that pass unchanged may have a wrong type
			checkTurns(t, g.Contents)
		}
	})
}

// tooDeep reports whether the only fault of JSON is its nesting, because the request was just within the
// limit.
func tooDeep(body []byte) bool {
	return json.Valid(body) && bytes.Count(body, []byte("["))+bytes.Count(body, []byte("{")) > 900
}
