package gatewaytest

import (
	"net/http"
	"strings"
)

// workersAI answers as Workers AI. Below v1/ it uses OpenAI's format, and below the models' names
// their own formats.
func (c *call) workersAI() *answer {
	if !c.authorized() {
		return apiFailure(http.StatusUnauthorized, 10000, "Authentication error")
	}
	if c.bodyErr != nil {
		return badInput("Error: the body is not a JSON object")
	}
	if isWorkersAIModel(c.path) {
		return c.runModel(c.path)
	}
	endpoint, ok := map[string]func(*call, string) *answer{
		"v1/chat/completions": (*call).workersAIChat,
		"v1/embeddings":       (*call).embeddings,
		"v1/responses":        (*call).workersAIResponses,
	}[c.path]
	if !ok {
		return noRoute(c.path)
	}
	model := str(c.body, "model")
	if !isWorkersAIModel(model) {
		return noSuchModel(model)
	}
	return endpoint(c, model)
}

// isWorkersAIModel reports whether name is a model: @cf/<author>/<model>, or @hf/….
func isWorkersAIModel(name string) bool {
	parts := strings.Split(name, "/")
	return len(parts) == 3 && (parts[0] == "@cf" || parts[0] == "@hf") && parts[1] != "" && parts[2] != ""
}

func badInput(text string) *answer {
	return apiFailure(http.StatusBadRequest, 5006, "AiError: Bad input: "+text)
}

func noSuchModel(name string) *answer {
	return apiFailure(http.StatusBadRequest, 5007, "No such model "+name+" or task")
}

func noRoute(path string) *answer {
	return jsonAnswer(http.StatusNotFound, object{
		"success": false, "result": nil, "messages": []any{},
		"errors": []any{
			object{"code": 7003, "message": "Could not route to /" + path + ", perhaps your object identifier is invalid?"},
			object{"code": 7000, "message": "No route for that URI"},
		},
	})
}

func (c *call) workersAIChat(model string) *answer {
	if refused := checkMessages(c.body); refused != nil {
		return badInput("Error: oneOf at '/' not met, 0 matches: required properties at '/' are 'messages'")
	}
	return c.chatAnswer(c.chatQuestion(model)).answer()
}

// workersAIResponses serves only the gpt-oss models, and does not stream.
func (c *call) workersAIResponses(model string) *answer {
	switch {
	case !strings.HasPrefix(model, "@cf/openai/gpt-oss-"):
		return noSuchModel(model)
	case c.body["stream"] == true:
		return badInput("Error: streaming is not supported by this endpoint")
	case c.body["input"] == nil:
		return badInput("Error: required properties at '/' are 'input'")
	}
	return c.responses(model)
}

// nativeFields are the fields of a text generation model's own endpoint.
var nativeFields = all(text, "prompt", "lora").with(
	all(boolean, "stream", "raw"),
	all(integer, "max_tokens", "top_k", "seed"),
	all(number, "temperature", "top_p", "repetition_penalty", "frequency_penalty", "presence_penalty"),
	fields{"messages": {kind: structure, list: true}},
)

// nativeMaxTokens is the default limit of an answer at a model's own endpoint, in tokens.
const nativeMaxTokens = 256

// runModel answers at the own endpoint of a text generation model.
func (c *call) runModel(model string) *answer {
	if found := violations(c.body, nativeFields, ""); len(found) > 0 {
		if found[0].unknown {
			return badInput("Error: Additional or unevaluated properties '/" + found[0].name + "' at '/' not allowed")
		}
		return badInput("Error: Type mismatch of '/" + found[0].name + "'")
	}
	prompt, messages := str(c.body, "prompt"), objects(c.body, "messages")
	if (prompt == "") == (len(messages) == 0) {
		return badInput("Error: oneOf at '/' not met: required properties at '/' are 'prompt' or 'messages'")
	}
	if len(messages) > 0 && checkMessages(c.body) != nil {
		return badInput("Error: Type mismatch of '/messages'")
	}
	q := question{model: model, prompt: prompt, raw: c.body["raw"] == true, size: len(prompt)}
	if len(messages) > 0 {
		q = c.chatQuestion(model)
	}
	q.maxTokens = nativeMaxTokens
	if c.body["max_tokens"] != nil {
		q.maxTokens = integerOf(c.body, "max_tokens")
	}
	r := c.reply(q)
	if !c.stream() {
		result := object{"response": any(r.text()), "usage": nativeUsage(r, r.tokens)}
		if len(r.pieces) == 1 {
			result["response"] = c.pieceText(r.pieces[0])
		}
		return jsonAnswer(http.StatusOK, object{"success": true, "errors": []any{}, "messages": []any{}, "result": result})
	}
	s := stream()
	for i, piece := range c.wire(r.pieces) {
		frame := object{"response": piece, "p": "abcdefg"[:1+i%7]} // p is padding
		if c.scenario.UsageOnEveryFrame {
			frame["usage"] = nativeUsage(r, i+1)
		}
		s.add(frame)
	}
	s.add(object{"response": "", "usage": nativeUsage(r, r.tokens)})
	return s.done()
}

func nativeUsage(r *reply, tokens int) object {
	return object{"prompt_tokens": r.promptTokens, "completion_tokens": tokens, "total_tokens": r.promptTokens + tokens}
}
