package caddyauth

import (
	"net/http"
	"slices"
	"strings"

	"github.com/continue-auth/caddy-continue-auth/provider/openai"
)

// destination is what a request's method and path ask for.
type destination struct {
	endpoint openai.Endpoint

	// models says that it is about models rather than for one; model is the one asked about, or
	// empty for the list.
	models bool
	model  string

	// probe says that the client asks only whether somebody is there.
	probe bool
}

// route finds the destination of a request. Clients differ in whether their base URL ends in /v1.
// HEAD is served wherever GET is (RFC 9110, section 9.1); the server drops the body.
// For a wrong method it sets the Allow header that status 405 needs (RFC 9110, section 15.5.6).
func route(w http.ResponseWriter, r *http.Request) (destination, error) {
	path := strings.TrimPrefix(r.URL.Path, "/v1")
	to := destination{}
	methods := []string{http.MethodPost}
	switch path {
	case "/chat/completions":
		to.endpoint = openai.Chat
	case "/completions":
		to.endpoint = openai.Completions
	case "/responses":
		to.endpoint = openai.Responses
	case "/embeddings":
		to.endpoint = openai.Embeddings
	case "/":
		// Claude Code sends it before anything else, without credentials.
		if r.Method != http.MethodHead {
			return to, notFound
		}
		to.probe = true
		return to, nil
	default:
		// r.URL.Path is unescaped: the model's slashes may come as %2F or as they are.
		rest, ok := strings.CutPrefix(path, "/models")
		model, one := strings.CutPrefix(rest, "/")
		if !ok || rest != "" && (!one || model == "") {
			return to, notFound
		}
		to.models, to.model = true, model
		methods = []string{http.MethodGet, http.MethodHead}
	}
	if path == "/responses" && r.Method == http.MethodGet && strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		w.Header().Set("Upgrade", "HTTP/1.1")
		w.Header().Set("Connection", "Upgrade")
		return to, noWebSocket
	}
	if !slices.Contains(methods, r.Method) {
		w.Header().Set("Allow", strings.Join(methods, ", "))
		return to, &openai.Error{
			Status: http.StatusMethodNotAllowed, Code: "method_not_allowed", Final: true,
			Message: "Send " + methods[0] + " requests to this path.",
		}
	}
	return to, nil
}

// noWebSocket is for Codex, which first tries a WebSocket. At status 426 it goes on with POST at once, at any
// other it tries four times more. It gets it before its key is looked at: a wrong key would be refused
// there too, and count for one more failed sign-in, which the POST behind it is going to be anyway.
// RFC 9110, section 15.5.22, has the headers.
var noWebSocket = &openai.Error{
	Status: http.StatusUpgradeRequired, Code: "upgrade_required", Final: true,
	Message: "Send a POST request to this path: WebSockets are not served here.",
}

var notFound = &openai.Error{
	Status: http.StatusNotFound, Code: "not_found", Final: true,
	Message: "Check the base URL: there are only /v1/chat/completions, /v1/completions, /v1/responses, /v1/embeddings and /v1/models here.",
}
