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

// shape is the form that an error is in.
type shape int

const (
	noError        shape = iota
	gatewayList          // {"error":[{"code","message"}]}, the AI Gateway's
	gatewayObject        // {"success":false,"error":{…}}, the AI Gateway's policies
	cloudflareList       // {"errors":[{"code","message"}]}, of Cloudflare's API
	object               // {"error":{…}}, a provider's
	bare                 // a text in `error`, or members that stand alone
)

// report is what a message says beside an answer. There is one reading of it for whole answers, events and
// error bodies, so that none of them knows less than the others.
type report struct {
	error, errors, success, name, object            gjson.Result
	message, description, detail, param, code, kind gjson.Result
	httpCode, internalCode, httpStatus              gjson.Result

	members int  // how many there are in all
	answers bool // whether there is an answer
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

// says reports whether there is anything in a value.
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

// mayReport spares most messages of a stream a closer look.
func mayReport(message string) bool {
	return contains(message, `"e`, `rror`) || contains(message, `"su`, `ccess"`) || contains(message, `"messa`, `ge"`) || contains(message, `"deta`, `il"`)
}

// contains reports whether before+rare stands in a message, as a Needle does in a piece.
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

// shape tells whose error r is, or that it is none: a response of /responses has its own error within it, and
// many answers have the members of one, with nothing in them.
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

// bare reports whether members that stand alone are an error rather than an answer, or an event of one.
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

// status is the HTTP status that a message names for its error, 0 if it names none.
func (r *report) status() int {
	named := [...]gjson.Result{r.httpCode, r.error.Get("code"), r.error.Get("status"), r.code, r.httpStatus}
	for _, value := range named {
		if status := httpStatus(value); status > 0 {
			return status
		}
	}
	return 0
}

// httpStatus is a number that is the status of an error, also as a text, else 0.
func httpStatus(v gjson.Result) int {
	if v.Type != gjson.Number && v.Type != gjson.String {
		return 0
	}
	if status := v.Int(); status >= 400 && status <= 599 {
		return int(status)
	}
	return 0
}

// reporting is the first element of a list that reports an error, else the first of all. Google wraps what
// it says in lists.
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

// inBody finds the object that an error's body holds: alone, in a list, or as the data of an event. Where
// there is none, it returns what the body says in words, if that is short enough to be a message.
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
		_ = s.Close(event) // which fails for nothing but an event that is too large
	}
	if m.Exists() {
		return m, ""
	}
	return m, first(text, plain(string(body)))
}

// inData is the object in data, or in its list.
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

// plain is a line of text as a message, empty where it is markup, data, or too long.
func plain(text string) string {
	const longest = 300
	text = strings.TrimSpace(text)
	odd := func(c rune) bool { return c == '<' || c == '{' || !unicode.IsPrint(c) }
	if len(text) > longest || !utf8.ValidString(text) || text == "[DONE]" || strings.ContainsFunc(text, odd) {
		return ""
	}
	return text
}
