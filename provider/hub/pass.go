package hub

import "github.com/continue-auth/caddy-continue-auth/provider/jsontext"

// Answers in a format that is the client's own pass as they are, message by message, as far as nothing in
// them has to be mended. The reader of that format judges a message by itself; the methods below judge
// it by what came before, and note what it says. A message passes only if all of its parts may.

// MayPass reports whether messages may pass now: the form allows it, and where a stream is asked for, the
// message came as an event.
func (a *Answer) MayPass() bool {
	return a.form.Pass && !a.form.TextOnly && !a.form.Functions && (!a.form.Stream || a.event != nil)
}

// Streams reports whether the client wants events.
func (a *Answer) Streams() bool { return a.form.Stream }

// Named reports whether an answer may go on with a message of that id: all messages have the same.
func (a *Answer) Named(id []byte) bool { return a.head.ID == "" || string(id) == a.head.ID }

// Adopt has what is written later belong to the same answer as the first message that passes. created and
// model are JSON.
func (a *Answer) Adopt(id, created, model []byte) {
	if !a.head.Passed {
		a.head = Head{ID: jsontext.StringOf(id), Created: string(created), Model: jsontext.StringOf(model), Passed: true}
	}
}

// PassEvent passes the event that the message came in.
func (a *Answer) PassEvent() {
	a.borrow()
	a.buf = append(a.buf, a.event...)
}

// PassChoice is PassEvent for a message that says something of a choice.
func (a *Answer) PassChoice(index int) {
	a.choice(index).begun = true
	a.PassEvent()
}

// TextMayPass reports whether nothing of what a choice says has to wait or to be left out. content,
// reasoning and refusal are JSON strings, null, or nil.
func (a *Answer) TextMayPass(index int, content, reasoning, refusal []byte) bool {
	var fresh Choice
	c := &fresh
	if index < len(a.choices) {
		c = a.choices[index]
	} else {
		fresh.stop.words = a.form.Stop
	}
	if c.Finish != "" || c.last != "" || !c.textHalf.Empty() || !c.reasoningHalf.Empty() || !c.refusalHalf.Empty() {
		return false
	}
	for _, text := range [...][]byte{content, reasoning, refusal} {
		if jsontext.IsSaid(text) && jsontext.EndsInHalf(text) {
			return false
		}
	}
	return len(c.stop.words) == 0 || !jsontext.IsSaid(content) && c.stop.held == "" || jsontext.IsString(content) && c.stop.clear(jsontext.PieceOf(content))
}

// HasStopWord reports whether a text has a stop word that is left to us.
func (a *Answer) HasStopWord(text string) bool {
	first, _ := firstOf(text, a.form.Stop)
	return first >= 0
}

// PassUsage keeps an event with nothing but the token counts for the end of the answer. It comes once
// there, if the client has asked for it, and the last one counts. u must have been noted with Usage.
func (a *Answer) PassUsage(u Usage) {
	if a.form.Usage && u == *a.usage {
		a.usageEvent = append(a.usageEvent[:0], a.event...)
	}
}

// WantsUsage reports whether the client asked for token counts.
func (a *Answer) WantsUsage() bool { return a.form.Usage }

// PassFinish keeps an event that ends a choice and says nothing else for the end of the answer, because
// some providers say more behind it. It reports whether it may.
func (a *Answer) PassFinish(index int, reason string) bool {
	c := a.choice(index)
	if finishReason(c.ncalls, reason) != reason || c.stop.held != "" || !c.allSaid() {
		return false
	}
	c.begun, c.last = true, reason
	c.finishEvent = append(c.finishEvent[:0], a.event...)
	return true
}

// RightFinish reports whether a choice with so many tool calls ends with this reason.
func RightFinish(calls int, reason string) bool {
	return reason != "" && finishReason(calls, reason) == reason
}

// RawCall is a piece of a tool call that may pass. Its values are JSON.
type RawCall struct {
	Index, ID, Kind []byte
	Name, Arguments []byte // of the function
}

// PassCall notes a piece of a tool call that passes. It reports whether it may: it must begin the next
// call or go on with the last one.
func (a *Answer) PassCall(index int, t *RawCall) bool {
	c := a.choice(index)
	if c.stop.held != "" || !c.allSaid() {
		return false
	}
	if len(c.calls) > 0 && string(t.Index) == decimal(c.calls[len(c.calls)-1].position) {
		return c.passMore(t)
	}
	return c.passNew(t)
}

// passNew notes the first piece of a call.
func (c *Choice) passNew(t *RawCall) bool {
	if string(t.Index) != decimal(len(c.calls)) || c.ncalls != len(c.calls) || !jsontext.IsSaid(t.ID) || string(t.Kind) != `"function"` || !jsontext.IsSaid(t.Name) {
		return false
	}
	if n := len(c.calls); n > 0 && !c.calls[n-1].complete() {
		return false
	}
	id := jsontext.StringOf(t.ID)
	for _, other := range c.calls {
		if other.id == id {
			return false
		}
	}
	made := c.newCall(len(c.calls))
	made.id, made.theirID, made.name = id, id, jsontext.StringOf(t.Name)
	made.begun, made.position = true, c.ncalls
	c.ncalls++
	c.saying = len(c.calls) - 1
	made.take(t.Arguments)
	return true
}

// passMore notes a piece of the last call.
func (c *Choice) passMore(t *RawCall) bool {
	last := c.calls[len(c.calls)-1]
	if last.whole || last.key != last.position || !last.half.Empty() || len(t.Name) > 0 || len(t.ID) > 0 && jsontext.StringOf(t.ID) != last.id {
		return false
	}
	last.take(t.Arguments)
	return true
}

// take adds a JSON string to the arguments that the client has.
func (t *call) take(arguments []byte) {
	t.arguments = jsontext.AppendPiece(t.arguments, arguments)
	t.said = len(t.arguments)
}

// allSaid reports whether the client has everything of the calls so far.
func (c *Choice) allSaid() bool {
	for _, t := range c.calls {
		if !t.begun || t.said < len(t.arguments) || !t.half.Empty() {
			return false
		}
	}
	return true
}

// PassObject passes a whole answer. It reports whether it may: nothing else may have been said.
func (a *Answer) PassObject(message []byte) bool {
	if a.begun() {
		return false
	}
	a.whole = append(a.whole, message...)
	return true
}

// decimal is a number below 1000 as JSON has it.
func decimal(n int) string {
	const digits = "0123456789"
	if n < len(digits) {
		return digits[n : n+1]
	}
	b := []byte{digits[n/100%10], digits[n/10%10], digits[n%10]}
	if b[0] == '0' {
		b = b[1:]
	}
	return string(b)
}
