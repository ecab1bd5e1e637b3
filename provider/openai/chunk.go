package openai

import "strconv"

// start begins a chunk, up to the opening bracket of its choices.
func (a *Answer) start() []byte {
	if a.head == nil {
		a.identify()
		a.head = append(a.head, `data: {"id":`...)
		a.head = AppendString(a.head, a.id)
		a.head = append(a.head, `,"object":`...)
		if a.form.Completion {
			a.head = append(a.head, `"text_completion","created":`...)
		} else {
			a.head = append(a.head, `"chat.completion.chunk","created":`...)
		}
		if a.passed != nil {
			a.head = append(a.head, a.passed...)
		} else {
			a.head = strconv.AppendInt(a.head, a.created, 10)
			a.head = append(a.head, `,"model":`...)
			a.head = AppendString(a.head, a.form.Model)
		}
		a.head = append(a.head, `,"choices":[`...)
	}
	a.borrow()
	return append(a.buf, a.head...)
}

// borrow makes a.buf ready to be appended to.
func (a *Answer) borrow() {
	if a.buf == nil {
		a.lent = buffers.Get().(*[]byte)
		a.buf = *a.lent
	}
}

// begin writes the chunk that opens a choice of a chat.
func (a *Answer) begin(index int, c *choice) {
	if c.begun || a.form.Completion {
		return
	}
	c.begun = true
	a.endDelta(append(a.delta(index), `"role":"assistant","content":""`...), "")
}

// delta begins a chunk of a chat, up to the members of its delta.
func (a *Answer) delta(index int) []byte {
	b := append(a.start(), `{"index":`...)
	b = strconv.AppendInt(b, int64(index), 10)
	return append(b, `,"delta":{`...)
}

// endDelta ends the chunk that b begins.
func (a *Answer) endDelta(b []byte, finish string) {
	b = append(b, `},"logprobs":null,"finish_reason":`...)
	a.buf = a.endChunk(appendNullable(b, finish))
}

func (a *Answer) completionChunk(index int, text, finish string) {
	b := append(a.start(), `{"text":`...)
	b = AppendString(b, text)
	b = append(b, `,"index":`...)
	b = strconv.AppendInt(b, int64(index), 10)
	b = append(b, `,"logprobs":null,"finish_reason":`...)
	a.buf = a.endChunk(appendNullable(b, finish))
}

func (a *Answer) endChunk(b []byte) []byte {
	b = append(b, "}]"...)
	if a.form.Usage {
		b = append(b, `,"usage":null`...)
	}
	return append(b, "}\n\n"...)
}
