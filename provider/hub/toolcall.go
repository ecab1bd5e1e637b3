package hub

import (
	"crypto/rand"

	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
)

// ToolCall is a call of a function, or a piece of one.
type ToolCall struct {
	// ID must be unique within the conversation. If empty, an id is made.
	ID, Name string

	// Arguments is the text of a JSON object. Empty means {}.
	Arguments string

	// Extra is the JSON value of extra_content, if any.
	Extra []byte
}

// NewCallID makes the id of a tool call.
func NewCallID() string { return "call_" + rand.Text() }

// call is a tool call of a choice, as far as it has arrived.
type call struct {
	key       int    // the provider's key, which tells a choice's calls apart
	theirID   string // the provider's id; ours differs if another call has that id
	id, name  string
	arguments []byte
	half      jsontext.Half // half of a character at the end of a piece of the arguments
	extra     []byte

	whole    bool // the arguments are complete
	begun    bool // the client knows of the call
	position int  // index among the calls that the client knows of
	said     int  // how many bytes of the arguments a stream has written
	extraOut bool // a stream has written extra
}

// complete reports whether a call's arguments are complete. More would make them invalid.
func (t *call) complete() bool { return t.whole || jsontext.ValidObject(t.arguments) }

// ToolCall adds a whole tool call. It gets a delta of its own, because Continue's IDE loses a call that
// shares one with text. Text completions have no field for calls and drop them.
func (a *Answer) ToolCall(index int, t ToolCall) {
	if t.Arguments == "" {
		t.Arguments = "{}"
	}
	c := a.choice(index)
	if a.form.TextOnly || c.Finish != "" {
		return
	}
	a.addToCall(index, c, c.newCall(-1), t, true)
}

// ToolCallPart adds a piece of a tool call, as in OpenAI's streams. key tells a choice's calls apart. whole
// says that the arguments are complete. Some providers end a call with an empty piece, which is dropped.
//
// The pieces of two calls never alternate in the client's stream, because Continue's IDE adds each piece to
// the latest call. If they alternate in the provider's stream, the later call waits for the earlier one.
func (a *Answer) ToolCallPart(index, key int, part ToolCall, whole bool) {
	c := a.choice(index)
	if a.form.TextOnly || c.Finish != "" {
		return
	}
	t := c.callOf(key, part)
	switch {
	case t == nil && part.ID == "" && part.Name == "" && part.Arguments == "":
		return
	case t == nil:
		t = c.newCall(key)
	case t.whole:
		return // the call has been repeated
	}
	a.addToCall(index, c, t, part, whole)
}

// callOf returns the call that a piece continues, or nil if the piece begins another call.
func (c *Choice) callOf(key int, part ToolCall) *call {
	for i := len(c.calls) - 1; i >= 0; i-- {
		if t := c.calls[i]; t.key == key {
			if t.isOver(part) {
				return nil
			}
			return t
		}
	}
	return nil
}

// isOver reports whether a piece with the same key begins another call. Some providers give the same key to
// all calls. Others give a new id to each piece of one call, so a new id alone begins another call only if
// the arguments are complete.
func (t *call) isOver(part ToolCall) bool {
	otherID := part.ID != "" && t.theirID != "" && part.ID != t.theirID
	otherName := part.Name != "" && t.name != "" && part.Name != t.name
	switch {
	case otherID && part.Name == "":
		return t.complete()
	case otherID:
		return otherName || t.complete() || len(t.arguments) == 0 && t.name != ""
	case part.ID == "":
		return otherName || part.Name != "" && t.name != "" && t.complete()
	}
	return false
}

func (c *Choice) newCall(key int) *call {
	t := &call{key: key}
	c.calls = append(c.calls, t)
	return t
}

func (a *Answer) addToCall(index int, c *Choice, t *call, part ToolCall, whole bool) {
	if t.theirID == "" {
		t.theirID = part.ID
	}
	if t.name == "" {
		t.name = part.Name
	}
	if len(part.Extra) > 0 {
		t.extra = append(t.extra[:0], part.Extra...)
	}
	t.arguments = append(t.arguments, t.half.Join(part.Arguments)...)
	t.whole = t.whole || whole
	if a.form.Stream {
		a.sayCalls(index, c, false)
	}
}

// sayCalls writes what can be written of the calls of a stream. It finishes one call before it begins the
// next. end says that nothing more will arrive: then it writes everything.
func (a *Answer) sayCalls(index int, c *Choice, end bool) {
	for ; c.saying < len(c.calls); c.saying++ {
		t := c.calls[c.saying]
		if t.name != "" {
			a.sayCall(index, c, t, end)
		}
		if last := c.saying == len(c.calls)-1; !end && (last || t.name == "" || !t.complete()) {
			return
		}
	}
}

// sayCall writes what is new of a call. If the arguments are empty at the end, they become {}, since an empty
// text is not valid JSON.
func (a *Answer) sayCall(index int, c *Choice, t *call, end bool) {
	if end {
		t.arguments = append(t.arguments, t.half.Rest()...)
	}
	if end && len(t.arguments) == 0 {
		t.arguments = append(t.arguments, "{}"...)
	}
	first := !t.begun
	if first && !a.beginCall(index, c, t) {
		return
	}
	if !a.form.Stream {
		return
	}
	extra := t.extra
	if t.extraOut {
		extra = nil
	}
	if first || t.said < len(t.arguments) || len(extra) > 0 {
		a.write(Event{
			Kind: CallPiece, Choice: index, Position: t.position, First: first,
			Call: ToolCall{ID: t.id, Name: t.name, Arguments: string(t.arguments[t.said:]), Extra: extra},
		})
	}
	t.said, t.extraOut = len(t.arguments), t.extraOut || len(extra) > 0
}

// beginCall makes t the next call that the client knows of. It reports false if there can be none: the
// deprecated form holds one call only, and no call may follow a stop word.
func (a *Answer) beginCall(index int, c *Choice, t *call) bool {
	if a.form.Functions && c.ncalls > 0 {
		return false
	}
	a.release(index, c)
	if c.stop.stopped { // release found a stop word in the text that was held back
		return false
	}
	t.id = t.theirID
	if t.id == "" || c.idTaken(t) {
		t.id = NewCallID()
	}
	t.begun, t.position = true, c.ncalls
	c.ncalls++
	if a.form.Stream {
		a.begin(index, c)
	}
	return true
}

func (c *Choice) idTaken(t *call) bool {
	for _, other := range c.calls {
		if other != t && other.id == t.id {
			return true
		}
	}
	return false
}

// unnamed reports whether a call has arguments but never got a name.
func (a *Answer) unnamed() bool {
	for _, c := range a.choices {
		for _, t := range c.calls {
			if t.name == "" && len(t.arguments) > 0 {
				return true
			}
		}
	}
	return false
}
