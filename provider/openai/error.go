package openai

import (
	"net/http"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
)

// The types of an error. Continue's CLI sends a request again, up to 33 times, for the types
// `server_error` and `rate_limit_exceeded`; neither is ever used.
const (
	typeInvalidRequest = "invalid_request_error"
	typeAuthentication = "authentication_error"
	typePermission     = "permission_error"
	typeNotFound       = "not_found_error"
	typeRateLimit      = "rate_limit_error"
	typeAPI            = "api_error"
)

// errorType is the type that belongs to a status.
func errorType(status int) string {
	switch {
	case status == http.StatusUnauthorized:
		return typeAuthentication
	case status == http.StatusForbidden:
		return typePermission
	case status == http.StatusNotFound:
		return typeNotFound
	case status == http.StatusTooManyRequests:
		return typeRateLimit
	case status >= 500:
		return typeAPI
	}
	return typeInvalidRequest
}

// AppendError appends the body of an answer that is this error.
func (Format) AppendError(b []byte, e *hub.Error, _ string) []byte {
	return appendError(b, e, errorType(e.Status))
}

// AppendErrorFrame appends the event that ends a stream with this error. Its type is always
// `api_error`: at other types Continue's CLI sends the request again and glues the answers together.
func (Format) AppendErrorFrame(b []byte, e *hub.Error) []byte {
	b = append(b, "data: "...)
	return append(appendError(b, e, typeAPI), "\n\n"...)
}

func appendError(b []byte, e *hub.Error, kind string) []byte {
	b = append(b, `{"error":{"message":`...)
	b = jsontext.AppendString(b, e.Message)
	b = append(b, `,"type":`...)
	b = jsontext.AppendString(b, kind)
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
	return jsontext.AppendString(b, s)
}
