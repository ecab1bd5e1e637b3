package openai

import "net/http"

// The types of an Error. Continue's CLI sends a request again, up to 33 times, for the types
// `server_error` and `rate_limit_exceeded`; neither is ever used.
const (
	TypeInvalidRequest = "invalid_request_error"
	TypeAuthentication = "authentication_error"
	TypePermission     = "permission_error"
	TypeNotFound       = "not_found_error"
	TypeRateLimit      = "rate_limit_error"
	TypeAPI            = "api_error"
)

// Party is who refuses a request.
type Party string

// The parties that a request passes.
const (
	Proxy    Party = ""         // this server
	Gateway  Party = "gateway"  // Cloudflare
	Provider Party = "provider" // the AI provider
)

// Error is an error as OpenAI's clients read it.
type Error struct {
	// Status is the HTTP status. Type follows from it.
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

	// Final says that sending the same request again cannot help, which x-should-retry: false
	// tells OpenAI's clients.
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

// Type returns the type that belongs to the status.
func (e *Error) Type() string {
	switch {
	case e.Status == http.StatusUnauthorized:
		return TypeAuthentication
	case e.Status == http.StatusForbidden:
		return TypePermission
	case e.Status == http.StatusNotFound:
		return TypeNotFound
	case e.Status == http.StatusTooManyRequests:
		return TypeRateLimit
	case e.Status >= 500:
		return TypeAPI
	}
	return TypeInvalidRequest
}

// AppendJSON appends the body of an answer with this error.
func (e *Error) AppendJSON(b []byte) []byte { return e.append(b, e.Type()) }

// AppendFrame appends the event that ends a stream which has begun. Its type is always
// `api_error`: at others Continue's CLI sends the request again and glues the answers together.
func (e *Error) AppendFrame(b []byte) []byte {
	b = append(b, "data: "...)
	return append(e.append(b, TypeAPI), "\n\n"...)
}

func (e *Error) append(b []byte, kind string) []byte {
	b = append(b, `{"error":{"message":`...)
	b = AppendString(b, e.Message)
	b = append(b, `,"type":`...)
	b = AppendString(b, kind)
	b = append(b, `,"param":`...)
	b = appendNullable(b, e.Param)
	b = append(b, `,"code":`...)
	b = appendNullable(b, e.Code)
	return append(b, "}}"...)
}

func appendNullable(b []byte, s string) []byte {
	if s == "" {
		return append(b, "null"...)
	}
	return AppendString(b, s)
}
