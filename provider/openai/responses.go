package openai

import (
	"bytes"
	"io"
	"net/http"
	"slices"

	"github.com/tidwall/gjson"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
)

// ResponsesFormat is the format of /responses. The zero value writes errors and looks at what passes. One that
// ToChat makes also writes the answer to that request.
type ResponsesFormat struct{ asked *responseAsked }

// AppendError appends the body of an answer that is this error.
func (ResponsesFormat) AppendError(b []byte, e *hub.Error, _ string) []byte {
	told := *e
	told.Code = responseCode(e)
	return appendError(b, &told, errorType(e.Status))
}

// responseCode is the code of an error. Codex tries five times at server_is_overloaded, and 30 times at any other
// with status 503.
func responseCode(e *hub.Error) string {
	if e.Status == http.StatusServiceUnavailable {
		return "server_is_overloaded"
	}
	return e.Code
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
	e.response("response.created", jsontext.Merge(body, []byte(`{"status":"in_progress","output":[],"usage":null}`)))
	i := 0
	response.Get("output").ForEach(func(_, item gjson.Result) bool {
		e.itemOf(i, item)
		i++
		return true
	})
	last := "response.completed"
	switch status := response.Get("status").Str; status {
	case "incomplete", "failed":
		last = "response." + status
	}
	e.response(last, body)
	return e.b, nil
}

// itemOf writes an element of `output`: its beginning, what it says, and its end.
func (e *eventWriter) itemOf(index int, item gjson.Result) {
	whole := []byte(jsontext.Compact(item.Raw))
	id := item.Get("id").Str
	switch item.Get("type").Str {
	case "message":
		e.item("response.output_item.added", index, jsontext.Merge(whole, []byte(`{"status":"in_progress","content":[]}`)))
		part := 0
		item.Get("content").ForEach(func(_, content gjson.Result) bool {
			e.partOf(place(nil, id, index, contentIndex, part), content)
			part++
			return true
		})
	case "function_call":
		at, arguments := place(nil, id, index, "", 0), item.Get("arguments").Str
		e.item("response.output_item.added", index, jsontext.Merge(whole, []byte(`{"status":"in_progress","arguments":""}`)))
		e.piece(&functionText, at, arguments)
		e.whole(&functionText, at, jsontext.AppendString(nil, arguments), nil)
	default:
		e.item("response.output_item.added", index, whole)
	}
	e.item("response.output_item.done", index, whole)
}

// partOf writes a part of a message.
func (e *eventWriter) partOf(at []byte, part gjson.Result) {
	said, field := &outputText, "text"
	if part.Get("type").Str == "refusal" {
		said, field = &refusalText, "refusal"
	}
	whole, text := []byte(jsontext.Compact(part.Raw)), part.Get(field).Str
	e.part("response.content_part.added", at, jsontext.Merge(whole, []byte(`{"`+field+`":""}`)))
	e.piece(said, at, text)
	e.whole(said, at, jsontext.AppendString(nil, text), nil)
	e.part("response.content_part.done", at, whole)
}
