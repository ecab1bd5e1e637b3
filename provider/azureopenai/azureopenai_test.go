package azureopenai

import (
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/continue-auth/caddy-continue-auth/provider/openai"
)

func callFor(t *testing.T, endpoint openai.Endpoint, members string) (*openai.Call, error) {
	t.Helper()
	const model = "azure-openai/inst/dep"
	r, err := openai.ParseRequest(endpoint, []byte(`{"model":"`+model+`",`+members+`}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Provider, r.Model, _ = strings.Cut(model, "/")
	return Provider{}.Call(r)
}

func TestBodies(t *testing.T) {
	for name, test := range map[string]struct {
		endpoint      openai.Endpoint
		members, want string
	}{
		"a chat":                      {openai.Chat, `"messages": [ ],"x":1.50`, `"messages": [ ],"x":1.50`},
		"a chat with many stop words": {openai.Chat, `"x":1.50,"stop":["1","2","3","4","5"]`, `"x":1.50,"stop":["1","2","3","4"]`},
		"a response":                  {openai.Responses, `"input":"x"`, `"input":"x"`},
		"embeddings":                  {openai.Embeddings, `"input":"x"`, `"input":"x"`},
		"a text completion":           {openai.Completions, `"prompt":"x","temperature":0.01`, `"messages":[{"role":"user","content":"x"}],"temperature":0.01`},
		"one for a reasoning model":   {openai.Completions, `"prompt":"x","temperature":0.01,"stop":["1"],"max_completion_tokens":9`, `"messages":[{"role":"user","content":"x"}],"max_completion_tokens":9`},
	} {
		t.Run(name, func(t *testing.T) {
			call, err := callFor(t, test.endpoint, test.members)
			if err != nil {
				t.Fatal(err)
			}
			if want := `{"model":"dep",` + test.want + `}`; string(call.Body) != want {
				t.Errorf("body %s, want %s", call.Body, want)
			}
		})
	}
}

func TestRequestsThatAreRefused(t *testing.T) {
	for name, test := range map[string]struct {
		endpoint openai.Endpoint
		members  string
	}{
		"stop words that are none": {openai.Chat, `"stop":7`},
		"a prompt that is none":    {openai.Completions, `"prompt":{}`},
	} {
		if call, err := callFor(t, test.endpoint, test.members); err == nil {
			t.Errorf("%s: sent %s", name, call.Body)
		}
	}
}

// request reads a client's request, as all of them are.
func request(b *testing.B, endpoint openai.Endpoint, body []byte) *openai.Request {
	b.Helper()
	r, err := openai.ParseRequest(endpoint, body)
	if err != nil {
		b.Fatal(err)
	}
	r.Provider, r.Model, _ = strings.Cut(r.Name, "/")
	return r
}

// BenchmarkRequest is a chat with one long message.
func BenchmarkRequest(b *testing.B) {
	for _, test := range []struct {
		size  string
		lines int
	}{{"4KB", 100}, {"200KB", 5000}} {
		body := []byte(`{"messages":[{"role":"user","content":"` + strings.Repeat(`    return self.values[index] + offset\n`, test.lines) + `"}],"model":"azure-openai/inst/dep","stream":true}`)
		b.Run("size="+test.size, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := (Provider{}).Call(request(b, openai.Chat, slices.Clone(body))); err != nil { // it is edited in place
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkStream is a chunk of a text completion, which is asked for as a chat, and of a chat from which
// the token counts are taken that only the operator wants. Other chats pass through.
func BenchmarkStream(b *testing.B) {
	chunk := []byte(`data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"gpt-4o","choices":[{"index":0,"delta":{"content":" token"},"logprobs":null,"finish_reason":null}],"usage":null}` + "\n\n")
	for _, test := range []struct {
		way      string
		endpoint openai.Endpoint
	}{{"translated", openai.Completions}, {"uncounted", openai.Chat}} {
		b.Run("way="+test.way, func(b *testing.B) {
			r := request(b, test.endpoint, []byte(`{"model":"azure-openai/inst/dep","messages":[],"prompt":"x","stream":true}`))
			r.AskUsage = true
			call, err := Provider{}.Call(r)
			if err != nil {
				b.Fatal(err)
			}
			translator := call.Translate(io.Discard, true)
			b.SetBytes(int64(len(chunk)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := translator.Write(chunk); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
