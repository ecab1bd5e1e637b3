package provider

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/continue-auth/caddy-continue-auth/provider/anthropic"
	"github.com/continue-auth/caddy-continue-auth/provider/hub"
)

// agentsConversation is a request of about that size as an agent sends it: turns with calls of a tool that reads files.
func agentsConversation(size int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"model":"m","max_tokens":32000,"stream":true,"system":[{"type":"text","text":"You are an agent."}],"tools":[{"name":"read","input_schema":{"type":"object"}}],`)
	b.WriteString(`"messages":[{"role":"user","content":[{"type":"text","text":"<system-reminder>x</system-reminder>"},{"type":"text","text":"Mend the \"test\"."}]}`)
	file := strings.Repeat(`\tif err != nil {\n\t\treturn fmt.Errorf(\"open %s: %w\", name, err)\n\t}\n`, 50)
	for i := 0; b.Len() < size; i++ {
		fmt.Fprintf(&b, `,{"role":"assistant","content":[{"type":"text","text":"I look."},{"type":"tool_use","id":"call_%d","name":"read","input":{"path":"/a/b"}}]}`, i)
		fmt.Fprintf(&b, `,{"role":"user","content":[{"type":"tool_result","tool_use_id":"call_%d","content":"%s"}]}`, i, file)
	}
	b.WriteString("]}")
	return b.Bytes()
}

// BenchmarkMessages turns a conversation of 200 KB in Anthropic's format into the call of a provider, from the
// body as it came.
func BenchmarkMessages(b *testing.B) {
	body := agentsConversation(200 << 10)
	for _, name := range []string{"workers-ai/@cf/a/b", "azure-openai/i/gpt-5", "openai/gpt-5", "google-ai-studio/gemini-2.5-flash", "groq/a"} {
		providers := New()
		providerName, model, err := Split(name)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(providerName, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				r, err := anthropic.ParseRequest(hub.Messages, body)
				if err != nil {
					b.Fatal(err)
				}
				r.Provider, r.Model = providerName, model
				if _, err := providers.Call(r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
