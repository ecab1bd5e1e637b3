package gatewaytest

import "fmt"

// responsesAnswer is a model's answer in the format of /responses.
type responsesAnswer struct {
	*call
	reply *reply
	model string
}

// response returns the object of the first and the last events, and of an answer without a stream.
func (a *responsesAnswer) response(ended bool) object {
	response := object{
		"id": fmt.Sprintf("resp_gatewaytest%08d", a.number), "object": "response", "created_at": a.created, "status": "in_progress",
		"model": a.model, "output": []any{}, "error": nil, "incomplete_details": nil, "usage": nil,
	}
	for name, fallback := range map[string]any{
		"background": false, "instructions": nil, "max_output_tokens": nil, "metadata": object{}, "parallel_tool_calls": true,
		"previous_response_id": nil, "reasoning": object{"effort": nil, "summary": nil}, "service_tier": "default", "store": true,
		"temperature": 1, "text": object{"format": object{"type": "text"}}, "tool_choice": "auto", "tools": []any{}, "top_p": 1,
		"truncation": "disabled", "user": nil,
	} {
		response[name] = fallback
		if given := a.body[name]; given != nil {
			response[name] = given
		}
	}
	if !ended {
		return response
	}
	response["status"] = a.status()
	if a.reply.finish == finishLength {
		response["incomplete_details"] = object{"reason": "max_output_tokens"}
	}
	output := []any{}
	for i := range a.items() {
		output = append(output, a.item(i, true))
	}
	response["output"] = output
	response["usage"] = object{
		"input_tokens": a.reply.promptTokens, "input_tokens_details": object{"cached_tokens": 0},
		"output_tokens": a.reply.tokens, "output_tokens_details": object{"reasoning_tokens": 0},
		"total_tokens": a.reply.promptTokens + a.reply.tokens,
	}
	return response
}

func (a *responsesAnswer) status() string {
	if a.reply.finish == finishLength {
		return "incomplete"
	}
	return "completed"
}

// items returns the number of items in the output: one for each tool call, or one message.
func (a *responsesAnswer) items() int { return max(1, len(a.reply.calls)) }

// item returns the ith item of the output, as it is at its end or at its beginning.
func (a *responsesAnswer) item(i int, ended bool) object {
	status, said := "in_progress", ""
	if ended {
		status, said = a.status(), a.reply.text()
	}
	if len(a.reply.calls) == 0 {
		content := []any{}
		if ended {
			content = append(content, part(said))
		}
		return object{"id": a.itemID(i), "type": "message", "status": status, "role": "assistant", "content": content}
	}
	called := a.reply.calls[i]
	item := object{"id": a.itemID(i), "call_id": called.id, "name": called.name, "status": status}
	if called.namespace != "" {
		item["namespace"] = called.namespace
	}
	value := ""
	if ended {
		value = string(called.arguments)
	}
	if called.custom {
		item["type"], item["input"] = "custom_tool_call", value
	} else {
		item["type"], item["arguments"] = "function_call", value
	}
	return item
}

func (a *responsesAnswer) itemID(i int) string {
	switch {
	case len(a.reply.calls) == 0:
		return fmt.Sprintf("msg_gatewaytest%08d", a.number)
	case a.reply.calls[i].custom:
		return fmt.Sprintf("ctc_gatewaytest%08d%02d", a.number, i)
	}
	return fmt.Sprintf("fc_gatewaytest%08d%02d", a.number, i)
}

func part(text string) object {
	return object{"type": "output_text", "text": text, "annotations": []any{}, "logprobs": []any{}}
}

// responseEvents is a stream of the numbered events of /responses.
type responseEvents struct{ *answer }

func (e responseEvents) add(kind string, of ...object) {
	event := object{"type": kind, "sequence_number": len(e.frames)}
	for _, o := range of {
		for name, value := range o {
			event[name] = value
		}
	}
	e.addNamed(kind, event)
}

// events returns the stream (https://platform.openai.com/docs/api-reference/responses-streaming).
func (a *responsesAnswer) events() *answer {
	e := responseEvents{stream()}
	e.add("response.created", object{"response": a.response(false)})
	e.add("response.in_progress", object{"response": a.response(false)})
	for i := range a.items() {
		index := object{"output_index": i}
		e.add("response.output_item.added", index, object{"item": a.item(i, false)})
		if len(a.reply.calls) == 0 {
			a.addText(e)
		} else {
			a.addCall(e, i)
		}
		e.add("response.output_item.done", index, object{"item": a.item(i, true)})
	}
	e.add("response."+a.status(), object{"response": a.response(true)})
	return e.answer
}

// addText adds the events of a message, which has one part.
func (a *responsesAnswer) addText(e responseEvents) {
	at := object{"item_id": a.itemID(0), "output_index": 0, "content_index": 0}
	e.add("response.content_part.added", at, object{"part": part("")})
	for _, piece := range a.wire(a.reply.pieces) {
		e.add("response.output_text.delta", at, object{"delta": piece, "logprobs": []any{}})
	}
	e.add("response.output_text.done", at, object{"text": a.reply.text(), "logprobs": []any{}})
	e.add("response.content_part.done", at, object{"part": part(a.reply.text())})
}

// addCall adds the events for the arguments of the ith call.
func (a *responsesAnswer) addCall(e responseEvents, i int) {
	called := a.reply.calls[i]
	at := object{"item_id": a.itemID(i), "output_index": i}
	kind, done := "response.function_call_arguments", object{"arguments": string(called.arguments), "name": called.name}
	if called.custom {
		kind, done = "response.custom_tool_call_input", object{"input": string(called.arguments)}
	}
	for _, piece := range pieces(string(called.arguments), argumentBytes) {
		e.add(kind+".delta", at, object{"delta": piece})
	}
	e.add(kind+".done", at, done)
}
