package anthropic

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/openai"
)

// conversationOf is a request of about that size, as an agent sends it: turns with calls and files that were read.
func conversationOf(size int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"model":"workers-ai/@cf/meta/llama","max_tokens":32000,"stream":true,"system":[{"type":"text","text":"You are an agent."}],"thinking":{"type":"adaptive"},"tools":[`)
	for i := range 25 {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"name":"tool%d","description":"Does something with a file.","input_schema":{"type":"object","properties":{"path":{"type":"string","description":"The file."}},"required":["path"]}}`, i)
	}
	b.WriteString(`],"messages":[{"role":"user","content":[{"type":"text","text":"Mend the \"test\"."}]}`)
	file := strings.Repeat(`\tif err != nil {\n\t\treturn fmt.Errorf(\"open %s: %w\", name, err)\n\t}\n`, 50)
	for i := 0; b.Len() < size; i++ {
		fmt.Fprintf(&b, `,{"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":""},{"type":"text","text":"I look."},{"type":"tool_use","id":"call_%d","name":"tool1","input":{"path":"/a/b"}}]}`, i)
		fmt.Fprintf(&b, `,{"role":"user","content":[{"type":"tool_result","tool_use_id":"call_%d","content":[{"type":"text","text":"%s"}],"cache_control":{"type":"ephemeral"}}]}`, i, file)
	}
	b.WriteString("]}")
	return b.Bytes()
}

func BenchmarkToChat(b *testing.B) {
	body := conversationOf(200 << 10)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		r, err := ParseRequest(hub.Messages, body)
		if err != nil {
			b.Fatal(err)
		}
		r.Provider, r.Model = "workers-ai", "@cf/meta/llama"
		if _, err := ToChat(r); err != nil {
			b.Fatal(err)
		}
	}
}

const frame = "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" token\"},\"logprobs\":null,\"finish_reason\":null}]}\n\n"

// BenchmarkFrame is a frame of a stream that becomes one of Anthropic's, beside the same frame that becomes a
// chat's.
func BenchmarkFrame(b *testing.B) {
	for _, format := range []hub.ChatFormat{Format{}, openai.Format{}} {
		b.Run(fmt.Sprintf("%T", format), func(b *testing.B) {
			translator := hub.NewTranslator(io.Discard, true, hub.Form{Format: format, Stream: true, Usage: true, Model: "m"}, openai.DecodeChat())
			b.ReportAllocs()
			for b.Loop() {
				if _, err := translator.Write([]byte(frame)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
