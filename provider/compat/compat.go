// Package compat implements the provider for the AI Gateway's OpenAI-compatible route. The route accepts
// every provider that the gateway knows, by the prefix of the model's name
// (https://developers.cloudflare.com/ai-gateway/usage/chat-completion/).
package compat

import (
	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/openai"
)

// stopWords is how many stop words OpenAI accepts. No other provider accepts fewer.
const stopWords = 4

// Provider sends requests to the route unchanged, except text completions, which become chats.
type Provider struct{}

// Accepts accepts every model: only the gateway knows which ones exist.
func (Provider) Accepts(string) error { return nil }

// Call returns the request to the gateway for r.
func (Provider) Call(r *hub.Request) (*hub.Call, error) {
	switch r.Endpoint {
	case hub.Chat:
		if r.Provider == "openai" {
			r.FitOpenAI(r.Model)
		}
		r.AskForUsage()
		rest, err := r.LimitStop(stopWords)
		if err != nil {
			return nil, err
		}
		return &hub.Call{Path: "compat/chat/completions", Body: r.Body, Translate: openai.TranslateOdd(r.Form(rest))}, nil
	case hub.Completions:
		r.AskForUsage()
		body, rest, err := r.ChatFromCompletion(r.Provider+"/"+r.Model, stopWords)
		if err != nil {
			return nil, err
		}
		return &hub.Call{
			Path:      "compat/chat/completions",
			Body:      body,
			Translate: hub.Translate(r.Form(rest), openai.DecodeChat),
		}, nil
	case hub.Responses: // of OpenAI itself
		r.SetModel(r.Model)
		return &hub.Call{Path: "openai/responses", Body: r.Body, Translate: openai.TranslateResponse(r.Stream)}, nil
	default: // hub.Embeddings
		return &hub.Call{Path: "compat/embeddings", Body: r.Body}, nil
	}
}
