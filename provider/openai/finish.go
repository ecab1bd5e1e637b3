package openai

// The finish reasons of OpenAI. There are no others.
const (
	FinishStop          = "stop"
	FinishLength        = "length"
	FinishToolCalls     = "tool_calls"
	FinishContentFilter = "content_filter"

	finishFunctionCall = "function_call" // deprecated
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

// finishReason is the reason that a choice ends with, whatever the provider calls it.
func (a *Answer) finishReason(c *choice, reason string) string {
	switch reason {
	case FinishLength, "max_tokens", "model_length":
		return FinishLength
	case FinishContentFilter:
		return FinishContentFilter
	}
	switch {
	case c.ncalls == 0:
		return FinishStop
	case a.form.Functions:
		return finishFunctionCall
	}
	return FinishToolCalls
}
