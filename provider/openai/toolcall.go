package openai

import (
	"crypto/rand"
	"strconv"
)

// ToolCall is a call of a function, or a piece of one.
type ToolCall struct {
	// ID must be unique within the conversation; empty means that one is made.
	ID, Name string

	// Arguments is a JSON object in text; empty means {}.
	Arguments string

	// Extra is the JSON value of extra_content, if any.
	Extra []byte
}

// NewCallID makes the id of a tool call.
func NewCallID() string { return "call_" + rand.Text() }

// call is a tool call of a choice, as far as it is known.
type call struct {
	key      int    // by which the provider tells a choice's calls apart
	theirID  string // the provider's id; ours differs where that is taken
	id, name string
	extra    []byte

	// arguments are all of them for a JSON object; in a stream, those that wait for the name.
	arguments []byte

	some     bool // there have been arguments
	whole    bool // no more of them can come
	begun    bool // the client knows of the call
	position int  // among those that the client knows of
}

// ToolCall adds a whole tool call, in a delta of its own: Continue's IDE loses a call that shares
// one with text. Text completions have no place for it.
func (a *Answer) ToolCall(index int, t ToolCall) {
	c := a.choice(index)
	if a.form.Completion || c.finish != "" {
		return
	}
	if t.Arguments == "" {
		t.Arguments = "{}"
	}
	a.addToCall(index, c, c.newCall(-1), t)
}

// ToolCallPart adds a piece of a tool call as OpenAI's streams have them. key tells a choice's
// calls apart, and whole says that all of the arguments are there. A piece that says nothing, with
// which some providers end a call, is dropped.
func (a *Answer) ToolCallPart(index, key int, part ToolCall, whole bool) {
	c := a.choice(index)
	if a.form.Completion || c.finish != "" {
		return
	}
	t := c.callOf(key, part)
	if t == nil {
		if part.ID == "" && part.Name == "" && part.Arguments == "" {
			return
		}
		t = c.newCall(key)
	}
	a.addToCall(index, c, t, part)
	t.whole = t.whole || whole
}

// callOf returns the call that a piece goes on with, nil where it begins another: some providers
// give all calls the same key.
func (c *choice) callOf(key int, part ToolCall) *call {
	for i := len(c.calls) - 1; i >= 0; i-- {
		t := c.calls[i]
		if t.key != key {
			continue
		}
		another := part.ID != t.theirID && part.ID != "" && t.theirID != "" ||
			part.ID == "" && part.Name != "" && t.name != "" && (t.whole || part.Name != t.name)
		if another {
			return nil
		}
		return t
	}
	return nil
}

func (c *choice) newCall(key int) *call {
	t := &call{key: key}
	c.calls = append(c.calls, t)
	return t
}

func (a *Answer) addToCall(index int, c *choice, t *call, part ToolCall) {
	if t.theirID == "" {
		t.theirID = part.ID
	}
	if t.name == "" {
		t.name = part.Name
	}
	if len(part.Extra) > 0 {
		t.extra = append(t.extra[:0], part.Extra...)
	}
	t.some = t.some || part.Arguments != ""
	if !a.form.Stream || !t.begun {
		t.arguments = append(t.arguments, part.Arguments...)
	}
	switch {
	case t.name == "":
	case !t.begun:
		a.beginCall(index, c, t)
	case a.form.Stream && (part.Arguments != "" || len(part.Extra) > 0):
		a.sayCall(index, t, false, part.Arguments, part.Extra)
	}
}

// beginCall gives a call that has a name its place among those that the client knows of. The
// deprecated form has place for one.
func (a *Answer) beginCall(index int, c *choice, t *call) {
	if a.form.Functions && c.ncalls > 0 {
		return
	}
	t.id = t.theirID
	if t.id == "" || c.idTaken(t) {
		t.id = NewCallID()
	}
	a.endCall(index, c)
	t.begun, t.position = true, c.ncalls
	c.ncalls++
	if !a.form.Stream {
		return
	}
	a.release(index, c)
	a.begin(index, c)
	a.sayCall(index, t, true, string(t.arguments), t.extra)
	t.arguments = nil
}

func (c *choice) idTaken(t *call) bool {
	for _, other := range c.calls {
		if other != t && other.id == t.id {
			return true
		}
	}
	return false
}

// endCall ends the last call that the client knows of. Arguments that are empty are no JSON.
func (a *Answer) endCall(index int, c *choice) {
	for _, t := range c.calls {
		if !t.begun || t.position != c.ncalls-1 || t.some {
			continue
		}
		t.some = true
		if a.form.Stream {
			a.sayCall(index, t, false, "{}", nil)
		} else {
			t.arguments = append(t.arguments, "{}"...)
		}
	}
}

// unnamed reports whether there are arguments of a call that never got a name.
func (a *Answer) unnamed() bool {
	for _, c := range a.choices {
		for _, t := range c.calls {
			if t.name == "" && t.some {
				return true
			}
		}
	}
	return false
}

// sayCall writes a delta with a piece of a call. The first one introduces it.
func (a *Answer) sayCall(index int, t *call, first bool, arguments string, extra []byte) {
	a.delta(index, func(b []byte) []byte {
		if a.form.Functions {
			b = append(b, `"function_call":`...)
			return t.appendFunction(b, first, arguments)
		}
		b = append(b, `"tool_calls":[{"index":`...)
		b = append(strconv.AppendInt(b, int64(t.position), 10), ',')
		return append(t.append(b, first, arguments, extra), "}]"...)
	})
}

// append appends the members of a call.
func (t *call) append(b []byte, first bool, arguments string, extra []byte) []byte {
	if first {
		b = append(b, `"id":`...)
		b = AppendString(b, t.id)
		b = append(b, `,"type":"function",`...)
	}
	b = t.appendFunction(append(b, `"function":`...), first, arguments)
	if len(extra) > 0 {
		b = append(b, `,"extra_content":`...)
		b = append(b, extra...)
	}
	return b
}

func (t *call) appendFunction(b []byte, first bool, arguments string) []byte {
	b = append(b, '{')
	if first {
		b = append(b, `"name":`...)
		b = append(AppendString(b, t.name), ',')
	}
	b = append(b, `"arguments":`...)
	return append(AppendString(b, arguments), '}')
}

// appendCalls appends a message's calls, after another member.
func (a *Answer) appendCalls(b []byte, c *choice) []byte {
	if c.ncalls == 0 {
		return b
	}
	if a.form.Functions {
		for _, t := range c.calls {
			if t.begun {
				b = t.appendFunction(append(b, `,"function_call":`...), true, string(t.arguments))
			}
		}
		return b
	}
	b = append(b, `,"tool_calls":[`...)
	for i, t := range c.calls {
		if i > 0 {
			b = append(b, ',')
		}
		b = t.append(append(b, '{'), true, string(t.arguments), t.extra)
		b = append(b, '}')
	}
	return append(b, ']')
}
