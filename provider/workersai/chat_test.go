package workersai

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	sdk "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/packages/ssestream"
	"github.com/tidwall/gjson"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
	"github.com/continue-auth/caddy-continue-auth/provider/openai"
)

// chatCall returns the call for a chat.
func chatCall(t testing.TB, members string) *hub.Call {
	t.Helper()
	r, err := openai.ParseRequest(hub.Chat, []byte(`{"model":"workers-ai/`+qwen+`",`+members+`}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Provider, r.Model = "workers-ai", qwen
	call, err := Provider{}.Call(r)
	if err != nil {
		t.Fatal(err)
	}
	return call
}

func TestAChatIsSentUnchanged(t *testing.T) {
	for name, test := range map[string]struct{ sent, want string }{
		"as Continue sends it":        {`"messages":[{"role":"user","content":"hi"}],"max_tokens":4096,"x":1.50`, `"messages":[{"role":"user","content":"hi"}],"max_tokens":4096,"x":1.50`},
		"text in parts":               {`"messages":[{"role":"system","content":[{"type":"text","text":"a"}]},{"role":"user","content":[{"type":"text","text":"b"},{"type":"text","text":"c"}]}]`, `"messages":[{"role":"system","content":"a"},{"role":"user","content":"bc"}]`},
		"an image":                    {`"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AA=="}}]}]`, `"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AA=="}}]}]`},
		"stop words":                  {`"messages":[],"stop":["a","b","c","d"]`, `"messages":[],"stop":["a","b","c","d"]`},
		"more stop words than OpenAI": {`"messages":[],"stop":["a","b","c","d","e"]`, `"messages":[],"stop":["a","b","c","d"]`},
	} {
		t.Run(name, func(t *testing.T) {
			if got, want := string(chatCall(t, test.sent).Body), `{"model":"`+qwen+`",`+test.want+`}`; got != want {
				t.Errorf("body %s, want %s", got, want)
			}
		})
	}
	r, _ := openai.ParseRequest(hub.Chat, []byte(`{"model":"workers-ai/`+qwen+`","stop":7}`))
	r.Model = qwen
	if _, err := (Provider{}).Call(r); err == nil {
		t.Error("a stop word that is a number is accepted")
	}
}

func TestTokenCountsOnlyForTheOperatorAreNotShown(t *testing.T) {
	for name, test := range map[string]struct {
		sent, want string
		shown      int // how many chunks have token counts
	}{
		"a stream whose client does not ask": {`"messages":[],"stream":true`, `"messages":[],"stream":true,"stream_options":{"include_usage":true}`, 0},
		"a stream whose client does":         {`"messages":[],"stream":true,"stream_options":{"include_usage":true}`, `"messages":[],"stream":true,"stream_options":{"include_usage":true}`, 1},
		"no stream":                          {`"messages":[]`, `"messages":[]`, 1},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := openai.ParseRequest(hub.Chat, []byte(`{"model":"workers-ai/`+qwen+`",`+test.sent+`}`))
			if err != nil {
				t.Fatal(err)
			}
			r.Model, r.AskUsage = qwen, true
			call, err := Provider{}.Call(r)
			if err != nil {
				t.Fatal(err)
			}
			if want := `{"model":"` + qwen + `",` + test.want + `}`; string(call.Body) != want {
				t.Errorf("body %s, want %s", call.Body, want)
			}
			var out bytes.Buffer
			translator := call.Translate(&out, true)
			_, _ = io.WriteString(translator, `data: {"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}],`+usage+"}\n\ndata: [DONE]\n\n")
			if err := translator.Close(); err != nil || strings.Count(out.String(), `"total_tokens":7`) != test.shown {
				t.Errorf("error %v, answer\n%s", err, out.String())
			}
			if u, ok := translator.Usage(); !ok || u.Total != 7 {
				t.Errorf("counts %+v", u)
			}
		})
	}
}

// chatted returns in one line what OpenAI's client reads from the answer to a chat, and all that was written
// for it.
func chatted(t testing.TB, call *hub.Call, stream, sse bool, pieces ...string) (heard, all string, err error) {
	t.Helper()
	var out bytes.Buffer
	translator := call.Translate(&out, sse)
	for _, piece := range pieces {
		if translator.Done() {
			break
		}
		if _, err := translator.Write([]byte(piece)); err != nil {
			t.Fatal(err)
		}
	}
	if err := translator.Close(); err != nil {
		return "", out.String(), err
	}
	all = out.String()
	var read sdk.ChatCompletion
	if !stream {
		if err := json.Unmarshal(out.Bytes(), &read); err != nil {
			t.Fatalf("%v in %s", err, all)
		}
		return line(&read), all, nil
	}
	res := &http.Response{Header: http.Header{"Content-Type": {"text/event-stream"}}, Body: io.NopCloser(&out)}
	events := ssestream.NewStream[sdk.ChatCompletionChunk](ssestream.NewDecoder(res), nil)
	var whole sdk.ChatCompletionAccumulator
	for events.Next() {
		if !whole.AddChunk(events.Current()) {
			t.Errorf("the client refuses %s", events.Current().RawJSON())
		}
	}
	return line(&whole.ChatCompletion), all, events.Err()
}

var madeID = regexp.MustCompile(`call_[A-Z2-7]{26}`)

func line(read *sdk.ChatCompletion) string {
	if len(read.Choices) == 0 {
		return "nothing"
	}
	said := read.Choices[0]
	b := fmt.Sprintf("%q", said.Message.Content)
	for _, call := range said.Message.ToolCalls {
		b += fmt.Sprintf(" %s:%s(%s)", madeID.ReplaceAllString(call.ID, "made"), call.Function.Name, call.Function.Arguments)
	}
	return fmt.Sprintf("%s %s %d", b, said.FinishReason, read.Usage.TotalTokens)
}

const usage = `"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7,"neurons":0.25}`

func TestChatAnswersOfEveryShapeAreTranslated(t *testing.T) {
	events := func(all ...string) string { return "data: " + strings.Join(all, "\n\ndata: ") + "\n\n" }
	delta := func(delta, more string) string {
		return `{"id":"x","choices":[{"index":0,"delta":{` + delta + `}` + more + `}],` + usage + `}`
	}
	for name, test := range map[string]struct {
		sse        bool
		body, want string
	}{
		"chunks with numbers, and usage on each": {true, events(delta(`"role":"assistant","content":"I have "`, ""), delta(`"content":4`, ""), delta(`"content":2`, ""), delta(`"content":" things"`, ""), delta(`"content":""`, `,"finish_reason":"stop"`), "[DONE]"), `"I have 42 things" stop 7`},
		"a call with null ids and an object":     {true, events(delta(`"tool_calls":[{"id":null,"type":"function","index":0,"function":{"name":"f","arguments":{"a": 1}}}]`, ""), delta(`"tool_calls":[{"id":null,"type":null,"index":0,"function":{"name":null,"arguments":""}}]`, ""), delta(``, `,"finish_reason":"tool_calls"`), "[DONE]"), `"" made:f({"a":1}) tool_calls 7`},
		"a call after text, ending with stop":    {true, events(delta(`"content":"hm"`, ""), delta(`"tool_calls":[{"id":"c1","index":0,"function":{"name":"f","arguments":"{}"}}]`, `,"finish_reason":"stop"`), "[DONE]"), `"hm" c1:f({}) tool_calls 7`},
		"native frames":                          {true, events(`{"response":"a ","p":"x"}`, `{"response":7}`, `{"response":"","`+usage[1:]+`}`, "[DONE]"), `"a 7" stop 7`},
		"native frames with calls":               {true, events(`{"response":null}`, `{"tool_calls":[{"name":"f","arguments":{"a":1}},{"name":"g","arguments":{}}]}`, `{"response":"","`+usage[1:]+`}`, "[DONE]"), `"" made:f({"a":1}) made:g({}) tool_calls 7`},
		"native frames with pieces of calls":     {true, events(`{"tool_calls":[{"index":0,"id":"c1","function":{"name":"f","arguments":"{\"a\""}}]}`, `{"tool_calls":[{"index":0,"function":{"arguments":":1}"}}]}`, `{"finish_reason":"tool_calls",`+usage+`}`), `"" c1:f({"a":1}) tool_calls 7`},
		"native frames that name a reason":       {true, events(`{"response":"a"}`, `{"response":"","finish_reason":"length",`+usage+`}`), `"a" length 7`},
		"an object":                              {false, `{"id":"x","choices":[{"index":0,"message":{"role":"assistant","content":42},"finish_reason":"stop"}],` + usage + `}`, `"42" stop 7`},
		"an object with calls":                   {false, `{"choices":[{"index":0,"message":{"content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":{"a":1}}}]},"finish_reason":"tool_calls"}],` + usage + `}`, `"" c1:f({"a":1}) tool_calls 7`},
		"an envelope":                            {false, `{"result":{"response":"a","tool_calls":[],` + usage + `},"success":true,"errors":[],"messages":[]}`, `"a" stop 7`},
		"an envelope with calls":                 {false, `{"result":{"response":null,"tool_calls":[{"name":"f","arguments":{"a":1}}],` + usage + `},"success":true}`, `"" made:f({"a":1}) tool_calls 7`},
		"an envelope with OpenAI's format":       {false, `{"result":{"choices":[{"index":0,"message":{"content":"a"},"finish_reason":"stop"}],` + usage + `},"success":true}`, `"a" stop 7`},
		"a list in JSON mode":                    {false, `{"result":{"response":[{"type": "bug"}],` + usage + `},"success":true}`, `"[{\"type\":\"bug\"}]" stop 7`},
		"an empty list":                          {false, `{"result":{"response":[],` + usage + `},"success":true}`, `"[]" stop 7`},
		"an object in JSON mode":                 {false, `{"result":{"response":{"a": [1, 2]},` + usage + `},"success":true}`, `"{\"a\":[1,2]}" stop 7`},
	} {
		t.Run(name, func(t *testing.T) {
			for _, stream := range []bool{true, false} {
				call := chatCall(t, fmt.Sprintf(`"messages":[],"stream":%v,"stream_options":{"include_usage":true},"stop":["never"]`, stream))
				heard, all, err := chatted(t, call, stream, test.sse, test.body)
				if err != nil || heard != test.want || strings.Count(all, `"usage":{`) != 1 || strings.Contains(all, "neurons") {
					t.Errorf("stream %v: the client hears %s, want %s, error %v in\n%s", stream, heard, test.want, err, all)
				}
				for i := range test.body {
					if torn, _, err := chatted(t, call, stream, test.sse, test.body[:i], test.body[i:]); err != nil || torn != test.want {
						t.Fatalf("torn at %d: the client hears %s, error %v", i, torn, err)
					}
				}
			}
		})
	}
}

func TestFailedChatsEndWithAnError(t *testing.T) {
	const chunk = `data: {"choices":[{"index":0,"delta":{"content":"a"}}]}` + "\n\n"
	for name, test := range map[string]struct{ body, says string }{
		"cut before [DONE] and a reason":  {chunk, "before it was complete"},
		"cut within a frame":              {chunk + `data: {"choices":[{"ind`, "not valid JSON"},
		"nothing":                         {"", "before it was complete"},
		"an error in the envelope":        {chunk + "data: " + cloudflareError + "\n\n", "out of memory"},
		"an error in OpenAI's form":       {chunk + `data: {"error":{"message":"overloaded","type":"server_error"}}` + "\n\n", "overloaded"},
		"frames without content":          {"data: {\"p\":\"abc\"}\n\n", "before it was complete"},
		"a call that never gets its name": {`data: {"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]}` + "\n\ndata: [DONE]\n\n", "without naming it"},
	} {
		t.Run(name, func(t *testing.T) {
			_, all, err := chatted(t, chatCall(t, `"messages":[],"stream":true`), true, true, test.body)
			if err == nil || !strings.Contains(err.Error(), test.says) || strings.Contains(all, "[DONE]") || !strings.Contains(all, `"type":"api_error"`) {
				t.Errorf("the client reads %v in\n%s", err, all)
			}
			if _, all, err := chatted(t, chatCall(t, `"messages":[]`), false, true, test.body); err == nil || all != "" || !strings.Contains(err.Error(), test.says) {
				t.Errorf("error %v, answer %s", err, all)
			}
		})
	}
}

// The stop words apply whether the model knows them or not.
func TestStopWordsOfAChatAreApplied(t *testing.T) {
	chunk := func(text string) string {
		return `data: {"choices":[{"index":0,"delta":{"content":` + string(jsontext.AppendString(nil, text)) + `}}]}` + "\n\n"
	}
	call := chatCall(t, `"messages":[],"stream":true,"stop":["1","2","3","4","</code>"]`)
	var out bytes.Buffer
	translator := call.Translate(&out, true)
	for _, test := range []struct {
		text, out string
		done      bool
	}{{"x < y", "x < y", false}, {" </", " ", false}, {"co", "", false}, {"rn>", "</corn>", false}, {"<", "", false}, {"/code>z", "", true}} {
		before := out.Len()
		if _, err := io.WriteString(translator, chunk(test.text)); err != nil {
			t.Fatal(err)
		}
		said := ""
		for l := range strings.Lines(out.String()[before:]) {
			said += gjson.Get(strings.TrimPrefix(l, "data: "), "choices.0.delta.content").Str
		}
		if said != test.out || translator.Done() != test.done {
			t.Errorf("%q: says %q, done %v, want %q, %v", test.text, said, translator.Done(), test.out, test.done)
		}
	}
	if err := translator.Close(); err != nil || !strings.HasSuffix(out.String(), `"finish_reason":"stop"}]}`+"\n\ndata: [DONE]\n\n") {
		t.Errorf("error %v, stream\n%s", err, out.String())
	}
}

func FuzzChat(f *testing.F) {
	f.Add([]byte("data: {\"response\":1}\n\ndata: {\"tool_calls\":[{\"name\":\"f\",\"arguments\":{}}]}\n\ndata: [DONE]\n\n"), uint8(3), true)
	f.Add([]byte(`{"result":{"choices":[{"message":{"content":[{"type":"text","text":"x"}],"tool_calls":[{"id":1,"function":{"name":"f"}}]}}]},"success":true}`), uint8(9), false)
	f.Fuzz(func(t *testing.T, body []byte, step uint8, sse bool) {
		var pieces []string
		for piece := range slices.Chunk(body, int(step)+1) {
			pieces = append(pieces, string(piece))
		}
		call := chatCall(t, `"messages":[],"stream":true,"stop":["END"]`)
		_, all, err := chatted(t, call, true, sse, pieces...)
		if err == nil && !strings.HasSuffix(all, "data: [DONE]\n\n") {
			t.Fatalf("no error, but\n%s", all)
		}
		for event := range strings.SplitSeq(strings.TrimSuffix(all, "\n\n"), "\n\n") {
			data, ok := strings.CutPrefix(event, "data: ")
			if all != "" && (!ok || data != "[DONE]" && !json.Valid([]byte(data))) {
				t.Fatalf("event %q", event)
			}
		}
		_, once, onceErr := chatted(t, call, true, sse, string(body))
		same := func(s string) string {
			return madeID.ReplaceAllString(regexp.MustCompile(`"id":"chatcmpl-[^"]*","object":"[^"]*","created":\d+`).ReplaceAllString(s, ""), "made")
		}
		if all != "" && once != "" && same(all) != same(once) || (err == nil) != (onceErr == nil) {
			t.Fatalf("in pieces\n%s(%v)\nat once\n%s(%v)", all, err, once, onceErr)
		}
	})
}
