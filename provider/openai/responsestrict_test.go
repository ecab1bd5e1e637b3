package openai

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/openai/openai-go/v3/packages/respjson"
	"github.com/openai/openai-go/v3/responses"
)

// strictly reads JSON into a type of the official client, and checks that all of what it requires is there.
func strictly(t testing.TB, text string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	for _, missing := range missingIn("", reflect.ValueOf(into)) {
		t.Errorf("%s is missing in %s", missing, text)
	}
}

// notOfTheAPI are fields that the official client's types have and the API does not answer with unless it is
// told to: programs of access to models against attacks.
const notOfTheAPI = "AccessPrograms"

// missingIn returns the required fields that a value of the official client's does not have.
func missingIn(at string, v reflect.Value) (missing []string) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return nil
		}
		return missingIn(at, v.Elem())
	case reflect.Slice:
		for i := range v.Len() {
			missing = append(missing, missingIn(fmt.Sprintf("%s[%d]", at, i), v.Index(i))...)
		}
		return missing
	case reflect.Struct:
	default:
		return nil
	}
	if variant := v.MethodByName("AsAny"); variant.IsValid() && variant.Type().NumIn() == 0 {
		of := variant.Call(nil)[0]
		if of.IsNil() {
			return []string{at + " (no known variant)"}
		}
		return missingIn(at, of)
	}
	known := v.FieldByName("JSON")
	if !known.IsValid() {
		return nil
	}
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if field.Name == "JSON" || field.Name == notOfTheAPI {
			continue
		}
		here := at + "." + field.Name
		raw, ok := known.FieldByName(field.Name).Interface().(respjson.Field)
		switch {
		case !ok:
		case raw.Raw() == respjson.Omitted:
			if strings.Contains(string(field.Tag), `api:"required"`) || strings.Contains(string(field.Tag), `default:"`) {
				missing = append(missing, here)
			}
		case raw.Raw() != respjson.Null:
			missing = append(missing, missingIn(here, v.Field(i))...)
		}
	}
	return missing
}

// streamReader reads the events of a response as strictly as can be: their fields, their numbers, their order, and
// that all that is said in pieces is what is said as a whole.
type streamReader struct {
	t      testing.TB
	events int
	ended  string // the type of the last event
	final  responses.Response

	items []string // that are done, as JSON
	open  string   // the id of the item that is open
	kind  string   // its type
	parts []string // of it, as JSON
	part  string   // the type of the part that is open
	said  string   // in pieces, of the open part or call
	whole string   // the same, once all of it has been said
	done  bool     // it has
}

func (r *streamReader) fail(format string, args ...any) {
	r.t.Helper()
	r.t.Fatalf("event %d: %s", r.events, fmt.Sprintf(format, args...))
}

// readStream reads a stream of a response.
func readStream(t testing.TB, stream string) *streamReader {
	t.Helper()
	r := &streamReader{t: t}
	if stream == "" {
		t.Fatal("no events")
	}
	body, ok := strings.CutSuffix(stream, "\n\n")
	if !ok {
		t.Fatalf("the stream ends on %q", stream)
	}
	for _, event := range strings.Split(body, "\n\n") {
		name, data, ok := strings.Cut(strings.TrimPrefix(event, "event: "), "\ndata: ")
		if !ok || strings.ContainsAny(data, "\r\n") {
			r.fail("%q is no event", event)
		}
		r.event(name, data)
		r.events++
	}
	if r.ended == "" {
		r.fail("the stream has no end")
	}
	return r
}

func (r *streamReader) event(name, data string) {
	r.t.Helper()
	var union responses.ResponseStreamEventUnion
	strictly(r.t, data, &union)
	switch {
	case union.Type != name:
		r.fail("%s is called %s", data, name)
	case union.SequenceNumber != int64(r.events):
		r.fail("the number is %d", union.SequenceNumber)
	case r.ended != "":
		r.fail("%s comes behind %s", name, r.ended)
	case (r.events == 0) != (name == "response.created"), (r.events == 1) != (name == "response.in_progress"):
		r.fail("%s does not belong here", name)
	}
	if union.ItemID != r.open && union.ItemID != "" || union.ItemID != "" && union.OutputIndex != int64(len(r.items)) {
		r.fail("%s is of item %q at %d, not of %q at %d", name, union.ItemID, union.OutputIndex, r.open, len(r.items))
	}
	switch e := union.AsAny().(type) {
	case responses.ResponseCreatedEvent, responses.ResponseInProgressEvent:
		if union.Response.Status != "in_progress" || len(union.Response.Output) != 0 {
			r.fail("begins as %s", data)
		}
	case responses.ResponseOutputItemAddedEvent:
		r.added(&e)
	case responses.ResponseOutputItemDoneEvent:
		r.itemDone(&e)
	case responses.ResponseContentPartAddedEvent:
		r.partAdded(e.Part.Type, e.Part.Text+e.Part.Refusal, e.ContentIndex)
	case responses.ResponseReasoningSummaryPartAddedEvent:
		r.partAdded(string(e.Part.Type), e.Part.Text, e.SummaryIndex)
	case responses.ResponseContentPartDoneEvent:
		r.partDone(e.Part.Type, e.Part.Text+e.Part.Refusal, e.ContentIndex, e.Part.RawJSON())
	case responses.ResponseReasoningSummaryPartDoneEvent:
		r.partDone(string(e.Part.Type), e.Part.Text, e.SummaryIndex, e.Part.RawJSON())
	case responses.ResponseTextDeltaEvent:
		r.piece("output_text", e.Delta, e.ContentIndex)
	case responses.ResponseRefusalDeltaEvent:
		r.piece("refusal", e.Delta, e.ContentIndex)
	case responses.ResponseReasoningSummaryTextDeltaEvent:
		r.piece("summary_text", e.Delta, e.SummaryIndex)
	case responses.ResponseFunctionCallArgumentsDeltaEvent:
		r.piece("function_call", e.Delta, 0)
	case responses.ResponseCustomToolCallInputDeltaEvent:
		r.piece("custom_tool_call", e.Delta, 0)
	case responses.ResponseTextDoneEvent:
		r.all("output_text", e.Text, e.ContentIndex)
	case responses.ResponseRefusalDoneEvent:
		r.all("refusal", e.Refusal, e.ContentIndex)
	case responses.ResponseReasoningSummaryTextDoneEvent:
		r.all("summary_text", e.Text, e.SummaryIndex)
	case responses.ResponseFunctionCallArgumentsDoneEvent:
		r.all("function_call", e.Arguments, 0)
	case responses.ResponseCustomToolCallInputDoneEvent:
		r.all("custom_tool_call", e.Input, 0)
	case responses.ResponseOutputTextAnnotationAddedEvent:
		if r.part != "output_text" || r.done || e.ContentIndex != int64(len(r.parts)) {
			r.fail("%s within %q", data, r.part)
		}
	case responses.ResponseCompletedEvent:
		r.end(name, "completed", e.Response)
	case responses.ResponseIncompleteEvent:
		r.end(name, "incomplete", e.Response)
	case responses.ResponseFailedEvent:
		r.end(name, "failed", e.Response)
	default:
		r.fail("%s is not expected", name)
	}
}

func (r *streamReader) added(e *responses.ResponseOutputItemAddedEvent) {
	if r.open != "" || e.OutputIndex != int64(len(r.items)) || e.Item.ID == "" || e.Item.Arguments.OfString+e.Item.Input != "" {
		r.fail("%s while %q is open", e.RawJSON(), r.open)
	}
	r.open, r.kind, r.parts, r.part, r.said, r.whole, r.done = e.Item.ID, e.Item.Type, nil, "", "", "", false
	if strings.HasSuffix(r.kind, "tool_call") || r.kind == "function_call" {
		r.part = r.kind
	}
}

func (r *streamReader) itemDone(e *responses.ResponseOutputItemDoneEvent) {
	if e.Item.ID != r.open || e.Item.Type != r.kind || e.OutputIndex != int64(len(r.items)) {
		r.fail("%s while %q is open", e.RawJSON(), r.open)
	}
	var parts []string
	switch item := e.Item.AsAny().(type) {
	case responses.ResponseOutputMessage:
		for _, part := range item.Content {
			parts = append(parts, part.RawJSON())
		}
	case responses.ResponseReasoningItem:
		for _, part := range item.Summary {
			parts = append(parts, part.RawJSON())
		}
	case responses.ResponseFunctionToolCall:
		if !r.done || item.Arguments != r.whole || item.CallID == "" || item.Name == "" {
			r.fail("%s ends a call with %q", item.RawJSON(), r.whole)
		}
	case responses.ResponseCustomToolCall:
		if !r.done || item.Input != r.whole || item.CallID == "" || item.Name == "" {
			r.fail("%s ends a call with %q", item.RawJSON(), r.whole)
		}
	}
	if !reflect.DeepEqual(parts, r.parts) || r.part != "" && !r.done {
		r.fail("%s ends an item of %v, in %q", e.RawJSON(), r.parts, r.part)
	}
	r.items = append(r.items, e.Item.RawJSON())
	r.open = ""
}

func (r *streamReader) partAdded(kind, text string, index int64) {
	if r.part != "" || index != int64(len(r.parts)) || text != "" || (kind == "summary_text") != (r.kind == "reasoning") {
		r.fail("part %s %d within %s of %s", kind, index, r.part, r.kind)
	}
	r.part, r.said, r.whole, r.done = kind, "", "", false
}

func (r *streamReader) partDone(kind, text string, index int64, raw string) {
	if !r.done || kind != r.part || index != int64(len(r.parts)) || text != r.whole {
		r.fail("part %s %d ends as %q, in %s", kind, index, text, r.part)
	}
	r.part, r.parts = "", append(r.parts, raw)
}

func (r *streamReader) piece(kind, text string, index int64) {
	if r.part != kind || r.done || index != int64(len(r.parts)) {
		r.fail("%s %d within %s", kind, index, r.part)
	}
	r.said += text
}

func (r *streamReader) all(kind, text string, index int64) {
	if r.part != kind || r.done || index != int64(len(r.parts)) || text != r.said {
		r.fail("%s %d is %q as a whole within %s, in pieces %q", kind, index, text, r.part, r.said)
	}
	r.whole, r.done = text, true
}

func (r *streamReader) end(name, status string, final responses.Response) {
	var items []string
	for _, item := range final.Output {
		items = append(items, item.RawJSON())
	}
	if string(final.Status) != status || !reflect.DeepEqual(items, r.items) || r.open != "" && status != "failed" {
		r.fail("%s with %v, want %v", name, items, r.items)
	}
	if (status == "failed") != (final.Error.Message != "") || (status == "incomplete") != (final.IncompleteDetails.Reason != "") {
		r.fail("%s with %s", name, final.RawJSON())
	}
	r.ended, r.final = name, final
}
