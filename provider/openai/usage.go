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
	a.usage = &u
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
	if !usage.IsObject() {
		return
	}
	a.Usage(Usage{
		Prompt:     usage.Get("prompt_tokens").Int(),
		Completion: usage.Get("completion_tokens").Int(),
		Total:      usage.Get("total_tokens").Int(),
		Cached:     usage.Get("prompt_tokens_details.cached_tokens").Int(),
		Reasoning:  usage.Get("completion_tokens_details.reasoning_tokens").Int(),
	})
}
