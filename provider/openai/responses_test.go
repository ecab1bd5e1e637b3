package openai

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/openai/openai-go/v3/packages/ssestream"
	"github.com/openai/openai-go/v3/responses"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
)

const wholeResponse = `{"id":"resp_1","object":"response","created_at":1,"status":"completed","model":"gpt-5","error":null,
	"output":[{"id":"rs_1","type":"reasoning","summary":[]},
		{"id":"msg_1","type":"message","status":"completed","role":"assistant","content":[{"type":"output_text","text":"Hi \"you\"\n","annotations":[],"logprobs":[]},{"type":"refusal","refusal":"No."}]},
		{"id":"fc_1","type":"function_call","status":"completed","call_id":"call_1","name":"f","arguments":"{\"x\":1}"}],
	"usage":{"input_tokens":3,"input_tokens_details":{"cached_tokens":0},"output_tokens":4,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":7}}`

// responded translates an answer to /responses.
func responded(t *testing.T, pieces ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	translator := TranslateResponse(true)(&out, false)
	if !translator.Stream() {
		t.Error("no stream")
	}
	for _, piece := range pieces {
		if _, err := translator.Write([]byte(piece)); err != nil {
			t.Fatal(err)
		}
	}
	err := translator.Close()
	return out.String(), err
}

func TestAResponseWhereAStreamWasAskedForReadByTheOfficialClient(t *testing.T) {
	stream, err := responded(t, wholeResponse[:50], wholeResponse[50:])
	if err != nil {
		t.Fatal(err)
	}
	res := &http.Response{Header: http.Header{"Content-Type": {"text/event-stream"}}, Body: io.NopCloser(strings.NewReader(stream))}
	events := ssestream.NewStream[responses.ResponseStreamEventUnion](ssestream.NewDecoder(res), nil)
	var kinds []string
	text, refusal, arguments := "", "", ""
	for events.Next() {
		event := events.Current()
		if int(event.SequenceNumber) != len(kinds) {
			t.Errorf("%s has number %d, want %d", event.Type, event.SequenceNumber, len(kinds))
		}
		kinds = append(kinds, strings.TrimPrefix(event.Type, "response."))
		switch event := event.AsAny().(type) {
		case responses.ResponseTextDeltaEvent:
			text += event.Delta
		case responses.ResponseRefusalDeltaEvent:
			refusal += event.Delta
		case responses.ResponseFunctionCallArgumentsDeltaEvent:
			arguments += event.Delta
		case responses.ResponseCompletedEvent:
			if event.Response.Usage.TotalTokens != 7 || event.Response.OutputText() != "Hi \"you\"\n" {
				t.Errorf("completed with %s", event.Response.RawJSON())
			}
		case responses.ResponseCreatedEvent:
			if len(event.Response.Output) != 0 || event.Response.Status != "in_progress" {
				t.Errorf("created with %s", event.Response.RawJSON())
			}
		}
	}
	want := "created output_item.added output_item.done " +
		"output_item.added content_part.added output_text.delta output_text.done content_part.done content_part.added refusal.delta refusal.done content_part.done output_item.done " +
		"output_item.added function_call_arguments.delta function_call_arguments.done output_item.done completed"
	if got := strings.Join(kinds, " "); events.Err() != nil || got != want || text != "Hi \"you\"\n" || refusal != "No." || arguments != `{"x":1}` {
		t.Errorf("%v: %s, want %s; text %q, refusal %q, arguments %q", events.Err(), got, want, text, refusal, arguments)
	}
}

func TestResponsesThatAreNotComplete(t *testing.T) {
	for status, last := range map[string]string{"incomplete": "response.incomplete", "failed": "response.failed"} {
		stream, err := responded(t, strings.Replace(wholeResponse, `"completed"`, `"`+status+`"`, 1))
		if err != nil || !strings.Contains(stream, "\nevent: "+last+"\n") || strings.Contains(stream, "event: response.completed") {
			t.Errorf("%s: %v\n%s", status, err, stream)
		}
	}
}

func TestResponsesThatAreNone(t *testing.T) {
	for body, status := range map[string]int{
		``:                          502,
		`<html>`:                    502,
		`{}`:                        502,
		gateway(2016, "Blocked"):    400,
		`{"error":{"message":"x"}}`: 502,
	} {
		stream, err := responded(t, body)
		var e *hub.Error
		if !errors.As(err, &e) || e.Status != status || stream != "" {
			t.Errorf("%q: %v, stream %q", body, err, stream)
		}
	}
}

func TestOtherResponsesPass(t *testing.T) {
	if TranslateResponse(true)(nil, true) != nil || TranslateResponse(false)(nil, false) != nil {
		t.Error("a response that is what was asked for is translated")
	}
}

func TestEventsInThePlaceOfAResponse(t *testing.T) {
	const created = "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"object\":\"response\",\"status\":\"in_progress\"}}\n\n"
	for name, test := range map[string]struct{ stream, want, says string }{
		"complete":         {created + "data: {\"type\":\"response.completed\",\"response\":" + wholeResponse + "}\n\n", wholeResponse, ""},
		"cut":              {created, "", "before it was complete"},
		"an error instead": {created + "data: {\"error\":{\"message\":\"overloaded\"}}\n\n", "", "overloaded"},
		"nothing":          {"", "", "before it was complete"},
	} {
		var out bytes.Buffer
		translator := TranslateResponse(false)(&out, true)
		_, _ = translator.Write([]byte(strings.ReplaceAll(test.stream, wholeResponse, jsontext.Compact(wholeResponse))))
		err := translator.Close()
		if test.says != "" && (err == nil || !strings.Contains(err.Error(), test.says)) || test.says == "" && err != nil {
			t.Errorf("%s: error %v", name, err)
		}
		if test.want != "" && out.String() != jsontext.Compact(test.want) || test.want == "" && out.Len() > 0 {
			t.Errorf("%s: object %s", name, out.String())
		}
	}
}

// FuzzResponseEvents: a response becomes events that can be told apart, or an error.
func FuzzResponseEvents(f *testing.F) {
	f.Add([]byte(wholeResponse))
	f.Add([]byte(`{"object":"response","status":"failed","error":{` + "\n" + `"code":"x"},"output":[{"type":"message","content":[1,{"type":"output_text"}]},7,{"type":"function_call","arguments":{}}]}`))
	f.Add([]byte(`{"error":{"message":"x","code":429}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		stream, err := responseEvents(body)
		var e *hub.Error
		if err != nil {
			if !errors.As(err, &e) || e.Status < 400 || stream != nil {
				t.Fatalf("%v, stream %s", err, stream)
			}
			return
		}
		last := ""
		for i, event := range strings.Split(strings.TrimSuffix(string(stream), "\n\n"), "\n\n") {
			kind, data, ok := strings.Cut(strings.TrimPrefix(event, "event: "), "\ndata: ")
			var said struct {
				Type     string `json:"type"`
				Sequence *int   `json:"sequence_number"`
			}
			if !ok || strings.ContainsAny(data, "\r\n") || json.Unmarshal([]byte(data), &said) != nil || said.Type != kind || said.Sequence == nil || *said.Sequence != i {
				t.Fatalf("event %d is %q", i, event)
			}
			last = kind
		}
		if last != "response.completed" && last != "response.incomplete" && last != "response.failed" {
			t.Fatalf("the last event is %s", last)
		}
	})
}
