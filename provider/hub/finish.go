package hub

// The finish reasons of OpenAI. There are no others.
const (
	FinishStop          = "stop"
	FinishLength        = "length"
	FinishToolCalls     = "tool_calls"
	FinishContentFilter = "content_filter"
)

// FinishLast ends a choice as Finish does, but not before the answer ends, for providers that name
// a reason with every chunk or before their last one: what follows is still part of the answer.
// Of several reasons the last one counts, except that FinishStop replaces no other.
func (a *Answer) FinishLast(index int, reason string) {
	c := a.choice(index)
	if c.last == "" || reason != FinishStop {
		c.last, c.finishEvent = reason, nil
	}
}

// finishLast gives the choices the reasons that FinishLast noted for them.
func (a *Answer) finishLast() {
	for i, c := range a.choices {
		if c.last != "" {
			a.Finish(i, c.last)
		}
	}
}

// finishReason is the reason that a choice with so many tool calls ends with, whatever the provider calls it.
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
