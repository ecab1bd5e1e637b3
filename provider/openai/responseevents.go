package openai

import (
	"strconv"

	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
)

// eventWriter writes events of a response
// (https://platform.openai.com/docs/api-reference/responses-streaming).
type eventWriter struct {
	b    []byte
	next int // sequence number
}

// stretch is what is said in pieces: by the name of its events, and of the member that holds all of it.
type stretch struct{ delta, done, member string }

var (
	outputText   = stretch{"response.output_text.delta", "response.output_text.done", `,"text":`}
	refusalText  = stretch{"response.refusal.delta", "response.refusal.done", `,"refusal":`}
	summaryText  = stretch{"response.reasoning_summary_text.delta", "response.reasoning_summary_text.done", `,"text":`}
	functionText = stretch{"response.function_call_arguments.delta", "response.function_call_arguments.done", `,"arguments":`}
	customText   = stretch{"response.custom_tool_call_input.delta", "response.custom_tool_call_input.done", `,"input":`}
)

// begin begins an event with its type and number.
func (e *eventWriter) begin(kind string) {
	e.b = append(append(append(e.b, "event: "...), kind...), "\ndata: {\"type\":\""...)
	e.b = append(append(e.b, kind...), `","sequence_number":`...)
	e.b = strconv.AppendInt(e.b, int64(e.next), 10)
	e.next++
}

// end ends an event.
func (e *eventWriter) end() { e.b = append(e.b, "}\n\n"...) }

// response writes an event about the response as a whole, a JSON object.
func (e *eventWriter) response(kind string, response []byte) {
	e.begin(kind)
	e.b = append(append(e.b, `,"response":`...), response...)
	e.end()
}

// item writes an event about an element of `output`, a JSON object.
func (e *eventWriter) item(kind string, index int, item []byte) {
	e.begin(kind)
	e.b = strconv.AppendInt(append(e.b, `,"output_index":`...), int64(index), 10)
	e.b = append(append(e.b, `,"item":`...), item...)
	e.end()
}

// part writes an event about a part of an item, a JSON object. at says where it is, as place has it.
func (e *eventWriter) part(kind string, at, part []byte) {
	e.begin(kind)
	e.b = append(append(append(e.b, at...), `,"part":`...), part...)
	e.end()
}

// piece writes the next piece of what is said there.
func (e *eventWriter) piece(s *stretch, at []byte, text string) {
	e.begin(s.delta)
	e.b = append(append(e.b, at...), `,"delta":`...)
	e.b = jsontext.AppendString(e.b, text)
	e.endPiece(s, nil)
}

// whole writes all of what has been said there, a JSON string. logprobs are tokens.
func (e *eventWriter) whole(s *stretch, at, quoted, logprobs []byte) {
	e.begin(s.done)
	e.b = append(append(append(e.b, at...), s.member...), quoted...)
	e.endPiece(s, logprobs)
}

// endPiece ends an event that says something. With a text, its log probabilities belong to it.
func (e *eventWriter) endPiece(s *stretch, logprobs []byte) {
	if s == &outputText {
		e.b = append(append(append(e.b, `,"logprobs":[`...), logprobs...), ']')
	}
	e.end()
}

// place appends the members that say where in a response something is. index is the name of the third, which
// only parts have.
func place(b []byte, id string, output int, index string, part int) []byte {
	b = jsontext.AppendString(append(b, `,"item_id":`...), id)
	b = strconv.AppendInt(append(b, `,"output_index":`...), int64(output), 10)
	if index == "" {
		return b
	}
	b = append(append(append(b, `,"`...), index...), `":`...)
	return strconv.AppendInt(b, int64(part), 10)
}

// The names of a part's index.
const (
	contentIndex = "content_index"
	summaryIndex = "summary_index"
)
