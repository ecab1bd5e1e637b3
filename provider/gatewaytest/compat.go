package gatewaytest

import (
	"net/http"
	"strings"
)

// compatProviders are the providers that the OpenAI-compatible route accepts. `dynamic` is for the
// operator's own routes. Azure OpenAI is not among them
// (https://developers.cloudflare.com/ai-gateway/usage/chat-completion/).
var compatProviders = map[string]bool{
	"anthropic": true, "baseten": true, "cerebras": true, "cohere": true, "deepseek": true, "dynamic": true,
	"google-ai-studio": true, "google-vertex-ai": true, "grok": true, "groq": true, "mistral": true, "openai": true,
	"parallel": true, "perplexity": true, "perplexity-ai": true, "workers-ai": true, "xai": true,
}

// compat answers as the gateway's OpenAI-compatible route. Its models are named <provider>/<model>.
func (c *call) compat() *answer {
	name := str(c.body, "model")
	_, model, ok := strings.Cut(name, "/")
	switch {
	case c.bodyErr != nil || !ok || model == "":
		return gatewayFailure(http.StatusBadRequest, 2019, "Chat completion bad format")
	case c.provider == "":
		return gatewayFailure(http.StatusBadRequest, 2008, "Invalid provider")
	case !c.authorized() && c.provider == "workers-ai":
		return apiFailure(http.StatusUnauthorized, 10000, "Authentication error")
	case !c.authorized():
		return wrongKey(c.request.Header.Get("Authorization"))
	}
	switch c.path {
	case "chat/completions":
		return c.compatChat(model)
	case "embeddings":
		if refused := checkOpenAI(c.body, embeddingFields); refused != nil {
			return refused
		}
		return c.embeddings(model)
	}
	return noRoute("compat/" + c.path)
}

func (c *call) compatChat(model string) *answer {
	check := checkMessages
	if c.provider == "openai" {
		check = func(body object) *answer { return checkChat(body, model) }
	}
	if refused := check(c.body); refused != nil {
		return refused
	}
	a := c.chatAnswer(c.chatQuestion(model)).answer()
	if c.provider == "dynamic" {
		a.header = http.Header{"Cf-Aig-Model": {model}, "Cf-Aig-Provider": {"openai"}}
	}
	return a
}

// openAI answers as OpenAI's own API. The proxy uses only /responses of it.
func (c *call) openAI() *answer {
	switch {
	case !c.authorized():
		return wrongKey(c.request.Header.Get("Authorization"))
	case c.path != "responses":
		return openAIFailure(http.StatusNotFound, "Invalid URL (POST /v1/"+c.path+")", "invalid_request_error", "", "")
	case c.bodyErr != nil:
		return badJSON()
	}
	if refused := checkResponses(c.body); refused != nil {
		return refused
	}
	model := str(c.body, "model")
	if model == "" || strings.Contains(model, "/") {
		return openAIFailure(http.StatusNotFound, "The model '"+model+"' does not exist or you do not have access to it.",
			"invalid_request_error", "", "model_not_found")
	}
	return c.responses(model)
}

// wrongKey returns OpenAI's error for a wrong key. It quotes a masked form of the key.
func wrongKey(authorization string) *answer {
	key := strings.TrimPrefix(authorization, "Bearer ")
	if key == "" {
		return openAIFailure(http.StatusUnauthorized, "You didn't provide an API key.", "invalid_request_error", "", "")
	}
	return openAIFailure(http.StatusUnauthorized, "Incorrect API key provided: "+mask(key)+".", "invalid_request_error", "", "invalid_api_key")
}
