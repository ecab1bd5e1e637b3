package openai

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

func gateway(code int, message string) string {
	return fmt.Sprintf(`{"success":false,"result":[],"messages":[],"error":[{"code":%d,"message":%q}],"name":"AiGatewayError","httpCode":400,"internalCode":%d,"message":%q,"description":%q}`, code, message, code, message, message)
}

func cloudflare(code int, message string) string {
	return fmt.Sprintf(`{"success":false,"errors":[{"code":%d,"message":%q}],"messages":[],"result":null}`, code, message)
}

func google(status, details string) string {
	return fmt.Sprintf(`{"error":{"code":400,"message":"Google says so","status":%q,"details":[%s]}}`, status, details)
}

func TestErrorsOfTheFourParties(t *testing.T) {
	const retry = `{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"57.238s"}`
	for name, test := range map[string]struct {
		status     int
		body       string
		want       int
		code       string
		final      bool
		retryAfter string
		says       string
	}{
		"gateway: does not exist":             {400, gateway(2001, "Please configure AI Gateway"), 502, "upstream_misconfigured", true, "", "whoever runs"},
		"gateway: rate limit":                 {429, gateway(2003, "Rate limited"), 429, "rate_limit_exceeded", false, "", "Rate limited"},
		"gateway: no response":                {400, gateway(2005, "Failed to get response"), 502, "upstream_failed", false, "", "Try again"},
		"gateway: invalid provider":           {400, gateway(2008, "Invalid provider"), 404, "model_not_found", true, "", "Invalid provider"},
		"gateway: our token":                  {401, gateway(2009, "Unauthorized"), 502, "upstream_auth_failed", true, "", "own credentials"},
		"gateway: prompt blocked":             {424, gateway(2016, "Prompt blocked"), 400, "content_filter", true, "", "Prompt blocked"},
		"gateway: response blocked":           {424, gateway(2017, "Response blocked"), 400, "content_filter", true, "", ""},
		"gateway: bad format":                 {400, gateway(2019, "Chat completion bad format"), 400, "", true, "", "bad format"},
		"gateway: no credits":                 {402, gateway(2021, "Insufficient credits"), 429, "insufficient_quota", true, "", ""},
		"gateway: request blocked by DLP":     {400, gateway(2029, "Request blocked"), 400, "content_filter", true, "", ""},
		"gateway: response blocked by DLP":    {400, gateway(2030, "Response blocked"), 400, "content_filter", true, "", ""},
		"gateway: no stored key":              {400, gateway(2040, "No stored credentials"), 502, "upstream_misconfigured", true, "", ""},
		"gateway: credentials required":       {400, gateway(0, "Provider credentials are required"), 502, "upstream_misconfigured", true, "", ""},
		"gateway: spend limit":                {429, gateway(0, "Spend limit reached"), 429, "insufficient_quota", true, "", ""},
		"gateway: the short form":             {400, `{"success":false,"error":[{"code":2008,"message":"Invalid provider"}]}`, 404, "model_not_found", true, "", ""},
		"Workers AI: no authorization":        {401, cloudflare(10000, "Authentication error"), 502, "upstream_auth_failed", true, "", ""},
		"Workers AI: no such model":           {400, cloudflare(5007, "No such model"), 404, "model_not_found", true, "", "No such model"},
		"Workers AI: out of capacity":         {429, cloudflare(3040, "Capacity"), 429, "rate_limit_exceeded", false, "", ""},
		"Workers AI: quota used up":           {429, cloudflare(3036, "Used up"), 429, "insufficient_quota", true, "", ""},
		"Workers AI: licence":                 {403, cloudflare(5016, "Accept the licence"), 403, "5016", true, "", "Accept the licence"},
		"Workers AI: context too long":        {413, cloudflare(3030, "estimated number of input and maximum output tokens exceeded"), 413, "context_length_exceeded", true, "", ""},
		"Azure: wrong key":                    {401, `{"error":{"code":"401","message":"Access denied"}}`, 502, "upstream_auth_failed", true, "", ""},
		"Azure: no deployment":                {404, `{"error":{"code":"DeploymentNotFound","message":"The API deployment does not exist."}}`, 404, "model_not_found", true, "", "deployment"},
		"Azure: content filter":               {400, `{"error":{"message":"filtered","type":null,"param":"prompt","code":"content_filter","status":400}}`, 400, "content_filter", true, "", "filtered"},
		"Google: wrong key":                   {400, google("INVALID_ARGUMENT", `{"reason":"API_KEY_INVALID"}`), 502, "upstream_auth_failed", true, "", ""},
		"Google: bad argument":                {400, google("INVALID_ARGUMENT", ""), 400, "invalid_argument", true, "", "Google says so"},
		"Google: location":                    {400, google("FAILED_PRECONDITION", ""), 502, "upstream_misconfigured", true, "", ""},
		"Google: unauthenticated":             {401, google("UNAUTHENTICATED", ""), 502, "upstream_auth_failed", true, "", ""},
		"Google: forbidden":                   {403, google("PERMISSION_DENIED", ""), 502, "upstream_auth_failed", true, "", ""},
		"Google: no such model":               {404, google("NOT_FOUND", ""), 404, "model_not_found", true, "", ""},
		"Google: wait, rounded up":            {429, google("RESOURCE_EXHAUSTED", retry), 429, "rate_limit_exceeded", false, "58", ""},
		"Google: the day's quota":             {429, google("RESOURCE_EXHAUSTED", `{"violations":[{"quotaId":"GenerateRequestsPerDay"}]}`), 429, "insufficient_quota", true, "", ""},
		"Google: unavailable":                 {503, google("UNAVAILABLE", ""), 503, "unavailable", false, "", "Google says so"},
		"Google: in an array":                 {404, "[" + google("NOT_FOUND", "") + "]", 404, "model_not_found", true, "", ""},
		"OpenAI: as it is":                    {400, `{"error":{"message":"Too long","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}`, 400, "context_length_exceeded", true, "", "Too long"},
		"OpenAI: a server error":              {500, `{"error":{"message":"Oops","type":"server_error","code":null}}`, 500, "", false, "", "Oops"},
		"OpenAI: a code that is a number":     {400, `{"error":{"message":"x","code":429}}`, 400, "", true, "", ""},
		"OpenAI's shape, a number for a code": {403, `{"error":{"message":"Not for you","type":"invalid_request_error","param":null,"code":403}}`, 403, "", true, "", "Not for you"},
		"OpenAI's shape without a type":       {403, `{"error":{"message":"Not for you","param":"tools","code":403}}`, 403, "", true, "", "Not for you"},
		"Google: a number alone":              {403, `{"error":{"message":"x","code":403}}`, 502, "upstream_auth_failed", true, "", ""},
		"OpenRouter: a rate limit":            {429, `{"error":{"code":429,"message":"Rate limit exceeded"}}`, 429, "rate_limit_exceeded", false, "", "Rate limit"},
		"OpenRouter: a time-out":              {408, `{"error":{"code":408,"message":"Timed out"}}`, 408, "", false, "", "Timed out"},
		"OpenRouter: moderation":              {403, `{"error":{"code":403,"message":"Flagged","metadata":{"reasons":["x"]}}}`, 403, "", true, "", "Flagged"},
		"xAI: wrong key":                      {400, `{"code":"Client specified an invalid argument","error":"Incorrect API key provided: sk***YA."}`, 502, "upstream_auth_failed", true, "", "own credentials"},
		"xAI: a code that is a sentence":      {400, `{"code":"Client specified an invalid argument","error":"Too long"}`, 400, "", true, "", "Too long"},
		"a wrong key by its code":             {403, `{"error":{"code":"invalid_api_key","message":"sk-1"}}`, 502, "upstream_auth_failed", true, "", "own credentials"},
		"Cerebras: without an object":         {400, `{"message":"Please reduce the length","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}`, 400, "context_length_exceeded", true, "", "reduce the length"},
		"Mistral: a field":                    {422, `{"detail":[{"loc":["body","messages",0,"x"],"msg":"Extra inputs are not permitted"}]}`, 422, "", true, "", "messages.0.x: Extra inputs"},
		"Mistral: a field within a message":   {422, `{"object":"error","message":{"detail":[{"loc":["body"],"msg":"Field required"}]},"code":null}`, 422, "", true, "", "Field required"},
		"FastAPI: words":                      {404, `{"detail":"Not Found"}`, 404, "", true, "", "Not Found"},
		"text in error":                       {400, `{"error":"just text"}`, 400, "", true, "", "just text"},
		"the edge: HTML":                      {502, `<html>`, 502, "", false, "", "status 502"},
		"the edge: text":                      {403, `error code: 1010`, 403, "", true, "", "status 403"},
		"nothing":                             {404, ``, 404, "", true, "", "status 404"},
		"a redirect":                          {301, ``, 502, "upstream_invalid_response", true, "", ""},
		"a success that cannot be read":       {200, ``, 502, "upstream_invalid_response", true, "", ""},
		"brackets without end":                {400, strings.Repeat("[", 1<<20), 400, "", true, "", "status 400"},
		"a proxy on the way wants a password": {407, ``, 502, "upstream_auth_failed", true, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			e := UpstreamError(test.status, http.Header{}, []byte(test.body))
			if e.Status != test.want || e.Code != test.code || e.Final != test.final || e.RetryAfter != test.retryAfter || !strings.Contains(e.Message, test.says) {
				t.Errorf("got %+v", e)
			}
			if e.Message == "" {
				t.Error("no message")
			}
		})
	}
}

func TestAnErrorInOpenAIsShapeKeepsItsParam(t *testing.T) {
	e := UpstreamError(400, http.Header{}, []byte(`{"error":{"message":"m","type":"invalid_request_error","param":"tools","code":400}}`))
	if e.Param != "tools" || e.Status != 400 || e.Message != "m" {
		t.Errorf("got %+v", e)
	}
}

func TestAnAccountStaysHere(t *testing.T) {
	for _, code := range []int{7000, 7003} {
		body := cloudflare(code, "Could not route to /client/v4/accounts/0123456789abcdef/ai/run/@cf/x, perhaps your object identifier is invalid?")
		for _, e := range []*Error{UpstreamError(400, http.Header{}, []byte(body)), Reported(gjson.Parse(body))} {
			if e.Status != 404 || e.Code != "model_not_found" || e.Param != "model" || !e.Final || e.From != Gateway || strings.Contains(e.Message, "0123") || e.Message == "" {
				t.Errorf("%d: got %+v", code, e)
			}
		}
	}
}

func TestRetryAfterIsKept(t *testing.T) {
	for _, status := range []int{429, 503} {
		if e := UpstreamError(status, http.Header{"Retry-After": {"7"}}, nil); e.RetryAfter != "7" {
			t.Errorf("status %d: Retry-After %q", status, e.RetryAfter)
		}
	}
}

func FuzzUpstreamError(f *testing.F) {
	f.Add(400, []byte(gateway(2008, "x")))
	f.Add(429, []byte(google("RESOURCE_EXHAUSTED", `{"retryDelay":"1.5s"}`)))
	f.Add(403, []byte(cloudflare(10000, "x")))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		if status < 200 || status > 599 {
			return
		}
		e := UpstreamError(status, http.Header{}, body)
		if e.Status < 400 || e.Status > 599 || e.Message == "" || !json.Valid(e.AppendJSON(nil)) {
			t.Errorf("%d %q became %+v", status, body, e)
		}
		if kind := e.Type(); kind == "server_error" || kind == "rate_limit_exceeded" {
			t.Errorf("type %s", kind)
		}
	})
}
