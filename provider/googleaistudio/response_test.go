package googleaistudio

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	sdk "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/packages/ssestream"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
	"github.com/continue-auth/caddy-continue-auth/provider/openai"
)

// answer translates an answer of Gemini that arrives in pieces, and returns what the client gets.
func answer(t testing.TB, form hub.Form, sse bool, pieces ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	translator := Provider{}.translate("", nil, false, form)(&out, sse)
	for _, piece := range pieces {
		if n, err := translator.Write([]byte(piece)); err != nil || n != len(piece) {
			t.Fatalf("wrote %d of %d: %v", n, len(piece), err)
		}
	}
	err := translator.Close()
	return out.String(), err
}

var (
	whole    = hub.Form{Format: openai.Format{}, Usage: true, Model: "google-ai-studio/gemini-3-pro"}
	streamed = hub.Form{Format: openai.Format{}, Stream: true, Usage: true, Model: "google-ai-studio/gemini-3-pro"}
)

// frames returns a stream of frames as Google sends it.
func frames(all ...string) string {
	return "data: " + strings.Join(all, "\r\n\r\ndata: ") + "\r\n\r\n"
}

// wholeAnswer returns the client's answer for one object, as OpenAI's client reads it.
func wholeAnswer(t testing.TB, body string) *sdk.ChatCompletion {
	t.Helper()
	got, err := answer(t, whole, false, body)
	if err != nil {
		t.Fatal(err)
	}
	var read sdk.ChatCompletion
	if err := json.Unmarshal([]byte(got), &read); err != nil {
		t.Fatalf("%v in %s", err, got)
	}
	if read.ID == "" || read.Object != "chat.completion" || read.Created == 0 || read.Model != whole.Model {
		t.Errorf("answers %s", got)
	}
	return &read
}

// readStream reads a stream with OpenAI's client. It also checks for things that other clients cannot handle.
func readStream(t testing.TB, stream string) (*sdk.ChatCompletion, error) {
	t.Helper()
	res := &http.Response{Header: http.Header{"Content-Type": {"text/event-stream"}}, Body: io.NopCloser(strings.NewReader(stream))}
	events := ssestream.NewStream[sdk.ChatCompletionChunk](ssestream.NewDecoder(res), nil)
	var all sdk.ChatCompletionAccumulator
	for events.Next() {
		chunk := events.Current()
		if !all.AddChunk(chunk) {
			t.Errorf("the client refuses %s", chunk.RawJSON())
		}
		if chunk.JSON.Usage.Valid() && len(chunk.Choices) > 0 {
			t.Errorf("usage beside a choice: %s", chunk.RawJSON())
		}
		for _, c := range chunk.Choices {
			if c.Delta.Content != "" && len(c.Delta.ToolCalls) > 0 || len(c.Delta.ToolCalls) > 1 {
				t.Errorf("too much for one delta: %s", chunk.RawJSON())
			}
		}
	}
	return &all.ChatCompletion, events.Err()
}

// streamedAnswer returns the answer that OpenAI's client reads from a whole stream.
func streamedAnswer(t testing.TB, stream string) *sdk.ChatCompletion {
	t.Helper()
	got, err := answer(t, streamed, true, stream)
	if err != nil {
		t.Fatal(err)
	}
	all, err := readStream(t, got)
	if err != nil || !strings.HasSuffix(got, "data: [DONE]\n\n") {
		t.Fatalf("%v in\n%s", err, got)
	}
	return all
}

// say returns the answer of a choice as one line.
func say(c sdk.ChatCompletionChoice) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%q", c.Message.Content)
	if c.Message.Refusal != "" {
		fmt.Fprintf(&b, " refuses %q", c.Message.Refusal)
	}
	for _, call := range c.Message.ToolCalls {
		fmt.Fprintf(&b, " %s(%s)", call.Function.Name, call.Function.Arguments)
	}
	return b.String() + " " + c.FinishReason
}

func TestAnswersAreTranslated(t *testing.T) {
	candidate := func(rest string) string {
		return `{"candidates":[{"content":{"role":"model","parts":[` + rest + `}],"responseId":"r"}`
	}
	for name, test := range map[string]struct{ body, want string }{
		"text":                            {candidate(`{"text":"Hi"}]},"finishReason":"STOP"`), `"Hi" stop`},
		"text in parts":                   {candidate(`{"text":"Hi"},{"text":" \"you\"\n"}]},"finishReason":"STOP"`), `"Hi \"you\"\n" stop`},
		"a thought is not text":           {candidate(`{"text":"hm","thought":true},{"text":"Hi"}]},"finishReason":"STOP"`), `"Hi" stop`},
		"a call":                          {candidate(`{"functionCall":{"name":"f","args":{"a": [ 1.0, {"b":"c d"} ]}}}]},"finishReason":"STOP"`), `"" f({"a":[1.0,{"b":"c d"}]}) tool_calls`},
		"calls":                           {candidate(`{"text":"look"},{"functionCall":{"name":"f"}},{"functionCall":{"name":"g","args":{}}}]},"finishReason":"STOP"`), `"look" f({}) g({}) tool_calls`},
		"an empty part":                   {candidate(`{"text":""},{}]},"finishReason":"STOP"`), `"" stop`},
		"the search's own steps":          {candidate(`{"toolCall":{"toolType":"GOOGLE_SEARCH_WEB","id":"1"},"thoughtSignature":"s"},{"toolResponse":{"id":"1"}},{"text":"Hi"}]},"finishReason":"STOP"`), `"Hi" stop`},
		"nulls beside a text":             {candidate(`{"text":"Hi","inlineData":null,"functionCall":null,"fileData":null}]},"finishReason":"STOP"`), `"Hi" stop`},
		"metadata of a text":              {candidate(`{"text":"Hi","partMetadata":{"a":1},"later":{"b":1}}]},"finishReason":"STOP"`), `"Hi" stop`},
		"the limit of tokens":             {candidate(`{"text":"Hi"}]},"finishReason":"MAX_TOKENS"`), `"Hi" length`},
		"no content":                      {`{"candidates":[{"finishReason":"MAX_TOKENS"}]}`, `"" length`},
		"content without parts":           {`{"candidates":[{"content":{"role":"model"},"finishReason":"STOP","index":0}]}`, `"" stop`},
		"a call and a limit":              {candidate(`{"functionCall":{"name":"f"}}]},"finishReason":"MAX_TOKENS"`), `"" f({}) length`},
		"a filter":                        {candidate(`{"text":"Hi"}]},"finishReason":"SAFETY"`), `"Hi" content_filter`},
		"a broken call beside text":       {candidate(`{"text":"Hi"},{"functionCall":{"name":"f"}}]},"finishReason":"MALFORMED_FUNCTION_CALL"`), `"Hi" stop`},
		"a blocked prompt":                {`{"promptFeedback":{"blockReason":"PROHIBITED_CONTENT"}}`, `"" refuses "Rephrase the request: Google's filters blocked it (PROHIBITED_CONTENT)." content_filter`},
		"a blocked prompt with a message": {`{"candidates":[],"promptFeedback":{"blockReason":"OTHER","blockReasonMessage":"Sorry."}}`, `"" refuses "Rephrase the request: Google's filters blocked it (OTHER). Sorry." content_filter`},
	} {
		t.Run(name, func(t *testing.T) {
			read := wholeAnswer(t, test.body)
			if got := say(read.Choices[0]); len(read.Choices) != 1 || got != test.want {
				t.Errorf("answers %s, want %s", got, test.want)
			}
			read = streamedAnswer(t, frames(test.body))
			if got := say(read.Choices[0]); len(read.Choices) != 1 || got != test.want {
				t.Errorf("streams %s, want %s", got, test.want)
			}
			inOne, err := answer(t, streamed, false, test.body)
			if err != nil {
				t.Fatal(err)
			}
			read, err = readStream(t, inOne)
			if err != nil || say(read.Choices[0]) != test.want {
				t.Errorf("error %v, a stream of one: %s", err, inOne)
			}
		})
	}
}

func TestFinishReasonsAreTranslated(t *testing.T) {
	for reason, want := range map[string]string{
		"STOP": "stop", "LANGUAGE": "stop", "OTHER": "stop", "IMAGE_OTHER": "stop", "NO_IMAGE": "stop",
		"FINISH_REASON_UNSPECIFIED": "stop", "A_NEW_REASON": "stop",
		"MALFORMED_FUNCTION_CALL": "stop", "MALFORMED_RESPONSE": "stop", "UNEXPECTED_TOOL_CALL": "stop", "TOO_MANY_TOOL_CALLS": "stop",
		"MAX_TOKENS": "length", "CONTINUATION": "length",
		"SAFETY": "content_filter", "RECITATION": "content_filter", "BLOCKLIST": "content_filter",
		"PROHIBITED_CONTENT": "content_filter", "SPII": "content_filter", "IMAGE_SAFETY": "content_filter",
		"IMAGE_PROHIBITED_CONTENT": "content_filter", "IMAGE_RECITATION": "content_filter",
	} {
		t.Run(reason, func(t *testing.T) {
			body := `{"candidates":[{"content":{"parts":[{"text":"Hi"}]},"finishReason":"` + reason + `"}]}`
			if got := wholeAnswer(t, body).Choices[0].FinishReason; got != want {
				t.Errorf("answers %s, want %s", got, want)
			}
			if got := streamedAnswer(t, frames(body)).Choices[0].FinishReason; got != want {
				t.Errorf("streams %s, want %s", got, want)
			}
		})
	}
}

func TestSeveralAnswersAreKeptApart(t *testing.T) {
	const both = `{"candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":"STOP"},{"content":{"parts":[{"text":"b"}]},"finishReason":"MAX_TOKENS","index":1}]}`
	want := []string{`"a" stop`, `"b" length`}
	for name, read := range map[string]*sdk.ChatCompletion{
		"one object": wholeAnswer(t, both),
		"one frame":  streamedAnswer(t, frames(both)),
		"a frame each": streamedAnswer(t, frames(
			`{"candidates":[{"content":{"parts":[{"text":"b"}]},"index":1}]}`,
			`{"candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":"STOP"}]}`,
			`{"candidates":[{"finishReason":"MAX_TOKENS","index":1}]}`)),
	} {
		t.Run(name, func(t *testing.T) {
			if len(read.Choices) != 2 || say(read.Choices[0]) != want[0] || say(read.Choices[1]) != want[1] {
				t.Errorf("answers %+v", read.Choices)
			}
		})
	}
}

func TestCallsGetUniqueIDsAndKeepTheirSignatures(t *testing.T) {
	const body = `{"candidates":[{"content":{"parts":[
		{"functionCall":{"id":"g1","name":"f"},"thoughtSignature":"a_b-c+/=="},
		{"functionCall":{"id":"g1","name":"f"}},
		{"functionCall":{"name":"f"}}]},"finishReason":"STOP"}]}`
	line := strings.ReplaceAll(body, "\n", "")
	for name, read := range map[string]*sdk.ChatCompletion{"an object": wholeAnswer(t, body), "a stream": streamedAnswer(t, frames(line))} {
		t.Run(name, func(t *testing.T) {
			calls := read.Choices[0].Message.ToolCalls
			if len(calls) != 3 || calls[0].ID != "g1" {
				t.Fatalf("calls %+v", calls)
			}
			for i, call := range calls[1:] {
				if !strings.HasPrefix(call.ID, "call_") || call.ID == calls[i].ID || len(call.ID) > 40 {
					t.Errorf("ids %s and %s", calls[i].ID, call.ID)
				}
			}
		})
	}
	const extra = `,"arguments":"{}"},"extra_content":{"google":{"thought_signature":"a_b-c+/=="}}}`
	for _, form := range []hub.Form{whole, streamed} {
		got, err := answer(t, form, false, body)
		if err != nil || strings.Count(got, extra) != 1 || strings.Count(got, "extra_content") != 1 {
			t.Errorf("error %v, answer %s", err, got)
		}
	}
}

func TestAnAnswerHasGooglesIDOrANewOne(t *testing.T) {
	if got := wholeAnswer(t, `{"candidates":[{"finishReason":"STOP"}],"responseId":"r-1"}`).ID; got != "chatcmpl-r-1" {
		t.Errorf("id %s", got)
	}
	if got := wholeAnswer(t, `{"candidates":[{"finishReason":"STOP"}]}`).ID; !strings.HasPrefix(got, "chatcmpl-") || len(got) < 20 {
		t.Errorf("id %s", got)
	}
}

func TestThoughtsAreReasoning(t *testing.T) {
	const body = `{"candidates":[{"content":{"parts":[{"text":"hm, ","thought":true},{"text":"yes","thought":true},{"text":"Hi"}]},"finishReason":"STOP"}]}`
	got, err := answer(t, whole, false, body)
	if err != nil || !strings.Contains(got, `"reasoning_content":"hm, yes"`) {
		t.Errorf("error %v, answer %s", err, got)
	}
	got, err = answer(t, streamed, true, frames(body))
	if err != nil || !strings.Contains(got, `"delta":{"reasoning_content":"hm, "}`) || !strings.Contains(got, `"delta":{"reasoning_content":"yes"}`) {
		t.Errorf("error %v, stream\n%s", err, got)
	}
}

func TestTokenCountsAreTranslated(t *testing.T) {
	const first = `{"candidates":[{"content":{"parts":[{"text":"Hi"}]}}],"usageMetadata":{"promptTokenCount":9,"totalTokenCount":9}}`
	const last = `{"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":9,"candidatesTokenCount":2,"thoughtsTokenCount":30,"toolUsePromptTokenCount":5,"totalTokenCount":46,"cachedContentTokenCount":4}}`
	check := func(t *testing.T, u sdk.CompletionUsage) {
		t.Helper()
		if u.PromptTokens != 14 || u.CompletionTokens != 32 || u.TotalTokens != 46 || u.PromptTokensDetails.CachedTokens != 4 || u.CompletionTokensDetails.ReasoningTokens != 30 {
			t.Errorf("usage %+v", u)
		}
	}
	t.Run("of an object", func(t *testing.T) { check(t, wholeAnswer(t, last).Usage) })
	t.Run("written as strings", func(t *testing.T) {
		check(t, wholeAnswer(t, regexp.MustCompile(`(Count":)(\d+)`).ReplaceAllString(last, `$1"$2"`)).Usage)
	})
	t.Run("of a stream, the last numbers and once", func(t *testing.T) { check(t, streamedAnswer(t, frames(first, first, last)).Usage) })
	t.Run("in a frame of its own", func(t *testing.T) {
		check(t, streamedAnswer(t, frames(first, `{"candidates":[{"finishReason":"STOP"}]}`, last)).Usage)
	})
	t.Run("not asked for", func(t *testing.T) {
		got, err := answer(t, hub.Form{Format: openai.Format{}, Stream: true}, true, frames(first, last))
		if err != nil || strings.Contains(got, "usage") {
			t.Errorf("error %v, stream\n%s", err, got)
		}
	})
}

func TestLogprobsAreTranslated(t *testing.T) {
	const body = `{"candidates":[{"content":{"parts":[{"text":"Hi"}]},"finishReason":"STOP","logprobsResult":{` +
		`"chosenCandidates":[{"token":"H","tokenId":1,"logProbability":-0.5},{"token":"i"}],` +
		`"topCandidates":[{"candidates":[{"token":"H","logProbability":-0.5},{"token":"J","logProbability":"-Infinity"}]}]}}]}`
	for name, read := range map[string]*sdk.ChatCompletion{"an object": wholeAnswer(t, body), "a stream": streamedAnswer(t, frames(body))} {
		t.Run(name, func(t *testing.T) {
			tokens := read.Choices[0].Logprobs.Content
			if len(tokens) != 2 || tokens[0].Token != "H" || tokens[0].Logprob != -0.5 || len(tokens[0].TopLogprobs) != 2 || tokens[0].TopLogprobs[1].Token != "J" || tokens[0].TopLogprobs[1].Logprob != -9999 || tokens[1].Logprob != 0 {
				t.Errorf("tokens %+v", tokens)
			}
		})
	}
}

func TestInvalidAnswersBecomeErrors(t *testing.T) {
	for name, test := range map[string]struct {
		body   string
		status int
		says   string
	}{
		"nothing":                          {`{}`, 502, "empty"},
		"no candidates":                    {`{"candidates":[],"usageMetadata":{}}`, 502, "empty"},
		"candidates that are not a list":   {`{"candidates":"x"}`, 502, "empty"},
		"a candidate that is a string":     {`{"candidates":["x"]}`, 502, "JSON"},
		"a candidate out of range":         {`{"candidates":[{"index":128}]}`, 502, "range"},
		"a candidate below zero":           {`{"candidates":[{"index":-1}]}`, 502, "range"},
		"a call without a name":            {`{"candidates":[{"content":{"parts":[{"functionCall":{}}]},"finishReason":"STOP"}]}`, 502, "naming"},
		"a broken call":                    {`{"candidates":[{"finishReason":"MALFORMED_FUNCTION_CALL","finishMessage":"Malformed: f("}]}`, 502, "(MALFORMED_FUNCTION_CALL). Malformed: f("},
		"a broken call beside a thought":   {`{"candidates":[{"content":{"parts":[{"text":"hm","thought":true},{"functionCall":{"name":"f"}}]},"finishReason":"UNEXPECTED_TOOL_CALL"}]}`, 502, "(UNEXPECTED_TOOL_CALL)."},
		"a missing signature":              {`{"candidates":[{"finishReason":"MISSING_THOUGHT_SIGNATURE","finishMessage":"Sign it."}]}`, 502, "(MISSING_THOUGHT_SIGNATURE). Sign it."},
		"a missing signature after text":   {`{"candidates":[{"content":{"parts":[{"text":"Hi"},{"functionCall":{"name":"f"}}]},"finishReason":"MISSING_THOUGHT_SIGNATURE"}]}`, 502, "(MISSING_THOUGHT_SIGNATURE)."},
		"an unknown reason and no content": {`{"candidates":[{"index":1,"finishReason":"A_NEW_REASON","finishMessage":"Why not."}]}`, 502, "(A_NEW_REASON). Why not."},
		"an unknown reason and a thought":  {`{"candidates":[{"index":1,"content":{"parts":[{"text":"hm","thought":true},{"text":""}]},"finishReason":"A_NEW_REASON"}]}`, 502, "(A_NEW_REASON)."},
		"an unknown language":              {`{"candidates":[{"index":1,"finishReason":"LANGUAGE"}]}`, 502, "(LANGUAGE)."},
		"another reason":                   {`{"candidates":[{"index":1,"content":{},"finishReason":"OTHER"}]}`, 502, "(OTHER)."},
		"no image":                         {`{"candidates":[{"index":1,"finishReason":"NO_IMAGE"}]}`, 502, "(NO_IMAGE)."},
		"speech":                           {`{"candidates":[{"content":{"parts":[{"inlineData":{"mimeType":"audio/wav","data":"AAAA"}}]},"finishReason":"STOP"}]}`, 502, "audio/wav"},
		"a file elsewhere":                 {`{"candidates":[{"content":{"parts":[{"text":"Hi"},{"fileData":{"fileUri":"gs://x"}}]},"finishReason":"STOP"}]}`, 502, "fileData"},
		"a part of a new kind":             {`{"candidates":[{"content":{"parts":[{"hologram":{}}]},"finishReason":"STOP"}]}`, 502, "hologram"},
		"a page":                           {`<html>`, 502, "JSON"},
		"half an answer":                   {`{"candidates":[{"content":`, 502, "complete"},
		"half a list of answers":           {`[{"candidates":[{"finishReason":"STOP"}]},`, 502, "complete"},
		"two answers":                      {`{"candidates":[{"finishReason":"STOP"}]}{}`, 502, "JSON"},
		"a list without answers":           {`[ ]`, 502, "empty"},
		"an error":                         {`{"error":{"code":400,"message":"No such field","status":"INVALID_ARGUMENT"}}`, 400, "No such field"},
		"an error in a list":               {"[{\n  \"error\": {\"code\":429,\"message\":\"Slow down\",\"status\":\"RESOURCE_EXHAUSTED\"}}]", 429, "Slow down"},
		"an error of the server":           {`{"error":{"code":503,"message":"Overloaded","status":"UNAVAILABLE"}}`, 503, "Overloaded"},
		"a timeout":                        {`{"error":{"code":504,"message":"Too long","status":"DEADLINE_EXCEEDED"}}`, 504, "Too long"},
		"a model that does not exist":      {`{"error":{"code":404,"message":"No such model","status":"NOT_FOUND"}}`, 404, "No such model"},
		"an error without a code":          {`{"error":{"message":"Oops"}}`, 502, "Oops"},
		"an error without anything":        {`{"error":{}}`, 502, "without a message"},
		"an error with the code 200":       {`{"error":{"code":200,"message":"Oops"}}`, 502, "Oops"},
		"an error with a code beyond HTTP": {`{"error":{"code":600,"message":"Oops"}}`, 502, "Oops"},
		"the server's permissions":         {`{"error":{"code":403,"message":"secret"}}`, 502, "credentials"},
		"the server's key":                 {`{"error":{"code":400,"message":"API key secret not valid","status":"INVALID_ARGUMENT","details":[{"reason":"API_KEY_INVALID"}]}}`, 502, "credentials"},
		"the server's account":             {`{"error":{"code":403,"message":"project secret","status":"PERMISSION_DENIED"}}`, 502, "credentials"},
		"the server's sign-in":             {`{"error":{"code":401,"message":"secret"}}`, 502, "credentials"},
		"the server's location":            {`{"error":{"code":400,"message":"secret","status":"FAILED_PRECONDITION"}}`, 502, "location"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := answer(t, whole, false, test.body)
			var e *hub.Error
			if got != "" || !errors.As(err, &e) || e.Status != test.status || !strings.Contains(e.Message, test.says) || strings.Contains(e.Message, "secret") {
				t.Errorf("answers %q, error %#v", got, err)
			}
			if _, again := answer(t, streamed, false, test.body); again == nil || again.Error() != e.Message {
				t.Errorf("in place of a stream: error %v, want %v", again, err)
			}
			says := strings.Replace(test.says, "empty", "complete", 1) // a single frame may be empty
			if !jsontext.ValidObject([]byte(test.body)) {
				says = "" // the body is not a frame
			}
			got, err = answer(t, streamed, true, frames(`{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f"}}]}}]}`, strings.ReplaceAll(test.body, "\n", "")))
			_, broken := readStream(t, got)
			if err != nil || broken == nil || strings.Contains(got, "[DONE]") || !strings.Contains(got, says) || !strings.Contains(got, `"type":"api_error"`) || strings.Contains(got, "secret") {
				t.Errorf("error %v, the client reads %v in\n%s", err, broken, got)
			}
		})
	}
}

func TestABlockedCompletionIsEmpty(t *testing.T) {
	got, err := answer(t, hub.Form{Format: openai.Format{}, TextOnly: true}, false, `{"promptFeedback":{"blockReason":"SAFETY"}}`)
	if err != nil || !strings.Contains(got, `"choices":[{"index":0,"text":"","logprobs":null,"finish_reason":"content_filter"}]`) {
		t.Errorf("error %v, answer %s", err, got)
	}
}
