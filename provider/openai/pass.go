package openai

import (
	"bytes"

	"github.com/tidwall/gjson"
)

// pass passes a message on as it came, where it is what OpenAI would send at this point of the answer.
// It reports whether it did: if not, nothing has been said yet.
//
// Chunks are judged one by one. A chunk with several choices is never passed, since one of them might
// have to be mended.
func (a *Answer) pass(f *chatFrame, message []byte) bool {
	switch {
	case !a.form.Pass || a.form.Completion || a.form.Functions || !isSaid(f.id) || !isNumber(f.created) || !isText(f.model):
		return false
	case !a.form.Stream:
		return string(f.object) == `"chat.completion"` && a.passObject(f, message)
	case a.event == nil || string(f.object) != `"chat.completion.chunk"` || !a.named(f.id):
		return false
	case len(f.choices) == 0:
		return a.passUsage(f)
	}
	c := &f.choices[0]
	index := c.number()
	if len(f.choices) > 1 || index < 0 || !isNone(f.usage) || !a.right(index, c) {
		return false
	}
	if len(c.finish) > 0 && c.finish[0] == '"' {
		return a.passFinish(f, index, c)
	}
	if !a.passCall(index, c.calls) {
		return false
	}
	a.choice(index).begun = true
	a.passEvent(f)
	return true
}

// named reports whether id, a JSON string, is the answer's: all of its chunks have the same.
func (a *Answer) named(id []byte) bool {
	return a.id == "" || string(id[1:len(id)-1]) == a.id
}

// passEvent passes the event that the message is the data of.
func (a *Answer) passEvent(f *chatFrame) {
	a.adopt(f)
	a.borrow()
	a.buf = append(a.buf, a.event...)
}

// adopt has what is written later belong to the same answer as the first message that passes.
func (a *Answer) adopt(f *chatFrame) {
	if a.passed == nil {
		a.id = stringOf(f.id)
		a.passed = append(append(append(a.passed, f.created...), `,"model":`...), f.model...)
		a.head = nil
	}
}

// right reports whether a choice's delta has nothing to be mended, but for its calls.
func (a *Answer) right(index int, c *chatChoice) bool {
	switch {
	case !c.said || c.message || c.text != nil || len(c.index) == 0 || len(c.finish) == 0:
		return false
	case !isNone(c.content) && !isText(c.content), !isNone(c.refusal) && !isText(c.refusal), !isNone(c.reasoning) && !isText(c.reasoning):
		return false
	case !isNone(c.role) && !isText(c.role), !isNone(c.thinking), !isNone(c.function):
		return false
	case isSaid(c.content) && !isNone(c.calls): // Continue's IDE loses calls that share a delta with text
		return false
	}
	if index >= len(a.choices) {
		return a.untouched(&choice{stop: stopper{words: a.form.Stop}}, c)
	}
	return a.untouched(a.choices[index], c)
}

// untouched reports whether nothing of what a choice says has to wait or to be cut.
func (a *Answer) untouched(c *choice, said *chatChoice) bool {
	if c.finish != "" || c.last != "" || c.textHalf.n+c.reasoningHalf.n+c.refusalHalf.n > 0 {
		return false
	}
	for _, text := range [][]byte{said.content, said.reasoning, said.refusal} {
		if isSaid(text) && endsInHalf(text) {
			return false
		}
	}
	return len(c.stop.words) == 0 || !isSaid(said.content) && c.stop.held == "" || isText(said.content) && c.stop.clear(pieceOf(said.content))
}

// passUsage passes a chunk without choices. One with the token counts waits for the end of the answer:
// there it comes once, if the client has asked for it, and the last one counts.
func (a *Answer) passUsage(f *chatFrame) bool {
	if isNone(f.usage) {
		a.passEvent(f)
		return true
	}
	if a.form.Usage && rightUsage(f.usage) && ParseUsage(gjson.ParseBytes(f.usage)) == *a.usage {
		a.adopt(f)
		a.usageEvent = append(a.usageEvent[:0], a.event...)
	}
	return true
}

// rightUsage reports whether a usage has what OpenAI's always has.
func rightUsage(raw []byte) bool {
	for _, count := range gjson.GetManyBytes(raw, "prompt_tokens", "completion_tokens", "total_tokens") {
		if count.Type != gjson.Number {
			return false
		}
	}
	return true
}

// passFinish keeps a chunk that ends a choice for the end of the answer: some providers say more behind
// it. Its delta must be empty, so that nothing waits with it.
func (a *Answer) passFinish(f *chatFrame, index int, said *chatChoice) bool {
	reason := stringOf(said.finish)
	if isSaid(said.content) || isSaid(said.reasoning) || isSaid(said.refusal) || len(said.calls) > 2 {
		return false
	}
	c := a.choice(index)
	if a.finishReason(c, reason) != reason || c.stop.held != "" || !c.allSaid() {
		return false
	}
	a.adopt(f)
	c.begun, c.last = true, reason
	c.finishEvent = append(c.finishEvent[:0], a.event...)
	return true
}

// passCall notes a piece of a tool call that passes, and reports whether it may: it must begin the next
// call or go on with the last one.
func (a *Answer) passCall(index int, calls []byte) bool {
	if isNone(calls) || len(calls) == len("[]") {
		return true
	}
	var pieces int
	var t callFrame
	r := NewReader(calls)
	if !r.Array(func() { t, pieces = readCall(r.Raw()), pieces+1 }) || pieces != 1 {
		return false
	}
	if !isNumber(t.index) || !t.function || !isText(t.arguments) || endsInHalf(t.arguments) {
		return false
	}
	c := a.choice(index)
	if c.stop.held != "" || !c.allSaid() {
		return false
	}
	if len(c.calls) > 0 && string(t.index) == decimal(c.calls[len(c.calls)-1].position) {
		return c.passMore(&t)
	}
	return c.passNew(&t)
}

// passNew notes the first piece of a call.
func (c *choice) passNew(t *callFrame) bool {
	if string(t.index) != decimal(len(c.calls)) || c.ncalls != len(c.calls) || !isSaid(t.id) || string(t.kind) != `"function"` || !isSaid(t.name) {
		return false
	}
	if n := len(c.calls); n > 0 && !c.calls[n-1].complete() {
		return false
	}
	id := stringOf(t.id)
	for _, other := range c.calls {
		if other.id == id {
			return false
		}
	}
	made := c.newCall(len(c.calls))
	made.id, made.theirID, made.name = id, id, stringOf(t.name)
	made.begun, made.position = true, c.ncalls
	c.ncalls++
	c.saying = len(c.calls) - 1
	made.take(t.arguments)
	return true
}

// passMore notes a piece of the last call.
func (c *choice) passMore(t *callFrame) bool {
	last := c.calls[len(c.calls)-1]
	if last.whole || last.key != last.position || last.half.n > 0 || len(t.name) > 0 || len(t.id) > 0 && stringOf(t.id) != last.id {
		return false
	}
	last.take(t.arguments)
	return true
}

// take adds a JSON string to the arguments that the client has.
func (t *call) take(arguments []byte) {
	t.arguments = appendPiece(t.arguments, arguments)
	t.said = len(t.arguments)
}

// allSaid reports whether the client has everything of the calls so far.
func (c *choice) allSaid() bool {
	for _, t := range c.calls {
		if !t.begun || t.said < len(t.arguments) || t.half.n > 0 {
			return false
		}
	}
	return true
}

// passObject passes a whole answer in which nothing has to be mended.
func (a *Answer) passObject(f *chatFrame, message []byte) bool {
	if len(f.choices) == 0 || len(a.choices) > 0 || a.whole != nil {
		return false
	}
	for i := range f.choices {
		c := &f.choices[i]
		if string(c.index) != decimal(i) || !a.rightMessage(c) {
			return false
		}
	}
	a.whole = append(a.whole, message...)
	return true
}

// rightMessage reports whether a choice of an object has nothing to be mended.
func (a *Answer) rightMessage(c *chatChoice) bool {
	switch {
	case !c.message || !isSaid(c.role) || c.text != nil || !isNone(c.thinking) || !isNone(c.function):
		return false
	case !isNone(c.content) && !isText(c.content), !isNone(c.refusal) && !isText(c.refusal), !isNone(c.reasoning) && !isText(c.reasoning):
		return false
	case isSaid(c.content) && firstOf(pieceOf(c.content), a.form.Stop) >= 0:
		return false
	}
	calls := 0
	ids := map[string]bool{}
	right := true
	r := NewReader(c.calls)
	if !isNone(c.calls) && !r.Array(func() {
		t := readCall(r.Raw())
		id := stringOf(t.id)
		right = right && isSaid(t.id) && !ids[id] && string(t.kind) == `"function"` && t.function && isSaid(t.name) && isSaid(t.arguments)
		ids[id] = true
		calls++
	}) {
		return false
	}
	reason := stringOf(c.finish)
	return right && reason != "" && a.finishReason(&choice{ncalls: calls}, reason) == reason
}

// decimal is a small number as JSON has it.
func decimal(n int) string {
	const digits = "0123456789"
	if n < len(digits) {
		return digits[n : n+1]
	}
	return string(bytes.TrimLeft([]byte{digits[n/100%10], digits[n/10%10], digits[n%10]}, "0"))
}
