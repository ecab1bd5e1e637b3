package provider

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/openai"
)

// answers are providers' answers with the counts in them.
var answers = map[string]struct {
	answer string
	want   hub.Usage
}{
	"a chat": {
		`{"id":"x","choices":[{"message":{"content":"{\"usage\":{\"prompt_tokens\":9}}"}}],"usage":{"prompt_tokens":5,"completion_tokens":7,"total_tokens":12,"prompt_tokens_details":{"cached_tokens":3},"completion_tokens_details":{"reasoning_tokens":2}}}`,
		hub.Usage{Prompt: 5, Completion: 7, Total: 12, Cached: 3, Reasoning: 2},
	},
	"a stream": {
		"data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}],\"usage\":null}\n\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":7}}\n\ndata: [DONE]\n\n",
		hub.Usage{Prompt: 5, Completion: 7},
	},
	"a stream that counts on every chunk and ends with zeros": {
		"data: {\"response\":\"a\",\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":1}}\n\ndata: {\"response\":\"b\",\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2}}\n\ndata: {\"usage\":{\"prompt_tokens\":0,\"completion_tokens\":0}}\n\n",
		hub.Usage{Prompt: 5, Completion: 2},
	},
	"Gemini": {
		"data: {\"candidates\": [],\n\"usageMetadata\" : {\n\"promptTokenCount\": 5, \"candidatesTokenCount\": 7, \"thoughtsTokenCount\": 2, \"totalTokenCount\": 14, \"cachedContentTokenCount\": 3, \"promptTokensDetails\":[{\"modality\":\"TEXT\",\"tokenCount\":5}]},\"modelVersion\":\"x\"}",
		hub.Usage{Prompt: 5, Completion: 9, Total: 14, Cached: 3, Reasoning: 2},
	},
	"a response": {
		`data: {"type":"response.created","response":{"usage":null}}` + "\n\n" +
			`data: {"type":"response.completed","response":{"tools":[{"parameters":{"properties":{"usage":{"type":"object","tokens":1}}}}],"usage":{"input_tokens":5,"input_tokens_details":{"cached_tokens":3},"output_tokens":7,"output_tokens_details":{"reasoning_tokens":2},"total_tokens":12},"user":null}}`,
		hub.Usage{Prompt: 5, Completion: 7, Total: 12, Cached: 3, Reasoning: 2},
	},
	"embeddings":                                 {`{"data":[{"embedding":[0.1]}],"usage":{"prompt_tokens":5,"total_tokens":5}}`, hub.Usage{Prompt: 5, Total: 5}},
	"Cloudflare's envelope":                      {`{"result":{"response":"x","usage":{"prompt_tokens":5,"completion_tokens":7}},"success":true}`, hub.Usage{Prompt: 5, Completion: 7}},
	"a backslash before a name":                  {`{"x":"\\","usage":{"prompt_tokens":5}}`, hub.Usage{Prompt: 5}},
	"text that quotes counts":                    {`{"content":"a \"usage\":{\"prompt_tokens\":5} \\\"usage\":{tokens:5}"}`, hub.Usage{}},
	"counts in arguments before the real counts": {`{"arguments":{"usage":{"prompt_tokens":1}},"usage":{"prompt_tokens":5}}`, hub.Usage{Prompt: 5}},
	"a longer name":                              {`{"usages":{"prompt_tokens":5},"usageMeta":{"prompt_tokens":5},"usageMetadataX":{"prompt_tokens":5}}`, hub.Usage{}},
	"a value that is not an object":              {`{"usage":5,"usage":"{","usage":[{"prompt_tokens":5}]}`, hub.Usage{}},
	"an incomplete object":                       {`{"usage":{"prompt_tokens":5`, hub.Usage{}},
	"an object that is too large":                {`{"usage":{"tokens":"` + strings.Repeat("9", maxUsage) + `"}} {"usage":{"prompt_tokens":5}}`, hub.Usage{Prompt: 5}},
	"braces within text":                         {`{"usage":{"tier":"}\"}","prompt_tokens":5}}`, hub.Usage{Prompt: 5}},
	"the name after beginnings of it":            {`"us"usa"usag"usage":{"prompt_tokens":5}`, hub.Usage{Prompt: 5}},
	"nothing":                                    {``, hub.Usage{}},
}

func scan(pieces ...string) hub.Usage {
	var s UsageScanner
	for _, piece := range pieces {
		s.Write([]byte(piece))
	}
	u, _ := s.Usage()
	return u
}

func TestUsageIsFoundInEveryAnswerInAnyPieces(t *testing.T) {
	for name, test := range answers {
		t.Run(name, func(t *testing.T) {
			if got := scan(test.answer); got != test.want {
				t.Errorf("in one piece: %+v, want %+v", got, test.want)
			}
			for i := range len(test.answer) {
				if got := scan(test.answer[:i], test.answer[i:]); got != test.want {
					t.Fatalf("torn at %d: %+v, want %+v", i, got, test.want)
				}
			}
			if got := scan(strings.Split(test.answer, "")...); got != test.want {
				t.Errorf("byte by byte: %+v, want %+v", got, test.want)
			}
		})
	}
}

func TestTheScannerAllocatesNothing(t *testing.T) {
	chunk := []byte("data: {\"response\":\"a\",\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":1}}\n\n")
	var s UsageScanner
	s.Write(chunk)
	s.Write(chunk)
	if n := testing.AllocsPerRun(100, func() { s.Write(chunk) }); n != 0 {
		t.Errorf("%v allocations a chunk", n)
	}
}

// If an answer is translated, the translator counts instead of the scanner.
func TestATranslatorCountsTheSameAsTheScanner(t *testing.T) {
	const (
		gemini  = `{"candidates":[{"content":{"parts":[{"text":"a"}]}}],"usageMetadata":{"promptTokenCount":5,"candidatesTokenCount":1}}`
		longer  = `{"candidates":[{"content":{"parts":[{"text":"b"}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":5,"candidatesTokenCount":7,"thoughtsTokenCount":2,"cachedContentTokenCount":3}}`
		workers = `{"response":"a","usage":{"prompt_tokens":5,"completion_tokens":1}}`
		zeros   = `{"response":"","usage":{"prompt_tokens":0,"completion_tokens":0}}`
		chunk   = `{"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}],"usage":null}`
		counts  = `{"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":7,"prompt_tokens_details":{"cached_tokens":3}}}`
		none    = `{"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]}`
	)
	chat, text := `"messages":[{"role":"user","content":"x"}]`, `"prompt":"x"`
	for name, test := range map[string]struct {
		endpoint hub.Endpoint
		members  string
		model    string
		messages []string
	}{
		"Gemini, several counts":               {hub.Chat, chat, "google-ai-studio/m", []string{gemini, longer}},
		"Gemini, none at the end":              {hub.Chat, chat, "google-ai-studio/m", []string{longer, `{"candidates":[{"finishReason":"STOP"}]}`}},
		"Gemini, zeros at the end":             {hub.Chat, chat, "google-ai-studio/m", []string{longer, `{"usageMetadata":{"promptTokenCount":0}}`}},
		"Gemini, none at all":                  {hub.Chat, chat, "google-ai-studio/m", []string{`{"candidates":[{"finishReason":"STOP"}]}`}},
		"Gemini, only zeros":                   {hub.Chat, chat, "google-ai-studio/m", []string{`{"usageMetadata":{"promptTokenCount":0}}`}},
		"Gemini, a prompt that was refused":    {hub.Chat, chat, "google-ai-studio/m", []string{`{"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"promptTokenCount":5}}`}},
		"Gemini, an error after counts":        {hub.Chat, chat, "google-ai-studio/m", []string{gemini, `{"error":{"code":503,"message":"overloaded"}}`}},
		"Gemini, a malformed call":             {hub.Chat, chat, "google-ai-studio/m", []string{`{"candidates":[{"finishReason":"MALFORMED_FUNCTION_CALL"}],"usageMetadata":{"promptTokenCount":900,"candidatesTokenCount":40}}`}},
		"Gemini, an error that counts":         {hub.Chat, chat, "google-ai-studio/m", []string{`{"error":{"code":503},"usageMetadata":{"promptTokenCount":900}}`}},
		"Gemini, an incomplete stream":         {hub.Chat, chat, "google-ai-studio/m", []string{gemini, `{"candidates":`}},
		"Gemini, a completion":                 {hub.Completions, text, "google-ai-studio/m", []string{gemini, longer}},
		"Workers AI, on every chunk":           {hub.Completions, text, "workers-ai/@cf/m", []string{workers, workers, zeros}},
		"Workers AI, in the API's envelope":    {hub.Completions, text, "workers-ai/@cf/m", []string{`{"result":` + workers + `,"success":true}`}},
		"Workers AI, a chat":                   {hub.Chat, chat, "workers-ai/@cf/m", []string{chunk, counts}},
		"OpenAI, a completion made of a chat":  {hub.Completions, text, "openai/m", []string{chunk, counts}},
		"OpenAI, an error that counts":         {hub.Completions, text, "openai/m", []string{chunk, `{"error":{"message":"x"},"usage":{"prompt_tokens":5}}`}},
		"OpenAI, after a stop word":            {hub.Completions, text + `,"stop":["1","2","3","4","a"]`, "openai/m", []string{chunk, counts}},
		"Groq, in a member of its own":         {hub.Completions, text, "groq/m", []string{chunk, `{"choices":[],"x_groq":{"id":"x","usage":{"prompt_tokens":23,"completion_tokens":19}}}`}},
		"OpenAI, none at all":                  {hub.Completions, text, "openai/m", []string{none}},
		"OpenAI, counts only for the operator": {hub.Chat, chat + `,"ask":true`, "openai/m", []string{chunk, counts, zeros}},
		"OpenAI, a response for a stream":      {hub.Responses, `"input":"x"`, "openai/m", []string{`{"object":"response","status":"completed","output":[],"usage":{"input_tokens":5,"output_tokens":7}}`}},
		"Gemini, embeddings without counts":    {hub.Embeddings, `"input":"x"`, "google-ai-studio/m", []string{`{"embedding":{"values":[1]}}`}},
	} {
		for _, sse := range []bool{true, false} {
			if sse && (test.endpoint == hub.Responses || test.endpoint == hub.Embeddings) || !sse && len(test.messages) > 1 {
				continue
			}
			t.Run(fmt.Sprintf("%s, events: %t", name, sse), func(t *testing.T) {
				r, err := openai.ParseRequest(test.endpoint, fmt.Appendf(nil, `{"model":"%s","stream":%t,%s}`, test.model, test.endpoint != hub.Embeddings, test.members))
				if err != nil {
					t.Fatal(err)
				}
				r.AskUsage = strings.Contains(test.members, "ask")
				if r.Provider, r.Model, err = Split(r.Name); err != nil {
					t.Fatal(err)
				}
				call, err := New().For(r.Provider).Call(r)
				if err != nil {
					t.Fatal(err)
				}
				translator := call.Translate(io.Discard, sse)
				answer := strings.Join(test.messages, "")
				if sse {
					answer = "data: " + strings.Join(test.messages, "\r\n\r\ndata: ") + "\r\n\r\n"
				}
				var scanner UsageScanner
				scanner.Write([]byte(answer))
				_, _ = translator.Write([]byte(answer))
				_ = translator.Close()
				want, counted := scanner.Usage()
				got, ok := translator.Usage()
				if want.Total == 0 { // the translator adds it up
					got.Total = 0
				}
				if got != want || ok != counted {
					t.Errorf("counts %+v (%t), the scanner %+v (%t)", got, ok, want, counted)
				}
			})
		}
	}
}

// FuzzUsageScanner checks that the pieces of an answer make no difference.
func FuzzUsageScanner(f *testing.F) {
	for _, test := range answers {
		f.Add(test.answer, len(test.answer)/3, len(test.answer)/2)
	}
	f.Fuzz(func(t *testing.T, answer string, i, j int) {
		i, j = max(0, min(i, len(answer))), max(0, min(j, len(answer)))
		i, j = min(i, j), max(i, j)
		if whole, torn := scan(answer), scan(answer[:i], answer[i:j], answer[j:]); whole != torn {
			t.Errorf("%q: %+v in one piece, %+v torn at %d and %d", answer, whole, torn, i, j)
		}
	})
}

func BenchmarkUsageScanner(b *testing.B) {
	for _, chunk := range []struct{ of, text string }{
		{"openai", `data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"gpt-4o","choices":[{"index":0,"delta":{"content":" the"},"finish_reason":null}],"usage":null}` + "\n\n"},
		{"gemini", `data: {"candidates": [{"content": {"parts": [{"text": " the"}],"role": "model"},"index": 0}],"usageMetadata": {"promptTokenCount": 1000,"candidatesTokenCount": 10,"totalTokenCount": 1010,"promptTokensDetails": [{"modality": "TEXT","tokenCount": 1000}]},"modelVersion": "gemini-2.5-flash"}` + "\r\n\r\n"},
	} {
		b.Run("chunk="+chunk.of, func(b *testing.B) {
			var s UsageScanner
			text := []byte(chunk.text)
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				s.Write(text)
			}
		})
	}
}
