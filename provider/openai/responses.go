package openai

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"strconv"

	"github.com/tidwall/gjson"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
)

// ResponsesFormat is the format of /responses.
type ResponsesFormat struct{}

// AppendError appends the body of an answer that is this error. Codex tries five times at the code
// server_is_overloaded, and 30 times at any other with status 503.
func (ResponsesFormat) AppendError(b []byte, e *hub.Error, _ string) []byte {
	if e.Status == http.StatusServiceUnavailable {
		overloaded := *e
		overloaded.Code = "server_is_overloaded"
		e = &overloaded
	}
	return appendError(b, e, errorType(e.Status))
}

// AppendErrorFrame appends the event that ends a stream with this error
// (https://platform.openai.com/docs/api-reference/responses-streaming/error).
func (ResponsesFormat) AppendErrorFrame(b []byte, e *hub.Error) []byte {
	b = append(b, "event: error\ndata: {\"type\":\"error\",\"code\":"...)
	b = appendNullable(b, e.Code)
	b = jsontext.AppendString(append(b, `,"message":`...), e.Message)
	b = appendNullable(append(b, `,"param":`...), e.Param)
	return append(b, `,"sequence_number":0}`+"\n\n"...)
}

var responseEvent = []byte(`"type":"response.`)

// responseEnds are the types of the events that end a stream of /responses, where no [DONE] comes
// (https://platform.openai.com/docs/api-reference/responses-streaming).
var responseEnds = [][]byte{[]byte(`"type":"response.completed"`), []byte(`"type":"response.incomplete"`), []byte(`"type":"response.failed"`)}

// Look looks at an event of /responses. An error in the API's own form passes.
func (ResponsesFormat) Look(data []byte, p *hub.Progress) *hub.Error {
	if !bytes.Contains(data, responseEvent) {
		if jsontext.ValidObject(data) && gjson.GetBytes(data, "type").Str == "error" {
			p.Ended, p.Failed = true, true
			return nil
		}
		return hub.ReportedIn(data)
	}
	p.Begun = true
	p.Ended = p.Ended || lastOfResponse(data)
	return nil
}

// lastOfResponse reports whether an event ends a stream of /responses.
func lastOfResponse(data []byte) bool {
	return slices.ContainsFunc(responseEnds, func(end []byte) bool { return bytes.Contains(data, end) })
}

// TranslateResponse returns the Translate of a Call to /responses: everything passes through, but for
// an object in the place of events, which becomes the events that say the same, and for events in the place
// of an object (https://platform.openai.com/docs/api-reference/responses-streaming).
func TranslateResponse(stream bool) func(dst io.Writer, sse bool) hub.Translator {
	return func(dst io.Writer, sse bool) hub.Translator {
		switch {
		case sse == stream:
			return nil
		case sse:
			return &hub.BodyTranslator{Dst: dst, Convert: lastResponse}
		}
		return &responseTranslator{hub.BodyTranslator{Dst: dst, Convert: responseEvents, Count: countTokens}}
	}
}

// lastResponse is the response that a stream of events has ended with.
func lastResponse(stream []byte) (response []byte, err error) {
	var events hub.Splitter
	event := func(data []byte) error {
		if e := hub.ReportedIn(data); e != nil {
			return e
		}
		if lastOfResponse(data) {
			response = []byte(gjson.GetBytes(data, "response").Raw)
		}
		return nil
	}
	if err = events.Write(stream, event); err == nil {
		err = events.Close(event)
	}
	if err == nil && !jsontext.ValidObject(response) {
		err = hub.ErrIncomplete
	}
	if err != nil {
		return nil, err
	}
	return response, nil
}

// responseTranslator makes events of an object.
type responseTranslator struct{ hub.BodyTranslator }

func (*responseTranslator) Stream() bool { return true }

// countTokens reads the token counts of a response.
func countTokens(body []byte) hub.Usage { return ParseUsage(gjson.GetBytes(body, "usage")) }

func responseEvents(body []byte) ([]byte, error) {
	if e := hub.ReportedIn(body); e != nil {
		return nil, e
	}
	if !jsontext.ValidObject(body) {
		return nil, hub.ErrUnreadable
	}
	response := gjson.ParseBytes(body)
	if response.Get("object").Str != "response" {
		return nil, hub.UpstreamBroken("Try again: the provider's answer is no response.")
	}
	var e eventWriter
	body = []byte(jsontext.Compact(response.Raw)) // a line break would end an event's data
	begun := jsontext.Merge(body, []byte(`{"status":"in_progress","output":[],"usage":null}`))
	e.event("response.created", `"response":`+string(begun))
	i := 0
	response.Get("output").ForEach(func(_, item gjson.Result) bool {
		e.item(i, item)
		i++
		return true
	})
	last := "response.completed"
	switch status := response.Get("status").Str; status {
	case "incomplete", "failed":
		last = "response." + status
	}
	e.event(last, `"response":`+string(body))
	return e.b, nil
}

// eventWriter writes events of a response.
type eventWriter struct {
	b    []byte
	next int // sequence number
}

// event writes an event with these members beside its type and number.
func (e *eventWriter) event(kind, members string) {
	e.b = append(append(append(e.b, "event: "...), kind...), "\ndata: {\"type\":"...)
	e.b = append(jsontext.AppendString(e.b, kind), `,"sequence_number":`...)
	e.b = append(strconv.AppendInt(e.b, int64(e.next), 10), ',')
	e.b = append(append(e.b, members...), "}\n\n"...)
	e.next++
}

// item writes an element of `output`: its beginning, what it says, and its end.
func (e *eventWriter) item(index int, item gjson.Result) {
	at := `"output_index":` + strconv.Itoa(index)
	whole := at + `,"item":` + jsontext.Compact(item.Raw)
	at += `,"item_id":` + string(jsontext.AppendString(nil, item.Get("id").Str))
	switch item.Get("type").Str {
	case "message":
		e.event("response.output_item.added", `"output_index":`+strconv.Itoa(index)+`,"item":`+string(jsontext.Merge([]byte(jsontext.Compact(item.Raw)), []byte(`{"status":"in_progress","content":[]}`))))
		part := 0
		item.Get("content").ForEach(func(_, content gjson.Result) bool {
			e.content(at+`,"content_index":`+strconv.Itoa(part), content)
			part++
			return true
		})
	case "function_call":
		arguments := string(jsontext.AppendString(nil, item.Get("arguments").Str))
		e.event("response.output_item.added", `"output_index":`+strconv.Itoa(index)+`,"item":`+string(jsontext.Merge([]byte(jsontext.Compact(item.Raw)), []byte(`{"status":"in_progress","arguments":""}`))))
		e.event("response.function_call_arguments.delta", at+`,"delta":`+arguments)
		e.event("response.function_call_arguments.done", at+`,"arguments":`+arguments)
	default:
		e.event("response.output_item.added", whole)
	}
	e.event("response.output_item.done", whole)
}

// content writes a part of a message.
func (e *eventWriter) content(place string, part gjson.Result) {
	at := place
	kind, field := "response.output_text", "text"
	if part.Get("type").Str == "refusal" {
		kind, field = "response.refusal", "refusal"
	}
	text := string(jsontext.AppendString(nil, part.Get(field).Str))
	e.event("response.content_part.added", at+`,"part":`+string(jsontext.Merge([]byte(jsontext.Compact(part.Raw)), []byte(`{"`+field+`":""}`))))
	if field == "text" {
		at += `,"logprobs":[]`
	}
	e.event(kind+".delta", at+`,"delta":`+text)
	e.event(kind+".done", at+`,"`+field+`":`+text)
	e.event("response.content_part.done", place+`,"part":`+jsontext.Compact(part.Raw))
}
