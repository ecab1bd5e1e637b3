package hub

import (
	"bytes"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
)

// UpstreamError converts an upstream's error answer. Its status is the answer's, or the one that the
// upstream's own error code stands for. It has the upstream's message.
//
// Four parties answer on the gateway's host, each with errors of its own shape: the gateway, Cloudflare's
// API, the provider, and Cloudflare's edge, which answers in HTML or text. Any of them may be wrapped in an
// event of a stream. Errors about the operator's own credentials or settings become status 502, because the
// client's key is valid.
func UpstreamError(status int, header http.Header, body []byte) *Error {
	e := &Error{Status: status, RetryAfter: header.Get("Retry-After"), From: Gateway}
	m, text := inBody(body)
	switch {
	case m.Exists():
		if status < 400 {
			if reported := Reported(m); reported != nil {
				return reported
			}
		}
		r := readReport(m)
		e.read(&r, r.shape())
	case text != "":
		e.readText(text)
	}
	return e.complete()
}

// Reported returns the error that a message of a successful answer reports, or nil if it reports none. It
// knows the same shapes as UpstreamError. The message may be a list whose element reports the error. The
// error's status is the one that the message names or that Cloudflare's code stands for. Without either, it
// is 502. m must be valid JSON.
func Reported(m gjson.Result) *Error {
	if !mayReport(m.Raw) {
		return nil
	}
	if m.IsArray() {
		m = reporting(m)
	}
	r := readReport(m)
	shape := r.shape()
	if shape == noError {
		return nil
	}
	e := &Error{Status: r.status()}
	e.read(&r, shape)
	if e.Status == 0 {
		e.Status = http.StatusBadGateway
	}
	e.Message = first(e.Message, noMessage)
	return e.complete()
}

// ReportedIn returns the error that the data of an event reports. It returns nil if the data reports none or
// is not JSON.
func ReportedIn(data []byte) *Error {
	data = bytes.TrimSpace(data)
	m := gjson.ParseBytes(data)
	if m.IsArray() { // Google's JSON outside of events
		m = m.Get("0")
	}
	if !jsontext.ValidObject([]byte(m.Raw)) {
		return nil
	}
	return Reported(m)
}

const noMessage = "Try again: the provider reported an error without a message."

// read reads the error in r. A Status of 0 means not known yet, and stays 0 if r does not name a status.
func (e *Error) read(r *report, s shape) {
	e.From = Provider
	switch {
	case s == gatewayList:
		e.From = Gateway
		cloudflareError(e, r, r.error.Get("0"))
	case s == gatewayObject:
		e.From = Gateway
		cloudflareError(e, r, r.error)
	case s == cloudflareList: // Workers AI is a provider and answers in this shape
		cloudflareError(e, r, r.errors.Get("0"))
	case r.error.IsObject():
		providerError(e, r)
	default:
		bareError(e, r)
	}
}

// complete fills in what the upstream did not say, depending on the status.
func (e *Error) complete() *Error {
	from := e.From
	switch {
	case e.Status < 400:
		*e = *UpstreamBroken("Tell whoever runs this server: the AI gateway answered with a redirect or in a form that cannot be read.")
		e.Final = true
	case e.Status > 599:
		e.Status = http.StatusBadGateway
	}
	if e.Status == http.StatusUnauthorized || e.Status == http.StatusProxyAuthRequired || e.refusesKey() {
		*e = *UpstreamRefused()
	}
	if e.Status == http.StatusTooManyRequests {
		e.Code = first(e.Code, "rate_limit_exceeded")
	}
	e.From = from
	e.Message = operatorsID.ReplaceAllString(first(e.Message, advice(e.Status)), "[redacted]")
	e.Final = e.Final || e.final()
	return e
}

// operatorsID matches ids of the operator that a message may quote: Cloudflare's ids and numbers of Google
// projects.
var operatorsID = regexp.MustCompile(`\b[0-9a-fA-F]{32}\b|\bproject(s/|_number:)[0-9]+`)

// WithoutIDs returns text with the ids of the operator's accounts replaced.
func WithoutIDs(text []byte) []byte { return operatorsID.ReplaceAll(text, []byte("[redacted]")) }

// advice returns the message for a status if the upstream gave none.
func advice(status int) string {
	switch {
	case status == http.StatusTooManyRequests:
		return "Wait before you try again: the provider has had too many requests."
	case status >= 500:
		return "Try again in a moment: the provider answered with status " + strconv.Itoa(status) + "."
	}
	return "Check the request: the provider answered with status " + strconv.Itoa(status) + "."
}

// final reports whether sending the same request again cannot help.
func (e *Error) final() bool {
	switch e.Code {
	case "insufficient_quota", "credit_balance_exhausted":
		return true
	}
	return e.Status < 500 && e.Status != http.StatusRequestTimeout && e.Status != http.StatusConflict && e.Status != http.StatusTooManyRequests
}

// refusesKey reports whether a provider refuses its key without status 401: xAI does it with another status,
// others within an answer.
func (e *Error) refusesKey() bool {
	message := strings.ToLower(e.Message)
	return e.Code == "invalid_api_key" || strings.Contains(message, "incorrect api key") || strings.Contains(message, "invalid api key")
}

// providerError reads {"error":{…}}, as sent by OpenAI, Azure OpenAI, Google and others.
func providerError(e *Error, r *report) {
	said := r.error
	if isGoogles(r) {
		retryAfter, from := e.RetryAfter, e.From
		*e = *googleError(e.Status, said)
		e.RetryAfter, e.From = first(retryAfter, e.RetryAfter), from
		return
	}
	e.Message = sentences(said.Get("message").Str, rawMessage(said.Get("metadata.raw")))
	e.Param = said.Get("param").Str
	e.Code = codeIn(said.Get("code"))
	switch kind := said.Get("type").Str; {
	case e.Code == "DeploymentNotFound": // Azure's
		e.Code, e.Param = "model_not_found", "model"
	case kind == "authentication_error": // Anthropic's, and older ones of OpenAI's
		e.Code = "invalid_api_key"
	case kind == "insufficient_quota":
		e.Code = first(e.Code, kind)
	}
}

// rawMessage returns the message that OpenRouter quotes from the provider behind it: JSON in a string, or a
// text (https://openrouter.ai/docs/api/reference/errors-and-debugging).
func rawMessage(raw gjson.Result) string {
	if m := raw.Str; jsontext.ValidObject([]byte(m)) {
		return first(gjson.Get(m, "error.message").Str, gjson.Get(m, "message").Str)
	}
	return plain(raw.Str)
}

// codeIn returns an upstream's error code. It returns "" if the code is only an HTTP status, or a sentence
// like xAI's.
func codeIn(code gjson.Result) string {
	switch {
	case code.Type == gjson.String && !strings.Contains(code.Str, " "):
		return code.Str
	case code.Type == gjson.Number && httpStatus(code) == 0 && code.Num > 0:
		return code.Raw
	}
	return ""
}

// bareError reads an error without an object in `error`. Cerebras, vLLM and xAI put its members at the top.
// Mistral sends FastAPI's list of invalid fields.
func bareError(e *Error, r *report) {
	e.Message = first(r.error.Str, r.message.Str, r.detail.Str, invalidField(r.detail.Get("0")), invalidField(r.message.Get("detail.0")))
	e.Param = r.param.Str
	e.Code = codeIn(r.code)
}

// invalidField returns FastAPI's message about a field, with the field's path in front
// (https://fastapi.tiangolo.com/tutorial/handling-errors/).
func invalidField(item gjson.Result) string {
	message := item.Get("msg").Str
	var place []string
	for _, name := range item.Get("loc").Array() {
		if name.Str != "body" {
			place = append(place, name.String())
		}
	}
	if message == "" || len(place) == 0 {
		return message
	}
	return strings.Join(place, ".") + ": " + message
}

// readText reads a text from Cloudflare's edge, or from a proxy in between.
func (e *Error) readText(text string) {
	if code, ok := strings.CutPrefix(text, "error code: "); ok && codeIn(gjson.Parse(code)) == code {
		e.Code = code
	}
	if text != http.StatusText(e.Status) {
		e.Message = sentences(advice(e.Status), text)
	}
}

// sentences joins the texts that are not empty.
func sentences(texts ...string) string {
	var b strings.Builder
	for _, text := range texts {
		if text == "" {
			continue
		}
		if b.Len() > 0 {
			if !strings.HasSuffix(b.String(), ".") {
				b.WriteByte('.')
			}
			b.WriteByte(' ')
		}
		b.WriteString(text)
	}
	return b.String()
}

// first returns the first text that is not empty, or "".
func first(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}
