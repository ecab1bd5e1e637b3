package gatewaytest

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

var geminiPath = regexp.MustCompile(`^v1beta/models/([a-z0-9.-]+):([A-Za-z]+)$`)

// googleAIStudio answers as the Gemini API.
func (c *call) googleAIStudio() *answer {
	match := geminiPath.FindStringSubmatch(c.path)
	if match == nil {
		return &answer{status: http.StatusNotFound, contentType: "text/html; charset=UTF-8",
			frames: [][]byte{[]byte("<!DOCTYPE html>\n<title>Error 404 (Not Found)!!1</title>\n")}}
	}
	a := c.gemini(match[1], match[2])
	if match[2] == "streamGenerateContent" && c.query.Get("alt") != "sse" && a.status != http.StatusOK {
		// Without alt=sse the stream is an array, and errors are in an array too.
		a.frames = [][]byte{append(append([]byte("["), a.frames[0]...), ']')}
	}
	return a
}

func (c *call) gemini(model, method string) *answer {
	if refused := c.geminiKey(); refused != nil {
		return refused
	}
	if refused := geminiQuery(c.query); refused != nil {
		return refused
	}
	if c.bodyErr != nil {
		return invalidArgument("Invalid JSON payload received. Unexpected token.")
	}
	embeds := strings.Contains(model, "embedding")
	switch {
	case strings.HasPrefix(model, "gemini-") && !embeds && (method == "generateContent" || method == "streamGenerateContent"):
		if refused := geminiCheck(c.body, geminiRequest); refused != nil {
			return refused
		}
		return c.generateContent(model, method == "streamGenerateContent" && !c.scenario.JSONForStream)
	case strings.HasPrefix(model, "gemini-") && !embeds && method == "countTokens":
		return c.countTokens()
	case embeds && method == "embedContent":
		return c.embedContent(model)
	case embeds && method == "batchEmbedContents":
		return c.batchEmbedContents(model)
	}
	return googleFailure(http.StatusNotFound, "NOT_FOUND", "models/"+model+" is not found for API version v1beta, or is not supported for "+method+
		". Call ListModels to see the list of available models and their supported methods.")
}

// geminiKey refuses a request without the key. The key may also be in the query.
func (c *call) geminiKey() *answer {
	const name = "X-Goog-Api-Key"
	wanted, _ := c.configured(name)
	key := c.request.Header.Get(name)
	if key == "" {
		key = c.query.Get("key")
	}
	switch {
	case key == wanted && c.authorized(name):
		return nil
	case key == "":
		return googleFailure(http.StatusForbidden, "PERMISSION_DENIED",
			"Method doesn't allow unregistered callers (callers without established identity). Please use API Key or other form of API consumer identity to call this API.")
	}
	return invalidArgument("API key not valid. Please pass a valid API key.", googleReason("API_KEY_INVALID"))
}

func geminiQuery(query url.Values) *answer {
	for name := range query {
		if name != "alt" && name != "key" {
			return invalidArgument(`Invalid JSON payload received. Unknown name "` + name + `": Cannot bind query parameter. Field '` + name + `' could not be found in request message.`)
		}
	}
	if alt := query.Get("alt"); alt != "" && alt != "json" && alt != "sse" {
		return invalidArgument("Invalid value for query parameter alt.")
	}
	return nil
}

func invalidArgument(text string, details ...object) *answer {
	return googleFailure(http.StatusBadRequest, "INVALID_ARGUMENT", text, details...)
}

// geminiCheck refuses a message with unknown or wrong fields. Like Google, it lists all of them in
// one error.
func geminiCheck(body object, known fields) *answer {
	var texts []string
	var of []any
	for _, v := range violations(body, known, "") {
		at, text := snakeCase(v.at), ""
		if v.unknown {
			text = `Invalid JSON payload received. Unknown name "` + v.name + `"`
			if at != "" {
				text += " at '" + at + "'"
			}
			text += ": Cannot find field."
		} else {
			text = "Invalid value at '" + snakeCase(join(v.at, v.name)) + "': " + string(encode(v.value))
		}
		texts = append(texts, text)
		of = append(of, object{"field": at, "description": text})
	}
	if texts == nil {
		return nil
	}
	return invalidArgument(strings.Join(texts, "\n"), object{"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": of})
}

var capital = regexp.MustCompile(`[A-Z]`)

// snakeCase returns a path in the form of Google's errors.
func snakeCase(path string) string {
	return capital.ReplaceAllStringFunc(path, func(c string) string { return "_" + strings.ToLower(c) })
}
