package provider

import (
	"strings"
	"testing"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
)

// BenchmarkPromptTokens estimates a long conversation about code, with many quotes.
func BenchmarkPromptTokens(b *testing.B) {
	body := []byte(`{"messages":[{"role":"user","content":"` + strings.Repeat(`if data := \"data\"; x { return \"base64,\" }\n`, 4600) + `"}]}`)
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		PromptTokens(hub.Chat, body)
	}
}

// BenchmarkTextCounter reads a chunk of a chat.
func BenchmarkTextCounter(b *testing.B) {
	chunk := []byte(`data: {"id":"chatcmpl-0123456789","object":"chat.completion.chunk","created":1764300000,"model":"gpt-4o-mini-2024-07-18","service_tier":"default","system_fingerprint":"fp_0123456789","choices":[{"index":0,"delta":{"content":" some words"},"logprobs":null,"finish_reason":null}],"obfuscation":"abcdef"}` + "\n\n")
	c := NewTextCounter(hub.Chat, true)
	b.SetBytes(int64(len(chunk)))
	for b.Loop() {
		c.Write(chunk)
	}
}
