package gatewaytest

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// call is a request that is being answered.
type call struct {
	config   *Config
	scenario Scenario
	request  *Request
	number   int   // the request's number; ids in the answer are made from it
	created  int64 // in Unix seconds

	route    string // the part of the path after the gateway: a provider, or compat
	path     string // the rest of the path
	provider string // the provider whose credentials the request needs, or "" if it names none
	query    url.Values

	body      object
	bodyTwice []string // names that occur twice in the body
	bodyErr   error    // why the body is not a JSON object
}

// upstreams are the gateway's routes.
var upstreams = map[string]func(*call) *answer{
	"workers-ai":       (*call).workersAI,
	"azure-openai":     (*call).azureOpenAI,
	"google-ai-studio": (*call).googleAIStudio,
	"openai":           (*call).openAI,
	"anthropic":        (*call).anthropic,
	"compat":           (*call).compat,
}

func (s *Server) newCall(r *Request, sc Scenario, number int) *call {
	c := &call{config: &s.Config, scenario: sc, request: r, number: number, created: time.Now().Unix()}
	if below, ok := strings.CutPrefix(r.Path, "/v1/"+s.Config.Account+"/"+s.Config.Gateway+"/"); ok {
		c.route, c.path, _ = strings.Cut(below, "/")
	}
	c.query, _ = url.ParseQuery(r.RawQuery)
	c.body, c.bodyTwice, c.bodyErr = decodeObject(r.Body)
	c.provider = c.route
	if c.route == "compat" {
		c.provider, _, _ = strings.Cut(str(c.body, "model"), "/")
		if !compatProviders[c.provider] {
			c.provider = ""
		}
	}
	return c
}

// answer returns the answer of the gateway, or of the provider behind it.
func (s *Server) answer(c *call) *answer {
	if complaints := c.complaints(); len(complaints) > 0 {
		s.complain(c.request, complaints)
		return openAIFailure(http.StatusBadRequest, "gatewaytest: "+strings.Join(complaints, "; "), "complaint", "", "")
	}
	upstream, ok := upstreams[c.route]
	switch {
	case c.route == "":
		return gatewayFailure(http.StatusBadRequest, 2001, "Please configure AI Gateway in the Cloudflare dashboard")
	case c.request.Header.Get("Cf-Aig-Authorization") != "Bearer "+s.Config.Token:
		return gatewayFailure(http.StatusUnauthorized, 2009, "Unauthorized")
	case !ok:
		return gatewayFailure(http.StatusBadRequest, 2008, "Invalid provider")
	case c.request.Method != http.MethodPost:
		return apiFailure(http.StatusMethodNotAllowed, 7001, "Method "+c.request.Method+" not available for that URI.")
	}
	a := upstream(c)
	if c.scenario.reply != nil && a.status == http.StatusOK {
		return c.scenario.reply
	}
	return a
}

// credentials returns the headers of the request's provider.
func (c *call) credentials() map[string]string {
	headers := c.config.ProviderHeaders[c.provider]
	if c.route == "anthropic" {
		return anthropicHeaders(headers)
	}
	return headers
}

// authorized reports whether the request has the headers of its provider, except those that the
// caller has checked itself.
func (c *call) authorized(but ...string) bool {
	for name, value := range c.credentials() {
		if c.request.Header.Get(name) != value && !slices.Contains(but, http.CanonicalHeaderKey(name)) {
			return false
		}
	}
	return true
}

// configured returns the value that a header of the provider must have. header is in canonical
// form.
func (c *call) configured(header string) (value string, ok bool) {
	for name, value := range c.credentials() {
		if http.CanonicalHeaderKey(name) == header {
			return value, true
		}
	}
	return "", false
}

// stream reports whether the answer is a stream: the request asks for one, and the scenario allows
// it.
func (c *call) stream() bool {
	return c.body["stream"] == true && !c.scenario.JSONForStream
}
