package gatewaytest

import (
	"fmt"
	"net/http"
)

// responseFields are the fields of a request to /responses that Continue and OpenAI's SDKs send.
var responseFields = all(text,
	"model", "instructions", "previous_response_id", "service_tier", "truncation", "user", "safety_identifier",
	"prompt_cache_key", "prompt_cache_retention",
).with(
	all(number, "temperature", "top_p"),
	all(integer, "max_output_tokens", "max_tool_calls", "top_logprobs"),
	all(boolean, "stream", "store", "background", "parallel_tool_calls"),
	all(structure, "metadata", "reasoning", "text", "stream_options", "prompt"),
	all(anything, "input", "tool_choice", "conversation"),
	fields{"include": {kind: text, list: true}, "tools": {kind: structure, list: true}},
)

// responses answers a request to /responses with one message of text.
func (c *call) responses(model string) *answer {
	q := question{model: model, size: len(encode(c.body["input"])), maxTokens: integerOf(c.body, "max_output_tokens")}
	switch input := c.body["input"].(type) {
	case string:
		q.prompt = input
	case []any:
		for _, item := range objects(c.body, "input") {
			if str(item, "role") == "user" {
				q.prompt = contentText(item["content"])
			}
		}
	default:
		return invalid("Missing required parameter: 'input'.", "input", "missing_required_parameter")
	}
	a := &responsesAnswer{call: c, reply: c.reply(q), model: model}
	if c.stream() {
		return a.events()
	}
	return jsonAnswer(http.StatusOK, a.response("completed", true))
}

// responsesAnswer is a model's answer in the format of /responses.
type responsesAnswer struct {
	*call
	reply *reply
	model string
}

func (a *responsesAnswer) itemID() string { return fmt.Sprintf("msg_gatewaytest%08d", a.number) }

func (a *responsesAnswer) response(status string, whole bool) object {
	response := object{
		"id": fmt.Sprintf("resp_gatewaytest%08d", a.number), "object": "response", "created_at": a.created, "status": status,
		"model": a.model, "output": []any{}, "error": nil, "incomplete_details": nil, "instructions": nil, "metadata": object{},
		"parallel_tool_calls": true, "temperature": 1, "top_p": 1, "tool_choice": "auto", "tools": []any{}, "usage": nil,
	}
	if whole {
		response["output"] = []any{a.item("completed", a.reply.text())}
		response["usage"] = object{
			"input_tokens": a.reply.promptTokens, "input_tokens_details": object{"cached_tokens": 0},
			"output_tokens": a.reply.tokens, "output_tokens_details": object{"reasoning_tokens": 0},
			"total_tokens": a.reply.promptTokens + a.reply.tokens,
		}
	}
	return response
}

func (a *responsesAnswer) item(status, text string) object {
	item := object{"id": a.itemID(), "type": "message", "status": status, "role": "assistant", "content": []any{}}
	if text != "" {
		item["content"] = []any{part(text)}
	}
	return item
}

func part(text string) object {
	return object{"type": "output_text", "text": text, "annotations": []any{}, "logprobs": []any{}}
}

func (a *responsesAnswer) events() *answer {
	s := stream()
	add := func(kind string, fields object) {
		fields["type"], fields["sequence_number"] = kind, len(s.frames)
		s.addNamed(kind, fields)
	}
	inPart := func(name string, value any) object {
		return object{"item_id": a.itemID(), "output_index": 0, "content_index": 0, name: value}
	}
	text := a.reply.text()
	add("response.created", object{"response": a.response("in_progress", false)})
	add("response.in_progress", object{"response": a.response("in_progress", false)})
	add("response.output_item.added", object{"output_index": 0, "item": a.item("in_progress", "")})
	add("response.content_part.added", inPart("part", part("")))
	for _, piece := range a.reply.pieces {
		delta := inPart("delta", piece)
		delta["logprobs"] = []any{}
		add("response.output_text.delta", delta)
	}
	done := inPart("text", text)
	done["logprobs"] = []any{}
	add("response.output_text.done", done)
	add("response.content_part.done", inPart("part", part(text)))
	add("response.output_item.done", object{"output_index": 0, "item": a.item("completed", text)})
	add("response.completed", object{"response": a.response("completed", true)})
	return s
}
