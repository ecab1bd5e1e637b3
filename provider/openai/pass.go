package openai

import (
	"github.com/tidwall/gjson"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
)

// pass passes a message on as it came, where it is what OpenAI would send at this point of the answer.
// It reports whether it did: if not, nothing has been said yet.
//
// Chunks are judged one by one. A chunk with several choices never passes, since one of them might
// have to be mended.
func (f *chatFrame) pass(message []byte, stream bool, a *hub.Answer) bool {
	switch {
	case !a.MayPass() || !jsontext.IsSaid(f.id) || !jsontext.IsNumber(f.created) || !jsontext.IsString(f.model):
		return false
	case !stream:
		return string(f.object) == `"chat.completion"` && f.passObject(message, a)
	case string(f.object) != `"chat.completion.chunk"` || !a.Named(f.id[1:len(f.id)-1]):
		return false
	case len(f.choices) == 0:
		return f.passUsage(a)
	}
	c := &f.choices[0]
	index := c.number()
	if len(f.choices) > 1 || index < 0 || !jsontext.IsNone(f.usage) || !c.right() || !a.TextMayPass(index, c.content, c.reasoning, c.refusal) {
		return false
	}
	if len(c.finish) > 0 && c.finish[0] == '"' {
		return f.passFinish(index, c, a)
	}
	if !passCall(index, c.calls, a) {
		return false
	}
	a.Adopt(f.id, f.created, f.model)
	a.PassChoice(index)
	return true
}

// right reports whether the delta of a choice has nothing that must be mended, its calls aside.
func (c *chatChoice) right() bool {
	switch {
	case !c.said || c.message || c.text != nil || len(c.index) == 0 || len(c.finish) == 0:
		return false
	case !c.textsAreRight():
		return false
	case !jsontext.IsNone(c.role) && !jsontext.IsString(c.role), !jsontext.IsNone(c.thinking), !jsontext.IsNone(c.function):
		return false
	}
	// Continue's IDE loses calls that share a delta with text.
	return !jsontext.IsSaid(c.content) || jsontext.IsNone(c.calls)
}

// textsAreRight reports whether the texts of a choice are strings, where there are any.
func (c *chatChoice) textsAreRight() bool {
	for _, text := range [...][]byte{c.content, c.refusal, c.reasoning} {
		if !jsontext.IsNone(text) && !jsontext.IsString(text) {
			return false
		}
	}
	return true
}

// passUsage passes a chunk without choices. One with the token counts waits for the end of the answer.
func (f *chatFrame) passUsage(a *hub.Answer) bool {
	switch {
	case jsontext.IsNone(f.usage):
		a.Adopt(f.id, f.created, f.model)
		a.PassEvent()
	case a.WantsUsage() && rightUsage(f.usage):
		a.Adopt(f.id, f.created, f.model)
		a.PassUsage(ParseUsage(gjson.ParseBytes(f.usage)))
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

// passFinish passes a chunk that ends a choice, if its delta is empty.
func (f *chatFrame) passFinish(index int, c *chatChoice, a *hub.Answer) bool {
	empty := !jsontext.IsSaid(c.content) && !jsontext.IsSaid(c.reasoning) && !jsontext.IsSaid(c.refusal) && len(c.calls) <= len("[]")
	if !empty || !a.PassFinish(index, jsontext.StringOf(c.finish)) {
		return false
	}
	a.Adopt(f.id, f.created, f.model)
	return true
}

// passCall notes a piece of a tool call that passes, and reports whether it may.
func passCall(index int, calls []byte, a *hub.Answer) bool {
	if jsontext.IsNone(calls) || len(calls) == len("[]") {
		return true
	}
	var pieces int
	var t callFrame
	r := jsontext.NewReader(calls)
	if !r.Array(func() { t, pieces = readCall(r.Raw()), pieces+1 }) || pieces != 1 {
		return false
	}
	if !jsontext.IsNumber(t.Index) || !t.function || !jsontext.IsString(t.Arguments) || jsontext.EndsInHalf(t.Arguments) {
		return false
	}
	return a.PassCall(index, &t.RawCall)
}

// passObject passes a whole answer in which nothing must be mended.
func (f *chatFrame) passObject(message []byte, a *hub.Answer) bool {
	for i := range f.choices {
		c := &f.choices[i]
		if !jsontext.IsNumber(c.index) || c.number() != i || !c.rightMessage(a) {
			return false
		}
	}
	return len(f.choices) > 0 && a.PassObject(message)
}

// rightMessage reports whether a choice of an object has nothing that must be mended.
func (c *chatChoice) rightMessage(a *hub.Answer) bool {
	switch {
	case !c.message || !jsontext.IsSaid(c.role) || c.text != nil || !jsontext.IsNone(c.thinking) || !jsontext.IsNone(c.function):
		return false
	case !c.textsAreRight(), jsontext.IsSaid(c.content) && a.HasStopWord(jsontext.PieceOf(c.content)):
		return false
	}
	calls := 0
	ids := map[string]bool{}
	right := true
	r := jsontext.NewReader(c.calls)
	if !jsontext.IsNone(c.calls) && !r.Array(func() {
		t := readCall(r.Raw())
		id := jsontext.StringOf(t.ID)
		right = right && jsontext.IsSaid(t.ID) && !ids[id] && string(t.Kind) == `"function"` && t.function && jsontext.IsSaid(t.Name) && jsontext.IsSaid(t.Arguments)
		ids[id] = true
		calls++
	}) {
		return false
	}
	return right && hub.RightFinish(calls, jsontext.StringOf(c.finish))
}
