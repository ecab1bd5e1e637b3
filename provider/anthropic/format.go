package anthropic

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
)

// ParseRequest reads a request to /messages or /messages/count_tokens. It keeps body. Its errors are
// *hub.Error with status 400.
func ParseRequest(endpoint hub.Endpoint, body []byte) (*hub.Request, error) {
	r, err := hub.ParseRequest(endpoint, body)
	if err != nil {
		return nil, err
	}
	r.Format = Format{}
	return r, nil
}

// Format is the format of Anthropic's Messages.
type Format struct {
	thinking bool // whether the client asked to see what the model thinks
}

// NewWriter makes the writer of one answer.
func (f Format) NewWriter(_ hub.Form, head *hub.Head) hub.Writer {
	return &messageWriter{thinking: f.thinking, head: head}
}

// AppendCount appends the answer to a request to /messages/count_tokens
// (https://docs.anthropic.com/en/api/messages-count-tokens).
func (Format) AppendCount(b []byte, tokens int64) []byte {
	return append(strconv.AppendInt(append(b, `{"input_tokens":`...), tokens, 10), '}')
}

// AppendError appends the body of an answer that is this error
// (https://docs.anthropic.com/en/api/errors).
func (Format) AppendError(b []byte, e *hub.Error, requestID string) []byte {
	b = appendError(b, e)
	b = jsontext.AppendString(append(b, `,"request_id":`...), requestID)
	return append(b, '}')
}

// AppendErrorFrame appends the event that ends a stream with this error.
func (Format) AppendErrorFrame(b []byte, e *hub.Error) []byte {
	b = append(b, "event: error\ndata: "...)
	return append(appendError(b, e), "}\n\n"...)
}

// appendError appends an error whose object is still open. The format has no place for the field at fault but the
// message. A field that a provider names may be one of the chat that the request became.
func appendError(b []byte, e *hub.Error) []byte {
	b = append(b, `{"type":"error","error":{"type":"`...)
	b = append(append(b, errorType(e.Status)...), `","message":`...)
	message := e.Message
	if e.From == hub.Proxy && e.Param != "" && !strings.Contains(message, e.Param) {
		message += " The field is `" + e.Param + "`."
	}
	return append(jsontext.AppendString(b, message), '}')
}

// statusOverloaded is Anthropic's own.
const statusOverloaded = 529

// errorType is the type that belongs to a status.
func errorType(status int) string {
	switch status {
	case http.StatusUnauthorized:
		return "authentication_error"
	case http.StatusForbidden:
		return "permission_error"
	case http.StatusNotFound:
		return "not_found_error"
	case http.StatusRequestEntityTooLarge:
		return "request_too_large"
	case http.StatusTooManyRequests:
		return "rate_limit_error"
	case http.StatusGatewayTimeout:
		return "timeout_error"
	case http.StatusServiceUnavailable, statusOverloaded:
		return "overloaded_error"
	}
	if status >= 500 {
		return "api_error"
	}
	return "invalid_request_error"
}

var (
	messageStop  = []byte(`"message_stop"`)
	messageStart = []byte(`"message_start"`)
	stopReason   = []byte(`"stop_reason":"`)
	typeMember   = []byte(`"type"`)
)

// Look looks at an event of a stream. An error in Anthropic's own shape passes.
func (Format) Look(data []byte, p *hub.Progress) *hub.Error {
	switch {
	case bytes.Contains(data, messageStop) && gjson.GetBytes(data, "type").Str == "message_stop":
		p.Ended = true
		return nil
	case bytes.Contains(data, messageStart), bytes.Contains(data, stopReason):
		p.Begun = true
		return nil
	case !hub.ErrorMember.In(data) && bytes.Contains(data, typeMember):
		return nil
	case isError(data):
		p.Ended, p.Failed = true, true
		return nil
	case gjson.GetBytes(data, "type").Str != "" && gjson.GetBytes(data, "success").Type != gjson.False:
		return nil // an event whose text has the word
	}
	return hub.ReportedIn(data)
}
