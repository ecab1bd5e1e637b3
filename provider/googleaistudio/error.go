package googleaistudio

import (
	"net/http"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/continue-auth/caddy-continue-auth/provider/openai"
)

// apiError is the error that Google reports within an answer it has begun
// (https://ai.google.dev/gemini-api/docs/troubleshooting). What it says of the operator's own
// project stays here.
func apiError(said gjson.Result) *openai.Error {
	status := said.Get("status").Str
	e := &openai.Error{
		Status:  int(said.Get("code").Int()),
		Message: said.Get("message").Str,
		Code:    strings.ToLower(status),
	}
	switch {
	case said.Get(`details.#(reason=="API_KEY_INVALID")`).Exists() || e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden ||
		status == "UNAUTHENTICATED" || status == "PERMISSION_DENIED":
		return &openai.Error{
			Status: http.StatusBadGateway, Code: "upstream_auth_failed", Final: true,
			Message: "Tell whoever runs this server: the AI gateway or the provider refuses the server's own credentials.",
		}
	case status == "FAILED_PRECONDITION":
		return &openai.Error{
			Status: http.StatusBadGateway, Code: "upstream_misconfigured", Final: true,
			Message: "Tell whoever runs this server: Google refuses the server's location or billing.",
		}
	case status == "NOT_FOUND":
		e.Status, e.Code, e.Param = http.StatusNotFound, "model_not_found", "model"
	case status == "RESOURCE_EXHAUSTED":
		e.Status, e.Code = http.StatusTooManyRequests, "rate_limit_exceeded"
	}
	if e.Status < 400 || e.Status > 599 {
		e.Status = http.StatusBadGateway
	}
	if e.Message == "" {
		e.Message = "Try again: the provider reported an error without a message."
	}
	e.Final = e.Status < 500 && e.Status != http.StatusTooManyRequests
	return e
}
