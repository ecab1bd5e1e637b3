package gatewaytest

import (
	"net/http"
	"strings"
)

// gatewayFailure returns an error of the AI Gateway itself, in its long form, where the list of
// errors is named `error`. Some errors have no code. It is then 0.
func gatewayFailure(status, code int, message string) *answer {
	item := object{"message": message}
	body := object{
		"success": false, "result": []any{}, "messages": []any{}, "error": []any{item},
		"name": "AiGatewayError", "httpCode": status, "message": message, "description": message,
	}
	if code != 0 {
		item["code"], body["internalCode"] = code, code
	}
	return jsonAnswer(status, body)
}

// apiFailure returns an error in the envelope of Cloudflare's API, which Workers AI uses.
func apiFailure(status, code int, message string) *answer {
	return jsonAnswer(status, object{
		"success": false, "result": nil, "messages": []any{},
		"errors": []any{object{"code": code, "message": message}},
	})
}

// openAIFailure returns an error of OpenAI's. An empty param or code is null.
func openAIFailure(status int, text, kind, param, code string) *answer {
	return jsonAnswer(status, object{"error": object{
		"message": text, "type": kind, "param": orNull(param), "code": orNull(code),
	}})
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// invalid returns OpenAI's error for an invalid request.
func invalid(text, param, code string) *answer {
	return openAIFailure(http.StatusBadRequest, text, "invalid_request_error", param, code)
}

// azureFailure returns an error of Azure itself, from before OpenAI's code. It has no type and no
// param.
func azureFailure(status int, code, text string) *answer {
	return jsonAnswer(status, object{"error": object{"code": code, "message": text}})
}

// googleFailure returns an error of Google's APIs
// (https://ai.google.dev/gemini-api/docs/troubleshooting).
func googleFailure(status int, name, text string, details ...object) *answer {
	e := object{"code": status, "message": text, "status": name}
	if len(details) > 0 {
		e["details"] = details
	}
	return jsonAnswer(status, object{"error": e})
}

// googleReason returns the detail of an error that names the reason for programs.
func googleReason(reason string) object {
	return object{
		"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "googleapis.com",
		"metadata": object{"service": "generativelanguage.googleapis.com"},
	}
}

// These are errors of the AI Gateway itself, as far as public pages and reports describe them.
var (
	GatewayNotConfigured = GatewayError(http.StatusBadRequest, 2001, "Please configure AI Gateway in the Cloudflare dashboard")
	GatewayRateLimited   = GatewayError(http.StatusTooManyRequests, 2003, "Rate limited")
	ProviderUnreachable  = GatewayError(http.StatusBadRequest, 2005, "Failed to get response from provider")
	InvalidProvider      = GatewayError(http.StatusBadRequest, 2008, "Invalid provider")
	GatewayUnauthorized  = GatewayError(http.StatusUnauthorized, 2009, "Unauthorized")
	PromptBlocked        = GatewayError(http.StatusFailedDependency, 2016, "Prompt blocked due to security configurations")
	ResponseBlocked      = GatewayError(http.StatusFailedDependency, 2017, "Response blocked due to security configurations")
	BadFormat            = GatewayError(http.StatusBadRequest, 2019, "Chat completion bad format")
	CreditsUsedUp        = GatewayError(http.StatusPaymentRequired, 2021, "Insufficient credits")
	RequestBlockedByDLP  = GatewayError(http.StatusBadRequest, 2029, "Request blocked by DLP policy")
	ResponseBlockedByDLP = GatewayError(http.StatusBadRequest, 2030, "Response blocked by DLP policy")
	NoStoredKey          = GatewayError(http.StatusBadRequest, 2040, "No stored credentials with that alias")
	CredentialsRequired  = GatewayError(http.StatusBadRequest, 0, "Provider credentials are required")
	SpendLimitReached    = GatewayError(http.StatusTooManyRequests, 0, "Spend limit reached")
)

// These are answers of Cloudflare's edge. They come before the gateway sees a request, or after it
// has failed.
var (
	EdgePage = Respond(http.StatusInternalServerError, "<!DOCTYPE html>\n<html><head><title>Worker threw exception | Cloudflare</title></head>\n"+
		"<body><h1>Error 1101</h1></body></html>\n", "Content-Type", "text/html; charset=UTF-8")
	EdgeText = Respond(http.StatusForbidden, "error code: 1010", "Content-Type", "text/plain; charset=UTF-8")
)

// These answers are errors although their status is 200.
var (
	ErrorWithOK          = Respond(http.StatusOK, `{"error":{"message":"Provider returned error","code":429},"user_id":"u"}`)
	ErrorBesideNoChoices = Respond(http.StatusOK, `{"choices":null,"error":{"message":"Provider returned error","code":429}}`)
	CloudflareErrorOK    = CloudflareError(http.StatusOK, 3040, "Capacity temporarily exceeded, please try again.")
	PageWithOK           = Respond(http.StatusOK, "<!DOCTYPE html>\n<html><body>Bad gateway</body></html>\n", "Content-Type", "text/html; charset=UTF-8")
	NothingWithOK        = Respond(http.StatusOK, "")
)

// These are errors within a stream, for Stream: a single line of JSON, an event with an error of
// the provider, and an event with Cloudflare's envelope.
const (
	ErrorLine       = `{"error":{"message":"Provider returned error","code":429}}` + "\n"
	ErrorEvent      = `data: {"error":{"message":"Provider returned error","code":429}}` + "\n\n"
	CloudflareEvent = `data: {"success":false,"errors":[{"code":3040,"message":"Capacity temporarily exceeded, please try again."}]}` + "\n\n"
)

// GatewayError answers with an error of the AI Gateway itself, in its long form.
func GatewayError(status, code int, message string) Scenario {
	return Scenario{reply: gatewayFailure(status, code, message)}
}

// ShortGatewayError answers with an error of the AI Gateway itself, in the short form, which has
// only the list of errors.
func ShortGatewayError(status, code int, message string) Scenario {
	return Scenario{reply: jsonAnswer(status, object{
		"success": false, "result": []any{}, "messages": []any{},
		"error": []any{object{"code": code, "message": message}},
	})}
}

// CloudflareError answers with an error in the envelope of Cloudflare's API. The codes of Workers
// AI are at https://developers.cloudflare.com/workers-ai/platform/errors/.
func CloudflareError(status, code int, message string) Scenario {
	return Scenario{reply: apiFailure(status, code, message)}
}

// OpenAIError answers with an error of OpenAI's. Empty param and code are null.
func OpenAIError(status int, message, kind, param, code string) Scenario {
	return Scenario{reply: openAIFailure(status, message, kind, param, code)}
}

// AzureError answers with an error of Azure's own, such as 404 DeploymentNotFound.
func AzureError(status int, code, message string) Scenario {
	return Scenario{reply: azureFailure(status, code, message)}
}

// AzureContentFilter answers as Azure does to a prompt that its content filter refuses.
func AzureContentFilter() Scenario {
	return Scenario{reply: jsonAnswer(http.StatusBadRequest, object{"error": object{
		"message": "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.",
		"type":    nil, "param": "prompt", "code": "content_filter", "status": http.StatusBadRequest,
		"innererror": object{"code": "ResponsibleAIPolicyViolation", "content_filter_result": contentFilter()},
	}})}
}

// AnthropicError answers with an error of Anthropic's. kind is a name such as "overloaded_error".
func AnthropicError(status int, kind, message string) Scenario {
	return Scenario{reply: anthropicFailure(status, kind, message)}
}

// GoogleError answers with an error of Google's. name is a name such as "INVALID_ARGUMENT".
func GoogleError(status int, name, message string) Scenario {
	return Scenario{reply: googleFailure(status, name, message)}
}

// GoogleRetry answers with 429 RESOURCE_EXHAUSTED. delay is in Google's form, such as "57.238s".
// quota names the quota that is used up, such as "GenerateRequestsPerMinutePerProjectPerModel".
func GoogleRetry(delay, quota string) Scenario {
	return Scenario{reply: googleFailure(http.StatusTooManyRequests, "RESOURCE_EXHAUSTED",
		"You exceeded your current quota, please check your plan and billing details.",
		object{"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": []any{object{"quotaId": quota}}},
		object{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay},
	)}
}

// mask hides most of a key, as OpenAI does when it quotes a wrong key.
func mask(key string) string {
	if len(key) < 12 {
		return strings.Repeat("*", len(key))
	}
	return key[:4] + strings.Repeat("*", len(key)-8) + key[len(key)-4:]
}
