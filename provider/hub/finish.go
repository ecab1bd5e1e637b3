package hub

// OpenAI's finish reasons, except for function_call, which belongs to a deprecated form.
const (
	FinishStop          = "stop"
	FinishLength        = "length"
	FinishToolCalls     = "tool_calls"
	FinishContentFilter = "content_filter"
)

// FinishLast notes a reason that ends a choice when the answer ends. It is for providers that name a reason
// in every chunk, or before their last chunk. The last reason counts, but FinishStop does not replace another
// reason.
func (a *Answer) FinishLast(index int, reason string) {
	c := a.choice(index)
	if c.last == "" || reason != FinishStop {
		c.last, c.finishEvent = reason, nil
	}
}

// finishLast finishes the choices with the reasons that FinishLast noted.
func (a *Answer) finishLast() {
	for i, c := range a.choices {
		if c.last != "" {
			a.Finish(i, c.last)
		}
	}
}

// finishReason returns the finish reason for a choice with that many tool calls. reason is the provider's.
func finishReason(calls int, reason string) string {
	switch {
	case reason == FinishLength, reason == "max_tokens", reason == "model_length":
		return FinishLength
	case reason == FinishContentFilter:
		return FinishContentFilter
	case calls == 0:
		return FinishStop
	}
	return FinishToolCalls
}
