package openai

import (
	"strconv"
	"strings"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
)

// itemKind is what an item of the output is, by the prefix of its id.
type itemKind string

const (
	noItem        itemKind = ""
	messageItem   itemKind = "msg_"
	reasoningItem itemKind = "rs_"
	callItem      itemKind = "fc_"
	imageItem     itemKind = "ig_"
)

// openItem is an item of the output that is not complete yet.
type openItem struct {
	kind itemKind
	id   string
	at   []byte // where the open part is, as place has it

	said    *stretch // what the open part says; nil: none is open
	text    []byte   // what it has said
	parts   []byte   // those before it, separated by commas
	part    int      // its index
	sources []byte   // its annotations, separated by commas
	cited   int      // how many they are
	tokens  []byte   // their log probabilities

	call      hub.ToolCall // without its arguments
	tool      calledTool
	arguments []byte
	input     inputReader // of a custom tool
}

// open opens an item of that kind, unless one is open.
func (w *responseWriter) open(kind itemKind) {
	for w.item.kind != noItem {
		if w.item.kind == kind {
			return
		}
		w.close()
	}
	w.item.kind = kind
	w.added()
}

// added tells of a new item.
func (w *responseWriter) added() {
	prefix := string(w.item.kind)
	if w.item.tool.custom {
		prefix = "ctc_"
	}
	w.item.id = prefix + w.id + "_" + strconv.Itoa(w.index)
	w.events.item("response.output_item.added", w.index, w.item.append(nil, "in_progress", nil))
}

// closeAll leaves no item open.
func (w *responseWriter) closeAll() {
	for w.item.kind != noItem {
		w.close()
	}
}

// close ends the item that is open, and says what has waited for it, which may open another.
func (w *responseWriter) close() {
	value := w.closePart()
	if len(w.output) > 0 {
		w.output = append(w.output, ',')
	}
	start := len(w.output)
	w.output = w.item.append(w.output, w.status(), value)
	w.events.item("response.output_item.done", w.index, w.output[start:])
	w.index++
	w.item = openItem{at: w.item.at[:0], text: w.item.text[:0], parts: w.item.parts[:0], arguments: w.item.arguments[:0]}
	later := w.later
	w.later = nil
	for i := range later {
		w.say(&later[i])
	}
}

// openPart opens a part of the item, unless one is open in which the same is said.
func (w *responseWriter) openPart(said *stretch) {
	t := &w.item
	if t.said == said {
		return
	}
	w.closePart()
	t.said = said
	switch said {
	case &functionText, &customText:
		t.at = place(t.at[:0], t.id, w.index, "", 0)
		return
	case &summaryText:
		t.at = place(t.at[:0], t.id, w.index, summaryIndex, t.part)
		w.events.part("response.reasoning_summary_part.added", t.at, t.appendPart(nil, []byte(`""`)))
		return
	}
	t.at = place(t.at[:0], t.id, w.index, contentIndex, t.part)
	w.events.part("response.content_part.added", t.at, t.appendPart(nil, []byte(`""`)))
}

// closePart ends the part that is open. It returns what it said, a JSON string.
func (w *responseWriter) closePart() (quoted []byte) {
	t := &w.item
	if t.said == nil {
		return nil
	}
	if t.tool.custom {
		if rest := t.input.rest(); rest != "" {
			w.piece(rest)
		}
	}
	quoted = jsontext.AppendString(make([]byte, 0, len(t.text)+len(t.text)/8+2), string(t.text))
	w.events.whole(t.said, t.at, quoted, t.tokens)
	if t.kind == callItem {
		return quoted
	}
	if len(t.parts) > 0 {
		t.parts = append(t.parts, ',')
	}
	start := len(t.parts)
	t.parts = t.appendPart(t.parts, quoted)
	kind := "response.content_part.done"
	if t.said == &summaryText {
		kind = "response.reasoning_summary_part.done"
	}
	w.events.part(kind, t.at, t.parts[start:])
	t.said, t.text, t.sources, t.cited, t.tokens = nil, t.text[:0], nil, 0, nil
	t.part++
	return quoted
}

// appendPart appends the open part with what it says, a JSON string.
func (t *openItem) appendPart(b, quoted []byte) []byte {
	switch t.said {
	case &summaryText:
		return append(append(append(b, `{"type":"summary_text","text":`...), quoted...), '}')
	case &refusalText:
		return append(append(append(b, `{"type":"refusal","refusal":`...), quoted...), '}')
	}
	b = append(append(b, `{"type":"output_text","text":`...), quoted...)
	b = append(append(b, `,"annotations":[`...), t.sources...)
	b = append(append(b, `],"logprobs":[`...), t.tokens...)
	return append(b, "]}"...)
}

// append appends the item. value is what a call is called with, a JSON string, or an image; nil: nothing yet.
func (t *openItem) append(b []byte, status string, value []byte) []byte {
	b = append(append(append(b, `{"id":"`...), t.id...), `","type":`...)
	switch t.kind {
	case reasoningItem:
		return append(append(append(b, `"reasoning","summary":[`...), t.parts...), "]}"...)
	case messageItem:
		b = append(append(append(b, `"message","status":"`...), status...), `","role":"assistant","content":[`...)
		return append(append(b, t.parts...), "]}"...)
	case imageItem:
		b = append(append(append(b, `"image_generation_call","status":"`...), status...), `","result":`...)
		return append(jsontext.AppendString(b, string(t.text)), '}')
	}
	if value == nil {
		value = []byte(`""`)
	}
	kind, member := `"function_call","status":"`, functionText.member
	if t.tool.custom {
		kind, member = `"custom_tool_call","status":"`, customText.member
	}
	b = append(append(append(append(b, kind...), status...), '"'), member...)
	b = jsontext.AppendString(append(append(b, value...), `,"call_id":`...), t.call.ID)
	b = jsontext.AppendString(append(b, `,"name":`...), t.tool.name)
	if t.tool.namespace != "" {
		b = jsontext.AppendString(append(b, `,"namespace":`...), t.tool.namespace)
	}
	return append(b, '}')
}

// speak says something of a message.
func (w *responseWriter) speak(said *stretch, text string) {
	w.open(messageItem)
	w.openPart(said)
	w.piece(text)
}

// piece says something of the open part.
func (w *responseWriter) piece(text string) {
	w.events.piece(w.item.said, w.item.at, text)
	w.item.text = append(w.item.text, text...)
}

// callPiece says something of a call.
func (w *responseWriter) callPiece(e *hub.Event) {
	t := &w.item
	if e.First {
		w.closeAll()
		t.kind, t.call, t.tool = callItem, e.Call, w.asked.tool(e.Call.Name)
		w.added()
		said := &functionText
		if t.tool.custom {
			said = &customText
		}
		w.openPart(said)
	}
	t.arguments = append(t.arguments, e.Call.Arguments...)
	text := e.Call.Arguments
	if t.tool.custom {
		text = t.input.next(text)
	}
	if text != "" {
		w.piece(text)
	}
}

// cite adds sources to the text.
func (w *responseWriter) cite(citations []hub.URLCitation) {
	w.open(messageItem)
	w.openPart(&outputText)
	t := &w.item
	for _, c := range citations {
		if t.cited > 0 {
			t.sources = append(t.sources, ',')
		}
		start := len(t.sources)
		t.sources = strconv.AppendInt(append(t.sources, `{"type":"url_citation","start_index":`...), int64(c.Start), 10)
		t.sources = strconv.AppendInt(append(t.sources, `,"end_index":`...), int64(c.End), 10)
		t.sources = jsontext.AppendString(append(t.sources, `,"url":`...), c.URL)
		t.sources = append(jsontext.AppendString(append(t.sources, `,"title":`...), c.Title), '}')
		e := &w.events
		e.begin("response.output_text.annotation.added")
		e.b = strconv.AppendInt(append(append(e.b, t.at...), `,"annotation_index":`...), int64(t.cited), 10)
		e.b = append(append(e.b, `,"annotation":`...), t.sources[start:]...)
		e.end()
		t.cited++
	}
}

// logprobs says how likely the tokens of the text are. They come apart from it.
func (w *responseWriter) logprobs(tokens []hub.TokenLogprob) {
	w.open(messageItem)
	w.openPart(&outputText)
	t := &w.item
	if len(t.tokens) > 0 {
		t.tokens = append(t.tokens, ',')
	}
	start := len(t.tokens)
	t.tokens = appendTokens(t.tokens, tokens)
	e := &w.events
	e.begin(outputText.delta)
	e.b = append(append(e.b, t.at...), `,"delta":""`...)
	e.endPiece(&outputText, t.tokens[start:])
}

// image is an item of its own, with its data in base64.
func (w *responseWriter) image(url string) {
	w.closeAll()
	w.item.kind = imageItem
	w.added()
	_, data, _ := strings.Cut(url, ",")
	w.item.text = append(w.item.text, data...)
	w.close()
}
