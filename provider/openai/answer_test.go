package openai

import (
	"bytes"
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"

	sdk "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/packages/ssestream"
	"io"
	"net/http"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
)

// conversation says the same on every answer.
func conversation(a *hub.Answer) {
	a.SetID("x1")
	a.Reasoning(0, "hm")
	a.Text(0, "Hi \"you\"\n")
	a.Text(0, "é\x00")
	a.ToolCall(0, hub.ToolCall{ID: "call_1", Name: "f", Arguments: `{"a":1}`, Extra: []byte(`{"google":{"thought_signature":"s=="}}`)})
	a.ToolCall(0, hub.ToolCall{ID: "call_2", Name: "g"})
	a.Finish(0, hub.FinishStop)
	a.Usage(hub.Usage{Prompt: 9, Completion: 2, Cached: 4, Reasoning: 1})
}

// stream reads a stream of chunks as the official client does.
func stream(t *testing.T, text string) (*sdk.ChatCompletionAccumulator, int) {
	t.Helper()
	res := &http.Response{Header: http.Header{"Content-Type": {"text/event-stream"}}, Body: io.NopCloser(strings.NewReader(text))}
	events := ssestream.NewStream[sdk.ChatCompletionChunk](ssestream.NewDecoder(res), nil)
	var all sdk.ChatCompletionAccumulator
	chunks := 0
	for events.Next() {
		chunks++
		if !all.AddChunk(events.Current()) {
			t.Errorf("the client refuses chunk %d", chunks)
		}
		for _, c := range events.Current().Choices {
			if c.Delta.Content != "" && len(c.Delta.ToolCalls) > 0 {
				t.Error("text and a tool call in one delta")
			}
		}
	}
	if err := events.Err(); err != nil {
		t.Errorf("the client reports %v in %q", err, text)
	}
	return &all, chunks
}

func TestAChatAsAStreamReadByTheOfficialClient(t *testing.T) {
	var out bytes.Buffer
	a := hub.NewAnswer(&out, hub.Form{Format: Format{}, Stream: true, Usage: true, Model: "p/m"})
	conversation(a)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	all, chunks := stream(t, out.String())
	if chunks != 8 { // role, reasoning, text, text, two calls, finish, usage
		t.Errorf("%d chunks:\n%s", chunks, out.String())
	}
	c := all.Choices[0]
	if all.ID != "chatcmpl-x1" || all.Model != "p/m" || c.Message.Content != "Hi \"you\"\né\x00" || c.FinishReason != "tool_calls" {
		t.Errorf("read %+v", all.ChatCompletion)
	}
	if len(c.Message.ToolCalls) != 2 || c.Message.ToolCalls[0].Function.Arguments != `{"a":1}` || c.Message.ToolCalls[1].Function.Arguments != "{}" || c.Message.ToolCalls[1].ID != "call_2" {
		t.Errorf("tool calls %+v", c.Message.ToolCalls)
	}
	if all.Usage.PromptTokens != 9 || all.Usage.TotalTokens != 11 || all.Usage.PromptTokensDetails.CachedTokens != 4 {
		t.Errorf("usage %+v", all.Usage)
	}
	if n := strings.Count(out.String(), `"usage":null`); n != 7 || strings.Count(out.String(), `"usage":{`) != 1 {
		t.Errorf("usage is null on %d chunks of\n%s", n, out.String())
	}
	if !strings.HasSuffix(out.String(), "data: [DONE]\n\n") || !strings.Contains(out.String(), `"choices":[],"usage":{`) {
		t.Errorf("stream ends\n%s", out.String())
	}
}

func TestAStreamHasNoUsageUnlessAskedFor(t *testing.T) {
	var out bytes.Buffer
	a := hub.NewAnswer(&out, hub.Form{Format: Format{}, Stream: true, Model: "p/m"})
	conversation(a)
	if err := a.Close(); err != nil || strings.Contains(out.String(), "usage") {
		t.Errorf("error %v, stream\n%s", err, out.String())
	}
}

// readObject reads a chat.completion as the official client does.
func readObject(t *testing.T, text string) *sdk.ChatCompletion {
	t.Helper()
	var all sdk.ChatCompletion
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return &all
}

func TestAChatAsAnObjectReadByTheOfficialClient(t *testing.T) {
	var out bytes.Buffer
	a := hub.NewAnswer(&out, hub.Form{Format: Format{}, Model: "p/m"})
	conversation(a)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	got := readObject(t, out.String())
	m := got.Choices[0].Message
	if got.ID != "chatcmpl-x1" || got.Object != "chat.completion" || m.Content != "Hi \"you\"\né\x00" || got.Choices[0].FinishReason != "tool_calls" || len(m.ToolCalls) != 2 {
		t.Errorf("read %s", out.String())
	}
	if got.Usage.CompletionTokensDetails.ReasoningTokens != 1 || !strings.Contains(out.String(), `"reasoning_content":"hm"`) {
		t.Errorf("read %s", out.String())
	}
	for _, field := range []string{"content", "refusal", "logprobs", "finish_reason"} {
		if !strings.Contains(out.String(), `"`+field+`":`) {
			t.Errorf("no %s in %s", field, out.String())
		}
	}
}

func TestContentIsNullBesideToolCallsAlone(t *testing.T) {
	var out bytes.Buffer
	a := hub.NewAnswer(&out, hub.Form{Format: Format{}, Model: "p/m"})
	a.ToolCall(0, hub.ToolCall{Name: "f"})
	a.Finish(0, hub.FinishStop)
	if err := a.Close(); err != nil || !strings.Contains(out.String(), `"content":null`) || !strings.Contains(out.String(), `"id":"call_`) {
		t.Errorf("error %v, object %s", err, out.String())
	}
}

func TestACompletionReadByTheOfficialClient(t *testing.T) {
	for _, streamed := range []bool{false, true} {
		var out bytes.Buffer
		a := hub.NewAnswer(&out, hub.Form{Format: Format{}, TextOnly: true, Stream: streamed, Usage: true, Model: "p/m"})
		conversation(a)
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		text := ""
		for event := range strings.SplitSeq(strings.TrimSpace(out.String()), "\n\n") {
			data := strings.TrimPrefix(event, "data: ")
			if data == "[DONE]" {
				continue
			}
			var got sdk.Completion
			if err := json.Unmarshal([]byte(data), &got); err != nil {
				t.Fatal(err)
			}
			if got.Object != "text_completion" || got.ID != "cmpl-x1" {
				t.Errorf("read %s", data)
			}
			for _, c := range got.Choices {
				text += c.Text
			}
		}
		if text != "Hi \"you\"\né\x00" || strings.Contains(out.String(), "call_1") || strings.Contains(out.String(), "hm") {
			t.Errorf("stream %v: text %q of %s", streamed, text, out.String())
		}
	}
}

func TestSeveralChoices(t *testing.T) {
	var out bytes.Buffer
	a := hub.NewAnswer(&out, hub.Form{Format: Format{}, Stream: true, Model: "p/m", Choices: 2, Stop: []string{"END"}})
	a.Text(1, "b")
	a.Text(0, "a END")
	if a.Stopped() {
		t.Error("one choice has ended, and the answer is taken for complete")
	}
	a.Text(1, "c E")
	a.Finish(1, hub.FinishLength)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	all, _ := stream(t, out.String())
	if all.Choices[0].Message.Content != "a " || all.Choices[0].FinishReason != "stop" || all.Choices[1].Message.Content != "bc E" || all.Choices[1].FinishReason != "length" {
		t.Errorf("read %+v", all.Choices)
	}
}

func TestAnAnswerThatIsNotWhole(t *testing.T) {
	t.Run("a stream ends with an error, and without [DONE]", func(t *testing.T) {
		var out bytes.Buffer
		a := hub.NewAnswer(&out, hub.Form{Format: Format{}, Stream: true, Model: "p/m"})
		a.Text(0, "half")
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out.String(), `"type":"api_error"`) || strings.Contains(out.String(), "[DONE]") {
			t.Errorf("stream\n%s", out.String())
		}
	})
	t.Run("an object becomes an error", func(t *testing.T) {
		var out bytes.Buffer
		a := hub.NewAnswer(&out, hub.Form{Format: Format{}, Model: "p/m"})
		a.Text(0, "half")
		if err := a.Close(); err == nil || out.Len() != 0 {
			t.Errorf("error %v, object %s", err, out.String())
		}
	})
}

func translated(t *testing.T, form hub.Form, sse bool, pieces ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	translator := hub.Translate(form, DecodeChat)(&out, sse)
	for _, piece := range pieces {
		if n, err := translator.Write([]byte(piece)); err != nil || n != len(piece) {
			t.Fatalf("wrote %d of %d: %v", n, len(piece), err)
		}
	}
	err := translator.Close()
	return created.ReplaceAllString(out.String(), `"created":1`), err
}

var created = regexp.MustCompile(`"created":\d+`)

const chatStream = `data: {"id":"","choices":[],"prompt_filter_results":[]}

data: {"id":"chatcmpl-1","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}

data: {"id":"chatcmpl-1","choices":[{"index":0,"delta":{"content":"one "},"finish_reason":null}]}

data: {"id":"chatcmpl-1","choices":[{"index":0,"delta":{"content":2},"finish_reason":null}],"usage":{"prompt_tokens":1}}

data: {"id":"chatcmpl-1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}

data: {"id":"chatcmpl-1","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}}

data: [DONE]

`

func TestAChatStreamBecomesACompletion(t *testing.T) {
	form := hub.Form{Format: Format{}, TextOnly: true, Stream: true, Usage: true, Model: "p/m"}
	want, err := translated(t, form, true, chatStream)
	if err != nil || !strings.Contains(want, `"text":"one "`) || !strings.Contains(want, `"text":"2"`) || !strings.Contains(want, `"total_tokens":7`) || strings.Count(want, `"usage":{`) != 1 {
		t.Fatalf("error %v, stream\n%s", err, want)
	}
	for i := range chatStream {
		if got, err := translated(t, form, true, chatStream[:i], chatStream[i:]); err != nil || got != want {
			t.Fatalf("torn at %d: error %v, stream\n%s\nwant\n%s", i, err, got, want)
		}
	}
}

func TestARoleComesOutAtOnce(t *testing.T) {
	role := `data: {"id":"chatcmpl-1","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}` + "\n\n"
	for name, test := range map[string]struct {
		form hub.Form
		want int // how many chunks come out
	}{
		"a chat":                           {hub.Form{Format: Format{}, Stream: true, Model: "p/m"}, 1},
		"a chat with stop words":           {hub.Form{Format: Format{}, Stream: true, Model: "p/m", Stop: []string{"x"}}, 1},
		"a completion, which has no roles": {hub.Form{Format: Format{}, Stream: true, Model: "p/m", TextOnly: true}, 0},
		"an object":                        {hub.Form{Format: Format{}, Model: "p/m"}, 0},
	} {
		var out bytes.Buffer
		translator := hub.Translate(test.form, DecodeChat)(&out, true)
		for range 2 { // some providers say it with every chunk
			if _, err := io.WriteString(translator, role); err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(out.String(), `"delta":{"role":"assistant","content":""}`); n != test.want || out.Len() > 0 && n == 0 {
				t.Errorf("%s: %d chunks, want %d, in\n%s", name, n, test.want, out.String())
			}
		}
	}
}

func TestAJSONBodyWhereAStreamWasAskedForBecomesAStreamOfOne(t *testing.T) {
	got, err := translated(t, hub.Form{Format: Format{}, Stream: true, TextOnly: true, Model: "p/m"}, false, `{"id":"chatcmpl-1","choices":[{"index":0,"message":{"content":"whole"},`, `"finish_reason":"stop"}]}`)
	if err != nil || !strings.Contains(got, `"text":"whole"`) || !strings.HasSuffix(got, "data: [DONE]\n\n") {
		t.Errorf("error %v, stream\n%s", err, got)
	}
}

func TestAnErrorInAStream(t *testing.T) {
	got, err := translated(t, hub.Form{Format: Format{}, Stream: true, Model: "p/m"}, true, "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\ndata: {\"error\":{\"message\":\"overloaded\",\"type\":\"server_error\",\"code\":\"x\"}}\n\ndata: {\"choices\":[]}\n\ndata: [DONE]\n\n")
	if err != nil || !strings.HasSuffix(got, "data: {\"error\":{\"message\":\"overloaded\",\"type\":\"api_error\",\"param\":null,\"code\":\"x\"}}\n\n") {
		t.Errorf("error %v, stream\n%s", err, got)
	}
}

func TestAnswersThatCannotBeRead(t *testing.T) {
	for name, test := range map[string]struct {
		sse  bool
		body string
	}{
		"an object that is none":      {false, "<html>"},
		"an object that breaks off":   {false, `{"choices":[`},
		"an event that is none":       {true, "data: hello\n\n"},
		"a stream without an event":   {true, ""},
		"an event of endless nesting": {true, "data: " + strings.Repeat("[", 1<<20) + "\n\n"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := translated(t, hub.Form{Format: Format{}, Model: "p/m"}, test.sse, test.body); err == nil {
				t.Error("no error")
			}
			got, err := translated(t, hub.Form{Format: Format{}, Stream: true, Model: "p/m"}, test.sse, test.body)
			if !test.sse {
				if err == nil || got != "" {
					t.Errorf("in place of a stream: error %v, stream %q", err, got)
				}
			} else if err != nil || !strings.Contains(got, "data: {\"error\"") || strings.Contains(got, "[DONE]") {
				t.Errorf("error %v, stream %q", err, got)
			}
		})
	}
}

func FuzzDecodeChat(f *testing.F) {
	f.Add([]byte(chatStream), uint8(7), true)
	f.Add([]byte(`{"choices":[{"message":{"content":"x"}}],"usage":{}}`), uint8(1), false)
	f.Fuzz(func(t *testing.T, body []byte, step uint8, sse bool) {
		form := hub.Form{Format: Format{}, Stream: true, Usage: true, Model: "p/m", Stop: []string{"END"}}
		var out bytes.Buffer
		translator := hub.Translate(form, DecodeChat)(&out, sse)
		for len(body) > 0 {
			n := min(len(body), int(step)+1)
			if _, err := translator.Write(body[:n]); err != nil {
				t.Fatal(err)
			}
			body = body[n:]
		}
		if err := translator.Close(); err != nil && (sse || out.Len() > 0) {
			t.Fatal(err)
		}
		if out.Len() == 0 {
			return
		}
		for event := range strings.SplitSeq(strings.TrimSuffix(out.String(), "\n\n"), "\n\n") {
			data, ok := strings.CutPrefix(event, "data: ")
			if !ok || data != "[DONE]" && !json.Valid([]byte(data)) {
				t.Fatalf("event %q", event)
			}
		}
	})
}

// FuzzDecodeObject is FuzzDecodeChat for clients that want an object: one, or an error and nothing.
func FuzzDecodeObject(f *testing.F) {
	f.Add([]byte(chatStream), uint8(7), true, true)
	f.Add([]byte(`{"id":"x","choices":[{"index":1,"text":"a b","finish_reason":"length"},{"message":{"content":"b"}}],"usage":{"prompt_tokens":1}}`), uint8(3), false, true)
	f.Add([]byte(`{"choices":[{"message":{"content":null,"refusal":"no","tool_calls":[{"id":1,"function":{"name":"f","arguments":{"a":1}}}]},"logprobs":{"content":[{"token":"a","logprob":-1,"bytes":[97]}]}}]}`), uint8(200), false, false)
	f.Fuzz(func(t *testing.T, body []byte, step uint8, sse, completion bool) {
		form := hub.Form{Format: Format{}, TextOnly: completion, Usage: true, Model: "p/m"}
		object := func(size int) (string, error) {
			var out bytes.Buffer
			translator := hub.Translate(form, DecodeChat)(&out, sse)
			for piece := range slices.Chunk(body, size) {
				if _, err := translator.Write(piece); err != nil {
					t.Fatal(err)
				}
			}
			err := translator.Close()
			return notShared.ReplaceAllString(out.String(), `"":0`), err
		}
		torn, err := object(int(step) + 1)
		var e *hub.Error
		if err == nil && !json.Valid([]byte(torn)) || err != nil && (!errors.As(err, &e) || e.Status < 400 || torn != "") {
			t.Fatalf("%v, object %s", err, torn)
		}
		if whole, _ := object(len(body) + 1); whole != torn {
			t.Fatalf("in pieces\n%s\nat once\n%s", torn, whole)
		}
	})
}

// notShared is what two answers of the same need not share.
var notShared = regexp.MustCompile(`"created":\d+|"id":"(chatcmpl-|cmpl-|call_)[A-Z2-7]{26}"`)

func BenchmarkTranslateChunk(b *testing.B) {
	chunk := []byte("data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" token\"},\"logprobs\":null,\"finish_reason\":null}]}\n\n")
	translator := hub.Translate(hub.Form{Format: Format{}, TextOnly: true, Stream: true, Model: "p/m", Stop: []string{"\n\n", "</code>"}}, DecodeChat)(io.Discard, true)
	b.SetBytes(int64(len(chunk)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := translator.Write(chunk); err != nil {
			b.Fatal(err)
		}
	}
}
