package googleaistudio

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/openai"
)

func TestStreamsAreTranslated(t *testing.T) {
	text := func(s, rest string) string {
		return `{"candidates":[{"content":{"parts":[{"text":"` + s + `"}]}` + rest + `}]}`
	}
	call := func(name, rest string) string {
		return `{"candidates":[{"content":{"parts":[{"functionCall":{"name":"` + name + `"}}]}` + rest + `}]}`
	}
	const stop = `,"finishReason":"STOP"`
	for name, test := range map[string]struct{ stream, want string }{
		"text":                           {frames(text("a", ""), text("b", ""), text("c", stop)), `"abc" stop`},
		"a reason in a frame of its own": {frames(text("a", ""), `{"candidates":[{"finishReason":"STOP"}]}`), `"a" stop`},
		"a reason with every frame":      {frames(text("a", stop), text("b", stop), text("c", `,"finishReason":"MAX_TOKENS"`)), `"abc" length`},
		"a reason that the last one does not replace": {frames(text("a", `,"finishReason":"SAFETY"`), text("", stop)), `"a" content_filter`},
		"a reason before the text":                    {frames(text("", stop), text("a", ""), text("b", "")), `"ab" stop`},
		"a reason after a call":                       {frames(call("f", ""), text("", stop)), `"" f({}) tool_calls`},
		"a reason before a call":                      {frames(text("a", stop), call("f", "")), `"a" f({}) tool_calls`},
		"calls in several frames":                     {frames(text("a", ""), call("f", ""), call("g", stop)), `"a" f({}) g({}) tool_calls`},
		"a call after a broken one":                   {frames(text("a", `,"finishReason":"UNEXPECTED_TOOL_CALL"`), call("f", stop)), `"a" stop`},
		"frames without a candidate":                  {frames(`{"modelVersion":"x"}`, text("a", ""), `{"usageMetadata":{}}`, text("", stop), `{"usageMetadata":{}}`), `"a" stop`},
		"no blank line at the end":                    {strings.TrimRight(frames(text("a", ""), text("b", stop)), "\r\n"), `"ab" stop`},
		"LF for the ends of lines":                    {strings.ReplaceAll(frames(text("a", ""), text("b", stop)), "\r", ""), `"ab" stop`},
		"[DONE], which Google does not send":          {frames(text("a", ""), "[DONE]"), `"a" stop`},
		"a limit and [DONE]":                          {frames(text("a", `,"finishReason":"MAX_TOKENS"`), "[DONE]"), `"a" length`},
		"a block after text":                          {frames(text("a", ""), `{"promptFeedback":{"blockReason":"SAFETY"}}`), `"a" content_filter`},
		"an array of frames":                          {"[" + text("a", "") + "\n,\n" + text("b", stop) + "]\n", `"ab" stop`},
		"an array within a frame":                     {frames("[" + text("a", "") + "," + text("b", stop) + "]"), `"ab" stop`},
		"names that occur twice":                      {frames(`{"candidates":[{"finishReason":"SAFETY"}],"candidates":[{"content":{"parts":[{"text":"a","text":"b"}]},"finishReason":"STOP"}]}`), `"b" stop`},
		"names with escapes":                          {frames(`{"candid\u0061tes":[{"content":{"parts":[{"te\u0078t":"a"}]},"finishReason":"STOP"}]}`), `"a" stop`},
		"values of other types":                       {frames(`{"candidates":[{"index":"0","finishMessage":5,"content":{"parts":[{"text":5},{"thought":1,"text":"a"},"b",null]},"finishReason":"STOP"}],"usageMetadata":[],"responseId":5}`), `"a" stop`},
		"a text of all kinds of characters":           {frames(text(`\u00e9\ud83d\ude00\n\"\/\ud800`+"\xff", stop)), `"é😀\n\"/��" stop`},
		"a block after a frame without candidates":    {frames(`{"usageMetadata":{}}`, `{"promptFeedback":{"blockReason":"SAFETY"}}`), `"" refuses "Rephrase the request: Google's filters blocked it (SAFETY)." content_filter`},
	} {
		t.Run(name, func(t *testing.T) {
			read := streamedAnswer(t, test.stream)
			if got := say(read.Choices[0]); len(read.Choices) != 1 || got != test.want {
				t.Errorf("streams %s, want %s", got, test.want)
			}
		})
	}
}

func TestIncompleteStreamsEndWithAnError(t *testing.T) {
	const half = `{"candidates":[{"content":{"parts":[{"text":"a"}]}}]}`
	const stopped = `{"candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":"STOP"}]}`
	for name, stream := range map[string]string{
		"nothing":                        "",
		"without a reason":               frames(half),
		"with only token counts":         frames(`{"usageMetadata":{"promptTokenCount":1}}`),
		"within a frame":                 frames(half) + "data: {\"cand",
		"by an error after a reason":     frames(stopped, `{"error":{"code":503,"message":"x","status":"UNAVAILABLE"}}`),
		"by an error in one line":        frames(stopped) + `{"error":{"code":503,"message":"x","status":"UNAVAILABLE"}}`,
		"by an error in several lines":   frames(stopped) + "{\r\n  \"error\": {\r\n    \"code\": 503\r\n  }\r\n}\r\n",
		"by an error in a list":          frames(stopped) + "[{\n  \"error\": {\n    \"code\": 503\n  }\n}\n]\n",
		"by a call that must not be run": frames(`{"candidates":[{"content":{"parts":[{"text":"a"},{"functionCall":{"name":"f"}}]}}]}`, `{"candidates":[{"finishReason":"TOO_MANY_TOOL_CALLS"}]}`),
	} {
		t.Run(name, func(t *testing.T) {
			got, err := answer(t, streamed, true, stream)
			if err != nil || strings.Contains(got, "[DONE]") || !strings.Contains(got, `data: {"error":{`) || strings.Contains(got, `"finish_reason":"`) {
				t.Errorf("error %v, stream\n%s", err, got)
			}
			got, err = answer(t, whole, true, stream)
			if err == nil || got != "" {
				t.Errorf("error %v, answer %s", err, got)
			}
		})
	}
}

func TestAFrameThatIsBrokenAtItsEndIsDropped(t *testing.T) {
	const said = `{"candidates":[{"content":{"parts":[{"text":"a"},{"functionCall":{"name":"f"}}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":1}`
	for _, end := range []string{"", "]", "}}", ",}", `,"x":01}`, `,"x":"` + "\t" + `"}`, "} x"} {
		got, err := answer(t, streamed, true, frames(said+end))
		if err != nil || !strings.HasPrefix(got, `data: {"error":{`) || !strings.Contains(got, "not valid JSON") {
			t.Errorf("after %q: error %v, stream\n%s", end, err, got)
		}
	}
}

func TestAStreamIsIncompleteWhileOneChoiceIs(t *testing.T) {
	got, err := answer(t, streamed, true, frames(`{"candidates":[{"finishReason":"STOP"},{"content":{"parts":[{"text":"a"}]},"index":1}]}`))
	if err != nil || strings.Contains(got, "[DONE]") || !strings.Contains(got, `data: {"error":{`) {
		t.Errorf("error %v, stream\n%s", err, got)
	}
}

func TestStopWordsThatGeminiDoesNotTakeAreApplied(t *testing.T) {
	call, err := Provider{}.Call(parse(t, hub.Completions, "gemini-2.5-flash", `"prompt":"p","stream":true,"stop":["1","2","3","4","5","</code>","\n\n"]`))
	if err != nil {
		t.Fatal(err)
	}
	for word, text := range map[string]string{"</code>": "x </c|ode> y", "\n\n": `x \n|\n y`} {
		var out bytes.Buffer
		translator := call.Translate(&out, true)
		before, after, _ := strings.Cut(text, "|")
		for i, piece := range []string{before, after} {
			if translator.Done() {
				t.Errorf("%q: done before piece %d", word, i)
			}
			if _, err := io.WriteString(translator, frames(`{"candidates":[{"content":{"parts":[{"text":"`+piece+`"}]}}],"responseId":"r"}`)); err != nil {
				t.Fatal(err)
			}
		}
		if !translator.Done() {
			t.Errorf("%q: not done", word)
		}
		if err := translator.Close(); err != nil {
			t.Fatal(err)
		}
		got := out.String()
		if !strings.Contains(got, `{"id":"cmpl-r","object":"text_completion"`) || !strings.Contains(got, `"text":"x "`) || strings.Contains(got, " y") || !strings.Contains(got, `"finish_reason":"stop"`) || !strings.HasSuffix(got, "data: [DONE]\n\n") {
			t.Errorf("%q: stream\n%s", word, got)
		}
	}
}

// everything is a stream with every kind of content.
var everything = frames(
	`{"candidates":[{"content":{"role":"model","parts":[{"text":"hm é\n","thought":true}]},"index":0}],"usageMetadata":{"promptTokenCount":9,"totalTokenCount":9},"responseId":"r"}`,
	`{"candidates":[{"content":{"role":"model","parts":[{"text":"Hi "}]}},{"content":{"parts":[{"text":"zwei 😀"}]},"index":1,"finishReason":"STOP"}]}`,
	`{"candidates":[{"content":{"parts":[{"text":"you"},{"functionCall":{"id":"g1","name":"f","args":{"a":"\u003cb\u003e"}},"thoughtSignature":"c2ln"}]}}]}`,
	`{"candidates":[{"content":{"parts":[{"functionCall":{"id":"g2","name":"g"}},{"text":"","thoughtSignature":"eHg="}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":9,"candidatesTokenCount":7,"thoughtsTokenCount":3,"totalTokenCount":19}}`,
)

// created matches the time of an answer, in which two answers may differ.
var created = regexp.MustCompile(`"created":\d+`)

func TestAStreamInAnyPiecesGivesTheSameResult(t *testing.T) {
	for name, form := range map[string]hub.Form{
		"a stream":                 streamed,
		"a stream with stop words": {Format: openai.Format{}, Stream: true, Usage: true, Stop: []string{"u!", "never"}},
		"an object":                whole,
		"a completion":             {Format: openai.Format{}, Stream: true, TextOnly: true},
	} {
		t.Run(name, func(t *testing.T) {
			translated := func(pieces ...string) string {
				got, err := answer(t, form, true, pieces...)
				if err != nil {
					t.Fatal(err)
				}
				return created.ReplaceAllString(got, `"created":0`)
			}
			want := translated(everything)
			for i := range everything {
				if got := translated(everything[:i], everything[i:]); got != want {
					t.Fatalf("torn at %d:\n%s\nwant\n%s", i, got, want)
				}
			}
			for size := 1; size < 40; size++ {
				var pieces []string
				for piece := range slices.Chunk([]byte(everything), size) {
					pieces = append(pieces, string(piece))
				}
				if got := translated(pieces...); got != want {
					t.Fatalf("in pieces of %d:\n%s\nwant\n%s", size, got, want)
				}
			}
		})
	}
}

func TestAFrameIsWrittenAsSoonAsItIsComplete(t *testing.T) {
	var out bytes.Buffer
	translator := Provider{}.translate("", nil, false, streamed)(&out, true)
	for frame := range strings.SplitAfterSeq(everything, "\r\n\r\n") {
		if frame == "" {
			break
		}
		before := out.Len()
		if _, err := io.WriteString(translator, frame); err != nil {
			t.Fatal(err)
		}
		if out.Len() == before {
			t.Errorf("nothing is written for %s", frame)
		}
	}
}

// Gemini streams one array if alt=sse is missing. A gateway may lose that parameter.
func TestAStreamMayBeAnArray(t *testing.T) {
	array := "[" + strings.TrimSuffix(strings.ReplaceAll(strings.TrimPrefix(everything, "data: "), "\r\n\r\ndata: ", "\r\n,\r\n"), "\r\n\r\n") + "\r\n]\r\n"
	for name, form := range map[string]hub.Form{"a stream": streamed, "an object": whole} {
		t.Run(name, func(t *testing.T) {
			same := func(got string, err error) string {
				if err != nil {
					t.Fatal(err)
				}
				return created.ReplaceAllString(got, `"created":0`)
			}
			want := same(answer(t, form, true, everything))
			for i := range array {
				if got := same(answer(t, form, false, array[:i], array[i:])); got != want {
					t.Fatalf("torn at %d:\n%s\nwant\n%s", i, got, want)
				}
			}
		})
	}
	var out bytes.Buffer
	translator := Provider{}.translate("", nil, false, streamed)(&out, false)
	for element := range strings.SplitAfterSeq(strings.TrimSuffix(array, "]\r\n"), "\r\n,\r\n") {
		before := out.Len()
		if _, err := io.WriteString(translator, element); err != nil || out.Len() == before {
			t.Errorf("nothing is written for %s (%v)", element, err)
		}
	}
}

// The signature of a text comes with the message, and the client sends it back with the text.
func TestTheSignatureOfATextIsKept(t *testing.T) {
	stream := frames(`{"candidates":[{"content":{"parts":[{"text":"Hi"}]}}]}`, `{"candidates":[{"content":{"parts":[{"text":"","thoughtSignature":"c2ln"}]},"finishReason":"STOP"}]}`)
	got, err := answer(t, streamed, true, stream)
	const extra = `"extra_content":{"google":{"thought_signature":"c2ln"}}`
	if err != nil || strings.Count(got, `"delta":{`+extra+`}`) != 1 {
		t.Errorf("error %v, stream\n%s", err, got)
	}
	if got, err := answer(t, whole, true, stream); err != nil || !strings.Contains(got, `"content":"Hi","refusal":null,`+extra) {
		t.Errorf("error %v, answer %s", err, got)
	}
	body := send(t, "gemini-3-pro", `"messages":[{"role":"user","content":"x"},{"role":"assistant","content":"Hi",`+extra+`},{"role":"user","content":"y"}]`)
	if !strings.Contains(string(body), `{"text":"Hi","thoughtSignature":"c2ln"}`) {
		t.Errorf("sends %s", body)
	}
}

func TestAnIncompleteArrayEndsWithAnError(t *testing.T) {
	const element = `{"candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":"STOP"}]}`
	for name, array := range map[string]string{
		"between elements": "[" + element + ",",
		"in an element":    "[" + element + `,{"candi`,
		"at its end":       "[" + element,
		"by an error":      "[" + element + `,{"error":{"code":503,"message":"x","status":"UNAVAILABLE"}}]`,
	} {
		got, err := answer(t, streamed, false, array[:len(element)+1], array[len(element)+1:])
		if err != nil || strings.Contains(got, "[DONE]") || !strings.Contains(got, `"content":"a"`) || !strings.Contains(got, `data: {"error":{`) {
			t.Errorf("%s: error %v, stream\n%s", name, err, got)
		}
	}
}

func TestADeprecatedCallGetsADeprecatedAnswer(t *testing.T) {
	call, err := Provider{}.Call(parse(t, hub.Chat, "gemini-2.5-flash", `"messages":[{"role":"user","content":"x"}],"functions":[{"name":"f","parameters":{"type":"object","properties":{"x":{"type":"integer"}}}}]`))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	translator := call.Translate(&out, false)
	if _, err := io.WriteString(translator, `{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":{"x":1}}}]},"finishReason":"STOP"}]}`); err != nil {
		t.Fatal(err)
	}
	if err := translator.Close(); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); !strings.Contains(got, `"function_call":{"name":"f","arguments":"{\"x\":1}"}`) || !strings.Contains(got, `"finish_reason":"function_call"`) || strings.Contains(got, "tool_calls") {
		t.Errorf("answers %s", got)
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte(everything), uint8(7), true)
	f.Add([]byte(everything[len("data: "):strings.Index(everything, "\r")]), uint8(200), false)
	f.Add([]byte(frames(`{"promptFeedback":{"blockReason":"SAFETY"}}`)), uint8(3), true)
	f.Add([]byte(frames(`{"candidates":[{"finishReason":"MALFORMED_FUNCTION_CALL"}]}`)+`[{"error":{"code":"x"}}]`), uint8(3), true)
	f.Add([]byte(`{"candidates":[{"content":{"parts":[{"text":"Hi"}]},"finishReason":"STOP","logprobsResult":{"chosenCandidates":[{"token":"H","logProbability":"NaN"}],"topCandidates":[{"candidates":[{}]}]}}]}`), uint8(255), false)
	f.Add([]byte(frames(`{"candidates":[{"content":{"parts":[{"inlineData":{"mimeType":"image/png","data":"AAAA"}},{"executableCode":{"language":"PYTHON","code":"x"}},{"codeExecutionResult":{"outcome":"OUTCOME_OK","output":"y"}},{"toolCall":{}}]}}]}`, `{"candidates":[{"finishReason":"STOP","groundingMetadata":{"groundingChunks":[{"web":{"uri":"u","title":"t"}}],"groundingSupports":[{"segment":{"endIndex":3,"text":"x"},"groundingChunkIndices":[0,1]}]}}]}`)), uint8(50), true)
	f.Add([]byte(`{"candidates":[{"content":{"parts":[{"fileData":{}}]},"finishReason":"MISSING_THOUGHT_SIGNATURE"}]}`), uint8(50), false)
	f.Fuzz(func(t *testing.T, body []byte, step uint8, sse bool) {
		var pieces []string
		for piece := range slices.Chunk(body, int(step)+1) {
			pieces = append(pieces, string(piece))
		}
		object, err := answer(t, whole, sse, pieces...)
		var e *hub.Error
		if err == nil && !json.Valid([]byte(object)) || err != nil && (!errors.As(err, &e) || e.Status < 400 || e.Message == "" || object != "") {
			t.Fatalf("answers %s, error %#v", object, err)
		}
		stream, err := answer(t, streamed, sse, pieces...)
		if err != nil && (sse || stream != "" || object != "") {
			t.Fatal(err)
		} else if err != nil {
			return
		}
		events := strings.Split(strings.TrimSuffix(stream, "\n\n"), "\n\n")
		for i, event := range events {
			data, ok := strings.CutPrefix(event, "data: ")
			last := i == len(events)-1
			if !ok || !json.Valid([]byte(data)) && (data != "[DONE]" || !last) || strings.HasPrefix(data, `{"error":`) && !last {
				t.Fatalf("event %q of\n%s", event, stream)
			}
		}
		if ended := strings.HasSuffix(stream, "data: [DONE]\n\n"); ended != (object != "") {
			t.Fatalf("an object %q, but a stream\n%s", object, stream)
		}
	})
}

const oneFrame = "data: {\"candidates\": [{\"content\": {\"parts\": [{\"text\": \" token of a text that flows\"}],\"role\": \"model\"},\"index\": 0}],\"usageMetadata\": {\"promptTokenCount\": 2048,\"candidatesTokenCount\": 17,\"totalTokenCount\": 2165,\"promptTokensDetails\": [{\"modality\": \"TEXT\",\"tokenCount\": 2048}],\"thoughtsTokenCount\": 100},\"modelVersion\": \"gemini-2.5-flash\",\"responseId\": \"q3JjafWzHYqk1PIP2pOaiQ0\"}\r\n\r\n"

func TestAFrameAllocatesLittle(t *testing.T) {
	translator := Provider{}.translate("", nil, false, streamed)(io.Discard, true)
	frame := []byte(oneFrame)
	if n := testing.AllocsPerRun(1000, func() { _, _ = translator.Write(frame) }); n > 1 {
		t.Errorf("%v allocations, one of them for the text", n)
	}
}

// BenchmarkStream translates a stream of 1,000 frames, in pieces of the size that a connection gives, and
// compares that with copying it.
func BenchmarkStream(b *testing.B) {
	const frames, piece = 1000, 4 << 10
	stream := bytes.Repeat([]byte(oneFrame), frames)
	for _, test := range []struct {
		way string
		to  func() io.Writer
	}{
		{"translated", func() io.Writer { return Provider{}.translate("", nil, false, streamed)(io.Discard, true) }},
		{"copied", func() io.Writer { return new(bytes.Buffer) }},
	} {
		b.Run("way="+test.way, func(b *testing.B) {
			b.SetBytes(int64(len(stream)))
			b.ReportAllocs()
			for b.Loop() {
				w := test.to()
				for part := range slices.Chunk(stream, piece) {
					if _, err := w.Write(part); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/frames, "ns/frame")
		})
	}
}

// BenchmarkConversation converts the request of an agent that has read and edited files for a while.
func BenchmarkConversation(b *testing.B) {
	file := strings.Repeat(`    return self.values[index] + offset  # \"é\"\n`, 200)
	turn := `{"role":"user","content":"` + file + `"},{"role":"assistant","content":" ","tool_calls":[{"id":"call_%d","type":"function","function":{"name":"read","arguments":"{\"path\":\"a.py\"}"}}]},{"role":"tool","tool_call_id":"call_%d","content":"` + file + `"}`
	var messages []string
	for i := range 10 {
		messages = append(messages, strings.ReplaceAll(turn, "%d", strconv.Itoa(i)))
	}
	const schema = `{"type":"object","properties":{"path":{"type":"string","description":"the file"}},"required":["path"],"additionalProperties":false}`
	body := `{"model":"google-ai-studio/gemini-2.5-flash","stream":true,"tools":[{"type":"function","function":{"name":"read","description":"reads","parameters":` + schema + `}}],"messages":[` + strings.Join(messages, ",") + `]}`
	p := Provider{Signatures: NewSignatures()}
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		r := parseBody(b, hub.Chat, body)
		r.User = "u"
		if _, err := p.Call(r); err != nil {
			b.Fatal(err)
		}
	}
}
