// Package azureopenai implements the provider for Azure OpenAI behind the AI Gateway. The path of a request
// names the resource and the deployment
// (https://developers.cloudflare.com/ai-gateway/usage/providers/azureopenai/).
package azureopenai

import (
	"strings"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/openai"
)

// stopWords is how many stop words Azure accepts.
const stopWords = 4

// Provider sends requests to a deployment.
type Provider struct{}

// Accepts accepts "<instance>/<deployment>". The gateway makes a host name of the instance.
func (Provider) Accepts(model string) error {
	instance, deployment, _ := strings.Cut(model, "/")
	if !consistsOf(instance, "-_") || !consistsOf(deployment, "-_.") {
		return hub.ModelNotFound("Name the model as \"azure-openai/<instance>/<deployment>\".")
	}
	return nil
}

// Call returns the request to the gateway for r.
func (Provider) Call(r *hub.Request) (*hub.Call, error) {
	instance, deployment, _ := strings.Cut(r.Model, "/")
	base := "azure-openai/" + instance + "/"
	switch r.Endpoint {
	case hub.Completions:
		r.AskForUsage()
		return completion(r, base, deployment)
	case hub.Responses:
		r.SetModel(deployment)
		return &hub.Call{Path: base + "openai/responses", Body: r.Body, Translate: openai.TranslateResponse(r.Stream)}, nil
	case hub.Embeddings:
		r.SetModel(deployment)
		return &hub.Call{Path: base + deployment + "/embeddings", Body: r.Body}, nil
	default: // hub.Chat
		r.FitOpenAI(deployment) // which is mostly named after its model
		r.AskForUsage()
		rest, err := r.LimitStop(stopWords)
		if err != nil {
			return nil, err
		}
		r.SetModel(deployment)
		return &hub.Call{Path: base + deployment + "/chat/completions", Body: r.Body, Translate: openai.TranslateOdd(r.Form(rest))}, nil
	}
}

// completion sends a text completion as a chat, because newer models accept only chats.
func completion(r *hub.Request, base, deployment string) (*hub.Call, error) {
	body, rest, err := r.ChatFromCompletion(deployment, stopWords)
	if err != nil {
		return nil, err
	}
	return &hub.Call{
		Path:      base + deployment + "/chat/completions",
		Body:      body,
		Translate: hub.Translate(r.Form(rest), openai.DecodeChat),
	}, nil
}

// consistsOf reports whether s is not empty and consists of ASCII letters, digits and the characters in
// others.
func consistsOf(s, others string) bool {
	for _, c := range []byte(s) {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte(others, c) >= 0) {
			return false
		}
	}
	return s != ""
}
