package workersai

import (
	"github.com/tidwall/gjson"

	"github.com/continue-auth/caddy-continue-auth/provider/openai"
)

// decode reads a message of any of Workers AI's endpoints. They answer in OpenAI's format or in
// {"response":…}, alone or in Cloudflare's API envelope, and which of them does what depends on
// the model more than on the endpoint.
func decode(message []byte, a *openai.Answer) error {
	if !openai.ValidObject(message) {
		return openai.UpstreamBroken("Try again: the provider's answer is not valid JSON.")
	}
	m := gjson.ParseBytes(message)
	if e := openai.Reported(m); e != nil {
		return e
	}
	if result := m.Get("result"); result.IsObject() {
		m = result
	}
	if m.Get("choices").Exists() {
		return openai.DecodeChatObject(m, a)
	}
	openai.DecodeUsage(m.Get("usage"), a)
	response, calls := m.Get("response"), m.Get("tool_calls")
	if !response.Exists() && !calls.Exists() && !m.Get("finish_reason").Exists() {
		return nil
	}
	if response.IsArray() { // an answer in JSON, whatever it looks like
		a.Text(0, openai.Compact(response.Raw))
	} else {
		a.Text(0, openai.Text(response))
	}
	openai.DecodeCalls(0, calls, a)
	if reason := m.Get("finish_reason").Str; reason != "" {
		a.FinishLast(0, reason)
	}
	return nil
}
