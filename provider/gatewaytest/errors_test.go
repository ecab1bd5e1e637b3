package gatewaytest

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestEachErrorHasTheFormOfItsSource(t *testing.T) {
	s := start(t)
	for name, test := range map[string]struct {
		scenario Scenario
		status   int
		want     string // a part of the body
	}{
		"gateway not configured":  {GatewayNotConfigured, 400, `"internalCode":2001`},
		"gateway rate limit":      {GatewayRateLimited, 429, `"internalCode":2003`},
		"provider unreachable":    {ProviderUnreachable, 400, `"internalCode":2005`},
		"invalid provider":        {InvalidProvider, 400, `"internalCode":2008`},
		"gateway unauthorized":    {GatewayUnauthorized, 401, `"internalCode":2009`},
		"prompt blocked":          {PromptBlocked, 424, `"internalCode":2016`},
		"response blocked":        {ResponseBlocked, 424, `"internalCode":2017`},
		"bad format":              {BadFormat, 400, `"internalCode":2019`},
		"credits used up":         {CreditsUsedUp, 402, `"internalCode":2021`},
		"request blocked by DLP":  {RequestBlockedByDLP, 400, `"internalCode":2029`},
		"response blocked by DLP": {ResponseBlockedByDLP, 400, `"internalCode":2030`},
		"no stored key":           {NoStoredKey, 400, `"internalCode":2040`},
		"credentials required":    {CredentialsRequired, 400, `"error":[{"message":"Provider credentials are required"}]`},
		"spend limit reached":     {SpendLimitReached, 429, `"error":[{"message":"Spend limit reached"}]`},
		"the short form":          {ShortGatewayError(400, 2008, "Invalid provider"), 400, `{"error":[{"code":2008,"message":"Invalid provider"}],"messages":[],"result":[],"success":false}`},
		"Workers AI out of room":  {CloudflareError(429, 3040, "Capacity temporarily exceeded, please try again."), 429, `"errors":[{"code":3040,`},
		"Azure's deployment":      {AzureError(404, "DeploymentNotFound", "The API deployment for this resource does not exist."), 404, `{"error":{"code":"DeploymentNotFound",`},
		"Azure's filter":          {AzureContentFilter(), 400, `"innererror":{"code":"ResponsibleAIPolicyViolation"`},
		"Google's":                {GoogleError(503, "UNAVAILABLE", "The model is overloaded."), 503, `{"error":{"code":503,"message":"The model is overloaded.","status":"UNAVAILABLE"}}`},
		"Google's with a delay":   {GoogleRetry("57.238s", "PerMinute"), 429, `"retryDelay":"57.238s"`},
		"OpenAI's":                {OpenAIError(400, "m", "invalid_request_error", "p", ""), 400, `{"error":{"code":null,"message":"m","param":"p","type":"invalid_request_error"}}`},
		"the edge's page":         {EdgePage, 500, "Error 1101"},
		"the edge's text":         {EdgeText, 403, "error code: 1010"},
	} {
		t.Run(name, func(t *testing.T) {
			s.Next(test.scenario)
			res := post(t, s, chatPath, chatStream)
			if res.status != test.status || !strings.Contains(res.body, test.want) {
				t.Error(res)
			}
			if isJSON := res.header.Get("Content-Type") == "application/json"; isJSON != json.Valid([]byte(res.body)) {
				t.Error(res.header)
			}
		})
	}
}
