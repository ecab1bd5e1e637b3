package caddyauth

import (
	"net/http"
	"slices"
	"strings"

	"github.com/continue-auth/caddy-continue-auth/provider/anthropic"
	"github.com/continue-auth/caddy-continue-auth/provider/googleaistudio"
	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/openai"
)

// destination is what a request's method and path ask for.
type destination struct {
	// format is that of errors, also where nothing is served.
	format hub.Format

	// name is the format's in the log; empty where the request is not for a model.
	name     string
	endpoint hub.Endpoint

	// models says that the request is about models rather than for one. model is the one asked about, or
	// empty for the list. On Gemini's paths it is the model that the request is for.
	models bool
	model  string

	// stream says that the path asks for a stream, as Gemini's do.
	stream bool

	// probe says that the client asks only whether somebody is there.
	probe bool
}

// posts are the paths that take POST, without /v1.
var posts = map[string]destination{
	"/chat/completions":      {format: openai.Format{}, name: "chat", endpoint: hub.Chat},
	"/completions":           {format: openai.Format{}, name: "completions", endpoint: hub.Completions},
	"/responses":             {format: openai.ResponsesFormat{}, name: "responses", endpoint: hub.Responses},
	"/embeddings":            {format: openai.Format{}, name: "embeddings", endpoint: hub.Embeddings},
	"/messages":              {format: anthropic.Format{}, name: "messages", endpoint: hub.Messages},
	"/messages/count_tokens": {format: anthropic.Format{}, name: "messages", endpoint: hub.MessageTokens},
}

// route finds the destination of a request. Clients differ in whether their base URL ends in /v1.
// HEAD is served wherever GET is (RFC 9110, section 9.1); the server drops the body.
// For a wrong method it sets the Allow header that status 405 needs (RFC 9110, section 15.5.6).
func route(w http.ResponseWriter, r *http.Request) (destination, error) {
	if rest, ok := strings.CutPrefix(r.URL.Path, "/v1beta"); ok && (rest == "" || rest[0] == '/') {
		to, err := routeGemini(rest)
		if err == nil {
			err = allow(w, r, http.MethodPost)
		}
		return to, err
	}
	path := strings.TrimPrefix(r.URL.Path, "/v1")
	if to, ok := posts[path]; ok {
		if to.endpoint == hub.Responses && r.Method == http.MethodGet && strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
			w.Header().Set("Upgrade", "HTTP/1.1")
			w.Header().Set("Connection", "Upgrade")
			return to, noWebSocket
		}
		return to, allow(w, r, http.MethodPost)
	}
	// r.URL.Path is unescaped: the model's slashes may come as %2F or as they are.
	rest, ok := strings.CutPrefix(path, "/models")
	model, one := strings.CutPrefix(rest, "/")
	switch {
	case path == "/" && r.Method == http.MethodHead:
		// Claude Code sends it before anything else, without credentials.
		return destination{format: openai.Format{}, probe: true}, nil
	case ok && (rest == "" || one && model != ""):
		to := destination{format: openai.Format{}, models: true, model: model}
		if listFormatOf(r) == anthropicList {
			to.format = anthropic.Format{}
		}
		return to, allow(w, r, http.MethodGet, http.MethodHead)
	case strings.HasPrefix(path, "/messages/"):
		return destination{format: anthropic.Format{}}, notFound
	}
	return destination{format: openai.Format{}}, notFound
}

// routeGemini finds the destination of a path behind /v1beta: /models/{model}:{method}.
func routeGemini(path string) (destination, error) {
	to := destination{format: googleaistudio.Format{}, name: "gemini", endpoint: hub.Gemini}
	rest, ok := strings.CutPrefix(path, "/models/")
	colon := strings.LastIndexByte(rest, ':')
	if !ok || colon < 1 {
		return destination{format: to.format}, notFound
	}
	to.model = rest[:colon]
	switch rest[colon+1:] {
	case "generateContent":
	case "streamGenerateContent":
		to.stream = true
	case "countTokens":
		to.endpoint = hub.GeminiTokens
	default:
		return destination{format: to.format}, notFound
	}
	return to, nil
}

// allow refuses other methods than these.
func allow(w http.ResponseWriter, r *http.Request, methods ...string) error {
	if slices.Contains(methods, r.Method) {
		return nil
	}
	w.Header().Set("Allow", strings.Join(methods, ", "))
	return &hub.Error{
		Status: http.StatusMethodNotAllowed, Code: "method_not_allowed", Final: true,
		Message: "Send " + methods[0] + " requests to this path.",
	}
}

// parse reads the body of a request for a model.
func (to *destination) parse(body []byte) (*hub.Request, error) {
	switch to.endpoint {
	case hub.Messages, hub.MessageTokens:
		return anthropic.ParseRequest(to.endpoint, body)
	case hub.Gemini, hub.GeminiTokens:
		return googleaistudio.ParseRequest(to.endpoint, to.model, to.stream, body)
	}
	return openai.ParseRequest(to.endpoint, body)
}

// noWebSocket is for Codex, which first tries a WebSocket. At status 426 it goes on with POST at once, at any
// other it tries four times more. It gets it before its key is looked at: a wrong key would be refused
// there too, and count for one more failed sign-in, which the POST behind it is going to be anyway.
// RFC 9110, section 15.5.22, has the headers.
var noWebSocket = &hub.Error{
	Status: http.StatusUpgradeRequired, Code: "upgrade_required", Final: true,
	Message: "Send a POST request to this path: WebSockets are not served here.",
}

var notFound = &hub.Error{
	Status: http.StatusNotFound, Code: "not_found", Final: true,
	Message: "Check the base URL: there are only /v1/chat/completions, /v1/completions, /v1/responses, /v1/messages, /v1/embeddings, /v1/models and /v1beta/models/{model}:generateContent here.",
}
