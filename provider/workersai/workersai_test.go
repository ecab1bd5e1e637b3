package workersai

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/openai"
)

const qwen = "@cf/qwen/qwen2.5-coder-32b-instruct"

func completions(t *testing.T, model, body string) *hub.Call {
	t.Helper()
	r, err := openai.ParseRequest(hub.Completions, []byte(`{"model":"workers-ai/`+model+`",`+body+`}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Provider, r.Model = "workers-ai", model
	call, err := Provider{}.Call(r)
	if err != nil {
		t.Fatal(err)
	}
	return call
}

func TestATabCompletionIsSentAsARawPrompt(t *testing.T) {
	for name, test := range map[string]struct{ model, body, want string }{
		"as Continue sends it": {
			qwen, `"max_tokens":4096,"temperature":0.01,"stream":true,"stop":["<|fim_pad|>"],"prompt":"<|fim_prefix|>a\n<|fim_suffix|>b<|fim_middle|>"`,
			`{"prompt":"<|fim_prefix|>a\n<|fim_suffix|>b<|fim_middle|>","raw":true,"stream":true,"max_tokens":4096,"temperature":0.01}`},
		"everything that the endpoint knows": {
			qwen, `"prompt":"x","top_p":0.90,"top_k":5,"seed":7,"frequency_penalty":0.1,"presence_penalty":0.2,"logit_bias":{},"user":"u","n":1`,
			`{"prompt":"x","raw":true,"stream":false,"top_p":0.90,"top_k":5,"seed":7,"frequency_penalty":0.1,"presence_penalty":0.2}`},
		"the limit by its newer name": {qwen, `"prompt":"x","max_completion_tokens":9`, `{"prompt":"x","raw":true,"stream":false,"max_tokens":9}`},
		"the limit by both names":     {qwen, `"prompt":"x","max_completion_tokens":9,"max_tokens":8`, `{"prompt":"x","raw":true,"stream":false,"max_tokens":8}`},
		"null is left out":            {qwen, `"prompt":["x"],"temperature":null,"suffix":null`, `{"prompt":"x","raw":true,"stream":false}`},
		"a suffix for Qwen":           {qwen, `"prompt":"a","suffix":"b"`, `{"prompt":"<|fim_prefix|>a<|fim_suffix|>b<|fim_middle|>","raw":true,"stream":false}`},
		"a suffix for DeepSeek":       {"@hf/thebloke/deepseek-coder-6.7b-base-awq", `"prompt":"a","suffix":"b"`, `{"prompt":"<｜fim▁begin｜>a<｜fim▁hole｜>b<｜fim▁end｜>","raw":true,"stream":false}`},
		"a suffix for CodeLlama":      {"@hf/thebloke/codellama-7b-awq", `"prompt":"a","suffix":"b"`, `{"prompt":"<PRE> a <SUF>b <MID>","raw":true,"stream":false}`},
		"a suffix for another model":  {"@cf/meta/llama-3.1-8b-instruct", `"prompt":"a","suffix":"b"`, `{"prompt":"<fim_prefix>a<fim_suffix>b<fim_middle>","raw":true,"stream":false}`},
	} {
		t.Run(name, func(t *testing.T) {
			call := completions(t, test.model, test.body)
			if string(call.Body) != test.want || call.Path != "workers-ai/"+test.model {
				t.Errorf("%s\n%s, want\n%s", call.Path, call.Body, test.want)
			}
		})
	}
}

// answered translates an upstream's answer that arrives in pieces. It returns the text and all that was
// written.
func answered(t *testing.T, call *hub.Call, sse bool, pieces ...string) (text, all string, err error) {
	t.Helper()
	var out bytes.Buffer
	translator := call.Translate(&out, sse)
	for _, piece := range pieces {
		if _, err := translator.Write([]byte(piece)); err != nil {
			t.Fatal(err)
		}
	}
	err = translator.Close()
	for line := range strings.Lines(out.String()) {
		text += gjson.Get(strings.TrimPrefix(line, "data: "), "choices.0.text").Str
	}
	return text, out.String(), err
}

func TestCompletionAnswersOfEveryShapeAreTranslated(t *testing.T) {
	for name, test := range map[string]struct {
		sse        bool
		body, text string
		usage      int64
	}{
		"events":                             {true, "data: {\"response\":\"a \"}\n\ndata: {\"response\":\"b\",\"p\":\"xyz\"}\n\ndata: {\"response\":\"\",\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2,\"total_tokens\":3}}\n\ndata: [DONE]\n\n", "a b", 3},
		"events with numbers":                {true, "data: {\"response\":4}\n\ndata: {\"response\":2.50}\n\ndata: [DONE]\n\n", "42.50", 0},
		"events with usage on each":          {true, "data: {\"response\":\"a\",\"usage\":{\"total_tokens\":1}}\n\ndata: {\"response\":\"b\",\"usage\":{\"total_tokens\":2}}\n\ndata: [DONE]\n\n", "ab", 2},
		"events that name a finish reason":   {true, "data: {\"response\":\"a\",\"finish_reason\":\"length\"}\n\n", "a", 0},
		"events in OpenAI's format":          {true, "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\ndata: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n", "a", 0},
		"an object in Cloudflare's envelope": {false, `{"result":{"response":"a","usage":{"total_tokens":5}},"success":true,"errors":[],"messages":[]}`, "a", 5},
		"an object alone":                    {false, `{"response":"a"}`, "a", 0},
		"an object in OpenAI's format":       {false, `{"choices":[{"index":0,"message":{"content":"a"},"finish_reason":"stop"}]}`, "a", 0},
		"a text completion in an envelope":   {false, `{"result":{"choices":[{"index":0,"text":"a","finish_reason":"stop"}]},"success":true}`, "a", 0},
	} {
		t.Run(name, func(t *testing.T) {
			call := completions(t, qwen, `"prompt":"x","stream":true,"stream_options":{"include_usage":true}`)
			text, all, err := answered(t, call, test.sse, test.body)
			if err != nil || text != test.text || !strings.HasSuffix(all, "data: [DONE]\n\n") || strings.Count(all, `"usage":{`) != int(min(test.usage, 1)) {
				t.Errorf("text %q, error %v, stream\n%s", text, err, all)
			}
			for i := range test.body {
				if torn, _, err := answered(t, call, test.sse, test.body[:i], test.body[i:]); err != nil || torn != text {
					t.Fatalf("torn at %d: text %q, error %v", i, torn, err)
				}
			}
		})
	}
}

func TestAllStopWordsAreAppliedHere(t *testing.T) {
	call := completions(t, qwen, `"prompt":"x","stop":["1","2","3","4","5","6","</code>"]`)
	text, _, err := answered(t, call, false, `{"result":{"response":"code</code>more"},"success":true}`)
	if err != nil || text != "code" || strings.Contains(string(call.Body), "stop") {
		t.Errorf("text %q, error %v, body %s", text, err, call.Body)
	}
}

func TestFailedAnswersBecomeErrors(t *testing.T) {
	for name, test := range map[string]struct {
		sse  bool
		body string
		says string
	}{
		"an error in the envelope":             {false, cloudflareError, "out of memory"},
		"an error in an event":                 {true, "data: " + cloudflareError + "\n\n", "out of memory"},
		"HTML":                                 {false, "<html>", "not valid JSON"},
		"an event that is not JSON":            {true, "data: x\n\n", "not valid JSON"},
		"a stream without [DONE] and a reason": {true, "data: {\"response\":\"a\"}\n\n", "before it was complete"},
		"an empty stream":                      {true, "", "before it was complete"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := answered(t, completions(t, qwen, `"prompt":"x"`), test.sse, test.body)
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("error %v, want %q", err, test.says)
			}
			_, all, err := answered(t, completions(t, qwen, `"prompt":"x","stream":true`), test.sse, test.body)
			if !test.sse {
				if err == nil || all != "" {
					t.Errorf("in place of a stream: error %v, stream\n%s", err, all)
				}
				return
			}
			if err != nil || !strings.Contains(all, `data: {"error":`) || strings.Contains(all, "[DONE]") {
				t.Errorf("error %v, stream\n%s", err, all)
			}
		})
	}
}

const cloudflareError = `{"result":null,"success":false,"errors":[{"code":3040,"message":"out of memory"}],"messages":[]}`

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"response":"a","usage":{"total_tokens":1}}`))
	f.Add([]byte(`{"result":{"choices":[{"delta":{"content":1}}]},"success":true}`))
	f.Add([]byte(cloudflareError))
	f.Fuzz(func(t *testing.T, message []byte) {
		var out bytes.Buffer
		a := hub.NewAnswer(&out, hub.Form{Format: openai.Format{}, TextOnly: true, Model: "m"})
		if newDecode()(message, a) != nil {
			return
		}
		a.End()
		if err := a.Close(); err != nil || !json.Valid(out.Bytes()) {
			t.Errorf("%q became %s (%v)", message, out.String(), err)
		}
	})
}
