package openai

// Refusal says why there is no answer, in the place of a choice's text. Text completions have
// no place for it.
func (a *Answer) Refusal(index int, text string) {
	c := a.choice(index)
	if a.form.Completion || c.finish != "" {
		return
	}
	a.sayRefusal(index, c, c.refusalHalf.join(text))
}

func (a *Answer) sayRefusal(index int, c *choice, text string) {
	if text == "" {
		return
	}
	if !a.form.Stream {
		c.refusal = append(c.refusal, text...)
		return
	}
	a.release(index, c)
	a.begin(index, c)
	a.endDelta(AppendString(append(a.delta(index), `"refusal":`...), text), "")
}

// appendContent appends the content and the refusal of a message, whichever there is of them.
func (c *choice) appendContent(b []byte) []byte {
	b = append(b, `"content":`...)
	if len(c.text) == 0 && (c.ncalls > 0 || len(c.refusal) > 0) {
		b = append(b, "null"...)
	} else {
		b = AppendString(b, string(c.text))
	}
	return appendNullable(append(b, `,"refusal":`...), string(c.refusal))
}
