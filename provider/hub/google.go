package hub

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"
)

// googleError converts an error of Google, {"code","message","status","details"}, with an HTTP status
// (https://ai.google.dev/gemini-api/docs/troubleshooting). The client must not see messages about the
// operator's own project.
func googleError(status int, said gjson.Result) *Error {
	name := said.Get("status").Str
	e := &Error{Status: status, Message: said.Get("message").Str, Code: strings.ToLower(name)}
	switch {
	case said.Get(`details.#(reason=="API_KEY_INVALID")`).Exists() || status == http.StatusUnauthorized || status == http.StatusForbidden ||
		name == "UNAUTHENTICATED" || name == "PERMISSION_DENIED":
		return UpstreamRefused()
	case name == "FAILED_PRECONDITION":
		return UpstreamMisconfigured("Tell whoever runs this server: Google refuses the server's location or billing.")
	case name == "NOT_FOUND":
		e.Status, e.Code, e.Param = http.StatusNotFound, "model_not_found", "model"
	case name == "RESOURCE_EXHAUSTED":
		e.Status = http.StatusTooManyRequests
		e.Code, e.RetryAfter = exhausted(said.Get("details"))
	}
	return e
}

// isGoogles reports whether an error is Google's. Google's have a text in `status`, or at least a number in
// `code`. Errors of OpenAI's shape may have such a number too, but they also have a type or a param.
// OpenRouter's have metadata, or a second member beside `error`.
func isGoogles(r *report) bool {
	said := r.error
	if said.Get("status").Type == gjson.String {
		return true
	}
	code := said.Get("code")
	return r.members == 1 && code.Type == gjson.Number && httpStatus(code) > 0 &&
		!said.Get("type").Exists() && !said.Get("param").Exists() && !said.Get("metadata").Exists()
}

// exhausted tells a limit that ends soon from one that lasts a whole day. retryAfter is in seconds, and empty
// if Google does not give a delay.
func exhausted(details gjson.Result) (code, retryAfter string) {
	delay, err := time.ParseDuration(details.Get(`#(retryDelay!="").retryDelay`).Str)
	if err == nil && delay > 0 {
		retryAfter = strconv.Itoa(int(math.Ceil(delay.Seconds())))
	}
	if strings.Contains(details.Raw, "PerDay") {
		return "insufficient_quota", retryAfter
	}
	return "rate_limit_exceeded", retryAfter
}
