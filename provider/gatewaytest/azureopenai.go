package gatewaytest

import (
	"net/http"
	"regexp"
	"strings"
)

var (
	azureName       = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]*$`)
	azureAPIVersion = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}(-preview)?$`)
)

// azureOpenAI answers as Azure OpenAI. The gateway itself adds `openai/deployments/` to the path.
func (c *call) azureOpenAI() *answer {
	resource, rest, _ := strings.Cut(c.path, "/")
	deployment, endpoint, _ := strings.Cut(rest, "/")
	switch {
	case !c.authorized():
		return azureFailure(http.StatusUnauthorized, "401",
			"Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for an active subscription and use a correct regional API endpoint for your resource.")
	case !azureName.MatchString(resource) || !azureAPIVersion.MatchString(c.query.Get("api-version")):
		return azureNoResource()
	case c.bodyErr != nil:
		return badJSON()
	case rest == "openai/responses":
		return c.azureResponses()
	case !azureName.MatchString(deployment) || deployment == "openai":
		return azureNoResource()
	}
	switch endpoint {
	case "chat/completions":
		return c.azureChat(deployment)
	case "completions":
		if refused := checkOpenAI(c.body, completionFields); refused != nil {
			return refused
		}
		return c.textCompletion(deployment)
	case "embeddings":
		if refused := checkOpenAI(c.body, embeddingFields); refused != nil {
			return refused
		}
		return c.embeddings(deployment)
	}
	return azureNoResource()
}

// azureNoResource returns Azure's answer to a wrong path or a missing api-version.
func azureNoResource() *answer {
	return azureFailure(http.StatusNotFound, "404", "Resource not found")
}

func badJSON() *answer {
	return invalid("We could not parse the JSON body of your request.", "", "")
}

func (c *call) azureChat(deployment string) *answer {
	if refused := checkChat(c.body, deployment); refused != nil {
		return refused
	}
	a := c.chatAnswer(c.chatQuestion(deployment))
	a.azure = true
	return a.answer()
}

func (c *call) azureResponses() *answer {
	if refused := checkResponses(c.body); refused != nil {
		return refused
	}
	model := str(c.body, "model")
	if !azureName.MatchString(model) {
		return azureFailure(http.StatusNotFound, "DeploymentNotFound", "The API deployment for this resource does not exist.")
	}
	return c.responses(model)
}

// contentFilter returns what Azure says about a harmless text.
func contentFilter() object {
	results := object{}
	for _, harm := range []string{"hate", "self_harm", "sexual", "violence"} {
		results[harm] = object{"filtered": false, "severity": "safe"}
	}
	return results
}

func promptFilter() []any {
	return []any{object{"prompt_index": 0, "content_filter_results": contentFilter()}}
}
