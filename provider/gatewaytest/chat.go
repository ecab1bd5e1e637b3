package gatewaytest

import (
	"fmt"
	"strconv"
	"strings"
)

// chatFields are the fields of a chat request, as of openai-go 3.96.
var chatFields = all(text,
	"model", "reasoning_effort", "verbosity", "service_tier", "user", "safety_identifier", "prompt_cache_key", "prompt_cache_retention",
).with(
	all(number, "temperature", "top_p", "presence_penalty", "frequency_penalty"),
	all(integer, "max_tokens", "max_completion_tokens", "n", "seed", "top_logprobs"),
	all(boolean, "stream", "logprobs", "parallel_tool_calls", "store"),
	all(structure, "response_format", "logit_bias", "audio", "prediction", "metadata", "web_search_options", "moderation"),
	all(anything, "stop", "tool_choice", "function_call"),
	fields{
		"messages":       {kind: structure, list: true},
		"tools":          {kind: structure, list: true},
		"functions":      {kind: structure, list: true},
		"modalities":     {kind: text, list: true},
		"stream_options": {kind: message, of: all(boolean, "include_usage", "include_obfuscation")},
	},
)

// maxStop is how many stop words OpenAI and Azure take.
const maxStop = 4

// checkOpenAI checks a request for OpenAI's own models, of which known are the fields.
func checkOpenAI(body object, known fields) *answer {
	if found := violations(body, known, ""); len(found) > 0 {
		name := join(found[0].at, found[0].name)
		if found[0].unknown {
			return invalid("Unrecognized request argument supplied: "+name, "", "")
		}
		return invalid("Invalid type for '"+name+"'.", name, "invalid_type")
	}
	if stop, ok := body["stop"].([]any); ok && len(stop) > maxStop {
		return invalid(fmt.Sprintf("Invalid 'stop': array too long. Expected an array with maximum length %d, but instead got an array with length %d.",
			maxStop, len(stop)), "stop", "array_above_max_length")
	}
	if body["stream_options"] != nil && body["stream"] != true {
		return invalid("The 'stream_options' parameter is only allowed when 'stream' is enabled.", "stream_options", "")
	}
	return nil
}

// checkReasoning checks what reasoning models refuse.
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

// roles are those of chat messages.
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

// chatQuestion reads a chat request.
func (c *call) chatQuestion(model string) question {
	list := objects(c.body, "messages")
	q := question{
		model:     model,
		size:      len(encode(c.body["messages"])),
		single:    c.body["parallel_tool_calls"] == false,
		maxTokens: max(integerOf(c.body, "max_tokens"), integerOf(c.body, "max_completion_tokens")),
		stop:      words(c.body["stop"]),
	}
	switch last := list[len(list)-1]; str(last, "role") {
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
		q.forced = str(child(choice, "function"), "name")
	}
	for _, t := range objects(c.body, "tools") {
		function := child(t, "function")
		q.tools = append(q.tools, tool{name: str(function, "name"), schema: child(function, "parameters")})
	}
	if c.body["tool_choice"] == "required" && len(q.tools) > 0 {
		q.forced = q.tools[0].name
	}
	return q
}

// contentText is the text of a message's content, a string or parts.
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
