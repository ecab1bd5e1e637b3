package hub

import (
	"bytes"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tidwall/gjson"

	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
)

// shape is the shape of an error.
type shape int

const (
	noError        shape = iota
	gatewayList          // {"error":[{"code","message"}]}, the AI Gateway's
	gatewayObject        // {"success":false,"error":{…}}, the AI Gateway's policies
	cloudflareList       // {"errors":[{"code","message"}]}, Cloudflare's API's
	object               // {"error":{…}}, a provider's
	bare                 // a text in `error`, or members without an object around them
)

// report holds the members of a message that may report an error. Whole answers, events and error bodies are
// all read with it, so that they recognize the same errors.
type report struct {
	error, errors, success, name, object            gjson.Result
	message, description, detail, param, code, kind gjson.Result
	httpCode, internalCode, httpStatus              gjson.Result

	members int  // how many members the message has
	answers bool // whether the message contains an answer
}

func readReport(m gjson.Result) (r report) {
	if !m.IsObject() {
		return r
	}
	m.ForEach(func(name, value gjson.Result) bool {
		r.members++
		switch name.Str {
		case "error":
			r.error = value
		case "errors":
			r.errors = value
		case "success":
			r.success = value
		case "name":
			r.name = value
		case "object":
			r.object = value
		case "message":
			r.message = value
		case "description":
			r.description = value
		case "detail":
			r.detail = value
		case "param":
			r.param = value
		case "code":
			r.code = value
		case "type":
			r.kind = value
		case "httpCode":
			r.httpCode = value
		case "internalCode":
			r.internalCode = value
		case "status", "statusCode", "status_code":
			r.httpStatus = value
		case "choices", "data", "output", "candidates", "result", "response", "embedding", "embeddings", "content", "delta",
			"tool_calls", "usageMetadata", "promptFeedback":
			r.answers = r.answers || says(value)
		}
		return true
	})
	return r
}

// says reports whether a value is more than an empty one.
func says(v gjson.Result) bool {
	switch v.Raw {
	case "", "null", "false", "0", `""`, "{}", "[]":
		return false
	}
	if !v.IsObject() {
		return true
	}
	found := false
	v.ForEach(func(_, value gjson.Result) bool {
		found = says(value)
		return !found
	})
	return found
}

// ErrorMember is in each message that may report an error.
var ErrorMember = jsontext.NewNeedle(`"e`, `rror`)

// mayReport is a quick check that sorts out most messages of a stream.
func mayReport(message string) bool {
	return contains(message, `"e`, `rror`) || contains(message, `"su`, `ccess"`) || contains(message, `"messa`, `ge"`) || contains(message, `"deta`, `il"`)
}

// contains reports whether message contains before+rare. It searches for the rare part first, like
// jsontext.Needle.
func contains(message, before, rare string) bool {
	for at := 0; ; at++ {
		i := strings.Index(message[at:], rare)
		if i < 0 {
			return false
		}
		at += i
		if strings.HasSuffix(message[:at], before) {
			return true
		}
	}
}

// shape tells the shape of the error in r, or noError. An object of /responses describes its own failure,
// which is no error here. Many answers have members that look like an error's but are empty.
func (r *report) shape() shape {
	switch {
	case r.object.Str == "response":
		return noError
	case r.name.Str == "AiGatewayError", r.error.IsArray() && r.error.Get("0").Exists():
		return gatewayList
	case r.errors.IsArray() && r.errors.Get("0").Exists() && r.success.Type != gjson.True:
		return cloudflareList
	case r.error.IsObject() && r.success.Type == gjson.False:
		return gatewayObject
	case r.error.IsObject() && (says(r.error) || !r.answers):
		return object
	case r.error.Str != "", r.error.Type == gjson.True, r.success.Type == gjson.False, r.bare():
		return bare
	}
	return noError
}

// bare reports whether members without an object around them are an error, rather than an answer or an event
// of one.
func (r *report) bare() bool {
	switch {
	case r.answers, strings.HasPrefix(r.kind.Str, "response."), r.object.Str != "" && r.object.Str != "error":
		return false
	case r.object.Str == "error", r.kind.Str == "error":
		return true
	case r.detail.Str != "", r.detail.Get("0.msg").Exists(), r.message.Get("detail.0").Exists():
		return true
	case r.message.Str == "":
		return false
	}
	code, err := strconv.Atoi(r.code.String())
	good := err == nil && code >= 0 && code < 300
	return r.members == 1 || r.code.Exists() && !good || httpStatus(r.httpStatus) > 0 || strings.Contains(strings.ToLower(r.kind.Str), "error")
}

// status returns the HTTP status that a message names for its error, or 0.
func (r *report) status() int {
	named := [...]gjson.Result{r.httpCode, r.error.Get("code"), r.error.Get("status"), r.code, r.httpStatus}
	for _, value := range named {
		if status := httpStatus(value); status > 0 {
			return status
		}
	}
	return 0
}

// httpStatus returns v if it is the status of an error, as a number or as text, or 0.
func httpStatus(v gjson.Result) int {
	if v.Type != gjson.Number && v.Type != gjson.String {
		return 0
	}
	if status := v.Int(); status >= 400 && status <= 599 {
		return int(status)
	}
	return 0
}

// reporting returns the first element of a list that reports an error, or the first element if none does.
// Google wraps its messages in lists.
func reporting(list gjson.Result) gjson.Result {
	found := list.Get("0")
	list.ForEach(func(_, element gjson.Result) bool {
		r := readReport(element)
		if r.shape() == noError {
			return true
		}
		found = element
		return false
	})
	return found
}

// inBody finds the object in an error's body. It may stand alone, in a list, or in the data of an event. If
// there is none, inBody returns the body's text, provided it is short enough for a message.
func inBody(body []byte) (m gjson.Result, text string) {
	body = bytes.TrimPrefix(body, byteOrderMark)
	if m = inData(body); m.Exists() {
		return m, ""
	}
	var s Splitter
	event := func(data []byte) error {
		next := inData(data)
		switch r := readReport(next); {
		case !next.Exists():
			text = first(text, plain(string(data)))
		case !m.Exists() || r.shape() != noError:
			m = next
		}
		return nil
	}
	if s.Write(body, event) == nil {
		_ = s.Close(event) // the only possible error is an event that is too large
	}
	if m.Exists() {
		return m, ""
	}
	return m, first(text, plain(string(body)))
}

// inData returns the object in data. The object may be in a list.
func inData(data []byte) gjson.Result {
	m := gjson.ParseBytes(data)
	if m.IsArray() {
		m = reporting(m)
	}
	if !jsontext.ValidObject([]byte(m.Raw)) {
		return gjson.Result{}
	}
	return m
}

// plain returns a line of text for use as a message. It returns "" if the text is markup or data, or too
// long.
func plain(text string) string {
	const longest = 300
	text = strings.TrimSpace(text)
	odd := func(c rune) bool { return c == '<' || c == '{' || !unicode.IsPrint(c) }
	if len(text) > longest || !utf8.ValidString(text) || text == "[DONE]" || strings.ContainsFunc(text, odd) {
		return ""
	}
	return text
}
