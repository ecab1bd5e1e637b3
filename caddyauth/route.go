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

// destination is what the method and the path of a request ask for.
type destination struct {
	// format is the format of errors. It is set even if nothing is served.
	format hub.Format

	// name is the format's name in the log. It is empty if the request is not for a model.
	name     string
	endpoint hub.Endpoint

	// models says that the request is about models. model is then the model in the path, or empty for the
	// list. On Gemini's paths, models is false and model is the model that the request is for.
	models bool
	model  string

	// stream says that the path asks for a stream, as one of Gemini's does.
	stream bool

	// usage says that the user asks what they have used.
	usage bool

	// probe says that the client only checks whether the server answers.
	probe bool
}

// posts are the paths for POST requests, without /v1.
var posts = map[string]destination{
	"/chat/completions":      {format: openai.Format{}, name: "chat", endpoint: hub.Chat},
	"/completions":           {format: openai.Format{}, name: "completions", endpoint: hub.Completions},
	"/responses":             {format: openai.ResponsesFormat{}, name: "responses", endpoint: hub.Responses},
	"/embeddings":            {format: openai.Format{}, name: "embeddings", endpoint: hub.Embeddings},
	"/messages":              {format: anthropic.Format{}, name: "messages", endpoint: hub.Messages},
	"/messages/count_tokens": {format: anthropic.Format{}, name: "messages", endpoint: hub.MessageTokens},
}

// route returns the destination of a request. The /v1 may be missing, because some clients have it in their
// base URL and others add it. HEAD is served wherever GET is (RFC 9110, section 9.1), and the server drops
// the body. For a wrong method, route sets the Allow header that status 405 requires (RFC 9110, section
// 15.5.6).
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
	// r.URL.Path is unescaped, so it does not matter whether the model's slashes are escaped as %2F.
	rest, ok := strings.CutPrefix(path, "/models")
	model, one := strings.CutPrefix(rest, "/")
	switch {
	case path == "/" && r.Method == http.MethodHead:
		// Claude Code sends this request before all others, without credentials.
		return destination{format: openai.Format{}, probe: true}, nil
	case path == "/usage":
		return destination{format: openai.Format{}, usage: true}, allow(w, r, http.MethodGet, http.MethodHead)
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

// routeGemini returns the destination of a path after /v1beta: /models/{model}:{method}.
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

// allow returns an error if the request's method is not one of methods.
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

// noWebSocket is the answer to Codex, which tries a WebSocket first. After status 426 it sends a POST at
// once. After any other status it tries four more times. The key is not checked before this answer: a wrong
// key would count as a failed sign-in, and then count again with the POST. RFC 9110, section 15.5.22,
// requires the headers.
var noWebSocket = &hub.Error{
	Status: http.StatusUpgradeRequired, Code: "upgrade_required", Final: true,
	Message: "Send a POST request to this path: WebSockets are not served here.",
}

var notFound = &hub.Error{
	Status: http.StatusNotFound, Code: "not_found", Final: true,
	Message: "Check the base URL: there are only /v1/chat/completions, /v1/completions, /v1/responses, /v1/messages, /v1/embeddings, /v1/models, /v1/usage and /v1beta/models/{model}:generateContent here.",
}
