// Package provider knows the AI providers behind Cloudflare AI Gateway: the provider of each model, the form
// of a request to it, and the way its answers are translated for the client.
package provider

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/continue-auth/caddy-continue-auth/provider/anthropic"
	"github.com/continue-auth/caddy-continue-auth/provider/azureopenai"
	"github.com/continue-auth/caddy-continue-auth/provider/compat"
	"github.com/continue-auth/caddy-continue-auth/provider/googleaistudio"
	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/openai"
	"github.com/continue-auth/caddy-continue-auth/provider/workersai"
)

// Provider turns clients' requests into requests to one AI provider.
type Provider interface {
	// Accepts returns an *hub.Error if the name cannot be one of the provider's models.
	Accepts(model string) error

	// Call returns the request to the gateway for r. r.Model must have been accepted. Call may edit r.Body in
	// place. Its errors are *hub.Error.
	Call(r *hub.Request) (*hub.Call, error)
}

// Providers holds the AI providers, together with what they remember of their users.
type Providers struct {
	named map[string]Provider
}

// New returns the providers. They remember nothing yet.
func New() *Providers {
	return &Providers{named: map[string]Provider{
		"anthropic":        anthropic.Provider{},
		"workers-ai":       workersai.Provider{},
		"azure-openai":     azureopenai.Provider{},
		"google-ai-studio": googleaistudio.Provider{Signatures: googleaistudio.NewSignatures()},
	}}
}

// Call returns the request to the gateway for r. The provider must have accepted r.Model. Call may edit
// r.Body in place. Its errors are *hub.Error.
func (p *Providers) Call(r *hub.Request) (*hub.Call, error) {
	asked := r.Endpoint
	r, err := p.asChat(r)
	if err != nil {
		return nil, err
	}
	call, err := p.For(r.Provider).Call(r)
	switch {
	case err != nil && asked == hub.Responses:
		return nil, openai.InResponse(err)
	case err != nil:
		return nil, err
	}
	call.Chat = r.Endpoint == hub.Chat || r.Endpoint == hub.Completions
	return call, nil
}

// asChat returns r as a chat if r's provider does not serve r's endpoint itself.
func (p *Providers) asChat(r *hub.Request) (*hub.Request, error) {
	switch r.Endpoint {
	case hub.Messages, hub.MessageTokens:
		switch {
		case r.Provider == "anthropic":
			return r, nil
		case r.Endpoint == hub.MessageTokens && r.Provider != "google-ai-studio":
			return nil, hub.ModelNotFound("Estimate the tokens: only Anthropic and Google AI Studio count them.")
		}
		return anthropic.ToChat(r)
	case hub.Responses:
		if r.Provider == "openai" || r.Provider == "azure-openai" {
			return r, r.Remove(openai.ClientMetadata)
		}
		return openai.ToChat(r)
	case hub.Gemini, hub.GeminiTokens:
		if r.Provider != "google-ai-studio" {
			return nil, hub.ModelNotFound("Choose a model of google-ai-studio: this path is served for no other provider.")
		}
	}
	return r, nil
}

// For returns the provider of that name. Providers without one of their own get the gateway's
// OpenAI-compatible route.
func (p *Providers) For(name string) Provider {
	if named, ok := p.named[name]; ok {
		return named
	}
	return compat.Provider{}
}

// Split splits a model's name into provider and model. A name becomes a part of URLs, so Split refuses with
// 404 a name that could change the rest of a URL: one with empty parts, `.` or `..`, `?`, `#`, `%`, `\`,
// white space, control characters, or invalid UTF-8. A provider's name may only have lower-case letters,
// digits, `-`, `_` and `.`. Split also refuses very long names, because caches keep the names that are looked
// up.
func Split(name string) (provider, model string, err error) {
	provider, model, ok := strings.Cut(name, "/")
	if !ok {
		return "", "", hub.ModelNotFound("Name the model as \"<provider>/<model>\", for example \"workers-ai/@cf/meta/llama-3.1-8b-instruct\".")
	}
	if !validProvider(provider) || !validModel(model) {
		return "", "", hub.ModelNotFound("Check the model's name: it has empty parts or characters that no model has.")
	}
	return provider, model, nil
}

// The maximum length of a provider's and a model's name, in bytes.
const (
	maxProvider = 64
	maxModel    = 512
)

func validProvider(name string) bool {
	if len(name) > maxProvider {
		return false
	}
	for _, c := range []byte(name) {
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.') {
			return false
		}
	}
	return name != "" && name[0] != '.'
}

func validModel(name string) bool {
	if !utf8.ValidString(name) || len(name) > maxModel {
		return false
	}
	for segment := range strings.SplitSeq(name, "/") {
		if segment == "" || strings.Contains(segment, "..") || segment == "." {
			return false
		}
	}
	return !strings.ContainsFunc(name, func(c rune) bool {
		return c == ' ' || c == '?' || c == '#' || c == '%' || c == '\\' || !unicode.IsPrint(c) // IsPrint refuses other white space
	})
}
