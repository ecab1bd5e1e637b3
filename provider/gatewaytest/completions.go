package gatewaytest

import (
	"fmt"
	"net/http"
)

// completionFields are the fields of a text completion request.
var completionFields = all(text, "model", "suffix", "user").with(
	all(number, "temperature", "top_p", "presence_penalty", "frequency_penalty"),
	all(integer, "max_tokens", "n", "best_of", "seed", "logprobs"),
	all(boolean, "stream", "echo"),
	all(structure, "logit_bias"),
	all(anything, "prompt", "stop"),
	fields{"stream_options": {kind: message, of: all(boolean, "include_usage", "include_obfuscation")}},
)

// textCompletion answers a text completion request in OpenAI's format.
func (c *call) textCompletion(model string) *answer {
	prompts := words(c.body["prompt"])
	if len(prompts) != 1 {
		return invalid("Missing required parameter: 'prompt'.", "prompt", "missing_required_parameter")
	}
	limit := integerOf(c.body, "max_tokens")
	if limit == 0 {
		limit = 16 // OpenAI's default
	}
	r := c.reply(question{
		model: model, prompt: prompts[0], raw: true, size: len(prompts[0]),
		maxTokens: limit, stop: words(c.body["stop"]),
	})
	usage := object{"prompt_tokens": r.promptTokens, "completion_tokens": r.tokens, "total_tokens": r.promptTokens + r.tokens}
	body := func(text, finish any) object {
		return object{
			"id": fmt.Sprintf("cmpl-gatewaytest%08d", c.number), "object": "text_completion", "created": c.created, "model": model,
			"choices": []any{object{"text": text, "index": 0, "logprobs": nil, "finish_reason": finish}},
		}
	}
	if !c.stream() {
		whole := body(r.text(), r.finish)
		whole["usage"] = usage
		return jsonAnswer(http.StatusOK, whole)
	}
	s := stream()
	for _, piece := range c.wire(r.pieces) {
		s.add(body(piece, nil))
	}
	s.add(body("", r.finish))
	if child(c.body, "stream_options")["include_usage"] == true {
		last := body("", nil)
		last["choices"], last["usage"] = []any{}, usage
		s.add(last)
	}
	return s.done()
}
