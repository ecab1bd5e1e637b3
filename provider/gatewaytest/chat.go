package gatewaytest

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// maxStop is the number of stop words that OpenAI and Azure accept.
const maxStop = 4

// checkOpenAI checks a request for OpenAI's own models. known are the allowed fields.
func checkOpenAI(body object, known fields) *answer {
	if found := violations(body, known, ""); len(found) > 0 {
		if found[0].unknown && found[0].at == "" {
			return invalid("Unrecognized request argument supplied: "+found[0].name, "", "")
		}
		return openAIViolation(found[0])
	}
	if stop, ok := body["stop"].([]any); ok && len(stop) > maxStop {
		return invalid(fmt.Sprintf("Invalid 'stop': array too long. Expected an array with maximum length %d, but instead got an array with length %d.",
			maxStop, len(stop)), "stop", "array_above_max_length")
	}
	return checkStreamOptions(body)
}

func checkStreamOptions(body object) *answer {
	if body["stream_options"] != nil && body["stream"] != true {
		return invalid("The 'stream_options' parameter is only allowed when 'stream' is enabled.", "stream_options", "")
	}
	return nil
}

// openAIViolation returns OpenAI's error for a violation.
func openAIViolation(v violation) *answer {
	name := v.path()
	value, isText := v.value.(string)
	switch {
	case v.unknown:
		return invalid("Unknown parameter: '"+name+"'.", name, "unknown_parameter")
	case v.missing:
		return invalid("Missing required parameter: '"+name+"'.", name, "missing_required_parameter")
	case isText && v.want.enum != nil:
		return invalid("Invalid value: '"+value+"'. Supported values are: '"+strings.Join(v.want.enum, "', '")+"'.", name, "invalid_value")
	}
	return invalid("Invalid type for '"+name+"'.", name, "invalid_type")
}

// checkReasoning checks for parameters that reasoning models refuse.
func checkReasoning(body object, model string) *answer {
	if !isReasoning(model) {
		return nil
	}
	unsupported := func(param, then string) *answer {
		return invalid("Unsupported parameter: '"+param+"' is not supported with this model."+then, param, "unsupported_parameter")
	}
	switch {
	case body["max_tokens"] != nil:
		return unsupported("max_tokens", " Use 'max_completion_tokens' instead.")
	case body["stop"] != nil:
		return unsupported("stop", "")
	case body["temperature"] != nil && fmt.Sprint(body["temperature"]) != "1":
		return invalid(fmt.Sprintf("Unsupported value: 'temperature' does not support %v with this model. Only the default (1) value is supported.",
			body["temperature"]), "temperature", "unsupported_value")
	}
	return nil
}

func isReasoning(model string) bool {
	for _, family := range []string{"gpt-5", "o1", "o3", "o4"} {
		if strings.HasPrefix(model, family) {
			return true
		}
	}
	return false
}

// roles are the roles of chat messages.
var roles = map[string]bool{"developer": true, "system": true, "user": true, "assistant": true, "tool": true, "function": true}

// checkMessages checks the messages of a chat.
func checkMessages(body object) *answer {
	list := objects(body, "messages")
	if len(list) == 0 {
		return invalid("Missing required parameter: 'messages'.", "messages", "missing_required_parameter")
	}
	for i, m := range list {
		at := "messages[" + strconv.Itoa(i) + "]"
		role := str(m, "role")
		switch m["content"].(type) {
		case string, []any:
		case nil:
			if role != "assistant" {
				return invalid("Missing required parameter: '"+at+".content'.", at+".content", "missing_required_parameter")
			}
		default:
			return invalid("Invalid type for '"+at+".content': expected one of a string or array of objects.", at+".content", "invalid_type")
		}
		switch {
		case !roles[role]:
			return invalid(fmt.Sprintf("Invalid value: %q. Supported values are: 'system', 'assistant', 'user', 'function', 'tool', and 'developer'.", role),
				at+".role", "invalid_value")
		case role == "tool" && str(m, "tool_call_id") == "":
			return invalid("Missing required parameter: '"+at+".tool_call_id'.", at+".tool_call_id", "missing_required_parameter")
		}
	}
	return nil
}

// checkChat checks a chat with one of OpenAI's own models.
func checkChat(body object, model string) *answer {
	if refused := checkOpenAI(body, chatFields); refused != nil {
		return refused
	}
	if refused := checkReasoning(body, model); refused != nil {
		return refused
	}
	for _, check := range []func(object) *answer{checkMessages, checkToolTurns, checkChatTools} {
		if refused := check(body); refused != nil {
			return refused
		}
	}
	return checkFormat(child(body, "response_format"), "response_format", "messages", "response_format", string(encode(body["messages"])))
}

// checkToolTurns checks that the results of all tool calls follow the calls.
func checkToolTurns(body object) *answer {
	open := make(map[string]bool)
	unanswered := func() *answer {
		if len(open) == 0 {
			return nil
		}
		ids := strings.Join(slices.Sorted(maps.Keys(open)), ", ")
		return invalid("An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. "+
			"The following tool_call_ids did not have response messages: "+ids, "messages", "")
	}
	for i, m := range objects(body, "messages") {
		if id := str(m, "tool_call_id"); str(m, "role") == "tool" {
			if !open[id] {
				return invalid("Invalid parameter: messages with role 'tool' must be a response to a preceding message with 'tool_calls'.",
					fmt.Sprintf("messages.[%d].role", i), "")
			}
			delete(open, id)
			continue
		}
		if refused := unanswered(); refused != nil {
			return refused
		}
		for _, called := range objects(m, "tool_calls") {
			open[str(called, "id")] = true
		}
	}
	return unanswered()
}

// checkChatTools checks the names and schemas of functions.
func checkChatTools(body object) *answer {
	for i, t := range objects(body, "tools") {
		kind := str(t, "type")
		if refused := checkFunction(child(t, kind), fmt.Sprintf("tools[%d].%s", i, kind)); refused != nil {
			return refused
		}
	}
	return nil
}

// chatQuestion reads a chat request.
// lastTurn returns the last message that is not an instruction. Claude Code sends instructions behind what the
// user says.
func lastTurn(messages []object) object {
	for _, m := range slices.Backward(messages) {
		if role := str(m, "role"); role != "system" && role != "developer" {
			return m
		}
	}
	return messages[len(messages)-1]
}

func (c *call) chatQuestion(model string) question {
	list := objects(c.body, "messages")
	q := question{
		model:     model,
		size:      len(encode(c.body["messages"])),
		single:    c.body["parallel_tool_calls"] == false,
		maxTokens: max(integerOf(c.body, "max_tokens"), integerOf(c.body, "max_completion_tokens")),
		stop:      words(c.body["stop"]),
	}
	q.format(child(c.body, "response_format"))
	switch last := lastTurn(list); str(last, "role") {
	case "tool", "function":
		q.result = contentText(last["content"])
	default:
		q.prompt = contentText(last["content"])
	}
	switch choice := c.body["tool_choice"].(type) {
	case string:
		if choice == "none" {
			return q
		}
	case object:
		q.forced = str(child(choice, str(choice, "type")), "name")
	}
	for _, t := range objects(c.body, "tools") {
		of := child(t, str(t, "type"))
		q.tools = append(q.tools, tool{name: str(of, "name"), schema: child(of, "parameters"), custom: str(t, "type") == "custom"})
	}
	if must := str(child(c.body, "tool_choice"), "type") == "allowed_tools" && str(child(child(c.body, "tool_choice"), "allowed_tools"), "mode") == "required"; len(q.tools) > 0 && (must || c.body["tool_choice"] == "required") {
		q.forced = q.tools[0].name
	}
	return q
}

// contentText returns the text of a message's content, which is a string or a list of parts.
func contentText(content any) string {
	if s, ok := content.(string); ok {
		return s
	}
	var b strings.Builder
	for _, part := range objects(object{"content": content}, "content") {
		b.WriteString(str(part, "text"))
	}
	return b.String()
}
