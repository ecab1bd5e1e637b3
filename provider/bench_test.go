package provider

import (
	"io"
	"strconv"
	"strings"
	"testing"

	"github.com/continue-auth/caddy-continue-auth/provider/openai"
)

// Chunks as providers send them.
const (
	chunkOfOpenAI  = `{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"m","choices":[{"index":0,"delta":{"content":" token"},"logprobs":null,"finish_reason":null}],"usage":null}`
	chunkOfWorkers = `{"response":" token","p":"abdefghijklmn","usage":{"prompt_tokens":2048,"completion_tokens":17,"total_tokens":2065}}`
	chunkOfGoogle  = `{"candidates": [{"content": {"parts": [{"text": " token"}],"role": "model"},"index": 0}],"usageMetadata": {"promptTokenCount": 2048,"candidatesTokenCount": 17,"totalTokenCount": 2065},"modelVersion": "gemini-2.5-flash","responseId": "q3JjafWzHYqk1PIP2pOaiQ0"}`
)

// models are one of each package of providers, with chunks of a chat and of a text completion.
var models = []struct{ of, name, chat, completion string }{
	{"compat", "groq/llama-3.3-70b-versatile", chunkOfOpenAI, chunkOfOpenAI},
	{"workersai", "workers-ai/@cf/qwen/qwen2.5-coder-32b-instruct", chunkOfOpenAI, chunkOfWorkers},
	{"azureopenai", "azure-openai/instance/gpt-4o", chunkOfOpenAI, chunkOfOpenAI},
	{"googleaistudio", "google-ai-studio/gemini-2.5-flash", chunkOfGoogle, chunkOfGoogle},
}

// read reads a client's request.
func read(b *testing.B, endpoint openai.Endpoint, body []byte) *openai.Request {
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

// BenchmarkRequest is a chat with one long message.
func BenchmarkRequest(b *testing.B) {
	providers := New()
	for _, model := range models {
		for _, size := range []int{4 << 10, 200 << 10} {
			line := `    return self.values[index] + offset\n`
			sent := []byte(`{"messages":[{"role":"user","content":"` + strings.Repeat(line, size/len(line)) + `"}],"model":"` + model.name + `","stream":true}`)
			b.Run("provider="+model.of+"/size="+strconv.Itoa(size>>10)+"KB", func(b *testing.B) {
				body := make([]byte, len(sent))
				b.SetBytes(int64(len(sent)))
				b.ReportAllocs()
				for b.Loop() {
					copy(body, sent) // it is edited in place
					r := read(b, openai.Chat, body)
					if _, err := providers.For(r.Provider).Call(r); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkStream is a chunk of a stream. The chats that would pass through have the token counts taken
// out again, which the operator has asked for.
func BenchmarkStream(b *testing.B) {
	providers := New()
	for _, model := range models {
		for _, test := range []struct {
			name     string
			endpoint openai.Endpoint
			chunk    string
		}{{"chat", openai.Chat, model.chat}, {"completions", openai.Completions, model.completion}} {
			b.Run("provider="+model.of+"/endpoint="+test.name, func(b *testing.B) {
				r := read(b, test.endpoint, []byte(`{"model":"`+model.name+`","messages":[{"role":"user","content":"x"}],"prompt":"x","stream":true}`))
				r.AskUsage = true
				call, err := providers.For(r.Provider).Call(r)
				if err != nil {
					b.Fatal(err)
				}
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
