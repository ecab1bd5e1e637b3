package openai

import (
	"strconv"

	"github.com/tidwall/gjson"
)

// Usage counts tokens. Cached is part of Prompt, Reasoning of Completion.
type Usage struct {
	Prompt, Completion, Total int64
	Cached, Reasoning         int64
}

// Usage notes the token counts; the last ones count.
func (a *Answer) Usage(u Usage) {
	if u == (Usage{}) && a.usage != nil {
		return // some providers end with zeros
	}
	if u.Total == 0 {
		u.Total = u.Prompt + u.Completion
	}
	if a.usage == nil {
		a.usage = new(Usage)
	}
	*a.usage = u
	a.usageEvent = nil // it was of counts before these
}

func (u *Usage) append(b []byte) []byte {
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

// DecodeUsage notes OpenAI's usage object, if it is one.
func DecodeUsage(usage gjson.Result, a *Answer) {
	if usage.IsObject() {
		a.Usage(ParseUsage(usage))
	}
}

// ParseUsage reads OpenAI's usage object, of chats, completions and embeddings or, under other names,
// of responses.
func ParseUsage(usage gjson.Result) Usage {
	var u Usage
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
