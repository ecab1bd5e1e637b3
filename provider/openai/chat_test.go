package openai

import (
	"strings"
	"testing"
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
			got, err := translated(t, Form{Stream: true, Usage: true, Model: "p/m"}, true, test.stream)
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
			got, err := translated(t, Form{Model: "p/m"}, false, `{"choices":[{"message":{`+test.message+`},"finish_reason":"stop"}]}`)
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
	asked, err := translated(t, Form{Stream: true, Usage: true, Model: "p/m"}, true, events)
	if err != nil {
		t.Fatal(err)
	}
	all, _ := stream(t, asked)
	if all.Choices[0].Message.Content != "one two" || all.Usage.TotalTokens != 7 || all.Usage.PromptTokensDetails.CachedTokens != 3 || strings.Count(asked, `"usage":{`) != 1 || !strings.Contains(asked, `"choices":[],"usage":{`) {
		t.Errorf("stream\n%s", asked)
	}
	if unasked, err := translated(t, Form{Stream: true, Model: "p/m"}, true, events); err != nil || strings.Contains(unasked, "usage") {
		t.Errorf("error %v, stream\n%s", err, unasked)
	}
}

// TestWhatPassesAndWhatIsMended: an OpenAI that answers as it was asked to is not touched.
func TestWhatPassesAndWhatIsMended(t *testing.T) {
	for name, test := range map[string]struct {
		form   Form
		sse    bool
		passes bool
	}{
		"a stream that was asked for":     {Form{Stream: true}, true, true},
		"an object that was asked for":    {Form{}, false, true},
		"an object in place of a stream":  {Form{Stream: true}, false, false},
		"a stream in place of an object":  {Form{}, true, false},
		"a stream with words left to us":  {Form{Stream: true, Stop: []string{"x"}}, true, false},
		"an object with words left to us": {Form{Stop: []string{"x"}}, false, false},
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
	got, err := translated(t, Form{Stream: true, Usage: true, Model: "p/m"}, false, object[:100], object[100:])
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
