// Package googleaistudio is Google AI Studio's Gemini API behind the AI Gateway.
package googleaistudio

import "github.com/continue-auth/caddy-continue-auth/provider/openai"

// Provider translates requests to Gemini's generateContent and embedContent.
type Provider struct{}

// Call returns the request for r.
func (Provider) Call(r *openai.Request) (*openai.Call, error) { return nil, nil }
