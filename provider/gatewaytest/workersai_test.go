package gatewaytest

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// refusal is a request that must be refused.
type refusal struct {
	path, body string
	status     int
	want       string // a part of the body
}

func testRefusals(t *testing.T, tests map[string]refusal) {
	t.Helper()
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			res := post(t, s, test.path, test.body)
			if res.status != test.status || !strings.Contains(res.body, test.want) {
				t.Error(res.status, res.body)
			}
			if complaints := s.Complaints(); len(complaints) != 0 {
				t.Error(complaints)
			}
		})
	}
}

func TestWorkersAIRefusesInvalidRequests(t *testing.T) {
	native := "workers-ai/" + llama
	tests := map[string]refusal{
		"a model with the gateway's prefix": {chatPath, `{"model":"workers-ai/` + llama + `","messages":[]}`, 400, `"code":5007`},
		"a model without @cf":               {chatPath, `{"model":"meta/llama"}`, 400, `"code":5007`},
		"no model":                          {"workers-ai/v1/embeddings", `{"input":"x"}`, 400, `"code":5007`},
		"no messages":                       {chatPath, `{"model":"` + llama + `"}`, 400, "required properties at '/' are 'messages'"},
		"a body that is not JSON":           {chatPath, `{"model":`, 400, `"code":5006`},
		"a body that is not an object":      {chatPath, `[]`, 400, `"code":5006`},
		"an unknown path":                   {"workers-ai/v1/completions", `{"model":"` + llama + `"}`, 404, `"code":7000`},
		"a path with /run/":                 {"workers-ai/run/" + llama, `{"prompt":"x"}`, 404, `"code":7000`},
		"a model that is cut off":           {"workers-ai/@cf/meta", `{"prompt":"x"}`, 404, `"code":7000`},
		"responses of other models":         {"workers-ai/v1/responses", `{"model":"` + llama + `","input":"x"}`, 400, `"code":5007`},
		"responses as a stream":             {"workers-ai/v1/responses", `{"model":"@cf/openai/gpt-oss-20b","input":"x","stream":true}`, 400, "streaming"},

		"stop words at a model's endpoint":     {native, `{"prompt":"x","stop":["a"]}`, 400, "properties '/stop' at"},
		"a suffix at a model's endpoint":       {native, `{"prompt":"x","suffix":"y"}`, 400, "properties '/suffix' at"},
		"a model's name at a model's endpoint": {native, `{"prompt":"x","model":"y"}`, 400, "properties '/model' at"},
		"stream_options at a model's endpoint": {native, `{"prompt":"x","stream_options":{}}`, 400, "properties '/stream_options' at"},
		"a name in another case":               {native, `{"Prompt":"x"}`, 400, "properties '/Prompt' at"},
		"no prompt":                            {native, `{"raw":true}`, 400, "oneOf"},
		"a prompt and messages":                {native, `{"prompt":"x","messages":[{"role":"user","content":"y"}]}`, 400, "oneOf"},
		"messages of unknown roles":            {native, `{"messages":[{"role":"robot","content":"y"}]}`, 400, "'/messages'"},
		"a prompt that is a list":              {native, `{"prompt":["x"]}`, 400, "Type mismatch of '/prompt'"},
		"a limit that is a string":             {native, `{"prompt":"x","max_tokens":"9"}`, 400, "Type mismatch of '/max_tokens'"},
		"a limit that is a fraction":           {native, `{"prompt":"x","max_tokens":1.5}`, 400, "Type mismatch of '/max_tokens'"},
		"raw that is a number":                 {native, `{"prompt":"x","raw":1}`, 400, "Type mismatch of '/raw'"},
		"a temperature that is a string":       {native, `{"prompt":"x","temperature":"hot"}`, 400, "Type mismatch of '/temperature'"},
	}
	testRefusals(t, tests)
}

func TestWorkersAINeedsItsToken(t *testing.T) {
	s := start(t)
	for name, edit := range map[string]func(http.Header){
		"none":    func(h http.Header) { h.Del("Authorization") },
		"another": func(h http.Header) { h.Set("Authorization", "Bearer other") },
	} {
		r := newPost(t.Context(), s, chatPath, "workers-ai", chatBody)
		edit(r.Header)
		const want = `{"errors":[{"code":10000,"message":"Authentication error"}],"messages":[],"result":null,"success":false}`
		if res := send(t, r); res.status != 401 || res.body != want {
			t.Error(name, res)
		}
	}
}

func TestModelsAnswerInTheirOwnFormat(t *testing.T) {
	s := start(t)
	const prompt = `"prompt":"<|fim_prefix|>def add(first, second):\n    <|fim_suffix|>\n\nprint(add(1, 2))<|fim_middle|>","raw":true`
	res := post(t, s, "workers-ai/@hf/qwen/qwen2.5-coder", `{`+prompt+`,"top_k":null}`)
	var whole struct {
		Result struct {
			Response string
			Usage    struct {
				Completion int `json:"completion_tokens"`
			}
		}
		Success bool
	}
	if err := json.Unmarshal([]byte(res.body), &whole); err != nil || !whole.Success || whole.Result.Response != "return first + second" || whole.Result.Usage.Completion != 4 {
		t.Error(res, err)
	}

	res = post(t, s, "workers-ai/@hf/qwen/qwen2.5-coder", `{`+prompt+`,"stream":true}`)
	frames := strings.Split(res.body, "\n\n")
	if len(frames) != 7 || frames[0] != `data: {"p":"a","response":"return "}` || frames[5] != "data: [DONE]" || frames[6] != "" ||
		!strings.HasPrefix(frames[4], `data: {"response":"","usage":{"completion_tokens":4,`) || res.header.Get("Content-Type") != "text/event-stream" {
		t.Error(res)
	}

	res = post(t, s, "workers-ai/"+llama, `{"messages":[{"role":"user","content":"hello there"}],"max_tokens":2}`)
	if !strings.Contains(res.body, `"response":"This is "`) {
		t.Error(res)
	}
}

func TestModelsStopAt256TokensByDefault(t *testing.T) {
	s := start(t)
	s.Always(Scenario{Text: strings.SplitAfter(strings.Repeat("a ", 300), " ")})
	for body, want := range map[string]int{
		`{"prompt":"x"}`:                  nativeMaxTokens,
		`{"prompt":"x","max_tokens":299}`: 299,
	} {
		if res := post(t, s, "workers-ai/"+llama, body); strings.Count(res.body, "a ") != want {
			t.Error(body, strings.Count(res.body, "a "), want)
		}
	}
}

func TestScenariosGiveWorkersAIItsQuirks(t *testing.T) {
	s := start(t)
	tools := `,"tools":[{"type":"function","function":{"name":"f","parameters":{"properties":{"path":{"type":"string"}}}}}]`
	stream := func(content, more string) string {
		return `{"model":"` + llama + `","stream":true,"messages":[{"role":"user","content":"` + content + `"}]` + more + `}`
	}
	for name, test := range map[string]struct {
		scenario   Scenario
		path, body string
		want       []string
	}{
		"numbers in a chat's stream":      {Scenario{NumbersAsText: true}, chatPath, stream("hi", ""), []string{`"delta":{"content":4}`, `"delta":{"content":"."}`}},
		"numbers in a model's stream":     {Scenario{NumbersAsText: true}, "workers-ai/" + llama, `{"prompt":"x","stream":true}`, []string{`"response":4}`, `"response":"."}`}},
		"a number as a chat's answer":     {Scenario{NumbersAsText: true, Text: []string{"42"}}, chatPath, chatBody, []string{`"content":42`}},
		"a number as a model's answer":    {Scenario{NumbersAsText: true, Text: []string{"42"}}, "workers-ai/" + llama, `{"prompt":"x"}`, []string{`"response":42`}},
		"usage on every chunk of a chat":  {Scenario{UsageOnEveryFrame: true, Text: []string{"a", "b"}}, chatPath, stream("hi", ""), []string{`"completion_tokens":0,"neurons"`, `"completion_tokens":1,"neurons"`, `"completion_tokens":2,"neurons"`}},
		"usage on every chunk of a model": {Scenario{UsageOnEveryFrame: true}, "workers-ai/" + llama, `{"prompt":"x","raw":true,"stream":true}`, []string{`"response":"return ","usage":{"completion_tokens":1`, `"response":"result","usage":{"completion_tokens":2`}},
		"odd tool calls": {Scenario{OddToolCalls: true}, chatPath, stream("USETOOL a.py", tools), []string{
			`"function":{"arguments":{"path":"a.py"},"name":"f"}`, `{"function":{"arguments":"","name":null},"id":null,"index":0,"type":null}`}},
	} {
		t.Run(name, func(t *testing.T) {
			s.Next(test.scenario)
			res := post(t, s, test.path, test.body)
			for _, want := range test.want {
				if res.status != 200 || !strings.Contains(res.body, want) {
					t.Error(res.status, res.body)
				}
			}
			if plain := post(t, s, test.path, test.body); plain.status != 200 || strings.Contains(plain.body, test.want[0]) {
				t.Error("without the scenario too:", plain.body)
			}
		})
	}
}

func TestUsageIsNullOnAllButTheLastChunk(t *testing.T) {
	s := start(t)
	res := post(t, s, chatPath, `{"model":"`+llama+`","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"hi"}]}`)
	frames := strings.Split(strings.TrimSpace(res.body), "\n\n")
	for i, frame := range frames[:len(frames)-2] {
		if !strings.Contains(frame, `"usage":null`) {
			t.Error(i, frame)
		}
	}
	if last := frames[len(frames)-2]; !strings.Contains(last, `"choices":[]`) || !strings.Contains(last, `"neurons":0.25`) {
		t.Error(last)
	}
	if res := post(t, s, chatPath, chatStream); strings.Contains(res.body, "usage") {
		t.Error(res.body)
	}
}
