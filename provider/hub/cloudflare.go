package hub

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
)

// cloudflareCodes maps Cloudflare's own error codes to errors. A code means the same in each of Cloudflare's
// envelopes. An empty Message keeps the upstream's message.
// There is no list of the gateway's codes. They come from its pages on guardrails, DLP and stored keys, and
// from public reports. The codes of Workers AI are on
// https://developers.cloudflare.com/workers-ai/platform/errors/.
var cloudflareCodes = map[int64]Error{
	// The gateway.
	2001: *UpstreamMisconfigured("Tell whoever runs this server: the AI gateway it names does not exist."),
	2003: {Status: http.StatusTooManyRequests, Code: "rate_limit_exceeded"},
	2005: {Status: http.StatusBadGateway, Code: "upstream_failed", Message: "Try again: the AI gateway got no response from the provider."},
	2008: {Status: http.StatusNotFound, Code: "model_not_found", Param: "model"},
	2009: *UpstreamRefused(),
	2016: {Status: http.StatusBadRequest, Code: "content_filter"},
	2017: {Status: http.StatusBadRequest, Code: "content_filter"},
	2019: {Status: http.StatusBadRequest},
	2021: {Status: http.StatusTooManyRequests, Code: "insufficient_quota"},
	2029: {Status: http.StatusBadRequest, Code: "content_filter"},
	2030: {Status: http.StatusBadRequest, Code: "content_filter"},
	2040: *noCredentials(),
	7013: {Status: http.StatusServiceUnavailable, Code: "upstream_failed", Message: "Try again in a moment: the AI gateway's guardrails are not working."},

	// Cloudflare's API, in front of Workers AI. The messages of 7000 and 7003 quote the path, which contains
	// the account's id, so they are replaced.
	7000:  {Status: http.StatusNotFound, Code: "model_not_found", Param: "model", Message: noRoute},
	7003:  {Status: http.StatusNotFound, Code: "model_not_found", Param: "model", Message: noRoute},
	9109:  *UpstreamRefused(),
	10000: *UpstreamRefused(),

	// Workers AI.
	3003: {Status: http.StatusBadRequest, Code: "3003"},
	3006: {Status: http.StatusRequestEntityTooLarge, Code: "3006"},
	3007: {Status: http.StatusRequestTimeout, Code: "3007"},
	3008: {Status: http.StatusRequestTimeout, Code: "3008"},
	3023: {Status: http.StatusForbidden, Code: "3023"},
	3036: {Status: http.StatusTooManyRequests, Code: "insufficient_quota"},
	3040: {Status: http.StatusTooManyRequests, Code: "rate_limit_exceeded"},
	3041: {Status: http.StatusForbidden, Code: "3041"},
	3042: {Status: http.StatusNotFound, Code: "model_not_found", Param: "model"},
	5004: {Status: http.StatusBadRequest, Code: "5004"},
	5005: {Status: http.StatusMethodNotAllowed, Code: "5005"},
	5007: {Status: http.StatusNotFound, Code: "model_not_found", Param: "model"},
	5016: {Status: http.StatusForbidden, Code: "5016"},
	5018: {Status: http.StatusForbidden, Code: "5018"},
	5019: {Status: http.StatusMethodNotAllowed, Code: "5019"},
}

const noRoute = "Check the model's name: Cloudflare has no route for it."

func noCredentials() *Error {
	return UpstreamMisconfigured("Tell whoever runs this server: the AI gateway has no credentials for this provider.")
}

// cloudflareError reads an error of the AI Gateway, or one in the envelope of Cloudflare's API. item is the
// error itself, r the message that contains it.
func cloudflareError(e *Error, r *report, item gjson.Result) {
	code := r.internalCode.Int()
	if code == 0 {
		code = item.Get("code").Int()
	}
	if code > 0 && !workersAI(code) {
		e.From = Gateway
	}
	e.Message = first(item.Get("message").Str, item.Str, r.message.Str, r.description.Str)
	if bucket := item.Get("bucket").Str; bucket != "" && strings.Contains(e.Message, bucket) {
		e.Message = "" // the message tells how the operator divides the budget, which is internal
	}
	lower := strings.ToLower(e.Message)
	unknown := e.Status == 0
	if meaning, ok := cloudflareCodes[code]; ok {
		e.become(&meaning)
		if e.Status == http.StatusRequestEntityTooLarge && strings.Contains(lower, "token") {
			e.Code = "context_length_exceeded"
		}
		return
	}
	switch {
	case strings.Contains(lower, "token") && (e.Status == http.StatusRequestEntityTooLarge || unknown && strings.Contains(lower, "maximum output tokens")):
		e.Status, e.Code = http.StatusRequestEntityTooLarge, "context_length_exceeded"
	case e.From == Gateway && e.readPolicy(r, item, lower):
	case e.Status == http.StatusFailedDependency:
		e.Status, e.Code = http.StatusBadRequest, "content_filter"
	case e.Status == http.StatusPaymentRequired:
		e.Status, e.Code = http.StatusTooManyRequests, "insufficient_quota"
	case e.From == Gateway && (unknown || e.Status == http.StatusBadRequest) && strings.Contains(lower, "credential"):
		e.become(noCredentials())
	case e.Status != http.StatusTooManyRequests:
		e.Code = codeIn(item.Get("code"))
		if e.Code == "" && code > 0 && httpStatus(item.Get("code")) == 0 {
			e.Code = strconv.FormatInt(code, 10)
		}
	}
}

// workersAI reports whether one of Cloudflare's codes belongs to Workers AI, which is a provider. The other
// codes belong to the gateway or to Cloudflare's API.
func workersAI(code int64) bool { return code >= 3000 && code < 7000 }

// become takes over the fields of a known error.
func (e *Error) become(meaning *Error) {
	e.Status, e.Code, e.Param, e.Final = meaning.Status, meaning.Code, meaning.Param, meaning.Final
	e.Message = first(meaning.Message, e.Message)
}

// readPolicy reads an error of the gateway's policies or spending limits, and reports whether e is one. The
// older spending limits answer with a list of errors, and only the words of the message identify them
// (https://developers.cloudflare.com/ai-gateway/features/policies/ and …/spend-limits/).
func (e *Error) readPolicy(r *report, item gjson.Result, lower string) bool {
	isObject := r.error.IsObject()
	unknown := e.Status == 0
	spending := strings.Contains(lower, "spend") || strings.Contains(lower, "budget") || item.Get("spent").Exists()
	rate := strings.Contains(lower, "rate limit") || strings.Contains(lower, "too many requests")
	switch {
	case e.Status == http.StatusTooManyRequests && (isObject && !rate || spending), unknown && spending:
		e.Status, e.Code, e.Final = http.StatusTooManyRequests, "spending_limit_reached", true
		e.Message = sentences("Ask whoever runs this server for a higher limit, or wait until it begins anew.",
			strings.TrimRight(first(e.Message, "Spending limit exceeded"), ".")+amounts(item))
	case e.Status == http.StatusForbidden && (isObject || strings.Contains(lower, "policy")), unknown && strings.Contains(lower, "policy"):
		e.Status, e.Code, e.Final = http.StatusForbidden, "policy_denied", true
		e.Message = sentences("Choose another model, or ask whoever runs this server for access.", first(e.Message, "Access denied by policy"))
	default:
		return false
	}
	return true
}

// amounts returns the end of a sentence that says how much of a limit has been spent, as far as the error
// tells.
func amounts(item gjson.Result) string {
	spent, limit := item.Get("spent"), item.Get("limit")
	switch spentKnown, limitKnown := spent.Type == gjson.Number, limit.Type == gjson.Number; {
	case spentKnown && limitKnown:
		return ": " + spent.Raw + " of " + limit.Raw + " spent."
	case spentKnown:
		return ": " + spent.Raw + " spent."
	case limitKnown:
		return ": the limit is " + limit.Raw + "."
	}
	return "."
}
