package hub

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"
)

// googleError is the error that Google reports as said, {"code","message","status","details"}, with an
// HTTP status (https://ai.google.dev/gemini-api/docs/troubleshooting). What it says of the operator's
// own project stays here.
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

// isGoogles tells Google's errors by their `status`, or where that is missing by a `code` that is a number:
// of the others, who have numbers too, OpenAI's shape has a type or a param, and OpenRouter's metadata, or a
// member beside `error`.
func isGoogles(r *report) bool {
	said := r.error
	if said.Get("status").Type == gjson.String {
		return true
	}
	code := said.Get("code")
	return r.members == 1 && code.Type == gjson.Number && httpStatus(code) > 0 &&
		!said.Get("type").Exists() && !said.Get("param").Exists() && !said.Get("metadata").Exists()
}

// exhausted tells a limit that is over soon, with the seconds to wait if Google says so, from one
// of a whole day.
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
