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
