package googleaistudio

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
)

// Format is Gemini's own format.
type Format struct{}

// AppendError appends the body of an answer that reports e. Its details hold e's code as the reason, and the
// time to wait where clients look for it (https://cloud.google.com/apis/design/errors).
func (Format) AppendError(b []byte, e *hub.Error, _ string) []byte {
	b = append(b, `{"error":{"code":`...)
	b = strconv.AppendInt(b, int64(e.Status), 10)
	b = jsontext.AppendString(append(b, `,"message":`...), e.Message)
	b = jsontext.AppendString(append(b, `,"status":`...), statusName(e.Status))
	b = append(b, `,"details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":`...)
	b = jsontext.AppendString(b, strings.ToUpper(e.Code))
	b = append(b, `,"domain":"caddy-continue-auth"}`...)
	if seconds, err := strconv.Atoi(e.RetryAfter); err == nil {
		b = append(b, `,{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"`...)
		b = append(strconv.AppendInt(b, int64(seconds), 10), `s"}`...)
	}
	return append(b, "]}}"...)
}

// AppendErrorFrame appends the error that ends a stream. It is not an event: Google's own errors are not
// events either, and its clients would take an event for an answer without text.
func (f Format) AppendErrorFrame(b []byte, e *hub.Error) []byte {
	return append(f.AppendError(b, e, ""), "\n\n"...)
}

// statusName returns the name of an HTTP status in Google's APIs
// (https://cloud.google.com/apis/design/errors#handling_errors).
func statusName(status int) string {
	switch status {
	case http.StatusUnauthorized:
		return "UNAUTHENTICATED"
	case http.StatusForbidden:
		return "PERMISSION_DENIED"
	case http.StatusNotFound:
		return "NOT_FOUND"
	case http.StatusMethodNotAllowed:
		return "UNIMPLEMENTED"
	case http.StatusConflict:
		return "ABORTED"
	case http.StatusTooManyRequests:
		return "RESOURCE_EXHAUSTED"
	case http.StatusBadGateway, http.StatusServiceUnavailable:
		return "UNAVAILABLE"
	case http.StatusGatewayTimeout:
		return "DEADLINE_EXCEEDED"
	}
	if status >= 500 {
		return "INTERNAL"
	}
	return "INVALID_ARGUMENT"
}

var (
	finishMember = []byte(`"finishReason"`)
	blockMember  = []byte(`"blockReason"`)
)

// Look reads an event of a stream.
func (Format) Look(data []byte, p *hub.Progress) *hub.Error {
	if bytes.Contains(data, finishMember) || bytes.Contains(data, blockMember) {
		p.Finished = true
	}
	if bytes.Contains(data, []byte(`"candidates"`)) {
		p.Begun = true
		if !hub.ErrorMember.In(data) {
			return nil
		}
	}
	return hub.ReportedIn(data)
}
