package provider

import (
	"io"
	"strconv"
	"strings"
	"testing"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/openai"
)

// session is a conversation of about a size as Codex sends it, without braces and model: what conversation has, in
// items.
func session(size int) string {
	const code = `func (s *Store) Get(key string) (*Entry, error) {\n\tif e, ok := s.entries[key]; ok {\n\t\treturn e, nil\n\t}\n\treturn nil, fmt.Errorf(\"no entry for %q\", key)\n}\n`
	var b strings.Builder
	b.WriteString(`"instructions":"You are a coding agent.\nAnswer briefly.","tools":[{"type":"function","name":"shell","parameters":{"type":"object","properties":{"cmd":{"type":"string"}}}},{"type":"custom","name":"apply_patch","description":"Edits."}],"input":[{"type":"message","role":"developer","content":[{"type":"input_text","text":"Be kind."}]}`)
	for i := range max(1, size/(10*len(code))) {
		id := strconv.Itoa(i)
		b.WriteString(`,{"type":"message","role":"user","content":[{"type":"input_text","text":"Why does this fail?\n` + strings.Repeat(code, 2) + `"}]}` +
			`,{"type":"reasoning","id":"rs_` + id + `","summary":[]}` +
			`,{"type":"custom_tool_call","call_id":"call_` + id + `","name":"apply_patch","input":"` + code + `"}` +
			`,{"type":"custom_tool_call_output","call_id":"call_` + id + `","output":"` + strings.Repeat(code, 4) + `"}` +
			`,{"type":"message","id":"msg_` + id + `","role":"assistant","content":[{"type":"output_text","text":"The key is missing:\n` + strings.Repeat(code, 2) + `","annotations":[]}]}`)
	}
	b.WriteString(`,{"type":"message","role":"user","content":[{"type":"input_text","text":"Go on."}]}],"stream":true`)
	return b.String()
}

// BenchmarkResponsesToChat is what a conversation costs to become a chat, once it has been parsed.
func BenchmarkResponsesToChat(b *testing.B) {
	for _, size := range []int{4 << 10, 200 << 10} {
		body := []byte(`{` + session(size) + `,"model":"groq/llama"}`)
		b.Run("size="+strconv.Itoa(size>>10)+"KB", func(b *testing.B) {
			r := read(b, hub.Responses, body)
			var memory []byte
			r.Memory = func(size int) []byte {
				if cap(memory) < size {
					memory = make([]byte, size)
				}
				return memory[:size]
			}
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := openai.ToChat(r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkResponseFrame is a frame of a chat's stream as a frame of a response, and as one of a chat that is
// written anew, which a response is compared with.
func BenchmarkResponseFrame(b *testing.B) {
	const begin = `data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"m","choices":[{"index":0,"delta":`
	frames := map[string][2]string{
		"text":      {`{"role":"assistant","content":""}`, `{"content":" token"}`},
		"reasoning": {`{"role":"assistant","content":""}`, `{"reasoning_content":" token"}`},
		"arguments": {`{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"shell","arguments":"{\"cmd\":\""}}]}`, `{"tool_calls":[{"index":0,"function":{"arguments":" token"}}]}`},
		"input":     {`{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"apply_patch","arguments":"{\"input\":\""}}]}`, `{"tool_calls":[{"index":0,"function":{"arguments":" token"}}]}`},
	}
	chat, err := openai.ToChat(read(b, hub.Responses, []byte(`{`+session(1)+`,"model":"groq/llama"}`)))
	if err != nil {
		b.Fatal(err)
	}
	for _, format := range []struct {
		name string
		of   hub.Format
	}{{"chat", openai.Format{}}, {"response", chat.Format}} {
		for _, kind := range []string{"text", "reasoning", "arguments", "input"} {
			b.Run("format="+format.name+"/frame="+kind, func(b *testing.B) {
				chat.Format = format.of
				translator := hub.NewTranslator(io.Discard, true, chat.Form(nil), openai.DecodeChat())
				event := func(delta string) []byte { return []byte(begin + delta + `,"finish_reason":null}]}` + "\n\n") }
				if _, err := translator.Write(event(frames[kind][0])); err != nil {
					b.Fatal(err)
				}
				next := event(frames[kind][1])
				b.SetBytes(int64(len(next)))
				b.ReportAllocs()
				for b.Loop() {
					if _, err := translator.Write(next); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
