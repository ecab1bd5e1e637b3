package openai

import (
	"github.com/continue-auth/caddy-continue-auth/provider/hub"
)

import "net/http"

// Bodies in the envelopes of Cloudflare's, Google's and Anthropic's.
const (
	gatewayHead = `{"success":false,"result":[],"messages":[],"error":[{`
	list        = `{"success":false,"error":[{`
	v4          = `{"success":false,"result":null,"messages":[],"errors":[{`
	policy      = `{"success":false,"error":{"message":"Access denied by policy"}}`
	spending    = `{"success":false,"error":{"message":"Spending limit exceeded","bucket":"bucket-canary-7f3a","spent":1000.42,"limit":1000}}`
	account     = "0123456789abcdef0123456789abcdef"
	ofAnthropic = `{"type":"error","request_id":"req_011CSHoEeqs5C35K2UUqR7Fy","error":{`
	waitDetail  = `,"details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"57.238s"}]`
	dayDetail   = `,"details":[{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"quotaId":"GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]}]`
	keyDetail   = `,"details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID","domain":"googleapis.com"}]`
)

// The rest of an error of the gateway's in its long form, with the HTTP status that it names.
const (
	its400 = `,"name":"AiGatewayError","httpCode":400}`
	its401 = `,"name":"AiGatewayError","httpCode":401}`
	its402 = `,"name":"AiGatewayError","httpCode":402}`
	its424 = `,"name":"AiGatewayError","httpCode":424}`
	its429 = `,"name":"AiGatewayError","httpCode":429}`
)

const (
	final                                                              = true
	again                                                              = false
	none                                                               = "" // no code
	refused, broken, misset, noModel, filtered, noQuota, busy, tooLong = "upstream_auth_failed", "upstream_invalid_response", "upstream_misconfigured",
		"model_not_found", "content_filter", "insufficient_quota", "rate_limit_exceeded", "context_length_exceeded"
	bad, denied, missing, limited, api = typeInvalidRequest, typePermission, typeNotFound, typeRateLimit, typeAPI
)

var wait7 = http.Header{"Retry-After": {"7"}}

// errorBodies are the bodies that are known of each party, what becomes of them behind an HTTP status, and of the
// same within a successful answer: its status, 0 where nothing can tell that it is an error.
var errorBodies = []struct {
	name     string
	came     int // the upstream's status
	body     string
	status   int
	code     string
	kind     string
	from     hub.Party
	final    bool
	wait     string // Retry-After, where the upstream's header had none
	says     string
	reported int
}{
	// The gateway's policies and spending limits.
	{"policy: denied", 403, policy, 403, "policy_denied", denied, hub.Gateway, final, "", "Access denied by policy", 403},
	{"policy: the spending limit", 429, spending, 429, "spending_limit_reached", limited, hub.Gateway, final, "", "Spending limit exceeded: 1000.42 of 1000 spent.", 429},
	{"policy: the spending limit, small", 429, `{"success":false,"error":{"message":"Spending limit exceeded","spent":0.0042,"limit":0.004}}`, 429, "spending_limit_reached", limited, hub.Gateway, final, "", "0.0042 of 0.004 spent.", 429},
	{"policy: the limit alone", 429, `{"success":false,"error":{"message":"Spending limit exceeded.","limit":5}}`, 429, "spending_limit_reached", limited, hub.Gateway, final, "", "exceeded: the limit is 5.", 429},
	{"policy: what is spent alone", 429, `{"success":false,"error":{"message":"Limit","spent":5}}`, 429, "spending_limit_reached", limited, hub.Gateway, final, "", "Limit: 5 spent.", 429},
	{"policy: amounts that are no numbers", 429, `{"success":false,"error":{"message":"Spending limit exceeded","spent":"bucket-canary-7f3a","limit":{}}}`, 429, "spending_limit_reached", limited, hub.Gateway, final, "", "Spending limit exceeded.", 429},
	{"policy: a message that names the bucket", 429, `{"success":false,"error":{"message":"Limit of bucket-canary-7f3a exceeded","bucket":"bucket-canary-7f3a","spent":2,"limit":1}}`, 429, "spending_limit_reached", limited, hub.Gateway, final, "", "2 of 1 spent", 429},
	{"policy: no words with 429", 429, `{"success":false,"error":{}}`, 429, "spending_limit_reached", limited, hub.Gateway, final, "", "Spending limit exceeded", 502},
	{"policy: no words with 403", 403, `{"success":false,"error":{}}`, 403, "policy_denied", denied, hub.Gateway, final, "", "Access denied by policy", 502},
	{"policy: beside lists that are empty", 403, `{"success":false,"errors":[],"messages":[],"result":null,"error":{"message":"Access denied by policy"}}`, 403, "policy_denied", denied, hub.Gateway, final, "", "denied", 403},
	{"policy: in a list", 403, list + `"message":"Access denied by policy"}]}`, 403, "policy_denied", denied, hub.Gateway, final, "", "Access denied", 403},
	{"policy: something else", 500, `{"success":false,"error":{"message":"Odd","code":"odd"}}`, 500, "odd", api, hub.Gateway, again, "", "Odd", 502},
	{"policy: a rate limit in their form", 429, `{"success":false,"error":{"message":"Too many requests"}}`, 429, busy, limited, hub.Gateway, again, "", "Too many requests", 502},
	{"policy: a code of the gateway's", 429, `{"success":false,"error":{"message":"Rate limited","code":2003}}`, 429, busy, limited, hub.Gateway, again, "", "Rate limited", 429},

	// The gateway itself, in its long and its short form.
	{"gateway: does not exist", 400, gatewayHead + `"code":2001,"message":"Please configure AI Gateway"}]` + its400, 502, misset, api, hub.Gateway, final, "", "whoever runs", 502},
	{"gateway: rate limit", 429, gatewayHead + `"code":2003,"message":"Rate limited"}]` + its429, 429, busy, limited, hub.Gateway, again, "", "Rate limited", 429},
	{"gateway: rate limit in other words", 429, gatewayHead + `"code":2003,"message":"Too many requests"}]` + its429, 429, busy, limited, hub.Gateway, again, "", "Too many requests", 429},
	{"gateway: rate limit without a code", 429, list + `"message":"Too many requests"}]}`, 429, busy, limited, hub.Gateway, again, "", "Too many requests", 502},
	{"gateway: no response", 400, gatewayHead + `"code":2005,"message":"Failed to get response from provider"}]` + its400, 502, "upstream_failed", api, hub.Gateway, again, "", "Try again", 502},
	{"gateway: invalid provider", 400, gatewayHead + `"code":2008,"message":"Invalid provider"}],"internalCode":2008,"message":"Invalid provider","description":"Invalid provider"` + its400, 404, noModel, missing, hub.Gateway, final, "", "Invalid provider", 404},
	{"gateway: invalid provider, short", 400, list + `"code":2008,"message":"Invalid provider"}]}`, 404, noModel, missing, hub.Gateway, final, "", "Invalid provider", 404},
	{"gateway: the code outside of the list", 400, list + `"message":"Invalid provider"}],"internalCode":2008}`, 404, noModel, missing, hub.Gateway, final, "", "Invalid provider", 404},
	{"gateway: our token", 401, gatewayHead + `"code":2009,"message":"Unauthorized"}]` + its401, 502, refused, api, hub.Gateway, final, "", "own credentials", 502},
	{"gateway: prompt blocked", 424, gatewayHead + `"code":2016,"message":"Prompt blocked"}]` + its424, 400, filtered, bad, hub.Gateway, final, "", "Prompt blocked", 400},
	{"gateway: response blocked", 424, gatewayHead + `"code":2017,"message":"Response blocked"}]` + its424, 400, filtered, bad, hub.Gateway, final, "", "Response blocked", 400},
	{"gateway: response blocked, with 422", 422, v4 + `"code":2017,"message":"Response blocked"}]}`, 400, filtered, bad, hub.Gateway, final, "", "Response blocked", 400},
	{"gateway: blocked without a code", 424, list + `"message":"Prompt blocked"}]}`, 400, filtered, bad, hub.Gateway, final, "", "Prompt blocked", 502},
	{"gateway: bad format", 400, gatewayHead + `"code":2019,"message":"Chat completion bad format"}]` + its400, 400, none, bad, hub.Gateway, final, "", "bad format", 400},
	{"gateway: no credits", 402, gatewayHead + `"code":2021,"message":"Insufficient wholesale credits"}]` + its402, 429, noQuota, limited, hub.Gateway, final, "", "credits", 429},
	{"gateway: no credits, in the API's envelope", 402, v4 + `"code":2021,"message":"Use BYOK"}]}`, 429, noQuota, limited, hub.Gateway, final, "", "BYOK", 429},
	{"gateway: no credits without a code", 402, list + `"message":"Pay"}]}`, 429, noQuota, limited, hub.Gateway, final, "", "Pay", 502},
	{"gateway: request blocked by DLP", 400, gatewayHead + `"code":2029,"message":"Request blocked by DLP policy"}]` + its400, 400, filtered, bad, hub.Gateway, final, "", "DLP", 400},
	{"gateway: response blocked by DLP", 400, gatewayHead + `"code":2030,"message":"Response blocked by DLP policy"}]` + its400, 400, filtered, bad, hub.Gateway, final, "", "DLP", 400},
	{"gateway: no stored key", 400, gatewayHead + `"code":2040,"message":"No stored credentials"}]` + its400, 502, misset, api, hub.Gateway, final, "", "no credentials", 502},
	{"gateway: credentials required", 400, list + `"message":"Provider credentials are required"}]}`, 502, misset, api, hub.Gateway, final, "", "no credentials", 502},
	{"gateway: the older spend limit", 429, gatewayHead + `"message":"Spend limit reached"}]` + its429, 429, "spending_limit_reached", limited, hub.Gateway, final, "", "Spend limit reached.", 429},
	{"gateway: the older spend limit, with amounts", 429, list + `"code":0,"message":"Spend limit reached","bucket":"bucket-canary-7f3a","spent":7.5,"limit":7}]}`, 429, "spending_limit_reached", limited, hub.Gateway, final, "", "7.5 of 7 spent", 429},
	{"gateway: guardrails out of order", 503, gatewayHead + `"code":7013,"message":"Scanner failed"}],"name":"AiGatewayError","httpCode":503}`, 503, "upstream_failed", api, hub.Gateway, again, "", "Try again", 503},
	{"gateway: guardrails out of order, in the API's envelope", 503, v4 + `"code":7013,"message":"Scanner failed"}]}`, 503, "upstream_failed", api, hub.Gateway, again, "", "Try again", 503},
	{"gateway: a code that nobody knows", 400, list + `"code":2999,"message":"New for ` + account + `"}]}`, 400, "2999", bad, hub.Gateway, final, "", "New for [redacted]", 502},
	{"gateway: a text in the list", 500, `{"success":false,"error":["Odd"]}`, 500, none, api, hub.Gateway, again, "", "Odd", 502},

	// Cloudflare's API, in front of Workers AI.
	{"API: no authorization", 401, v4 + `"code":10000,"message":"Authentication error"}]}`, 502, refused, api, hub.Gateway, final, "", "own credentials", 502},
	{"API: another token", 403, v4 + `"code":9109,"message":"Invalid access token"}]}`, 502, refused, api, hub.Gateway, final, "", "own credentials", 502},
	{"API: no route", 400, v4 + `"code":7000,"message":"No route for /client/v4/accounts/` + account + `/ai/run/x"}]}`, 404, noModel, missing, hub.Gateway, final, "", "no route", 404},
	{"API: no such model", 400, v4 + `"code":7003,"message":"Could not route to /client/v4/accounts/` + account + `/ai/run/x"}]}`, 404, noModel, missing, hub.Gateway, final, "", "no route", 404},
	{"API: method", 405, v4 + `"code":7001,"message":"Method GET not available for that URI."}]}`, 405, "7001", bad, hub.Gateway, final, "", "GET", 502},
	{"API: no Messages here", 400, v4 + `"message":"Anthropic Messages API is not supported for model"}]}`, 400, none, bad, hub.Provider, final, "", "not supported", 502},

	// Workers AI.
	{"Workers AI: incomplete", 400, v4 + `"code":3003,"message":"Incomplete request"}]}`, 400, "3003", bad, hub.Provider, final, "", "Incomplete", 400},
	{"Workers AI: too large", 413, v4 + `"code":3006,"message":"Request is too large"}]}`, 413, "3006", bad, hub.Provider, final, "", "too large", 413},
	{"Workers AI: context too long", 413, v4 + `"code":3030,"message":"estimated number of input and maximum output tokens (9000) exceeded this model context window limit (8192)"}]}`, 413, tooLong, bad, hub.Provider, final, "", "tokens", 413},
	{"Workers AI: timeout", 408, v4 + `"code":3007,"message":"Request timeout"}]}`, 408, "3007", bad, hub.Provider, again, "", "timeout", 408},
	{"Workers AI: aborted", 408, v4 + `"code":3008,"message":"Request was aborted"}]}`, 408, "3008", bad, hub.Provider, again, "", "aborted", 408},
	{"Workers AI: account blocked", 403, v4 + `"code":3023,"message":"Account ` + account + ` is blocked"}]}`, 403, "3023", denied, hub.Provider, final, "", "Account [redacted] is blocked", 403},
	{"Workers AI: quota used up", 429, v4 + `"code":3036,"message":"Used up"}]}`, 429, noQuota, limited, hub.Provider, final, "", "Used up", 429},
	{"Workers AI: out of capacity", 429, v4 + `"code":3040,"message":"Capacity"}]}`, 429, busy, limited, hub.Provider, again, "", "Capacity", 429},
	{"Workers AI: model not allowed", 403, v4 + `"code":3041,"message":"Not allowed"}]}`, 403, "3041", denied, hub.Provider, final, "", "Not allowed", 403},
	{"Workers AI: bad model id", 404, v4 + `"code":3042,"message":"Bad id"}]}`, 404, noModel, missing, hub.Provider, final, "", "Bad id", 404},
	{"Workers AI: bad data", 400, v4 + `"code":5004,"message":"Bad data"}]}`, 400, "5004", bad, hub.Provider, final, "", "Bad data", 400},
	{"Workers AI: no LoRA", 405, v4 + `"code":5005,"message":"No LoRA"}]}`, 405, "5005", bad, hub.Provider, final, "", "LoRA", 405},
	{"Workers AI: no such model", 400, v4 + `"code":5007,"message":"No such model"}]}`, 404, noModel, missing, hub.Provider, final, "", "No such model", 404},
	{"Workers AI: licence", 403, v4 + `"code":5016,"message":"Accept the licence"}]}`, 403, "5016", denied, hub.Provider, final, "", "Accept the licence", 403},
	{"Workers AI: model not for the account", 403, v4 + `"code":5018,"message":"Not allowed"}]}`, 403, "5018", denied, hub.Provider, final, "", "Not allowed", 403},
	{"Workers AI: old SDK", 405, v4 + `"code":5019,"message":"Old SDK"}]}`, 405, "5019", bad, hub.Provider, final, "", "Old SDK", 405},

	// Google.
	{"Google: bad argument", 400, `{"error":{"code":400,"message":"Google says so","status":"INVALID_ARGUMENT"}}`, 400, "invalid_argument", bad, hub.Provider, final, "", "Google says so", 400},
	{"Google: wrong key", 400, `{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT"` + keyDetail + `}}`, 502, refused, api, hub.Provider, final, "", "own credentials", 502},
	{"Google: location", 400, `{"error":{"code":400,"message":"User location is not supported","status":"FAILED_PRECONDITION"}}`, 502, misset, api, hub.Provider, final, "", "location or billing", 502},
	{"Google: unauthenticated", 401, `{"error":{"code":401,"message":"x","status":"UNAUTHENTICATED"}}`, 502, refused, api, hub.Provider, final, "", "own credentials", 502},
	{"Google: forbidden", 403, `{"error":{"code":403,"message":"x","status":"PERMISSION_DENIED"}}`, 502, refused, api, hub.Provider, final, "", "own credentials", 502},
	{"Google: no such model", 404, `{"error":{"code":404,"message":"models/x is not found","status":"NOT_FOUND"}}`, 404, noModel, missing, hub.Provider, final, "", "models/x", 404},
	{"Google: wait, rounded up", 429, `{"error":{"code":429,"message":"Quota for consumer 'project_number:123456789012'","status":"RESOURCE_EXHAUSTED"` + waitDetail + `}}`, 429, busy, limited, hub.Provider, again, "58", "consumer '[redacted]'", 429},
	{"Google: the day's quota", 429, `{"error":{"code":429,"message":"Quota","status":"RESOURCE_EXHAUSTED"` + dayDetail + `}}`, 429, noQuota, limited, hub.Provider, final, "", "Quota", 429},
	{"Google: internal", 500, `{"error":{"code":500,"message":"Internal","status":"INTERNAL"}}`, 500, "internal", api, hub.Provider, again, "", "Internal", 500},
	{"Google: unavailable", 503, `{"error":{"code":503,"message":"Overloaded","status":"UNAVAILABLE"}}`, 503, "unavailable", api, hub.Provider, again, "", "Overloaded", 503},
	{"Google: too slow", 504, `{"error":{"code":504,"message":"Deadline","status":"DEADLINE_EXCEEDED"}}`, 504, "deadline_exceeded", api, hub.Provider, again, "", "Deadline", 504},
	{"Google: in a list", 404, `[{"error":{"code":404,"message":"models/x is not found","status":"NOT_FOUND"}}]`, 404, noModel, missing, hub.Provider, final, "", "models/x", 404},
	{"Google: behind an answer in a list", 503, `[{"candidates":[{"index":0}]},{"error":{"code":503,"message":"Overloaded","status":"UNAVAILABLE"}}]`, 503, "unavailable", api, hub.Provider, again, "", "Overloaded", 503},
	{"Google: a number alone", 403, `{"error":{"message":"x","code":403}}`, 502, refused, api, hub.Provider, final, "", "own credentials", 502},
	{"Google: no words", 400, `{"error":{"code":400,"status":"INVALID_ARGUMENT"}}`, 400, "invalid_argument", bad, hub.Provider, final, "", ":", 400},

	// OpenAI.
	{"OpenAI: bad JSON", 400, `{"error":{"message":"We could not parse the JSON body","type":"invalid_request_error","param":null,"code":null}}`, 400, none, bad, hub.Provider, final, "", "parse", 502},
	{"OpenAI: too long", 400, `{"error":{"message":"Too long","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}`, 400, tooLong, bad, hub.Provider, final, "", "Too long", 502},
	{"OpenAI: blocked", 400, `{"error":{"message":"Blocked","type":"invalid_request_error","param":null,"code":"content_policy_violation"}}`, 400, "content_policy_violation", bad, hub.Provider, final, "", "Blocked", 502},
	{"OpenAI: a parameter", 400, `{"error":{"message":"Unsupported","type":"invalid_request_error","param":"max_tokens","code":"unsupported_parameter"}}`, 400, "unsupported_parameter", bad, hub.Provider, final, "", "Unsupported", 502},
	{"OpenAI: wrong key", 401, `{"error":{"message":"Incorrect API key provided: sk-canary","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}`, 502, refused, api, hub.Provider, final, "", "own credentials", 502},
	{"OpenAI: wrong key without a code", 401, `{"error":{"message":"Incorrect API key provided: sk-canary","type":"authentication_error"}}`, 502, refused, api, hub.Provider, final, "", "own credentials", 502},
	{"OpenAI: a wrong key by its code", 403, `{"error":{"code":"invalid_api_key","message":"sk-canary"}}`, 502, refused, api, hub.Provider, final, "", "own credentials", 502},
	{"OpenAI: country", 403, `{"error":{"message":"Country not supported","type":"request_forbidden","param":null,"code":"unsupported_country_region_territory"}}`, 403, "unsupported_country_region_territory", denied, hub.Provider, final, "", "Country", 502},
	{"OpenAI: no such model", 404, `{"error":{"message":"The model does not exist","type":"invalid_request_error","param":null,"code":"model_not_found"}}`, 404, noModel, missing, hub.Provider, final, "", "does not exist", 502},
	{"OpenAI: wrong path", 404, `{"error":{"message":"Invalid URL (POST /v1/x)","type":"invalid_request_error","param":null,"code":"unknown_url"}}`, 404, "unknown_url", missing, hub.Provider, final, "", "Invalid URL", 502},
	{"OpenAI: method", 405, `{"error":{"message":"Not allowed","type":"invalid_request_error","param":null,"code":"method_not_supported"}}`, 405, "method_not_supported", bad, hub.Provider, final, "", "Not allowed", 502},
	{"OpenAI: too large", 413, `{"error":{"message":"Too large","type":"invalid_request_error","param":null,"code":null}}`, 413, none, bad, hub.Provider, final, "", "Too large", 502},
	{"OpenAI: media type", 415, `{"error":{"message":"Unsupported","type":"invalid_request_error","param":null,"code":null}}`, 415, none, bad, hub.Provider, final, "", "Unsupported", 502},
	{"OpenAI: unprocessable", 422, `{"error":{"message":"Odd","type":"invalid_request_error","param":null,"code":null}}`, 422, none, bad, hub.Provider, final, "", "Odd", 502},
	{"OpenAI: rate limit", 429, `{"error":{"message":"Rate limit","type":"tokens","param":null,"code":"rate_limit_exceeded"}}`, 429, busy, limited, hub.Provider, again, "", "Rate limit", 502},
	{"OpenAI: quota", 429, `{"error":{"message":"Quota","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}`, 429, noQuota, limited, hub.Provider, final, "", "Quota", 502},
	{"OpenAI: quota by its type", 429, `{"error":{"message":"Quota","type":"insufficient_quota","param":null,"code":null}}`, 429, noQuota, limited, hub.Provider, final, "", "Quota", 502},
	{"OpenAI: credits", 429, `{"error":{"message":"Credits","type":"insufficient_quota","param":null,"code":"credit_balance_exhausted"}}`, 429, "credit_balance_exhausted", limited, hub.Provider, final, "", "Credits", 502},
	{"OpenAI: a server error", 500, `{"error":{"message":"Oops","type":"server_error","param":null,"code":null}}`, 500, none, api, hub.Provider, again, "", "Oops", 502},
	{"OpenAI: bad gateway", 502, `{"error":{"message":"Oops","type":"api_error","param":null,"code":"bad_gateway"}}`, 502, "bad_gateway", api, hub.Provider, again, "", "Oops", 502},
	{"OpenAI: timeout", 504, `{"error":{"message":"Slow","type":"api_error","param":null,"code":"timeout"}}`, 504, "timeout", api, hub.Provider, again, "", "Slow", 502},
	{"OpenAI: overloaded", 503, `{"error":{"message":"Overloaded","type":"service_unavailable_error","param":null,"code":"server_is_overloaded"}}`, 503, "server_is_overloaded", api, hub.Provider, again, "", "Overloaded", 502},
	{"OpenAI: slow down", 503, `{"error":{"message":"Slow down","type":"server_error","param":null,"code":"slow_down"}}`, 503, "slow_down", api, hub.Provider, again, "", "Slow down", 502},
	{"OpenAI: a status for a code, another came", 400, `{"error":{"message":"x","code":429}}`, 400, none, bad, hub.Provider, final, "", "x", 429},
	{"OpenAI: a status for a code, and a type", 403, `{"error":{"message":"Not for you","type":"invalid_request_error","param":null,"code":403}}`, 403, none, denied, hub.Provider, final, "", "Not for you", 403},
	{"OpenAI: a status for a code, and a param", 403, `{"error":{"message":"Not for you","param":"tools","code":403}}`, 403, none, denied, hub.Provider, final, "", "Not for you", 403},
	{"OpenAI: a number for a code", 400, `{"error":{"message":"x","code":20012}}`, 400, "20012", bad, hub.Provider, final, "", "x", 502},
	{"Responses: the event of an error", 429, `{"type":"error","code":"rate_limit_exceeded","message":"Slow down","param":null,"sequence_number":3}`, 429, busy, limited, hub.Provider, again, "", "Slow down", 502},
	{"Responses: the event of an error, newer", 400, `{"type":"error","sequence_number":3,"error":{"type":"invalid_request_error","code":"x","message":"Odd","param":"input"}}`, 400, "x", bad, hub.Provider, final, "", "Odd", 502},

	// Azure OpenAI.
	{"Azure: wrong key", 401, `{"error":{"code":"401","message":"Access denied"}}`, 502, refused, api, hub.Provider, final, "", "own credentials", 502},
	{"Azure: a status as text", 429, `{"error":{"code":"429","message":"Too many"}}`, 429, "429", limited, hub.Provider, again, "", "Too many", 429},
	{"Azure: no deployment", 404, `{"error":{"code":"DeploymentNotFound","message":"The API deployment does not exist."}}`, 404, noModel, missing, hub.Provider, final, "", "deployment", 502},
	{"Azure: content filter", 400, `{"error":{"message":"Filtered","type":null,"param":"prompt","code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation"}}}`, 400, filtered, bad, hub.Provider, final, "", "Filtered", 400},
	{"Azure: its API management", 429, `{"statusCode":429,"message":"Rate limit is exceeded. Try again in 26 seconds."}`, 429, busy, limited, hub.Provider, again, "", "26 seconds", 429},

	// Anthropic.
	{"Anthropic: bad request", 400, ofAnthropic + `"type":"invalid_request_error","message":"Odd"}}`, 400, none, bad, hub.Provider, final, "", "Odd", 502},
	{"Anthropic: wrong key", 401, ofAnthropic + `"type":"authentication_error","message":"invalid x-api-key sk-canary"}}`, 502, refused, api, hub.Provider, final, "", "own credentials", 502},
	{"Anthropic: forbidden", 403, ofAnthropic + `"type":"permission_error","message":"Odd"}}`, 403, none, denied, hub.Provider, final, "", "Odd", 502},
	{"Anthropic: not found", 404, ofAnthropic + `"type":"not_found_error","message":"model: x"}}`, 404, none, missing, hub.Provider, final, "", "model: x", 502},
	{"Anthropic: too large", 413, ofAnthropic + `"type":"request_too_large","message":"Odd"}}`, 413, none, bad, hub.Provider, final, "", "Odd", 502},
	{"Anthropic: rate limit", 429, ofAnthropic + `"type":"rate_limit_error","message":"Odd"}}`, 429, busy, limited, hub.Provider, again, "", "Odd", 502},
	{"Anthropic: internal", 500, ofAnthropic + `"type":"api_error","message":"Odd"}}`, 500, none, api, hub.Provider, again, "", "Odd", 502},
	{"Anthropic: overloaded", 529, ofAnthropic + `"type":"overloaded_error","message":"Overloaded"}}`, 529, none, api, hub.Provider, again, "", "Overloaded", 502},

	// Others.
	{"OpenRouter: a rate limit", 429, `{"error":{"code":429,"message":"Rate limit exceeded"}}`, 429, busy, limited, hub.Provider, again, "", "Rate limit", 429},
	{"OpenRouter: its provider's", 429, `{"error":{"message":"Provider returned error","code":429},"user_id":"u"}`, 429, busy, limited, hub.Provider, again, "", "Provider returned error", 429},
	{"OpenRouter: beside no choices", 429, `{"error":{"message":"Provider returned error","code":429},"choices":null}`, 429, busy, limited, hub.Provider, again, "", "Provider returned error", 429},
	{"OpenRouter: beside choices", 502, `{"id":"gen-1","object":"chat.completion.chunk","error":{"code":502,"message":"Disconnected"},"choices":[{"index":0,"delta":{"content":""},"finish_reason":"error"}]}`, 502, none, api, hub.Provider, again, "", "Disconnected", 502},
	{"OpenRouter: forbidden beside a user", 403, `{"error":{"message":"Flagged","code":403},"user_id":"u"}`, 403, none, denied, hub.Provider, final, "", "Flagged", 403},
	{"OpenRouter: a time-out", 408, `{"error":{"code":408,"message":"Timed out"}}`, 408, none, bad, hub.Provider, again, "", "Timed out", 408},
	{"OpenRouter: moderation", 403, `{"error":{"code":403,"message":"Flagged","metadata":{"reasons":["x"]}}}`, 403, none, denied, hub.Provider, final, "", "Flagged", 403},
	{"OpenRouter: what its provider said", 400, `{"error":{"message":"Provider returned error","code":400,"metadata":{"provider_name":"P","raw":"{\"error\":{\"message\":\"No tools here\"}}"}}}`, 400, none, bad, hub.Provider, final, "", "Provider returned error. No tools here", 400},
	{"OpenRouter: what its provider said in words", 400, `{"error":{"message":"Provider returned error","code":400,"metadata":{"raw":"no tools here"}}}`, 400, none, bad, hub.Provider, final, "", "Provider returned error. no tools here", 400},
	{"OpenRouter: a code as text", 400, `{"error":{"message":"Provider returned error","code":"429"},"user_id":"u"}`, 400, "429", bad, hub.Provider, final, "", "Provider returned error", 429},
	{"xAI: wrong key", 400, `{"code":"Client specified an invalid argument","error":"Incorrect API key provided: sk-canary."}`, 502, refused, api, hub.Provider, final, "", "own credentials", 502},
	{"xAI: a code that is a sentence", 400, `{"code":"Client specified an invalid argument","error":"Too long"}`, 400, none, bad, hub.Provider, final, "", "Too long", 502},
	{"Cerebras: without an object", 400, `{"message":"Please reduce the length","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}`, 400, tooLong, bad, hub.Provider, final, "", "reduce the length", 502},
	{"Groq: unavailable", 503, `{"error":{"message":"Service unavailable.","type":"internal_server_error"}}`, 503, none, api, hub.Provider, again, "", "Service unavailable", 502},
	{"vLLM: as it is", 400, `{"object":"error","message":"Too long","type":"BadRequestError","param":null,"code":400}`, 400, none, bad, hub.Provider, final, "", "Too long", 400},
	{"vLLM: no such model", 404, `{"object":"error","message":"The model does not exist.","type":"NotFoundError","code":404}`, 404, none, missing, hub.Provider, final, "", "does not exist", 404},
	{"Mistral: a field", 422, `{"detail":[{"loc":["body","messages",0,"x"],"msg":"Extra inputs are not permitted"}]}`, 422, none, bad, hub.Provider, final, "", "messages.0.x: Extra inputs", 502},
	{"Mistral: a field within a message", 422, `{"object":"error","message":{"detail":[{"loc":["body"],"msg":"Field required"}]},"code":null}`, 422, none, bad, hub.Provider, final, "", "Field required", 502},
	{"FastAPI: words", 404, `{"detail":"Not Found"}`, 404, none, missing, hub.Provider, final, "", "Not Found", 502},
	{"a message alone", 403, `{"message":"Forbidden"}`, 403, none, denied, hub.Provider, final, "", "Forbidden", 502},
	{"a text in error", 400, `{"error":"just text"}`, 400, none, bad, hub.Provider, final, "", "just text", 502},
	{"error is true", 500, `{"error":true,"message":"Oops"}`, 500, none, api, hub.Provider, again, "", "Oops", 502},
	{"an object without words", 500, `{"error":{}}`, 500, none, api, hub.Provider, again, "", "again", 502},
	{"no success", 500, `{"success":false}`, 500, none, api, hub.Provider, again, "", "again", 502},
	{"an empty object", 500, `{}`, 500, none, api, hub.Provider, again, "", "status 500", 0},

	// Cloudflare's edge, and what has no shape.
	{"the edge: HTML", 500, "<!DOCTYPE html>\n<html><head><title>Worker threw exception | Cloudflare</title></head>\n<body><h1>hub.Error 1101</h1></body></html>\n", 500, none, api, hub.Gateway, again, "", "status 500", 0},
	{"the edge: HTML with 403", 403, `<html>`, 403, none, denied, hub.Gateway, final, "", "status 403", 0},
	{"the edge: text", 403, `error code: 1010`, 403, "1010", denied, hub.Gateway, final, "", "error code: 1010", 0},
	{"the edge: text that is a status", 522, `error code: 522`, 522, none, api, hub.Gateway, again, "", "error code: 522", 0},
	{"text", 503, "no healthy upstream\n", 503, none, api, hub.Gateway, again, "", "no healthy upstream", 0},
	{"text that says no more than the status", 502, `Bad Gateway`, 502, none, api, hub.Gateway, again, "", "status 502.", 0},
	{"text in an event", 429, "event: error\ndata: Slow down\n\n", 429, busy, limited, hub.Gateway, again, "", "Slow down", 0},
	{"nothing", 404, ``, 404, none, missing, hub.Gateway, final, "", "status 404", 0},
	{"nothing in an event", 500, "data: [DONE]\n\n", 500, none, api, hub.Gateway, again, "", "status 500", 0},
	{"half an object", 500, `{"error":{"message":"x"`, 500, none, api, hub.Gateway, again, "", "status 500", 0},
	{"a redirect", 301, ``, 502, broken, api, hub.Gateway, final, "", "redirect", 0},
	{"a redirect with an error", 302, policy, 403, "policy_denied", denied, hub.Gateway, final, "", "denied", 403},
	{"a success that cannot be read", 200, ``, 502, broken, api, hub.Gateway, final, "", "cannot be read", 0},
	{"a success with an error", 200, spending, 429, "spending_limit_reached", limited, hub.Gateway, final, "", "1000.42", 429},
	{"a proxy on the way wants a password", 407, ``, 502, refused, api, hub.Gateway, final, "", "own credentials", 0},
	{"a status that there is not", 999, ``, 502, none, api, hub.Gateway, again, "", "status 502", 0},
}
