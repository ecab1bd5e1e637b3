package openai

import (
	"strconv"

	"github.com/tidwall/gjson"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
)

// appendUsage appends the usage object.
func appendUsage(b []byte, u *hub.Usage) []byte {
	for _, field := range []struct {
		name  string
		value int64
	}{
		{`{"prompt_tokens":`, u.Prompt},
		{`,"completion_tokens":`, u.Completion},
		{`,"total_tokens":`, u.Total},
		{`,"prompt_tokens_details":{"cached_tokens":`, u.Cached},
		{`},"completion_tokens_details":{"reasoning_tokens":`, u.Reasoning},
	} {
		b = strconv.AppendInt(append(b, field.name...), field.value, 10)
	}
	return append(b, "}}"...)
}

// appendResponseUsage appends the usage object of a response, null where it is not known.
func appendResponseUsage(b []byte, u *hub.Usage) []byte {
	if u == nil {
		return append(b, "null"...)
	}
	for _, field := range []struct {
		name  string
		value int64
	}{
		{`{"input_tokens":`, u.Prompt},
		{`,"input_tokens_details":{"cached_tokens":`, u.Cached},
		{`,"cache_write_tokens":`, 0},
		{`},"output_tokens":`, u.Completion},
		{`,"output_tokens_details":{"reasoning_tokens":`, u.Reasoning},
		{`},"total_tokens":`, u.Total},
	} {
		b = strconv.AppendInt(append(b, field.name...), field.value, 10)
	}
	return append(b, '}')
}

// ParseUsage reads OpenAI's usage object, of chats, completions and embeddings or, under other names,
// of responses.
func ParseUsage(usage gjson.Result) hub.Usage {
	var u hub.Usage
	usage.ForEach(func(name, value gjson.Result) bool {
		switch name.Str {
		case "prompt_tokens", "input_tokens":
			u.Prompt = value.Int()
		case "completion_tokens", "output_tokens":
			u.Completion = value.Int()
		case "total_tokens":
			u.Total = value.Int()
		case "prompt_tokens_details", "input_tokens_details":
			u.Cached = value.Get("cached_tokens").Int()
		case "completion_tokens_details", "output_tokens_details":
			u.Reasoning = value.Get("reasoning_tokens").Int()
		}
		return true
	})
	return u
}
