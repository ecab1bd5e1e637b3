package workersai

import (
	"github.com/tidwall/gjson"

	"github.com/continue-auth/caddy-continue-auth/provider/openai"
)

// decode reads a message of a model's own endpoint: {"response":…} in an event, in Cloudflare's
// API envelope or alone, or OpenAI's format, which some models answer in.
func decode(message []byte, a *openai.Answer) error {
	if !openai.ValidObject(message) {
		return openai.UpstreamBroken("Try again: the provider's answer is not valid JSON.")
	}
	m := gjson.ParseBytes(message)
	if success := m.Get("success"); success.Type == gjson.False {
		return openai.UpstreamBroken("Try again: Workers AI reported an error: " + m.Get("errors.0.message").Str)
	}
	if result := m.Get("result"); result.IsObject() {
		m = result
	}
	if m.Get("choices").Exists() || m.Get("error").Exists() {
		return openai.DecodeChat([]byte(m.Raw), a)
	}
	a.Text(0, openai.Text(m.Get("response")))
	openai.DecodeUsage(m.Get("usage"), a)
	if finish := m.Get("finish_reason").Str; finish != "" {
		a.Finish(0, finish)
	}
	return nil
}
