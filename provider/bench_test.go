package provider

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/openai"
)

// Chunks as providers send them.
const (
	chunkOfOpenAI  = `{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"m","choices":[{"index":0,"delta":{"content":" token"},"logprobs":null,"finish_reason":null}],"usage":null}`
	chunkOfWorkers = `{"response":" token","p":"abdefghijklmn","usage":{"prompt_tokens":2048,"completion_tokens":17,"total_tokens":2065}}`
	chunkOfGoogle  = `{"candidates": [{"content": {"parts": [{"text": " token"}],"role": "model"},"index": 0}],"usageMetadata": {"promptTokenCount": 2048,"candidatesTokenCount": 17,"totalTokenCount": 2065},"modelVersion": "gemini-2.5-flash","responseId": "q3JjafWzHYqk1PIP2pOaiQ0"}`
)

// models are one model for each provider package, with chunks of a chat and of a text completion.
var models = []struct{ of, name, chat, completion string }{
	{"compat", "groq/llama-3.3-70b-versatile", chunkOfOpenAI, chunkOfOpenAI},
	{"workersai", "workers-ai/@cf/qwen/qwen2.5-coder-32b-instruct", chunkOfOpenAI, chunkOfWorkers},
	{"azureopenai", "azure-openai/instance/gpt-4o", chunkOfOpenAI, chunkOfOpenAI},
	{"googleaistudio", "google-ai-studio/gemini-2.5-flash", chunkOfGoogle, chunkOfGoogle},
}

// short returns the call for a short request. The operator has asked for its token counts.
func short(b *testing.B, providers *Providers, endpoint hub.Endpoint, model string, stream bool) *hub.Call {
	b.Helper()
	r := read(b, endpoint, fmt.Appendf(nil, `{"model":"%s","messages":[{"role":"user","content":"x"}],"prompt":"x","input":"x","stream":%t}`, model, stream))
	r.AskUsage = true
	call, err := providers.For(r.Provider).Call(r)
	if err != nil {
		b.Fatal(err)
	}
	return call
}

// read parses a client's request.
func read(b *testing.B, endpoint hub.Endpoint, body []byte) *hub.Request {
	b.Helper()
	r, err := openai.ParseRequest(endpoint, body)
	if err != nil {
		b.Fatal(err)
	}
	if r.Provider, r.Model, err = Split(r.Name); err != nil {
		b.Fatal(err)
	}
	return r
}

// requests make bodies of about that size from one repeated line, without braces and model.
var requests = map[hub.Endpoint]func(size int) string{
	hub.Chat: func(size int) string {
		return `"messages":[{"role":"user","content":"` + strings.Repeat(line, size/len(line)) + `"}],"stream":true`
	},
	hub.Completions: func(size int) string {
		return `"prompt":"` + strings.Repeat(line, size/len(line)) + `","stream":true,"max_tokens":256,"stop":["1","2","3","4","5"]`
	},
	hub.Embeddings: func(size int) string { // as many texts as Google accepts
		text := `"` + strings.Repeat(line, max(1, size/maxInputs/len(line))) + `"`
		return `"input":[` + strings.Repeat(text+",", min(maxInputs, size/len(text))-1) + text + `]`
	},
}

const (
	line      = `    return self.values[index] + offset\n`
	maxInputs = 100
)

// conversation returns a chat of about that size as coding agents have it, without braces and model:
// questions, tool calls with arguments, their results, and answers, all with code.
func conversation(size int) string {
	const code = `func (s *Store) Get(key string) (*Entry, error) {\n\tif e, ok := s.entries[key]; ok {\n\t\treturn e, nil\n\t}\n\treturn nil, fmt.Errorf(\"no entry for %q\", key)\n}\n`
	rounds := max(1, size/(10*len(code)))
	var b strings.Builder
	b.WriteString(`"messages":[{"role":"system","content":"You are a coding agent.\nAnswer briefly."}`)
	for i := range rounds {
		id := strconv.Itoa(i)
		b.WriteString(`,{"role":"user","content":[{"type":"text","text":"Why does this fail?\n` + strings.Repeat(code, 2) + `"}]}` +
			`,{"role":"assistant","content":"","tool_calls":[{"id":"call_` + id + `","type":"function","function":{"name":"write_file","arguments":"{\"path\":\"store.go\",\"text\":\"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(code) + `\"}"}}]}` +
			`,{"role":"tool","tool_call_id":"call_` + id + `","content":"` + strings.Repeat(code, 4) + `"}` +
			`,{"role":"assistant","content":"The key is missing:\n` + strings.Repeat(code, 2) + `"}`)
	}
	b.WriteString(`,{"role":"user","content":"Go on."}],"stream":true`)
	return b.String()
}

// names are the names of the endpoints in the names of benchmarks.
var names = map[hub.Endpoint]string{hub.Chat: "chat", hub.Completions: "completions", hub.Embeddings: "embeddings"}

// BenchmarkRequest converts a chat with one long message, a completion of a long prompt, or many texts to
// embed.
func BenchmarkRequest(b *testing.B) {
	providers := New()
	for _, model := range models {
		for _, endpoint := range []hub.Endpoint{hub.Chat, hub.Completions, hub.Embeddings} {
			for _, size := range []int{4 << 10, 200 << 10} {
				sent := []byte(`{` + requests[endpoint](size) + `,"model":"` + model.name + `"}`)
				b.Run("provider="+model.of+"/endpoint="+names[endpoint]+"/size="+strconv.Itoa(size>>10)+"KB", func(b *testing.B) {
					body := make([]byte, len(sent))
					b.SetBytes(int64(len(sent)))
					b.ReportAllocs()
					for b.Loop() {
						copy(body, sent) // Call edits it in place
						r := read(b, endpoint, body)
						if _, err := providers.For(r.Provider).Call(r); err != nil {
							b.Fatal(err)
						}
					}
				})
			}
		}
	}
}

// BenchmarkConversation converts a chat of many turns with tool calls.
func BenchmarkConversation(b *testing.B) {
	providers := New()
	for _, model := range models {
		for _, size := range []int{4 << 10, 200 << 10} {
			sent := []byte(`{` + conversation(size) + `,"model":"` + model.name + `"}`)
			b.Run("provider="+model.of+"/size="+strconv.Itoa(size>>10)+"KB", func(b *testing.B) {
				body := make([]byte, len(sent))
				b.SetBytes(int64(len(sent)))
				b.ReportAllocs()
				for b.Loop() {
					copy(body, sent) // Call edits it in place
					r := read(b, hub.Chat, body)
					if _, err := providers.For(r.Provider).Call(r); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkStream translates a chunk of a stream. The operator has asked for token counts, which must be left
// out of the chats that would otherwise pass.
func BenchmarkStream(b *testing.B) {
	providers := New()
	for _, model := range models {
		for _, test := range []struct {
			name     string
			endpoint hub.Endpoint
			chunk    string
		}{{"chat", hub.Chat, model.chat}, {"completions", hub.Completions, model.completion}} {
			b.Run("provider="+model.of+"/endpoint="+test.name, func(b *testing.B) {
				call := short(b, providers, test.endpoint, model.name, true)
				event := []byte("data: " + test.chunk + "\n\n")
				translator := call.Translate(io.Discard, true)
				b.SetBytes(int64(len(event)))
				b.ReportAllocs()
				for b.Loop() {
					if _, err := translator.Write(event); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// answer translates the pieces of one answer and ends it.
func answer(b *testing.B, call *hub.Call, sse bool, pieces ...[]byte) {
	translator := call.Translate(io.Discard, sse)
	for _, piece := range pieces {
		if _, err := translator.Write(piece); err != nil {
			b.Fatal(err)
		}
	}
	if err := translator.Close(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkAnswer translates a whole answer: 4 KB of text, or an embedding of 768 numbers.
func BenchmarkAnswer(b *testing.B) {
	text := strings.Repeat(line, 4<<10/len(line))
	openAI := `{"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"` + text + `","refusal":null},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":2048,"completion_tokens":900,"total_tokens":2948}}`
	native := `{"result":{"response":"` + text + `","usage":{"prompt_tokens":2048,"completion_tokens":900,"total_tokens":2948}},"success":true,"errors":[],"messages":[]}`
	google := `{"candidates": [{"content": {"parts": [{"text": "` + text + `"}],"role": "model"},"finishReason": "STOP","index": 0}],"usageMetadata": {"promptTokenCount": 2048,"candidatesTokenCount": 900,"totalTokenCount": 2948},"modelVersion": "gemini-2.5-flash","responseId": "q3JjafWzHYqk1PIP2pOaiQ0"}`
	embedding := `{"embedding": {"values": [` + strings.Repeat("-0.012345678, ", 767) + `0.5]}}`
	providers := New()
	for _, test := range []struct {
		model, of string
		endpoint  hub.Endpoint
		body      string
	}{
		{models[0].name, "compat", hub.Completions, openAI},
		{models[1].name, "workersai", hub.Chat, openAI},
		{models[1].name, "workersai", hub.Completions, native},
		{models[2].name, "azureopenai", hub.Completions, openAI},
		{models[3].name, "googleaistudio", hub.Chat, google},
		{models[3].name, "googleaistudio", hub.Completions, google},
		{models[3].name, "googleaistudio", hub.Embeddings, embedding},
	} {
		b.Run("provider="+test.of+"/endpoint="+names[test.endpoint], func(b *testing.B) {
			call := short(b, providers, test.endpoint, test.model, false)
			body := []byte(test.body)
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				answer(b, call, false, body)
			}
		})
	}
}

// BenchmarkToolCalls translates a short stream of Gemini's with calls of functions, one or several in a
// frame.
func BenchmarkToolCalls(b *testing.B) {
	const function = `{"functionCall": {"name": "read_file","args": {"path": "src/main.go","range": {"first": 1,"last": 200}}},"thoughtSignature": "CiQBjz1rX0wXb2dnbGUgc2lnbmF0dXJl"}`
	providers := New()
	for _, calls := range []int{1, 4} {
		b.Run("provider=googleaistudio/calls="+strconv.Itoa(calls), func(b *testing.B) {
			call := short(b, providers, hub.Chat, models[3].name, true)
			frame := []byte(`data: {"candidates": [{"content": {"parts": [` + strings.Repeat(function+",", calls-1) + function + `],"role": "model"},"finishReason": "STOP","index": 0}],"usageMetadata": {"promptTokenCount": 2048,"candidatesTokenCount": 17,"totalTokenCount": 2065},"responseId": "q3JjafWzHYqk1PIP2pOaiQ0"}` + "\r\n\r\n")
			b.SetBytes(int64(len(frame)))
			b.ReportAllocs()
			for b.Loop() {
				answer(b, call, true, frame)
			}
		})
	}
}
