package openai

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
)

func TestChatsThatAreAlmostOpenAI(t *testing.T) {
	chunk := func(delta, more string) string {
		return `data: {"id":"1","choices":[{"index":0,"delta":{` + delta + `}` + more + `}]}` + "\n\n"
	}
	const done = "data: [DONE]\n\n"
	const stop = `,"finish_reason":"stop"`
	for name, test := range map[string]struct{ stream, want string }{
		"numbers for text":                {chunk(`"content":4`, "") + chunk(`"content":2.50`, "") + chunk(`"content":-0`, stop) + done, `"42.50-0" stop`},
		"words of JSON for text":          {chunk(`"content":true`, "") + chunk(`"content":false`, stop) + done, `"truefalse" stop`},
		"an object for text":              {chunk(`"content":{"a": [1]}`, stop) + done, `"{\"a\":[1]}" stop`},
		"an array for text":               {chunk(`"content":[1, 2]`, stop) + done, `"[1,2]" stop`},
		"parts for text":                  {chunk(`"content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]`, stop) + done, `"ab" stop`},
		"no parts for text":               {chunk(`"content":[]`, stop) + done, `"" stop`},
		"null for text":                   {chunk(`"content":null`, "") + chunk(`"content":"a"`, stop) + done, `"a" stop`},
		"text behind a finish reason":     {chunk(`"content":"a"`, stop) + chunk(`"content":"b"`, "") + done, `"ab" stop`},
		"a finish reason with each chunk": {chunk(`"content":"a"`, stop) + chunk(`"content":"b"`, `,"finish_reason":"length"`) + done, `"ab" length`},
		"a finish reason of its own":      {chunk(`"content":"a"`, `,"finish_reason":"eos"`) + done, `"a" stop`},
		"another word for the limit":      {chunk(`"content":"a"`, `,"finish_reason":"max_tokens"`) + done, `"a" length`},
		"an end without a finish reason":  {chunk(`"content":"a"`, "") + done, `"a" stop`},
		"a finish reason without an end":  {chunk(`"content":"a"`, stop), `"a" stop`},
		"a choice out of range":           {`data: {"choices":[{"index":99999999,"delta":{"content":"x"}},{"index":-1,"delta":{"content":"x"}},{"index":0,"delta":{"content":"a"}}]}` + "\n\n" + done, `"a" stop`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := translated(t, hub.Form{Format: Format{}, Stream: true, Usage: true, Model: "p/m"}, true, test.stream)
			if err != nil {
				t.Fatal(err)
			}
			if all, _ := stream(t, got); heard(all.Choices[0]) != test.want {
				t.Errorf("the client hears %s, want %s in\n%s", heard(all.Choices[0]), test.want, got)
			}
		})
	}
}

func TestReasoning(t *testing.T) {
	for name, test := range map[string]struct{ message, want string }{
		"DeepSeek's":         {`"reasoning_content":"hm","content":"a"`, `"hm"`},
		"by its other name":  {`"reasoning":"hm","reasoning_content":null`, `"hm"`},
		"by both":            {`"reasoning":"hm","reasoning_content":"hm"`, `"hm"`},
		"a number":           {`"reasoning":7`, `"7"`},
		"an object, dropped": {`"reasoning":{"effort":"low"}`, ``},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := translated(t, hub.Form{Format: Format{}, Model: "p/m"}, false, `{"choices":[{"message":{`+test.message+`},"finish_reason":"stop"}]}`)
			_, said, found := strings.Cut(got, `"reasoning_content":`)
			if err != nil || found != (test.want != "") || !strings.HasPrefix(said, test.want) || strings.Count(got, "hm") > 1 {
				t.Errorf("error %v, answer %s", err, got)
			}
		})
	}
}

// TestUsageComesOnce: with every chunk, Continue would lose the text of all but the last.
func TestUsageComesOnce(t *testing.T) {
	const events = `data: {"choices":[{"index":0,"delta":{"content":"one "}}],"usage":{"prompt_tokens":5,"completion_tokens":1,"neurons":0.5}}

data: {"choices":[{"index":0,"delta":{"content":"two"},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7,"prompt_tokens_details":{"cached_tokens":3}}}

data: [DONE]

`
	asked, err := translated(t, hub.Form{Format: Format{}, Stream: true, Usage: true, Model: "p/m"}, true, events)
	if err != nil {
		t.Fatal(err)
	}
	all, _ := stream(t, asked)
	if all.Choices[0].Message.Content != "one two" || all.Usage.TotalTokens != 7 || all.Usage.PromptTokensDetails.CachedTokens != 3 || strings.Count(asked, `"usage":{`) != 1 || !strings.Contains(asked, `"choices":[],"usage":{`) {
		t.Errorf("stream\n%s", asked)
	}
	if unasked, err := translated(t, hub.Form{Format: Format{}, Stream: true, Model: "p/m"}, true, events); err != nil || strings.Contains(unasked, "usage") {
		t.Errorf("error %v, stream\n%s", err, unasked)
	}
}

// TestWhatPassesAndWhatIsMended: an OpenAI that answers as it was asked to is not touched.
func TestWhatPassesAndWhatIsMended(t *testing.T) {
	for name, test := range map[string]struct {
		form   hub.Form
		sse    bool
		passes bool
	}{
		"a stream that was asked for":     {hub.Form{Format: Format{}, Stream: true}, true, true},
		"an object that was asked for":    {hub.Form{Format: Format{}}, false, true},
		"an object in place of a stream":  {hub.Form{Format: Format{}, Stream: true}, false, false},
		"a stream in place of an object":  {hub.Form{Format: Format{}}, true, false},
		"a stream with words left to us":  {hub.Form{Format: Format{}, Stream: true, Stop: []string{"x"}}, true, false},
		"an object with words left to us": {hub.Form{Format: Format{}, Stop: []string{"x"}}, false, false},
	} {
		if passes := TranslateOdd(test.form)(nil, test.sse) == nil; passes != test.passes {
			t.Errorf("%s: passes %v, want %v", name, passes, test.passes)
		}
	}
}

// TestAStreamOfOne: everything of an object is in the stream that it becomes.
func TestAStreamOfOne(t *testing.T) {
	const object = `{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"x","choices":[{"index":0,"message":{"role":"assistant","content":"Let me see.","refusal":null,
		"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}},{"id":"b","type":"function","function":{"name":"g","arguments":""},"extra_content":{"google": {"thought_signature":"s"}}}]},
		"logprobs":{"content":[{"token":"Let","logprob":-0.5,"bytes":[76, 101],"top_logprobs":[{"token":"I","logprob":-2,"bytes":null}]}],"refusal":null},"finish_reason":"tool_calls"},
		{"index":1,"message":{"role":"assistant","content":null,"refusal":"No."},"finish_reason":"stop"}],
		"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}}`
	got, err := translated(t, hub.Form{Format: Format{}, Stream: true, Usage: true, Model: "p/m"}, false, object[:100], object[100:])
	if err != nil {
		t.Fatal(err)
	}
	all, _ := stream(t, got)
	if said := heard(all.Choices[0]); said != `"Let me see." a:f({"x":1}) b:g({}) tool_calls` {
		t.Errorf("the client hears %s in\n%s", said, got)
	}
	if refused := all.Choices[1]; refused.Message.Refusal != "No." || refused.FinishReason != "stop" || all.Usage.TotalTokens != 7 {
		t.Errorf("the client hears %+v", refused)
	}
	for _, want := range []string{`"extra_content":{"google":{"thought_signature":"s"}}`, `{"token":"Let","logprob":-0.5,"bytes":[76,101],"top_logprobs":[{"token":"I","logprob":-2,"bytes":null}]}`, "data: [DONE]\n\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
}

// TestErrorsWithinAnAnswer: whatever party reports one, and however, the answer is not complete.
func TestErrorsWithinAnAnswer(t *testing.T) {
	for name, test := range map[string]struct {
		message string
		status  int
		code    string
		says    string
	}{
		"an object":                     {`{"error":{"message":"overloaded","type":"server_error","code":"busy"}}`, 502, "busy", "overloaded"},
		"an object without words":       {`{"error":{}}`, 502, "", "without a message"},
		"text":                          {`{"error":"capacity"}`, 502, "", "capacity"},
		"the gateway's":                 {gateway(2016, "Prompt blocked"), 400, "content_filter", "Prompt blocked"},
		"the gateway's, short":          {`{"success":false,"error":[{"code":2005,"message":"x"}]}`, 502, "upstream_failed", "no response"},
		"the gateway's limit":           {gateway(2003, "Rate limited"), 429, "rate_limit_exceeded", "Rate limited"},
		"Cloudflare's":                  {cloudflare(3036, "Used up"), 429, "insufficient_quota", "Used up"},
		"Cloudflare's, of capacity":     {cloudflare(3040, "Capacity"), 429, "rate_limit_exceeded", "Capacity"},
		"Cloudflare's, without success": {`{"errors":[{"code":5007,"message":"No such model"}]}`, 404, "model_not_found", "No such model"},
		"Google's":                      {google("UNAVAILABLE", ""), 400, "unavailable", "Google says so"},
		"the event error":               {`{"message":"too bad","code":"x"}`, 502, "x", "too bad"},
		"Mistral's finish reason":       {`{"choices":[{"index":0,"delta":{},"finish_reason":"error"}]}`, 502, "upstream_invalid_response", "broke"},
		"DeepSeek's finish reason":      {`{"choices":[{"index":0,"delta":{},"finish_reason":"insufficient_system_resource"}]}`, 502, "upstream_invalid_response", "broke"},
		"no success":                    {`{"success":false}`, 502, "", "without a message"},
	} {
		t.Run(name, func(t *testing.T) {
			const before = `data: {"choices":[{"index":0,"delta":{"content":"a"}}]}` + "\n\n"
			got, err := translated(t, hub.Form{Format: Format{}, Stream: true, Model: "p/m"}, true, before+"event: error\ndata: "+test.message+"\n\ndata: [DONE]\n\n")
			if err != nil || strings.Contains(got, "[DONE]") || strings.Contains(got, `"finish_reason":"stop"`) || !strings.Contains(got, `data: {"error":{"message":"`) || !strings.Contains(got, test.says) {
				t.Errorf("error %v, stream\n%s", err, got)
			}
			_, err = translated(t, hub.Form{Format: Format{}, Stream: true, Model: "p/m"}, false, test.message)
			var e *hub.Error
			if !errors.As(err, &e) || e.Status != test.status || e.Code != test.code || !strings.Contains(e.Message, test.says) {
				t.Errorf("in place of a stream: %+v", e)
			}
		})
	}
}

// TestNoErrors are messages that only look like errors.
func TestNoErrors(t *testing.T) {
	for name, message := range map[string]string{
		"a null":           `{"error":null,"errors":[],"success":true,"choices":[{"index":0,"delta":{"content":"a"}}]}`,
		"a text about one": `{"choices":[{"index":0,"delta":{"content":"\"error\": {\"message\": 1}, \"success\": false"}}]}`,
		"an empty text":    `{"error":"","choices":[{"index":0,"delta":{"content":"a"}}]}`,
		"a message":        `{"message":"x","code":1,"choices":[{"index":0,"delta":{"content":"a"}}]}`,
	} {
		got, err := translated(t, hub.Form{Format: Format{}, Stream: true, Model: "p/m"}, true, "data: "+message+"\n\ndata: [DONE]\n\n")
		if err != nil || !strings.HasSuffix(got, "data: [DONE]\n\n") || strings.Contains(got, `{"error":{`) {
			t.Errorf("%s: error %v, stream\n%s", name, err, got)
		}
	}
}

// TestTheProvidersWordThatThisIsAll counts, whatever becomes of its connection.
func TestTheProvidersWordThatThisIsAll(t *testing.T) {
	for name, done := range map[string]string{"as it is": "data: [DONE]\n\n", "with a space": "data: [DONE] \r\n\r\n"} {
		var out bytes.Buffer
		translator := hub.Translate(hub.Form{Format: Format{}, Stream: true, Usage: true, Model: "p/m"}, DecodeChat)(&out, true)
		if _, err := translator.Write([]byte(`data: {"choices":[{"index":0,"delta":{"content":"a"}}],"usage":{"prompt_tokens":1}}` + "\n\n" + done)); err != nil {
			t.Fatal(err)
		}
		said := out.String()
		if !strings.HasSuffix(said, "data: [DONE]\n\n") || !strings.Contains(said, `"choices":[],"usage":{"prompt_tokens":1`) {
			t.Errorf("%s: stream\n%s", name, said)
		}
		if _, err := translator.Write([]byte("data: {\"choices\":[{\"delta\":{\"content\":\"more\"}}]}\n\n")); err != nil {
			t.Error(err)
		}
		if err := translator.Abort(hub.ErrIncomplete); err != nil || out.String() != said {
			t.Errorf("%s: %v, and then\n%s", name, err, out.String()[len(said):])
		}
		if err := translator.Close(); err != nil || out.String() != said {
			t.Errorf("%s: %v, and then\n%s", name, err, out.String()[len(said):])
		}
	}
}

func TestUsageOfZerosAtTheEndSaysNothing(t *testing.T) {
	got, err := translated(t, hub.Form{Format: Format{}, Stream: true, Usage: true, Model: "p/m"}, true, `data: {"choices":[{"index":0,"delta":{"content":"a"}}],"usage":{"prompt_tokens":3,"completion_tokens":4}}

data: {"choices":[],"usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}}

data: [DONE]

`)
	if err != nil || !strings.Contains(got, `"total_tokens":7`) {
		t.Errorf("error %v, stream\n%s", err, got)
	}
}

func TestAByteOrderMarkSaysNothing(t *testing.T) {
	for _, sse := range []bool{true, false} {
		body := `{"choices":[{"index":0,"message":{"content":"a"},"finish_reason":"stop"}]}`
		if sse {
			body = "data: " + body + "\n\ndata: [DONE]\n\n"
		}
		body = "\ufeff" + body
		for i := range body {
			got, err := translated(t, hub.Form{Format: Format{}, Stream: true, Model: "p/m"}, sse, body[:i], body[i:])
			if err != nil || !strings.Contains(got, `"content":"a"`) {
				t.Fatalf("torn at %d: error %v, stream\n%s", i, err, got)
			}
		}
	}
}
