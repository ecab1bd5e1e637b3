package openai

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
	if e.Status < 400 || e.Status > 599 {
		e.Status = http.StatusBadGateway
	}
	if e.Message == "" {
		e.Message = "Try again: the provider reported an error without a message."
	}
	return e
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
