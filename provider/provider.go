// Package provider knows the AI providers behind Cloudflare AI Gateway: which of them a model
// belongs to, what a request for it looks like there, and how its answer becomes OpenAI's.
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

// Provider turns OpenAI's requests into those of one AI provider.
type Provider interface {
	// Accepts returns an *hub.Error if the provider has no model of such a name, as far as the
	// name alone tells.
	Accepts(model string) error

	// Call returns what goes upstream for r, whose Model is accepted. It may edit r.Body in place.
	// Its errors are *hub.Error.
	Call(r *hub.Request) (*hub.Call, error)
}

// Providers are the AI providers, with what they remember of their users.
type Providers struct {
	named map[string]Provider
}

// New makes the providers, which remember nothing yet.
func New() *Providers {
	return &Providers{named: map[string]Provider{
		"anthropic":        anthropic.Provider{},
		"workers-ai":       workersai.Provider{},
		"azure-openai":     azureopenai.Provider{},
		"google-ai-studio": googleaistudio.Provider{Signatures: googleaistudio.NewSignatures()},
	}}
}

// Call returns what goes upstream for r, whose Model its provider accepts. It may edit r.Body in place. A request
// that goes upstream as a chat gets the Endpoint of one. Its errors are *hub.Error.
func (p *Providers) Call(r *hub.Request) (*hub.Call, error) {
	only := ""
	switch r.Endpoint {
	case hub.Messages, hub.MessageTokens:
		only = "anthropic"
	case hub.Gemini, hub.GeminiTokens:
		only = "google-ai-studio"
	case hub.Responses:
		if r.Provider != "openai" && r.Provider != "azure-openai" {
			return p.respond(r)
		}
		if err := r.Remove(openai.ClientMetadata); err != nil {
			return nil, err
		}
	}
	if only != "" && r.Provider != only {
		return nil, hub.ModelNotFound("Choose a model of " + only + ": this path is served for no other provider.")
	}
	return p.For(r.Provider).Call(r)
}

// respond has a provider without a Responses API answer a request to it, by way of a chat.
func (p *Providers) respond(r *hub.Request) (*hub.Call, error) {
	chat, err := openai.ToChat(r)
	if err != nil {
		return nil, err
	}
	r.Endpoint = chat.Endpoint // so that the operator's settings for chats count
	call, err := p.For(r.Provider).Call(chat)
	return call, openai.InResponse(err)
}

// For returns the provider of that name: one that needs more than the gateway's OpenAI-compatible
// route, or that route, which takes all others.
func (p *Providers) For(name string) Provider {
	if named, ok := p.named[name]; ok {
		return named
	}
	return compat.Provider{}
}

// Split cuts a model's name into provider and model. It refuses, with 404, what could leave its
// place in a URL: empty parts, `.` and `..`, `?`, `#`, `%`, `\`, white space and control
// characters, text that is not UTF-8, a provider's name of other than lower-case letters, digits, `-`,
// `_` and `.`, and names that are longer than any: they are kept by those who look them up.
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

// How many bytes the two sides of a name may have.
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
		return c == ' ' || c == '?' || c == '#' || c == '%' || c == '\\' || !unicode.IsPrint(c) // nor is other white space
	})
}
