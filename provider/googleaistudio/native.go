package googleaistudio

import (
	"github.com/tidwall/gjson"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
)

// ParseRequest reads a request in Gemini's own format. name and stream come from the URL, which names the
// model and the method. ParseRequest keeps body. Its errors are *hub.Error with status 400.
func ParseRequest(endpoint hub.Endpoint, name string, stream bool, body []byte) (*hub.Request, error) {
	if _, err := jsontext.ScanObject(body, nil); err != nil {
		return nil, hub.BadRequest("", "Send a JSON object: "+err.Error()+".")
	}
	// The allow-list is checked against the URL alone.
	for _, field := range []string{"model", "generateContentRequest.model"} {
		if gjson.GetBytes(body, field).Exists() {
			return nil, hub.BadRequest(field, "Leave `"+field+"` out: the URL names the model.")
		}
	}
	return &hub.Request{Endpoint: endpoint, Format: Format{}, Name: name, Stream: stream, Body: body}, nil
}

// native returns the call for a request in Gemini's own format. The body passes unchanged.
func native(r *hub.Request) *hub.Call {
	call := &hub.Call{Path: "google-ai-studio/v1beta/models/" + r.Model, Body: r.Body, WithoutQuery: "alt", OwnError: ownError}
	switch {
	case r.Endpoint == hub.GeminiTokens:
		call.Path += ":countTokens"
	case !r.Stream:
		call.Path += ":generateContent"
	default:
		call.Path += ":streamGenerateContent"
		if r.Query.Get("alt") == "sse" {
			call.Query = "alt=sse"
		}
	}
	return call
}

// ownError returns the body if it is an error of Google's, without the ids of the operator's projects.
// Otherwise it returns nil.
func ownError(body []byte) []byte {
	if !jsontext.ValidObject(body) {
		return nil
	}
	e := gjson.GetBytes(body, "error")
	if e.Get("code").Type != gjson.Number || e.Get("message").Type != gjson.String || e.Get("status").Type != gjson.String {
		return nil
	}
	return hub.WithoutIDs(body)
}
