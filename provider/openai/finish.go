package openai

// FinishLast ends a choice as Finish does, but not before the answer ends, for providers that name
// a reason with every chunk or before their last one: what follows is still part of the answer.
// Of several reasons the last one counts, except that FinishStop replaces no other.
func (a *Answer) FinishLast(index int, reason string) {
	c := a.choice(index)
	if c.last == "" || reason != FinishStop {
		c.last = reason
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
