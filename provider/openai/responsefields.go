package openai

import (
	"errors"
	"strings"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
)

// responseFields are the fields of a chat by the names that they have in a request to /responses.
var responseFields = []struct{ chat, response string }{
	{"messages", "input"},
	{"tools", "tools"},
	{"tool_choice", "tool_choice"},
	{"reasoning_effort", "reasoning.effort"},
	{"response_format", "text.format"},
	{"max_tokens", "max_output_tokens"},
	{"max_completion_tokens", "max_output_tokens"},
	{"logprobs", "top_logprobs"},
}

// InResponse is an error about a chat that ToChat has made, with the field as the client knows it. What stands
// within a field is elsewhere there.
func InResponse(err error) error {
	var refused *hub.Error
	if !errors.As(err, &refused) {
		return err
	}
	for _, field := range responseFields {
		if rest, ok := strings.CutPrefix(refused.Param, field.chat); ok && (rest == "" || rest[0] == '.' || rest[0] == '[') {
			named := *refused
			named.Param = field.response
			return &named
		}
	}
	return err
}
