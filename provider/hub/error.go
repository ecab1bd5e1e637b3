package hub

import "net/http"

// Party is who refuses a request.
type Party string

// The parties that a request reaches, in this order.
const (
	Proxy    Party = ""         // this server
	Gateway  Party = "gateway"  // Cloudflare
	Provider Party = "provider" // the AI provider
)

// Error is an error for the client. It is independent of any format: the client's Format writes it.
type Error struct {
	// Status is the HTTP status. Formats derive their type of error from it.
	Status int

	// Message tells the user in its first sentence what to do. The client gets it, so it must not contain a
	// key, token, namespace id or internal address.
	Message string

	// Param is the request field at fault, Code the machine-readable reason. Empty means null.
	Param, Code string

	// RetryAfter is the value of the Retry-After header. Empty means no header.
	RetryAfter string

	// From is who refuses. The client does not get it.
	From Party

	// Final says that sending the same request again cannot help. Clients are told with the header
	// x-should-retry: false.
	Final bool
}

// BadRequest returns an error with status 400 about param, which may be empty.
func BadRequest(param, message string) *Error {
	return &Error{Status: http.StatusBadRequest, Message: message, Param: param, Code: "invalid_request_error", Final: true}
}

// ModelNotFound returns an error with status 404 about `model`.
func ModelNotFound(message string) *Error {
	return &Error{Status: http.StatusNotFound, Message: message, Param: "model", Code: "model_not_found", Final: true}
}

// UpstreamBroken returns an error with status 502: the provider's answer is malformed or was cut off.
func UpstreamBroken(message string) *Error {
	return &Error{Status: http.StatusBadGateway, Message: message, Code: "upstream_invalid_response"}
}

// UpstreamRefused returns an error with status 502: the gateway or the provider refuses the operator's
// credentials. The client's key is valid.
func UpstreamRefused() *Error {
	return &Error{
		Status: http.StatusBadGateway, Code: "upstream_auth_failed", Final: true,
		Message: "Tell whoever runs this server: the AI gateway or the provider refuses the server's own credentials.",
	}
}

// UpstreamMisconfigured returns an error with status 502: the operator's settings cannot work.
func UpstreamMisconfigured(message string) *Error {
	return &Error{Status: http.StatusBadGateway, Code: "upstream_misconfigured", Final: true, Message: message}
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

// Errors about an answer as a whole.
var (
	ErrUnreadable  = UpstreamBroken("Try again: the provider's answer is not valid JSON.")
	ErrEmpty       = UpstreamBroken("Try again: the provider's answer is empty.")
	ErrUnnamedCall = UpstreamBroken("Try again: the model called a function without naming it.")
	ErrIncomplete  = UpstreamBroken("Try again: the provider's answer ended before it was complete.")
)
