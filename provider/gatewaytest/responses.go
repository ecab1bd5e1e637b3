package gatewaytest

import (
	"fmt"
	"net/http"
	"strings"
)

// movedParameters are the parameters of chats that have another name in /responses, with the new
// name.
var movedParameters = map[string]string{"messages": "input", "response_format": "text.format"}

// minOutputTokens is the smallest allowed max_output_tokens.
const minOutputTokens = 16

// checkResponses checks a request to /responses.
func checkResponses(body object) *answer {
	if found := violations(body, responseFields, ""); len(found) > 0 {
		if now, moved := movedParameters[found[0].name]; moved && found[0].unknown && found[0].at == "" {
			return invalid("Unsupported parameter: '"+found[0].name+"'. In the Responses API, this parameter has moved to '"+now+"'.",
				found[0].name, "unsupported_parameter")
		}
		return openAIViolation(found[0])
	}
	if tokens := integerOf(body, "max_output_tokens"); body["max_output_tokens"] != nil && tokens < minOutputTokens {
		return invalid(fmt.Sprintf("Invalid 'max_output_tokens': integer below minimum value. Expected a value >= %d, but got %d instead.", minOutputTokens, tokens),
			"max_output_tokens", "integer_below_min_value")
	}
	for _, check := range []func(object) *answer{checkStreamOptions, checkItems, checkResponseTools} {
		if refused := check(body); refused != nil {
			return refused
		}
	}
	return checkFormat(child(child(body, "text"), "format"), "text.format", "input messages", "text.format", string(encode(body["input"])))
}

// checkItems checks the input. Each tool result must belong to a call.
func checkItems(body object) *answer {
	list, isList := body["input"].([]any)
	switch {
	case body["input"] == nil:
		return invalid("Missing required parameter: 'input'.", "input", "missing_required_parameter")
	case isList && len(list) == 0:
		return invalid("Invalid 'input': empty array. Expected an array with minimum length 1, but got an empty array instead.", "input", "empty_array")
	}
	called := make(map[string]bool) // whether each call has its result
	for i, item := range objects(body, "input") {
		id, at := str(item, "call_id"), fmt.Sprintf("input[%d]", i)
		switch kind := str(item, "type"); kind {
		case "":
			if item["id"] == nil && (item["role"] == nil || item["content"] == nil) {
				return invalid("Missing required parameter: '"+at+".content'.", at+".content", "missing_required_parameter")
			}
		case "function_call", "custom_tool_call":
			called[kind+id] = false
		case "function_call_output", "custom_tool_call_output":
			call := strings.TrimSuffix(kind, "_output")
			_, ok := called[call+id]
			if !ok && body["previous_response_id"] == nil && body["conversation"] == nil {
				return invalid("No tool call found for "+strings.ReplaceAll(call, "_", " ")+" output with call_id "+id+".", "input", "")
			}
			called[call+id] = true
		}
	}
	for _, item := range objects(body, "input") {
		kind, id := str(item, "type"), str(item, "call_id")
		if done, ok := called[kind+id]; ok && !done {
			return invalid("No tool output found for "+strings.ReplaceAll(kind, "_", " ")+" "+id+".", "input", "")
		}
	}
	return nil
}

// checkResponseTools checks the names and schemas of tools.
func checkResponseTools(body object) *answer {
	var check func(o object, at string) *answer
	check = func(o object, at string) *answer {
		for i, t := range objects(o, "tools") {
			here := fmt.Sprintf("%stools[%d]", at, i)
			switch str(t, "type") {
			case "function", "custom":
				if refused := checkFunction(t, here); refused != nil {
					return refused
				}
			case "namespace":
				if refused := check(t, here+"."); refused != nil {
					return refused
				}
			}
		}
		return nil
	}
	return check(body, "")
}

// responseQuestion reads a request to /responses.
func (c *call) responseQuestion(model string) question {
	q := question{model: model, size: len(encode(c.body["input"])), maxTokens: integerOf(c.body, "max_output_tokens"), single: c.body["parallel_tool_calls"] == false}
	q.prompt, _ = c.body["input"].(string)
	for _, item := range objects(c.body, "input") {
		switch {
		case str(item, "role") == "user":
			q.prompt, q.result = contentText(item["content"]), ""
		case strings.HasSuffix(str(item, "type"), "_call_output"):
			q.prompt, q.result = "", contentText(item["output"])
		}
	}
	q.format(child(child(c.body, "text"), "format"))
	q.tools = responseQuestionTools(c.body, "")
	choice, _ := c.body["tool_choice"].(object)
	switch kind := str(choice, "type"); {
	case c.body["tool_choice"] == "none":
		q.tools = nil
	case c.body["tool_choice"] == "required" && len(q.tools) > 0, kind == "allowed_tools" && str(choice, "mode") == "required" && len(q.tools) > 0:
		q.forced = q.tools[0].name
	case kind == "function", kind == "custom":
		q.forced = str(choice, "name")
	}
	return q
}

// responseQuestionTools returns the tools that a client runs, including those in namespaces.
func responseQuestionTools(o object, namespace string) []tool {
	var tools []tool
	for _, t := range objects(o, "tools") {
		switch str(t, "type") {
		case "function", "custom":
			tools = append(tools, tool{name: str(t, "name"), namespace: namespace, schema: child(t, "parameters"), custom: str(t, "type") == "custom"})
		case "namespace":
			tools = append(tools, responseQuestionTools(t, str(t, "name"))...)
		}
	}
	return tools
}

// responses answers a request to /responses that has been checked.
func (c *call) responses(model string) *answer {
	a := &responsesAnswer{call: c, reply: c.reply(c.responseQuestion(model)), model: model}
	if c.stream() {
		return a.events()
	}
	return jsonAnswer(http.StatusOK, a.response(true))
}
