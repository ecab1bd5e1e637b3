package hub

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
)

// cloudflareCodes are what Cloudflare's own codes stand for, in whichever of its envelopes they come. Those of
// the gateway are gathered from its pages on guardrails, DLP and stored keys, and from public reports, since
// there is no list; those of Workers AI are on https://developers.cloudflare.com/workers-ai/platform/errors/.
// An empty Message leaves the upstream's.
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
	7013: {Status: http.StatusServiceUnavailable, Code: "upstream_failed", Message: "Try again in a moment: the AI gateway's guardrails are out of order."},

	// Cloudflare's API, on the way to Workers AI. The message of the first two quotes the path, with the
	// account's id in it.
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

// cloudflareError reads an error of the AI Gateway itself, or one in the envelope of Cloudflare's API. item is
// what it says, r what stands around it.
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
		e.Message = "" // how the operator divides the budget is nobody else's business
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

// workersAI reports whether a code of Cloudflare's is one of Workers AI, which is a provider. The others are about
// the way to one.
func workersAI(code int64) bool { return code >= 3000 && code < 7000 }

// become takes over what a code stands for.
func (e *Error) become(meaning *Error) {
	e.Status, e.Code, e.Param, e.Final = meaning.Status, meaning.Code, meaning.Param, meaning.Final
	e.Message = first(meaning.Message, e.Message)
}

// readPolicy reads what the gateway's policies and spending limits say, and reports whether they speak. The
// older spending limits answer in a list, of which only the words tell what it is about
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

// amounts is how much of a limit has been spent, as far as it is said, to the end of the sentence.
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
