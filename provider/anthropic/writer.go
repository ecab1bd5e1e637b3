package anthropic

import (
	"crypto/rand"
	"strconv"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
)

// messageWriter writes a message, or the events of a stream of one, in the order of
// https://docs.anthropic.com/en/api/messages-streaming: blocks come one after another, and each ends before
// the next begins. A message has one choice.
type messageWriter struct {
	thinking bool // whether the client asked to see what the model thinks
	head     *hub.Head

	begun   bool // message_start is written
	blocks  int  // how many have begun
	open    kind // of the last block
	refused bool
	finish  string
	stop    string // the stop sequence that ended the text

	call    int    // the position of the call that the last block is or was
	braces  braces // of its arguments
	waiting []hub.Event
}

// kind is the kind of a block.
type kind int

const (
	noBlock kind = iota
	textBlock
	thinkingBlock
	toolBlock
)

// AppendEvent appends what an event becomes. Sources, log probabilities and what a provider wants back have no
// place in a message.
func (w *messageWriter) AppendEvent(b []byte, e hub.Event) []byte {
	if e.Choice != 0 {
		return b
	}
	b = w.appendStart(b)
	switch e.Kind {
	case hub.Text, hub.Refusal, hub.Image:
		w.refused = w.refused || e.Kind == hub.Refusal
		return w.appendText(b, textBlock, e)
	case hub.Reasoning:
		if w.thinking {
			return w.appendText(b, thinkingBlock, e)
		}
	case hub.CallPiece:
		return w.appendCall(b, &e)
	case hub.Finish:
		w.finish, w.stop = e.Text, e.Stop
		return w.appendBlockEnd(b)
	}
	return b
}

// noImage is what stands for an image, for which a message has no block.
const noImage = "[The model answered with an image, which this format has no place for.]"

// appendText appends a piece of text or thoughts. It waits until the arguments of a call are complete, because a
// block that has ended cannot go on.
func (w *messageWriter) appendText(b []byte, as kind, e hub.Event) []byte {
	if w.open == toolBlock && !w.braces.closed() {
		w.waiting = append(w.waiting, e)
		return b
	}
	if e.Kind == hub.Image {
		e.Text = noImage
	}
	if w.open != as {
		b = w.appendBlockStart(b, as)
		if as == textBlock {
			b = append(b, `{"type":"text","text":""}`...)
		} else {
			b = append(b, `{"type":"thinking","thinking":"","signature":""}`...)
		}
		b = append(b, endOfData...)
	}
	if as == textBlock {
		b = append(w.appendDelta(b), `{"type":"text_delta","text":`...)
	} else {
		b = append(w.appendDelta(b), `{"type":"thinking_delta","thinking":`...)
	}
	return append(append(jsontext.AppendString(b, e.Text), '}'), endOfData...)
}

// appendCall appends a piece of a call.
func (w *messageWriter) appendCall(b []byte, e *hub.Event) []byte {
	switch {
	case e.First:
		b = w.appendBlockStart(b, toolBlock)
		b = append(appendToolUse(b, &e.Call), `{}}`...)
		b = append(b, endOfData...)
		w.call, w.braces = e.Position, braces{}
	case w.open != toolBlock || w.call != e.Position:
		return b // of a call that was complete
	}
	if e.Call.Arguments == "" {
		return b
	}
	w.braces.read(e.Call.Arguments)
	b = append(w.appendDelta(b), `{"type":"input_json_delta","partial_json":`...)
	b = append(append(jsontext.AppendString(b, e.Call.Arguments), '}'), endOfData...)
	if len(w.waiting) > 0 && w.braces.closed() {
		b = w.appendWaiting(b)
	}
	return b
}

// appendToolUse appends a block of a call up to its input.
func appendToolUse(b []byte, call *hub.ToolCall) []byte {
	b = jsontext.AppendString(append(b, `{"type":"tool_use","id":`...), clientID(call.ID))
	b = jsontext.AppendString(append(b, `,"name":`...), call.Name)
	return append(b, `,"input":`...)
}

// endOfData ends an event whose data has one brace open.
const endOfData = "}\n\n"

// appendBlockStart ends the block that is open and begins the event that opens another.
func (w *messageWriter) appendBlockStart(b []byte, as kind) []byte {
	b = w.appendBlockEnd(b)
	w.open = as
	b = append(b, "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":"...)
	b = strconv.AppendInt(b, int64(w.blocks), 10)
	w.blocks++
	return append(b, `,"content_block":`...)
}

// appendDelta begins the event of a delta.
func (w *messageWriter) appendDelta(b []byte) []byte {
	b = append(b, "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":"...)
	b = strconv.AppendInt(b, int64(w.blocks-1), 10)
	return append(b, `,"delta":`...)
}

// appendBlockEnd ends the block that is open, and says what has waited for its end.
func (w *messageWriter) appendBlockEnd(b []byte) []byte {
	if w.open == noBlock {
		return b
	}
	w.open = noBlock
	b = append(b, "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":"...)
	b = append(strconv.AppendInt(b, int64(w.blocks-1), 10), endOfData...)
	if len(w.waiting) > 0 {
		b = w.appendBlockEnd(w.appendWaiting(b))
	}
	return b
}

// appendWaiting says the texts that have waited for the end of a call.
func (w *messageWriter) appendWaiting(b []byte) []byte {
	waiting := w.waiting
	w.waiting = nil
	for _, e := range waiting {
		b = w.AppendEvent(b, e)
	}
	return b
}

// AppendEnd appends the reason and the token counts, and the last event.
func (w *messageWriter) AppendEnd(b []byte, usage *hub.Usage) []byte {
	b = w.appendBlockEnd(w.appendStart(b))
	b = append(b, "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{"...)
	b = w.appendStop(b, w.finish, w.stop)
	b = appendUsage(append(b, `},"usage":`...), usage)
	return append(b, "}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"...)
}

// AppendFail appends the event that ends a stream with this error. Blocks stay open, as Anthropic leaves them.
func (w *messageWriter) AppendFail(b []byte, e *hub.Error) []byte {
	if len(w.waiting) > 0 {
		b = w.appendBlockEnd(b)
	}
	return Format{}.AppendErrorFrame(b, e)
}

// appendStart appends the first event, unless it is written. Claude Code takes the prompt's tokens from it, so
// that they stand there where the provider has named them already.
func (w *messageWriter) appendStart(b []byte) []byte {
	if w.begun {
		return b
	}
	w.begun = true
	b = append(b, "event: message_start\ndata: {\"type\":\"message_start\",\"message\":"...)
	b = append(w.appendHead(b), `],"stop_reason":null,"stop_sequence":null,"stop_details":null,"usage":`...)
	var usage hub.Usage
	if w.head.Usage != nil {
		usage = *w.head.Usage
		usage.Completion = 0
	}
	b = append(appendUsage(b, &usage), '}')
	return append(b, endOfData...)
}

// appendHead appends a message up to the opening bracket of its content.
func (w *messageWriter) appendHead(b []byte) []byte {
	id := w.head.ID
	if !fits(id) {
		id = rand.Text()
	}
	b = jsontext.AppendString(append(b, `{"id":`...), "msg_"+id)
	b = jsontext.AppendString(append(b, `,"type":"message","role":"assistant","model":`...), w.head.Model)
	return append(b, `,"content":[`...)
}

// appendStop appends why the message has ended.
func (w *messageWriter) appendStop(b []byte, finish, stop string) []byte {
	reason, details := "end_turn", "null"
	switch {
	case finish == hub.FinishToolCalls:
		reason = "tool_use"
	case stop != "":
		reason = "stop_sequence"
	case finish == hub.FinishLength:
		reason = "max_tokens"
	case finish == hub.FinishContentFilter, w.refused:
		reason, details = "refusal", `{"type":"refusal","category":null,"explanation":null}`
	}
	b = append(append(append(b, `"stop_reason":"`...), reason...), `","stop_sequence":`...)
	if reason == "stop_sequence" {
		b = jsontext.AppendString(b, stop)
	} else {
		b = append(b, "null"...)
	}
	return append(append(b, `,"stop_details":`...), details...)
}

// AppendObject appends a whole message.
func (w *messageWriter) AppendObject(b []byte, choices []*hub.Choice, usage *hub.Usage) []byte {
	c := choices[0]
	b = w.appendHead(b)
	begun := len(b)
	if w.thinking && len(c.Reasoning) > 0 {
		b = jsontext.AppendString(append(b, `{"type":"thinking","thinking":`...), string(c.Reasoning))
		b = append(b, `,"signature":""}`...)
	}
	said := string(c.Text)
	if len(c.Images) > 0 {
		said += noImage
	}
	for _, said := range []string{said, string(c.Refusal)} {
		if said != "" {
			b = jsontext.AppendString(append(separate(b, begun), `{"type":"text","text":`...), said)
			b = append(b, '}')
		}
	}
	for i := range c.Calls {
		b = appendToolUse(separate(b, begun), &c.Calls[i])
		if arguments := []byte(c.Calls[i].Arguments); jsontext.ValidObject(arguments) {
			b = append(b, arguments...)
		} else {
			b = append(b, "{}"...) // of a call that was cut off
		}
		b = append(b, '}')
	}
	w.refused = len(c.Refusal) > 0
	b = w.appendStop(append(b, "],"...), c.Finish, c.StopWord)
	return append(appendUsage(append(b, `,"usage":`...), usage), '}')
}

// separate appends a comma, unless nothing has been appended since begun.
func separate(b []byte, begun int) []byte {
	if len(b) > begun {
		return append(b, ',')
	}
	return b
}
