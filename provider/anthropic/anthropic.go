// Package anthropic is Anthropic's Messages format, and Anthropic behind the AI Gateway
// (https://developers.cloudflare.com/ai-gateway/usage/providers/anthropic/). Requests and answers in that
// format pass as they are.
//
// The format follows https://docs.anthropic.com/en/api/messages and the types of
// github.com/anthropics/anthropic-sdk-go.
package anthropic

import (
	"maps"
	"net/http"
	"net/url"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/continue-auth/caddy-continue-auth/provider/compat"
	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
)

// Provider sends Messages to Anthropic's own API, and chats to the gateway's OpenAI-compatible route.
type Provider struct{ compat compat.Provider }

// Accepts takes all models: Anthropic knows them better.
func (Provider) Accepts(string) error { return nil }

// Call returns the request for r.
func (p Provider) Call(r *hub.Request) (*hub.Call, error) {
	path := "anthropic/v1/messages"
	switch r.Endpoint {
	case hub.Messages:
	case hub.MessageTokens:
		path += "/count_tokens"
	case hub.Embeddings:
		return nil, hub.ModelNotFound("Choose another provider's model: Anthropic has none for embeddings.")
	default:
		return p.compat.Call(r)
	}
	r.SetModel(r.Model)
	call := &hub.Call{
		Path:     path,
		Body:     r.Body,
		Header:   http.Header{"Anthropic-Version": {Version}},
		MayPass:  func(name string) bool { return strings.HasPrefix(name, "Anthropic-") },
		Settings: settings,
		OwnError: ownError,
	}
	if beta, ok := r.Query["beta"]; ok {
		call.Query = url.Values{"beta": beta}.Encode()
	}
	return call, nil
}

// Version is the version of the API that clients get who name none.
const Version = "2023-06-01"

// settings turns the key of the OpenAI-compatible route into that of Anthropic's own, unless the settings
// have one for the latter.
func settings(header http.Header) http.Header {
	key, bearer := strings.CutPrefix(header.Get("Authorization"), "Bearer ")
	if !bearer || !strings.HasPrefix(key, "sk-ant-") || header.Get("X-Api-Key") != "" {
		return header
	}
	header = maps.Clone(header)
	delete(header, "Authorization")
	header["X-Api-Key"] = []string{key}
	return header
}

// ownError returns a body that is an error of Anthropic's.
func ownError(body []byte) []byte {
	if !isError(body) {
		return nil
	}
	return body
}

// isError reports whether a body is an error of Anthropic's.
func isError(body []byte) bool {
	if !jsontext.ValidObject(body) {
		return false
	}
	e := gjson.ParseBytes(body)
	return e.Get("type").Str == "error" && e.Get("error.type").Type == gjson.String && e.Get("error.message").Type == gjson.String
}
