package openai

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
)

// UpstreamError is the error for an upstream's answer that is none: its status, or the one of the
// table in gatewayError, and its message in OpenAI's shape. Those that come from the operator's own
// credentials or settings become 502: the client's key was fine.
//
// Four parties speak on the gateway's host, each in a shape of its own: the gateway, Cloudflare's
// API, the provider, and Cloudflare's edge, in HTML or text.
func UpstreamError(status int, header http.Header, body []byte) *Error {
	e := &Error{Status: status, RetryAfter: header.Get("Retry-After")}
	m := gjson.ParseBytes(body)
	if m.IsArray() { // Gemini's, where a stream was asked for
		m = m.Get("0")
	}
	from := Gateway // Cloudflare's edge answers in HTML or text
	if ValidObject([]byte(m.Raw)) {
		e.read(m)
		from = party(m)
	}
	e = e.complete()
	e.From = from
	return e
}

// Reported returns the error that a message of a successful answer reports in any of the parties'
// shapes, nil where it reports none. Its status is the one that the message names, else 502.
func Reported(m gjson.Result) *Error {
	if !mayReport(m.Raw) || !reports(m) {
		return nil
	}
	e := &Error{Status: http.StatusBadGateway}
	for _, name := range []string{"httpCode", "error.code"} { // the gateway's, and Google's
		if status := m.Get(name); status.Type == gjson.Number && status.Int() >= 400 && status.Int() <= 599 {
			e.Status = int(status.Int())
		}
	}
	e.read(m)
	e.Message = first(e.Message, "Try again: the provider reported an error without a message.")
	e = e.complete()
	e.From = party(m)
	return e
}

// party tells whose error m is by its shape: Workers AI, a provider, answers in the envelope of
// Cloudflare's API, of which some codes are about the way to it.
func party(m gjson.Result) Party {
	if m.Get("name").Str == "AiGatewayError" || m.Get("error").IsArray() {
		return Gateway
	}
	switch m.Get("errors.0.code").Int() {
	case 10000, 9109, 7000, 7003:
		return Gateway
	}
	return Provider
}

// mayReport spares most messages of a stream a closer look.
func mayReport(message string) bool {
	return strings.Contains(message, `"error`) || strings.Contains(message, `"success"`) || strings.Contains(message, `"message"`)
}

func reports(m gjson.Result) bool {
	switch said := m.Get("error"); {
	case said.IsObject(), said.IsArray(), said.Type == gjson.String && said.Str != "":
		return true
	case m.Get("success").Type == gjson.False, m.Get("errors.0").Exists():
		return true
	}
	// What comes as the event `error` of a stream.
	return m.Get("message").Type == gjson.String && m.Get("code").Exists() && !m.Get("choices").Exists()
}

// read reads what a party says in m.
func (e *Error) read(m gjson.Result) {
	said := m.Get("error")
	switch {
	case m.Get("name").Str == "AiGatewayError" || said.IsArray():
		gatewayError(e, m)
	case m.Get("errors").IsArray():
		cloudflareError(e, m.Get("errors.0"))
	case said.IsObject():
		providerError(e, said)
	default:
		bareError(e, m)
	}
}

// complete fills in what the upstream did not say, by the status.
func (e *Error) complete() *Error {
	switch {
	case e.Status < 400:
		*e = *UpstreamBroken("Tell whoever runs this server: the AI gateway answered with a redirect or in a form that cannot be read.")
		e.Final = true
		return e
	case e.Status == http.StatusUnauthorized || e.Status == http.StatusProxyAuthRequired || e.refusesKey():
		*e = *UpstreamRefused()
	case e.Status == http.StatusTooManyRequests:
		e.Message = first(e.Message, "Wait before you try again: the provider has had too many requests.")
		if e.Code == "" {
			e.Code = "rate_limit_exceeded"
		}
	case e.Status >= 500:
		e.Message = first(e.Message, "Try again in a moment: the provider answered with status "+strconv.Itoa(e.Status)+".")
	}
	e.Message = first(e.Message, "Check the request: the provider answered with status "+strconv.Itoa(e.Status)+".")
	switch {
	case e.Code == "insufficient_quota":
		e.Final = true
	case e.Status < 500 && e.Status != http.StatusRequestTimeout && e.Status != http.StatusConflict && e.Status != http.StatusTooManyRequests:
		e.Final = true
	}
	return e
}

// refusesKey reports whether a provider refuses its key with another status than 401, as xAI does.
func (e *Error) refusesKey() bool {
	if e.Status != http.StatusBadRequest && e.Status != http.StatusForbidden {
		return false
	}
	message := strings.ToLower(e.Message)
	return e.Code == "invalid_api_key" || strings.Contains(message, "incorrect api key") || strings.Contains(message, "invalid api key")
}

// gatewayError reads an error of the AI Gateway itself. Its codes are gathered from Cloudflare's
// pages on guardrails, DLP and stored keys, and from public reports; there is no list.
func gatewayError(e *Error, m gjson.Result) {
	code := m.Get("internalCode").Int()
	if code == 0 {
		code = m.Get("error.0.code").Int()
	}
	e.Message = first(m.Get("error.0.message").Str, m.Get("message").Str, m.Get("description").Str)
	lower := strings.ToLower(e.Message)
	switch {
	case code == 2003:
		e.Status, e.Code = http.StatusTooManyRequests, "rate_limit_exceeded"
	case code == 2001:
		*e = *UpstreamMisconfigured("Tell whoever runs this server: the AI gateway it names does not exist.")
	case code == 2005:
		e.Status, e.Code = http.StatusBadGateway, "upstream_failed"
		e.Message = "Try again: the AI gateway got no response from the provider."
	case code == 2008:
		e.Status, e.Code, e.Param = http.StatusNotFound, "model_not_found", "model"
	case code == 2009:
		*e = *UpstreamRefused()
	case code == 2016 || code == 2017 || code == 2029 || code == 2030 || e.Status == http.StatusFailedDependency:
		e.Status, e.Code = http.StatusBadRequest, "content_filter"
	case code == 2019:
		e.Status = http.StatusBadRequest
	case code == 2021 || e.Status == http.StatusPaymentRequired || e.Status == http.StatusTooManyRequests && strings.Contains(lower, "spend"):
		e.Status, e.Code = http.StatusTooManyRequests, "insufficient_quota"
	case code == 2040 || e.Status == http.StatusBadRequest && strings.Contains(lower, "credential"):
		*e = *UpstreamMisconfigured("Tell whoever runs this server: the AI gateway has no credentials for this provider.")
	case code != 0 && e.Status != http.StatusTooManyRequests:
		e.Code = strconv.FormatInt(code, 10)
	}
}

// cloudflareError reads an error in the envelope of Cloudflare's API, which Workers AI answers in
// (https://developers.cloudflare.com/workers-ai/platform/errors/).
func cloudflareError(e *Error, item gjson.Result) {
	e.Message = item.Get("message").Str
	switch code := item.Get("code").Int(); {
	case code == 7000 || code == 7003: // whose message quotes the path, with the account's id in it
		e.Status, e.Code, e.Param = http.StatusNotFound, "model_not_found", "model"
		e.Message = "Check the model's name: Cloudflare has no route for it."
	case code == 10000 || code == 9109:
		*e = *UpstreamRefused()
	case code == 5007 || code == 3042:
		e.Status, e.Code, e.Param = http.StatusNotFound, "model_not_found", "model"
	case code == 3036:
		e.Status, e.Code = http.StatusTooManyRequests, "insufficient_quota"
	case code == 3040:
		e.Status, e.Code = http.StatusTooManyRequests, "rate_limit_exceeded"
	case e.Status == http.StatusRequestEntityTooLarge && strings.Contains(e.Message, "token"):
		e.Code = "context_length_exceeded"
	case code != 0 && e.Status != http.StatusTooManyRequests:
		e.Code = strconv.FormatInt(code, 10)
	}
}

// providerError reads {"error":{…}} of OpenAI, Azure OpenAI, Google and others.
func providerError(e *Error, said gjson.Result) {
	if isGoogles(said) {
		retryAfter := e.RetryAfter
		*e = *googleError(e.Status, said)
		e.RetryAfter = first(retryAfter, e.RetryAfter)
		return
	}
	e.Message = said.Get("message").Str
	e.Param = said.Get("param").Str
	e.Code = said.Get("code").Str
	if e.Code == "DeploymentNotFound" {
		e.Code, e.Param = "model_not_found", "model"
	}
}

// isGoogles tells Google's errors by their `status`, or where that is missing by a `code` that is a number:
// of the others, who have numbers too, OpenAI's shape has a type or a param, and OpenRouter's metadata.
func isGoogles(said gjson.Result) bool {
	if said.Get("status").Type == gjson.String {
		return true
	}
	return said.Get("code").Type == gjson.Number &&
		!said.Get("type").Exists() && !said.Get("param").Exists() && !said.Get("metadata").Exists()
}

// bareError reads an error whose members stand outside of an object `error`, as Cerebras and xAI have
// them, or that is FastAPI's list of what is wrong with a request, as Mistral's is.
func bareError(e *Error, m gjson.Result) {
	e.Message = first(m.Get("error").Str, m.Get("message").Str, m.Get("detail").Str, invalidField(m.Get("detail.0")), invalidField(m.Get("message.detail.0")))
	e.Param = m.Get("param").Str
	if code := m.Get("code").Str; !strings.Contains(code, " ") { // xAI's is a sentence
		e.Code = code
	}
}

// invalidField is what FastAPI says of a field, behind the field's place in the body
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

// first returns the first text that is not empty.
func first(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}
