package workersai

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

// chunkOf returns an event with a chunk as OpenAI would send it.
func chunkOf(choices string) string {
	return `data: {"id":"chatcmpl-7","object":"chat.completion.chunk","created":1700000000,"model":"` + qwen + `","choices":[` + choices + `]}` + "\n\n"
}

func deltaOf(delta, finish string) string {
	return chunkOf(`{"index":0,"delta":{` + delta + `},"logprobs":null,"finish_reason":` + finish + `,"x":1.50}`)
}

const (
	callBegins = `"tool_calls":[{"index":0,"id":"call_a","type":"function","function":{"name":"read_file","arguments":""}}]`
	callGoesOn = `"tool_calls":[{"index":0,"function":{"arguments":"{\"path\": \"a.go\"}"}}]`
)

var usageChunk = strings.Replace(chunkOf(""), "]}", `],"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7,"neurons":0.5}}`, 1)

func TestCorrectChunksPassUnchanged(t *testing.T) {
	const done = "data: [DONE]\n\n"
	stop := deltaOf("", `"stop"`)
	for name, stream := range map[string]string{
		"text":                         deltaOf(`"role":"assistant","content":""`, "null") + deltaOf(`"content":"é \ud83d\ude00\n"`, "null") + stop + done,
		"with CRLF":                    strings.ReplaceAll(deltaOf(`"content":"a"`, "null")+stop, "\n", "\r\n") + done,
		"a comment and a name":         ": hello\nevent: message\n" + deltaOf(`"content":"a"`, "null") + stop + done,
		"reasoning":                    deltaOf(`"reasoning_content":"hm","content":null`, "null") + deltaOf(`"content":"a"`, "null") + stop + done,
		"a call in pieces":             deltaOf(`"role":"assistant","content":null,`+callBegins, "null") + deltaOf(callGoesOn, "null") + deltaOf("", `"tool_calls"`) + done,
		"two calls":                    deltaOf(callBegins, "null") + deltaOf(callGoesOn, "null") + deltaOf(`"tool_calls":[{"index":1,"id":"call_b","type":"function","function":{"name":"f","arguments":"{}"}}]`, "null") + deltaOf("", `"tool_calls"`) + done,
		"token counts at the end":      deltaOf(`"content":"a"`, "null") + stop + usageChunk + done,
		"null for token counts":        strings.Replace(deltaOf(`"content":"a"`, "null"), "]}", `],"usage":null}`, 1) + stop + usageChunk + done,
		"two choices, one by one":      deltaOf(`"content":"a"`, "null") + strings.Replace(deltaOf(`"content":"b"`, "null"), `"index":0`, `"index":1`, 1) + stop + strings.Replace(stop, `"index":0`, `"index":1`, 1) + done,
		"stop words that do not occur": deltaOf(`"content":"a >"`, "null") + deltaOf(`"content":"b"`, "null") + stop + done,
		"a chunk without a choice":     chunkOf("") + deltaOf(`"content":"a"`, "null") + stop + done,
		"the limit as the reason":      deltaOf(`"content":"a"`, "null") + deltaOf("", `"length"`) + done,
		"white space between words":    deltaOf(`"content" : "a"`, "null") + stop + done,
	} {
		t.Run(name, func(t *testing.T) {
			call := chatCall(t, `"messages":[],"stream":true,"stream_options":{"include_usage":true},"stop":["</code>"]`)
			for at := range len(stream) + 1 {
				var out bytes.Buffer
				translator := call.Translate(&out, true)
				_, _ = io.WriteString(translator, stream[:at])
				_, _ = io.WriteString(translator, stream[at:])
				if err := translator.Close(); err != nil || out.String() != stream {
					t.Fatalf("torn at %d: error %v, stream\n%s\nwant\n%s", at, err, out.String(), stream)
				}
			}
		})
	}
}

func TestOneWrongChunkLeavesTheOthersUnchanged(t *testing.T) {
	before, after := deltaOf(`"content":"a"`, "null"), deltaOf(`"content":"b"`, "null")
	end := deltaOf("", `"stop"`) + "data: [DONE]\n\n"
	mended := func(delta string) string {
		return `data: {"id":"chatcmpl-7","object":"chat.completion.chunk","created":1700000000,"model":"` + qwen + `","choices":[{"index":0,"delta":{` + delta + `},"logprobs":null,"finish_reason":null}]}` + "\n\n"
	}
	for name, test := range map[string]struct{ wrong, want string }{
		"a number for text":           {deltaOf(`"content":4`, "null"), mended(`"content":"4"`)},
		"token counts beside text":    {strings.Replace(deltaOf(`"content":"c"`, "null"), "]}", `],"usage":{"total_tokens":1}}`, 1), mended(`"content":"c"`)},
		"an empty reason":             {deltaOf(`"content":"c"`, `""`), mended(`"content":"c"`)},
		"no reason":                   {strings.Replace(deltaOf(`"content":"c"`, "null"), `"finish_reason":null,`, "", 1), mended(`"content":"c"`)},
		"the other name of reasoning": {deltaOf(`"reasoning":"c"`, "null"), mended(`"reasoning_content":"c"`)},
		"the native format":           {"data: {\"response\":\"c\"}\n\n", mended(`"content":"c"`)},
		"null for an id":              {strings.Replace(deltaOf(`"content":"c"`, "null"), `"chatcmpl-7"`, "null", 1), mended(`"content":"c"`)},
		"another object":              {strings.Replace(deltaOf(`"content":"c"`, "null"), `.chunk`, "", 1), mended(`"content":"c"`)},
		"half a character":            {deltaOf(`"content":"c \ud83d"`, "null") + deltaOf(`"content":"\ude00!"`, "null"), mended(`"content":"c "`) + mended(`"content":"😀!"`)},
	} {
		t.Run(name, func(t *testing.T) {
			_, all, err := chatted(t, chatCall(t, `"messages":[],"stream":true`), true, true, before+test.wrong+after+end)
			if want := before + test.want + after + end; err != nil || all != want {
				t.Errorf("error %v, stream\n%s\nwant\n%s", err, all, want)
			}
		})
	}
}

func TestChunksThatDoNotFitTheAnswerAreCorrected(t *testing.T) {
	done := "data: [DONE]\n\n"
	for name, test := range map[string]struct{ members, stream, want string }{
		"stop after a call":             {"", deltaOf(callBegins, "null") + deltaOf(callGoesOn, "null") + deltaOf("", `"stop"`) + done, `"" call_a:read_file({"path": "a.go"}) tool_calls 0`},
		"text after a reason":           {"", deltaOf(`"content":"a"`, "null") + deltaOf("", `"stop"`) + deltaOf(`"content":"b"`, "null") + done, `"ab" stop 0`},
		"another reason after one":      {"", deltaOf("", `"stop"`) + deltaOf("", `"length"`) + done, `"" length 0`},
		"a reason beside text":          {"", deltaOf(`"content":"a"`, `"stop"`) + done, `"a" stop 0`},
		"a stop word":                   {`,"stop":["b"]`, deltaOf(`"content":"a b c"`, "null") + done, `"a " stop 0`},
		"a stop word in two pieces":     {`,"stop":["bc"]`, deltaOf(`"content":"a b"`, "null") + deltaOf(`"content":"c d"`, "null") + done, `"a " stop 0`},
		"text beside a call":            {"", deltaOf(`"content":"a",`+callBegins, "null") + deltaOf(callGoesOn, "null") + deltaOf("", `"tool_calls"`) + done, `"a" call_a:read_file({"path": "a.go"}) tool_calls 0`},
		"an id that comes twice":        {"", deltaOf(callBegins, "null") + deltaOf(callGoesOn, "null") + deltaOf(strings.Replace(strings.Replace(callBegins, `"index":0`, `"index":1`, 1), `""`, `"{}"`, 1), "null") + deltaOf("", `"tool_calls"`) + done, `"" call_a:read_file({"path": "a.go"}) made:read_file({}) tool_calls 0`},
		"pieces of a call with ids":     {"", deltaOf(callBegins, "null") + deltaOf(`"tool_calls":[{"index":0,"id":"call_b","function":{"arguments":"{\"path\": "}}]`, "null") + deltaOf(`"tool_calls":[{"index":0,"id":"call_c","function":{"arguments":"\"a.go\"}"}}]`, "null") + deltaOf("", `"tool_calls"`) + done, `"" call_a:read_file({"path": "a.go"}) tool_calls 0`},
		"two calls whose pieces mix":    {"", deltaOf(callBegins, "null") + deltaOf(`"tool_calls":[{"index":1,"id":"call_b","type":"function","function":{"name":"g","arguments":"{}"}}]`, "null") + deltaOf(callGoesOn, "null") + deltaOf("", `"tool_calls"`) + done, `"" call_a:read_file({"path": "a.go"}) call_b:g({}) tool_calls 0`},
		"half a character in arguments": {"", deltaOf(callBegins, "null") + deltaOf(`"tool_calls":[{"index":0,"function":{"arguments":"{\"a\":\"\ud83d"}}]`, "null") + deltaOf(`"tool_calls":[{"index":0,"function":{"arguments":"\ude00\"}"}}]`, "null") + deltaOf("", `"tool_calls"`) + done, `"" call_a:read_file({"a":"😀"}) tool_calls 0`},
		"different token counts":        {`,"stream_options":{"include_usage":true}`, deltaOf(`"content":"a"`, "null") + deltaOf("", `"stop"`) + strings.Replace(usageChunk, ":7", ":9", 1) + usageChunk + done, `"a" stop 7`},
		"an end without [DONE]":         {"", deltaOf(`"content":"a"`, "null") + deltaOf("", `"stop"`), `"a" stop 0`},
	} {
		t.Run(name, func(t *testing.T) {
			call := chatCall(t, `"messages":[],"stream":true`+test.members)
			for at := range len(test.stream) + 1 {
				heard, all, err := chatted(t, call, true, true, test.stream[:at], test.stream[at:])
				if err != nil || heard != test.want || strings.Count(all, "[DONE]") != 1 || strings.Count(all, `"usage":{`) > 1 {
					t.Fatalf("torn at %d: error %v, the client hears %s, want %s in\n%s", at, err, heard, test.want, all)
				}
			}
		})
	}
}

// That holds even if everything so far has passed.
func TestAStreamWithoutItsEndIsIncomplete(t *testing.T) {
	for _, end := range []string{"", deltaOf("", `""`), deltaOf("", "null")} {
		_, all, err := chatted(t, chatCall(t, `"messages":[],"stream":true`), true, true, deltaOf(`"content":"a"`, "null")+end)
		if err == nil || !strings.Contains(all, "before it was complete") || strings.Contains(all, "[DONE]") {
			t.Errorf("ending on %q: error %v, stream\n%s", end, err, all)
		}
	}
}

const rightObject = `{"id":"x","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":%,"tool_calls":#},"finish_reason":"$","x":1.50}],"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}, "y" : null}`

func TestCorrectObjectsPassAndOthersAreTranslated(t *testing.T) {
	object := func(content, calls, reason string) string {
		return strings.NewReplacer("%", content, "#", calls, "$", reason).Replace(rightObject)
	}
	const call = `[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}]`
	for name, test := range map[string]struct {
		body, want string
		passes     bool
	}{
		"text":                                 {object(`"a"`, "null", "stop"), `"a" stop 7`, true},
		"a call":                               {object(`null`, call, "tool_calls"), `"" a:f({}) tool_calls 7`, true},
		"text and a call":                      {object(`"a"`, call, "tool_calls"), `"a" a:f({}) tool_calls 7`, true},
		"a call that ends with stop":           {object(`null`, call, "stop"), `"" a:f({}) tool_calls 7`, false},
		"the reason tool_calls without a call": {object(`"a"`, "[]", "tool_calls"), `"a" stop 7`, false},
		"a number":                             {object(`4`, "null", "stop"), `"4" stop 7`, false},
		"arguments in an object":               {object(`null`, strings.Replace(call, `"{}"`, `{}`, 1), "tool_calls"), `"" a:f({}) tool_calls 7`, false},
		"no arguments":                         {object(`null`, strings.Replace(call, `"{}"`, `""`, 1), "tool_calls"), `"" a:f({}) tool_calls 7`, false},
		"a stop word":                          {object(`"a STOP b"`, "null", "stop"), `"a " stop 7`, false},
		"an empty reason":                      {object(`"a"`, "null", ""), `"a" stop 7`, false},
	} {
		t.Run(name, func(t *testing.T) {
			heard, all, err := chatted(t, chatCall(t, `"messages":[],"stop":["STOP"]`), false, false, test.body[:20], test.body[20:])
			if err != nil || heard != test.want || (all == test.body) != test.passes {
				t.Errorf("error %v, the client reads %s in %s", err, heard, all)
			}
		})
	}
}

func TestAChunkThatPassesAllocatesNothing(t *testing.T) {
	translator := chatCall(t, `"messages":[],"stream":true`).Translate(io.Discard, true)
	chunk := []byte(deltaOf(`"content":" token"`, "null"))
	_, _ = translator.Write(chunk)
	if n := testing.AllocsPerRun(100, func() { _, _ = translator.Write(chunk) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkChunkThatPasses(b *testing.B) {
	translator := chatCall(b, `"messages":[],"stream":true`).Translate(io.Discard, true)
	chunk := []byte(deltaOf(`"content":" token"`, "null"))
	b.SetBytes(int64(len(chunk)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := translator.Write(chunk); err != nil {
			b.Fatal(err)
		}
	}
}
