package gatewaytest

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// checkAnthropic returns what is wrong with a request whose fields are valid, or "".
func checkAnthropic(body object) string {
	for _, check := range []func(object) string{
		checkAnthropicLimits, checkAnthropicMessages, checkAnthropicTurns, checkAnthropicTools, checkAnthropicCache,
	} {
		if wrong := check(body); wrong != "" {
			return wrong
		}
	}
	return ""
}

// minThinkingBudget is the smallest allowed budget for thinking, in tokens.
const minThinkingBudget = 1024

func checkAnthropicLimits(body object) string {
	thinking := child(body, "thinking")
	budget, temperature := integerOf(thinking, "budget_tokens"), body["temperature"]
	degrees := 1.0
	if n, ok := temperature.(json.Number); ok {
		degrees, _ = n.Float64()
	}
	switch {
	case body["max_tokens"] != nil && integerOf(body, "max_tokens") < 1:
		return "max_tokens: Input should be greater than or equal to 1"
	case degrees < 0 || degrees > 1:
		return "temperature: range: 0..1"
	case str(thinking, "type") != "enabled":
		return ""
	case budget < minThinkingBudget:
		return fmt.Sprintf("thinking.enabled.budget_tokens: Input should be greater than or equal to %d", minThinkingBudget)
	case body["max_tokens"] != nil && integerOf(body, "max_tokens") <= budget:
		return "`max_tokens` must be greater than `thinking.budget_tokens`."
	case degrees != 1:
		return "`temperature` may only be set to 1 when thinking is enabled."
	}
	if kind := str(child(body, "tool_choice"), "type"); kind == "any" || kind == "tool" {
		return "Thinking may not be enabled when tool_choice forces tool use."
	}
	return ""
}

func checkAnthropicMessages(body object) string {
	messages := turns(body)
	switch {
	case len(messages) == 0:
		return "messages: at least one message is required"
	case str(messages[0], "role") != "user":
		return `messages: first message must use the "user" role`
	}
	for i, m := range objects(body, "messages") {
		said, isText := m["content"].(string)
		blocks := objects(m, "content")
		last := i == len(objects(body, "messages"))-1
		if isText && said == "" || !isText && len(blocks) == 0 && str(m, "role") != "system" {
			if str(m, "role") != "assistant" || !last {
				return fmt.Sprintf("messages.%d: all messages must have non-empty content except for the optional final assistant message", i)
			}
		}
		if slices.ContainsFunc(blocksOf(m, "text"), func(block object) bool { return strings.TrimSpace(str(block, "text")) == "" }) {
			return "messages: text content blocks must be non-empty"
		}
		if end := contentText(m["content"]); last && str(m, "role") == "assistant" && end != strings.TrimRight(end, " \n\t") {
			return "messages: final assistant content cannot end with trailing whitespace"
		}
		for j, block := range blocksOf(m, "thinking") {
			if str(block, "signature") != thoughtSignature("", object{"text": str(block, "thinking")}) {
				return fmt.Sprintf("messages.%d.content.%d: Invalid `signature` in `thinking` block", i, j)
			}
		}
	}
	return ""
}

// turns returns the messages without the system's.
func turns(body object) []object {
	return slices.DeleteFunc(objects(body, "messages"), func(m object) bool { return str(m, "role") == "system" })
}

// checkAnthropicTurns checks that the result of each tool call is in the next message.
func checkAnthropicTurns(body object) string {
	messages := turns(body)
	for i, m := range messages {
		var asked []string
		if i > 0 {
			for _, block := range blocksOf(messages[i-1], "tool_use") {
				asked = append(asked, str(block, "id"))
			}
		}
		for j, block := range blocksOf(m, "tool_result") {
			id := str(block, "tool_use_id")
			if !slices.Contains(asked, id) {
				return fmt.Sprintf("messages.%d.content.%d: unexpected `tool_use_id` found in `tool_result` blocks: %s. "+
					"Each `tool_result` block must have a corresponding `tool_use` block in the previous message.", i, j, id)
			}
			asked = slices.DeleteFunc(asked, func(one string) bool { return one == id })
		}
		if len(asked) > 0 {
			return fmt.Sprintf("messages.%d: `tool_use` ids were found without `tool_result` blocks immediately after: %s. "+
				"Each `tool_use` block must have a corresponding `tool_result` block in the next message.", i-1, strings.Join(asked, ", "))
		}
	}
	return ""
}

var (
	anthropicToolName = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,128}$`)
	anthropicToolID   = regexp.MustCompile(`^[a-zA-Z0-9_-]+$`)
)

func checkAnthropicTools(body object) string {
	names := make(map[string]bool)
	for i, t := range objects(body, "tools") {
		name := str(t, "name")
		if kind := str(t, "type"); kind == "" || kind == "custom" {
			if !anthropicToolName.MatchString(name) {
				return fmt.Sprintf("tools.%d.custom.name: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'", i)
			}
		}
		if name != "" && names[name] {
			return "tools: Tool names must be unique."
		}
		names[name] = true
	}
	choice := child(body, "tool_choice")
	switch kind := str(choice, "type"); {
	case kind != "" && kind != "none" && len(names) == 0:
		return "tool_choice: may only be specified while providing tools."
	case kind == "tool" && !names[str(choice, "name")]:
		return "Tool '" + str(choice, "name") + "' not found in provided tools"
	}
	for i, m := range objects(body, "messages") {
		for _, block := range blocksOf(m, "tool_use") {
			if !anthropicToolID.MatchString(str(block, "id")) {
				return fmt.Sprintf("messages.%d.content.0.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'", i)
			}
		}
	}
	return ""
}

// maxCacheControl is the largest number of blocks with cache_control.
const maxCacheControl = 4

func checkAnthropicCache(body object) string {
	marked := 0
	count := func(blocks []object) {
		for _, block := range blocks {
			if block["cache_control"] != nil {
				marked++
			}
		}
	}
	count(objects(body, "system"))
	count(objects(body, "tools"))
	for _, m := range objects(body, "messages") {
		count(objects(m, "content"))
	}
	if marked > maxCacheControl {
		return fmt.Sprintf("A maximum of %d blocks with cache_control may be provided. Found %d.", maxCacheControl, marked)
	}
	return ""
}
