package hub

import "github.com/continue-auth/caddy-continue-auth/provider/jsontext"

// If an answer is already in the client's format, its messages pass unchanged unless something in them must
// be corrected. The reader of that format checks each message by itself. The methods below check a message
// against what came before, and note what it says. A message passes only if all of its parts may pass.

// MayPass reports whether messages may pass now. The form must allow it. If the client wants a stream, the
// message must have come as an event.
func (a *Answer) MayPass() bool {
	return a.form.Pass && !a.form.TextOnly && !a.form.Functions && (!a.form.Stream || a.event != nil)
}

// Streams reports whether the client wants a stream of events.
func (a *Answer) Streams() bool { return a.form.Stream }

// Named reports whether a message with that id may belong to this answer: all its messages must have the same
// id.
func (a *Answer) Named(id []byte) bool { return a.head.ID == "" || string(id) == a.head.ID }

// Adopt takes over the id, time and model of the first message that passes, so that everything written later
// belongs to the same answer. created and model are JSON.
func (a *Answer) Adopt(id, created, model []byte) {
	if !a.head.Passed {
		a.head = Head{ID: jsontext.StringOf(id), Created: string(created), Model: jsontext.StringOf(model), Passed: true}
	}
}

// PassEvent passes the event of the message that is decoded now.
func (a *Answer) PassEvent() {
	a.borrow()
	a.buf = append(a.buf, a.event...)
}

// PassChoice is PassEvent for a message that belongs to a choice.
func (a *Answer) PassChoice(index int) {
	a.choice(index).begun = true
	a.PassEvent()
}

// TextMayPass reports whether a piece of a choice may pass: nothing in it may have to be held back or left
// out. content, reasoning and refusal are JSON strings, null, or nil.
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

// HasStopWord reports whether text contains a stop word that this server applies.
func (a *Answer) HasStopWord(text string) bool {
	first, _ := firstOf(text, a.form.Stop)
	return first >= 0
}

// PassUsage keeps the event for the end of the answer. The event must contain nothing but the token counts u,
// which must have been noted with Usage. If there are several, the last one counts. It does nothing if the
// client did not ask for token counts.
func (a *Answer) PassUsage(u Usage) {
	if a.form.Usage && u == *a.usage {
		a.usageEvent = append(a.usageEvent[:0], a.event...)
	}
}

// WantsUsage reports whether the client asked for token counts.
func (a *Answer) WantsUsage() bool { return a.form.Usage }

// PassFinish keeps the event for the end of the answer, because some providers say more after it. The event
// must end a choice and say nothing else. PassFinish reports whether the event may pass.
func (a *Answer) PassFinish(index int, reason string) bool {
	c := a.choice(index)
	if finishReason(c.ncalls, reason) != reason || c.stop.held != "" || !c.allSaid() {
		return false
	}
	c.begun, c.last = true, reason
	c.finishEvent = append(c.finishEvent[:0], a.event...)
	return true
}

// RightFinish reports whether reason is the right finish reason for a choice with that many tool calls.
func RightFinish(calls int, reason string) bool {
	return reason != "" && finishReason(calls, reason) == reason
}

// RawCall is a piece of a tool call that may pass. Its values are JSON.
type RawCall struct {
	Index, ID, Kind []byte
	Name, Arguments []byte // of the function
}

// PassCall notes a piece of a tool call, and reports whether the piece may pass. It may if it begins the next
// call or continues the last one.
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

// take adds a JSON string to the arguments that the client has got.
func (t *call) take(arguments []byte) {
	t.arguments = jsontext.AppendPiece(t.arguments, arguments)
	t.said = len(t.arguments)
}

// allSaid reports whether the client has got everything of the calls so far.
func (c *Choice) allSaid() bool {
	for _, t := range c.calls {
		if !t.begun || t.said < len(t.arguments) || !t.half.Empty() {
			return false
		}
	}
	return true
}

// PassObject passes a whole answer. It reports whether that is possible: nothing else may have been said
// before.
func (a *Answer) PassObject(message []byte) bool {
	if a.begun() {
		return false
	}
	a.whole = append(a.whole, message...)
	return true
}

// decimal formats a number below 1000.
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
