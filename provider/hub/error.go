package hub

import "net/http"

// Party is who refuses a request.
type Party string

// The parties that a request passes.
const (
	Proxy    Party = ""         // this server
	Gateway  Party = "gateway"  // Cloudflare
	Provider Party = "provider" // the AI provider
)

// Error is an error that the client is told of. It knows no format: the client's Format writes it.
type Error struct {
	// Status is the HTTP status. A format's type of error follows from it.
	Status int

	// Message tells the user what to do, in its first sentence. It reaches the client: no key,
	// token, namespace id or internal address may be in it.
	Message string

	// Param is the field at fault, Code the machine-readable reason; empty means null.
	Param, Code string

	// RetryAfter is the value of the Retry-After header, if there is to be one.
	RetryAfter string

	// From is who refuses. The client is not told.
	From Party

	// Final says that sending the same request again cannot help. The header x-should-retry: false tells
	// clients so.
	Final bool
}

// BadRequest is an error with status 400 about param, which may be empty.
func BadRequest(param, message string) *Error {
	return &Error{Status: http.StatusBadRequest, Message: message, Param: param, Code: "invalid_request_error", Final: true}
}

// ModelNotFound is an error with status 404 about `model`.
func ModelNotFound(message string) *Error {
	return &Error{Status: http.StatusNotFound, Message: message, Param: "model", Code: "model_not_found", Final: true}
}

// UpstreamBroken is an error with status 502: the provider's answer makes no sense or was cut off.
func UpstreamBroken(message string) *Error {
	return &Error{Status: http.StatusBadGateway, Message: message, Code: "upstream_invalid_response"}
}

// UpstreamRefused is an error with status 502: somebody upstream does not take the operator's
// credentials. The client's key was fine.
func UpstreamRefused() *Error {
	return &Error{
		Status: http.StatusBadGateway, Code: "upstream_auth_failed", Final: true,
		Message: "Tell whoever runs this server: the AI gateway or the provider refuses the server's own credentials.",
	}
}

// UpstreamMisconfigured is an error with status 502: settings of the operator's cannot work.
func UpstreamMisconfigured(message string) *Error {
	return &Error{Status: http.StatusBadGateway, Code: "upstream_misconfigured", Final: true, Message: message}
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

// What may be wrong with an answer as a whole.
var (
	ErrUnreadable = UpstreamBroken("Try again: the provider's answer is not valid JSON.")
	ErrEmpty      = UpstreamBroken("Try again: the provider's answer is empty.")
	ErrIncomplete = UpstreamBroken("Try again: the provider's answer ended before it was complete.")
)
