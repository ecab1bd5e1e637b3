package openai

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/openai/openai-go/v3/responses"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
)

// tools that a model may call in the tests.
const askedTools = `"tools":[{"type":"custom","name":"apply_patch"},{"type":"namespace","name":"agents","tools":[{"type":"function","name":"spawn"}]},{"type":"function","name":"f"}]`

// answered is what a client of /responses gets of a chat's answer that comes in these pieces.
func answered(t testing.TB, stream bool, pieces ...string) (string, error) {
	t.Helper()
	chat, err := toChat(t, fmt.Sprintf(`"input":"x","stream":%t,"temperature":0.5,`+askedTools, stream))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	translator := TranslateOdd(chat.Form(nil))(&out, stream)
	if translator.Stream() != stream {
		t.Error("of another form than was asked for")
	}
	for _, piece := range pieces {
		if _, err := translator.Write([]byte(piece)); err != nil {
			t.Fatal(err)
		}
	}
	err = translator.Close()
	return createdAt.ReplaceAllString(out.String(), `"created_at":0`), err
}

var createdAt = regexp.MustCompile(`"created_at":[0-9]+`)

// chunk is an event of a chat with these members of its delta.
func chunk(delta string) string {
	return `data: {"id":"chatcmpl-up","object":"chat.completion.chunk","choices":[{"index":0,"delta":{` + delta + `},"finish_reason":null}]}` + "\n\n"
}

// finished ends a chat.
func finished(reason string) string {
	return `data: {"id":"chatcmpl-up","object":"chat.completion.chunk","choices":[{"index":0,"delta":{},"finish_reason":"` + reason + `"}]}` + "\n\n" +
		`data: {"id":"chatcmpl-up","choices":[],"usage":{"prompt_tokens":10,"completion_tokens":20,"total_tokens":30,"prompt_tokens_details":{"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":5}}}` + "\n\ndata: [DONE]\n\n"
}

// callPiece is an event with a piece of a call.
func callPiece(index int, id, name, arguments string) string {
	first := ""
	if id != "" {
		first = `"id":"` + id + `","type":"function",`
	}
	if name != "" {
		name = `"name":"` + name + `",`
	}
	return chunk(fmt.Sprintf(`"tool_calls":[{"index":%d,%s"function":{%s"arguments":%q}}]`, index, first, name, arguments))
}

// everything is an answer with all that a response has a place for.
var everything = chunk(`"role":"assistant","content":""`) +
	chunk(`"reasoning_content":"Let me "`) + chunk(`"reasoning_content":"think."`) +
	chunk(`"content":"He\"l"`) + chunk(`"content":"lo\n\ud83d"`) + chunk(`"content":"\ude00"`) +
	chunk(`"refusal":"But no."`) +
	callPiece(0, "call_1", "apply_patch", "") + callPiece(0, "", "", `{"input":"*** Begin\n\"`) + callPiece(0, "", "", `é"}`) +
	callPiece(1, "call_2", "spawn", `{"a"`) + callPiece(1, "", "", `:1}`) +
	callPiece(2, "call_3", "f", "") +
	finished("tool_calls")

// outputOf are the items of a response, without their ids.
func outputOf(r *responses.Response) string {
	var items []string
	for _, item := range r.Output {
		items = append(items, itemIDs.ReplaceAllString(item.RawJSON(), ""))
	}
	return strings.Join(items, "\n")
}

var itemIDs = regexp.MustCompile(`"id":"(msg|rs|fc|ctc|ig)_[0-9A-Za-z_-]+",`)

const everythingSaid = `{"type":"reasoning","summary":[{"type":"summary_text","text":"Let me think."}]}
{"type":"message","status":"completed","role":"assistant","content":[{"type":"output_text","text":"He\"llo\n😀","annotations":[],"logprobs":[]},{"type":"refusal","refusal":"But no."}]}
{"type":"custom_tool_call","status":"completed","input":"*** Begin\n\"é","call_id":"call_1","name":"apply_patch"}
{"type":"function_call","status":"completed","arguments":"{\"a\":1}","call_id":"call_2","name":"spawn","namespace":"agents"}
{"type":"function_call","status":"completed","arguments":"{}","call_id":"call_3","name":"f"}`

func TestAChatsStreamAsAResponse(t *testing.T) {
	stream, err := answered(t, true, everything)
	if err != nil {
		t.Fatal(err)
	}
	r := readStream(t, stream)
	if got := outputOf(&r.final); got != everythingSaid {
		t.Errorf("output\n%s\nwant\n%s", got, everythingSaid)
	}
	if r.ended != "response.completed" || r.final.ID != "resp_up" || r.final.Model != "groq/m" || r.final.Temperature != 0.5 {
		t.Errorf("%s with %s", r.ended, r.final.RawJSON())
	}
	if u := r.final.Usage; u.InputTokens != 10 || u.InputTokensDetails.CachedTokens != 4 || u.OutputTokens != 20 || u.OutputTokensDetails.ReasoningTokens != 5 || u.TotalTokens != 30 {
		t.Errorf("usage %s", u.RawJSON())
	}
	var kinds []string
	for line := range strings.Lines(stream) {
		if kind, ok := strings.CutPrefix(strings.TrimSpace(line), "event: response."); ok {
			kinds = append(kinds, kind)
		}
	}
	want := "created in_progress " +
		"output_item.added reasoning_summary_part.added reasoning_summary_text.delta reasoning_summary_text.delta reasoning_summary_text.done reasoning_summary_part.done output_item.done " +
		"output_item.added content_part.added output_text.delta output_text.delta output_text.delta output_text.done content_part.done " +
		"content_part.added refusal.delta refusal.done content_part.done output_item.done " +
		"output_item.added custom_tool_call_input.delta custom_tool_call_input.delta custom_tool_call_input.done output_item.done " +
		"output_item.added function_call_arguments.delta function_call_arguments.delta function_call_arguments.done output_item.done " +
		"output_item.added function_call_arguments.delta function_call_arguments.done output_item.done completed"
	if got := strings.Join(kinds, " "); got != want {
		t.Errorf("events\n%s\nwant\n%s", got, want)
	}
}

func TestAnyCutOfAStreamGivesTheSameEvents(t *testing.T) {
	whole, err := answered(t, true, everything)
	if err != nil {
		t.Fatal(err)
	}
	for size := 1; size < 400; size += 1 + size/7 {
		var pieces []string
		for piece := range slices.Chunk([]byte(everything), size) {
			pieces = append(pieces, string(piece))
		}
		if got, err := answered(t, true, pieces...); err != nil || got != whole {
			t.Fatalf("in pieces of %d: %v\n%s\nwant\n%s", size, err, got, whole)
		}
	}
}

func TestAChatsObjectAsAResponse(t *testing.T) {
	object, err := answered(t, false, `{"id":"chatcmpl-up","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"finish_reason":"tool_calls","message":{"role":"assistant",
		"reasoning_content":"Let me think.","content":"He\"llo\n😀","refusal":"But no.","tool_calls":[
		{"id":"call_1","type":"function","function":{"name":"apply_patch","arguments":"{\"input\":\"*** Begin\\n\\\"é\"}"}},
		{"id":"call_2","type":"function","function":{"name":"spawn","arguments":"{\"a\":1}"}},
		{"id":"call_3","type":"function","function":{"name":"f","arguments":""}}]}}],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}`)
	if err != nil {
		t.Fatal(err)
	}
	var r responses.Response
	strictly(t, object, &r)
	if got := outputOf(&r); got != everythingSaid || r.Status != "completed" || r.Usage.TotalTokens != 3 || r.Model != "groq/m" {
		t.Errorf("response %s", object)
	}
}

// TestAResponseInTheFormThatWasAskedFor whatever the provider sends: guardrails make objects of streams.
func TestAResponseInTheFormThatWasAskedFor(t *testing.T) {
	const object = `{"choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}]}`
	for sent, stream := range map[string]bool{object: true, chunk(`"content":"Hi"`) + finished("stop"): false} {
		chat, err := toChat(t, fmt.Sprintf(`"input":"x","stream":%t`, stream))
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		translator := TranslateOdd(chat.Form(nil))(&out, !stream)
		if _, err := translator.Write([]byte(sent)); err != nil {
			t.Fatal(err)
		}
		if err := translator.Close(); err != nil {
			t.Fatal(err)
		}
		var r responses.Response
		if stream {
			r = readStream(t, out.String()).final
		} else {
			strictly(t, out.String(), &r)
		}
		if r.OutputText() != "Hi" {
			t.Errorf("response %s", out.String())
		}
	}
}

func TestHowAResponseEnds(t *testing.T) {
	for name, test := range map[string]struct{ chunks, ended, reason, status string }{
		"as it should":       {chunk(`"content":"a"`) + finished("stop"), "response.completed", "", "completed"},
		"at the limit":       {chunk(`"content":"a"`) + finished("length"), "response.incomplete", "max_output_tokens", "incomplete"},
		"by a filter":        {chunk(`"content":"a"`) + finished("content_filter"), "response.incomplete", "content_filter", "incomplete"},
		"within a call":      {callPiece(0, "c", "f", `{"a`) + finished("length"), "response.incomplete", "max_output_tokens", "incomplete"},
		"within a patch":     {callPiece(0, "c", "apply_patch", `{"input":"a\n`) + finished("length"), "response.incomplete", "max_output_tokens", "incomplete"},
		"without a word":     {finished("stop"), "response.completed", "", ""},
		"with a word beside": {chunk(`"content":"a"`) + callPiece(0, "c", "f", `{}`) + finished("stop"), "response.completed", "", "completed"},
	} {
		t.Run(name, func(t *testing.T) {
			stream, err := answered(t, true, test.chunks)
			if err != nil {
				t.Fatal(err)
			}
			r := readStream(t, stream)
			if r.ended != test.ended || r.final.IncompleteDetails.Reason != test.reason {
				t.Errorf("%s, %s", r.ended, r.final.RawJSON())
			}
			if test.status != "" && !strings.Contains(r.items[len(r.items)-1], `"status":"`+test.status+`"`) {
				t.Errorf("the last item is %s", r.items[len(r.items)-1])
			}
		})
	}
}

func TestAResponseWhoseTokensNobodyCounted(t *testing.T) {
	stream, err := answered(t, true, chunk(`"content":"a"`)+"data: [DONE]\n\n")
	if err != nil {
		t.Fatal(err)
	}
	if r := readStream(t, stream); !r.final.JSON.Usage.Valid() || r.final.Usage.TotalTokens != 0 {
		t.Errorf("usage %s", r.final.JSON.Usage.Raw())
	}
	object, err := answered(t, false, `{"choices":[{"index":0,"message":{"role":"assistant","content":"a"},"finish_reason":"stop"}]}`)
	if err != nil || !strings.HasSuffix(object, `"total_tokens":0}}`) {
		t.Errorf("%v, object %s", err, object)
	}
}

func TestAResponseThatFails(t *testing.T) {
	begun := chunk(`"content":"a"`) + callPiece(0, "c", "f", `{"a`)
	for name, test := range map[string]struct{ chunks, code, says string }{
		"an error in mid-stream":  {begun + `data: {"error":{"message":"slow down","code":"slow"}}` + "\n\n" + chunk(`"content":"no"`), "slow", "slow down"},
		"an error without a code": {begun + `data: {"error":{"message":"broken"}}` + "\n\n", "api_error", "broken"},
		"too much to do":          {begun + `data: {"success":false,"errors":[{"code":7013,"message":"busy"}]}` + "\n\n", "server_is_overloaded", "guardrails"},
		"no end":                  {begun, "upstream_invalid_response", "before it was complete"},
		"an error at once":        {`data: {"error":{"message":"no"}}` + "\n\n", "api_error", "no"},
		"no JSON":                 {begun + "data: {x\n\n", "upstream_invalid_response", "JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			stream, err := answered(t, true, test.chunks)
			if err != nil {
				t.Fatal(err)
			}
			r := readStream(t, stream)
			if e := r.final.Error; r.ended != "response.failed" || string(e.Code) != test.code || !strings.Contains(e.Message, test.says) {
				t.Errorf("%s with %s", r.ended, r.final.RawJSON())
			}
			if strings.Contains(test.chunks, `"content":"a"`) && (len(r.items) != 1 || !strings.Contains(r.items[0], `"text":"a"`)) {
				t.Errorf("items %v", r.items)
			}
		})
	}
}

func TestACutStreamFails(t *testing.T) {
	chat, err := toChat(t, `"input":"x","stream":true`)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	translator := TranslateOdd(chat.Form(nil))(&out, true)
	_, _ = translator.Write([]byte(chunk(`"content":"a"`)))
	if err := translator.Abort(hub.UpstreamBroken("Try again: cut.")); err != nil {
		t.Fatal(err)
	}
	if r := readStream(t, out.String()); r.ended != "response.failed" || r.final.Error.Message != "Try again: cut." {
		t.Errorf("%s with %s", r.ended, r.final.RawJSON())
	}
}

func TestAnObjectThatFails(t *testing.T) {
	var e *hub.Error
	if object, err := answered(t, false, `{"error":{"message":"no"}}`); !errors.As(err, &e) || e.Message != "no" || object != "" {
		t.Errorf("%v, object %s", err, object)
	}
}

// said has the writer say events.
func saidByWriter(t testing.TB, events ...hub.Event) *streamReader {
	t.Helper()
	chat, err := toChat(t, `"input":"x",`+askedTools)
	if err != nil {
		t.Fatal(err)
	}
	form := chat.Form(nil)
	w := form.Format.NewWriter(form, &hub.Head{ID: "up", Created: "1", Model: "m"})
	var b []byte
	for _, e := range events {
		b = w.AppendEvent(b, e)
	}
	b = w.AppendEvent(b, hub.Event{Kind: hub.Finish, Text: hub.FinishStop})
	return readStream(t, string(w.AppendEnd(b, nil)))
}

func TestSourcesImagesAndLogProbabilities(t *testing.T) {
	token := hub.TokenLogprob{Token: "a", Logprob: -0.5, Bytes: "[97]", Top: []hub.TokenLogprob{{Token: "b", Logprob: -1}}}
	source := hub.URLCitation{Start: 0, End: 1, URL: "https://x", Title: "X"}
	r := saidByWriter(t,
		hub.Event{Kind: hub.Text, Text: "a"}, hub.Event{Kind: hub.Logprobs, Logprobs: []hub.TokenLogprob{token}},
		hub.Event{Kind: hub.Text, Text: "b"}, hub.Event{Kind: hub.Logprobs, Logprobs: []hub.TokenLogprob{token}},
		hub.Event{Kind: hub.Annotations, Citations: []hub.URLCitation{source, source}},
		hub.Event{Kind: hub.Image, Text: "data:image/png;base64,AAAA"},
		hub.Event{Kind: hub.Extra, Extra: []byte(`{"google":{}}`)},
		hub.Event{Kind: hub.Text, Text: "another choice", Choice: 1},
	)
	const wantToken = `{"token":"a","logprob":-0.5,"bytes":[97],"top_logprobs":[{"token":"b","logprob":-1,"bytes":null}]}`
	const wantSource = `{"type":"url_citation","start_index":0,"end_index":1,"url":"https://x","title":"X"}`
	want := `{"type":"message","status":"completed","role":"assistant","content":[{"type":"output_text","text":"ab","annotations":[` + wantSource + "," + wantSource + `],"logprobs":[` + wantToken + "," + wantToken + `]}]}
{"type":"image_generation_call","status":"completed","result":"AAAA"}`
	if got := outputOf(&r.final); got != want {
		t.Errorf("output\n%s\nwant\n%s", got, want)
	}
}

// TestTextWithinACall: some models go on talking before the arguments of a call have all come.
func TestTextWithinACall(t *testing.T) {
	piece := func(first bool, arguments string) hub.Event {
		return hub.Event{Kind: hub.CallPiece, First: first, Call: hub.ToolCall{ID: "c", Name: "f", Arguments: arguments}}
	}
	r := saidByWriter(t,
		piece(true, `{"a":`), hub.Event{Kind: hub.Text, Text: "x"}, hub.Event{Kind: hub.Reasoning, Text: "y"}, piece(false, `1}`),
		hub.Event{Kind: hub.Text, Text: "z"}, piece(true, `{}`), hub.Event{Kind: hub.Text, Text: "end"},
	)
	want := `{"type":"function_call","status":"completed","arguments":"{\"a\":1}","call_id":"c","name":"f"}
{"type":"message","status":"completed","role":"assistant","content":[{"type":"output_text","text":"x","annotations":[],"logprobs":[]}]}
{"type":"reasoning","summary":[{"type":"summary_text","text":"y"}]}
{"type":"message","status":"completed","role":"assistant","content":[{"type":"output_text","text":"z","annotations":[],"logprobs":[]}]}
{"type":"function_call","status":"completed","arguments":"{}","call_id":"c","name":"f"}
{"type":"message","status":"completed","role":"assistant","content":[{"type":"output_text","text":"end","annotations":[],"logprobs":[]}]}`
	if got := outputOf(&r.final); got != want {
		t.Errorf("output\n%s\nwant\n%s", got, want)
	}
}
