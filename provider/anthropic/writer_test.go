package anthropic

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	sdk "github.com/anthropics/anthropic-sdk-go/v2"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
)

// answer writes what say says of an answer to a request with these members beside its messages.
func answer(t testing.TB, members string, say func(a *hub.Answer)) (written string, err error) {
	t.Helper()
	chat, _ := toChat(t, hi+members)
	var out bytes.Buffer
	a := hub.NewAnswer(&out, chat.Form(nil))
	a.SetID("1")
	say(a)
	err = a.Close()
	return out.String(), err
}

// event is one of a stream.
type event struct{ name, data string }

// eventsOf cuts a stream into its events, whose names must be their types.
func eventsOf(t testing.TB, stream string) []event {
	t.Helper()
	var events []event
	for one := range strings.SplitSeq(strings.TrimSuffix(stream, "\n\n"), "\n\n") {
		name, data, ok := strings.Cut(one, "\ndata: ")
		e := event{strings.TrimPrefix(name, "event: "), data}
		var kind struct{ Type string }
		if err := json.Unmarshal([]byte(data), &kind); !ok || err != nil || kind.Type != e.name {
			t.Fatalf("event %q: %v", one, err)
		}
		events = append(events, e)
	}
	return events
}

// accumulate reads a stream as the official client does, and checks that its events are in order: a block ends
// before the next begins, and deltas are of the kind of their block. It returns the error that ended it, if one
// did.
func accumulate(t testing.TB, stream string) (m sdk.Message, failed string) {
	t.Helper()
	state, open, deltas := "", int64(-1), ""
	for _, e := range eventsOf(t, stream) {
		if e.name == "error" {
			var read sdk.ErrorResponse
			if err := json.Unmarshal([]byte(e.data), &read); err != nil || read.Error.Message == "" {
				t.Errorf("error %s: %v", e.data, err)
			}
			failed, state = read.Error.Message, "ended"
			continue
		}
		var read sdk.MessageStreamEventUnion
		if err := json.Unmarshal([]byte(e.data), &read); err != nil {
			t.Fatalf("event %s: %v", e.data, err)
		}
		var ok bool
		switch e.name {
		case "message_start":
			ok, state = state == "", "begun"
		case "content_block_start":
			ok = state == "begun" && open < 0 && read.Index == int64(len(m.Content))
			open = read.Index
			deltas = map[string]string{"text": "text_delta", "thinking": "thinking_delta", "tool_use": "input_json_delta"}[read.ContentBlock.Type]
		case "content_block_delta":
			ok = state == "begun" && open == read.Index && read.Delta.Type == deltas
		case "content_block_stop":
			ok, open = state == "begun" && open == read.Index, -1
		case "message_delta":
			ok, state = state == "begun" && open < 0 && read.Delta.StopReason != "", "stopped"
		case "message_stop":
			ok, state = state == "stopped", "ended"
		default:
			ok = false
		}
		if !ok {
			t.Fatalf("%s is out of order in\n%s", e.data, stream)
		}
		if err := m.Accumulate(read); err != nil {
			t.Fatalf("event %s: %v", e.data, err)
		}
	}
	if state != "ended" {
		t.Fatalf("the stream does not end:\n%s", stream)
	}
	return m, failed
}

// contentOf is a message's content in short.
func contentOf(m *sdk.Message) string {
	var all []string
	for _, block := range m.Content {
		switch b := block.AsAny().(type) {
		case sdk.TextBlock:
			all = append(all, "text "+b.Text)
		case sdk.ThinkingBlock:
			if !b.JSON.Signature.Valid() {
				all = append(all, "no signature")
			}
			all = append(all, "thinking "+b.Thinking)
		case sdk.ToolUseBlock:
			all = append(all, fmt.Sprintf("%s %s %s", b.ID, b.Name, block.Input))
		default:
			all = append(all, fmt.Sprintf("%T", b))
		}
	}
	return strings.Join(all, "|")
}

// asked is what a client asks for to see thoughts, and to stop at a word.
const asked = `,"thinking":{"type":"adaptive"},"stop_sequences":["STOP"]`

func TestAnswersAsTheOfficialClientReadsThem(t *testing.T) {
	for name, test := range map[string]struct {
		members       string
		say           func(a *hub.Answer)
		content       string
		reason, stop  string
		input, output int64
	}{
		"text": {
			say:     func(a *hub.Answer) { a.Text(0, "a"); a.Text(0, "b"); a.Finish(0, "stop") },
			content: "text ab", reason: "end_turn",
		},
		"nothing": {say: func(a *hub.Answer) { a.Begin(0); a.Finish(0, "stop") }, reason: "end_turn"},
		"thoughts that were asked for": {
			members: asked,
			say: func(a *hub.Answer) {
				a.Reasoning(0, "h")
				a.Reasoning(0, "m")
				a.Text(0, "a")
				a.Finish(0, "stop")
			},
			content: "thinking hm|text a", reason: "end_turn",
		},
		"thoughts that were not": {
			say:     func(a *hub.Answer) { a.Reasoning(0, "hm"); a.Text(0, "a"); a.Finish(0, "stop") },
			content: "text a", reason: "end_turn",
		},
		"calls": {
			say: func(a *hub.Answer) {
				a.Text(0, "I look.")
				a.ToolCall(0, hub.ToolCall{ID: "call_1", Name: "f", Arguments: `{"a":1}`, Extra: []byte(`{"google":{}}`)})
				a.ToolCallPart(0, 1, hub.ToolCall{ID: "functions.g:1", Name: "g"}, false)
				a.ToolCallPart(0, 1, hub.ToolCall{Arguments: `{"b":`}, false)
				a.ToolCallPart(0, 1, hub.ToolCall{Arguments: `"}"}`}, false)
				a.Finish(0, "stop")
			},
			content: `text I look.|call_1 f {"a":1}|` + clientID("functions.g:1") + ` g {"b":"}"}`, reason: "tool_use",
		},
		"a call without arguments": {
			say:     func(a *hub.Answer) { a.ToolCall(0, hub.ToolCall{ID: "c", Name: "f"}); a.Finish(0, "tool_calls") },
			content: "c f {}", reason: "tool_use",
		},
		"too long": {
			say:     func(a *hub.Answer) { a.Text(0, "a"); a.Finish(0, "length") },
			content: "text a", reason: "max_tokens",
		},
		"a stop sequence": {
			members: asked,
			say:     func(a *hub.Answer) { a.Text(0, "a ST"); a.Text(0, "OP b"); a.Finish(0, "stop") },
			content: "text a ", reason: "stop_sequence", stop: "STOP",
		},
		"a refusal": {
			say:     func(a *hub.Answer) { a.Refusal(0, "I "); a.Refusal(0, "won't."); a.Finish(0, "stop") },
			content: "text I won't.", reason: "refusal",
		},
		"a filter": {
			say:     func(a *hub.Answer) { a.Text(0, "a"); a.Finish(0, "content_filter") },
			content: "text a", reason: "refusal",
		},
		"another choice, which is dropped": {
			say:     func(a *hub.Answer) { a.Text(0, "a"); a.Text(1, "b"); a.Finish(1, "length"); a.Finish(0, "stop") },
			content: "text a", reason: "end_turn",
		},
		"an image": {
			say:     func(a *hub.Answer) { a.Text(0, "a"); a.Image(0, "data:image/png;base64,aQ=="); a.Finish(0, "stop") },
			content: "text a" + noImage, reason: "end_turn",
		},
		"what has no place": {
			say: func(a *hub.Answer) {
				a.Text(0, "a")
				a.Extra(0, []byte(`{"x":1}`))
				a.Annotations(0, []hub.URLCitation{{URL: "u"}})
				a.Logprobs(0, []hub.TokenLogprob{{Token: "a"}})
				a.Finish(0, "stop")
			},
			content: "text a", reason: "end_turn",
		},
		"token counts, of which the cached ones stand apart": {
			say: func(a *hub.Answer) {
				a.Text(0, "a")
				a.Usage(hub.Usage{Prompt: 10, Completion: 3, Cached: 4})
				a.Finish(0, "stop")
			},
			content: "text a", reason: "end_turn", input: 6, output: 3,
		},
	} {
		for _, stream := range []string{"true", "false"} {
			t.Run(name+", stream "+stream, func(t *testing.T) {
				written, err := answer(t, test.members+`,"stream":`+stream, test.say)
				if err != nil {
					t.Fatal(err)
				}
				var m sdk.Message
				if stream == "true" {
					m, _ = accumulate(t, written)
				} else if err := json.Unmarshal([]byte(written), &m); err != nil {
					t.Fatalf("%s: %v", written, err)
				}
				if got := contentOf(&m); got != test.content {
					t.Errorf("content %q, want %q", got, test.content)
				}
				if string(m.StopReason) != test.reason || m.StopSequence != test.stop || strings.Contains(written, `"stop_sequence":""`) {
					t.Errorf("ended with %q %q in %s", m.StopReason, m.StopSequence, written)
				}
				if (m.StopDetails.Type == "refusal") != (test.reason == "refusal") {
					t.Errorf("stop details %+v", m.StopDetails)
				}
				if m.Usage.InputTokens != test.input || m.Usage.OutputTokens != test.output || test.input > 0 && m.Usage.CacheReadInputTokens != 4 || !m.Usage.JSON.CacheCreationInputTokens.Valid() {
					t.Errorf("usage %s", m.Usage.RawJSON())
				}
				if m.ID != "msg_1" || m.Model != "alias" || m.Role != "assistant" || m.Type != "message" {
					t.Errorf("message %s", written)
				}
			})
		}
	}
}

func TestTextWithinACallWaitsForItsEnd(t *testing.T) {
	for name, test := range map[string]struct {
		say     func(a *hub.Answer)
		content string
	}{
		"text between pieces": {func(a *hub.Answer) {
			a.ToolCallPart(0, 0, hub.ToolCall{ID: "c", Name: "f", Arguments: `{"a":"{`}, false)
			a.Text(0, "x")
			a.Reasoning(0, "y")
			a.ToolCallPart(0, 0, hub.ToolCall{Arguments: `"}`}, false)
			a.Text(0, "z")
		}, `c f {"a":"{"}|text x|thinking y|text z`},
		"a call that never ends": {func(a *hub.Answer) {
			a.ToolCallPart(0, 0, hub.ToolCall{ID: "c", Name: "f", Arguments: `{"a":`}, false)
			a.Text(0, "x")
		}, `c f {}|text x`},
		"text between calls": {func(a *hub.Answer) {
			a.ToolCall(0, hub.ToolCall{ID: "c", Name: "f"})
			a.Text(0, "x")
			a.ToolCall(0, hub.ToolCall{ID: "d", Name: "f"})
		}, `c f {}|text x|d f {}`},
	} {
		t.Run(name, func(t *testing.T) {
			written, err := answer(t, asked+`,"stream":true`, func(a *hub.Answer) { test.say(a); a.Finish(0, "stop") })
			if err != nil {
				t.Fatal(err)
			}
			m, _ := accumulate(t, written)
			if got := contentOf(&m); got != test.content {
				t.Errorf("content %q, want %q", got, test.content)
			}
		})
	}
}

func TestACallThatWasCutOffIsAnObjectAllTheSame(t *testing.T) {
	written, err := answer(t, "", func(a *hub.Answer) {
		a.ToolCallPart(0, 0, hub.ToolCall{ID: "c", Name: "f", Arguments: `{"a":`}, false)
		a.Finish(0, "length")
	})
	var m sdk.Message
	if err != nil || json.Unmarshal([]byte(written), &m) != nil || contentOf(&m) != "c f {}" || m.StopReason != "max_tokens" {
		t.Errorf("%s, error %v", written, err)
	}
}

func TestAStreamThatFailsEndsWithAnError(t *testing.T) {
	written, err := answer(t, `,"stream":true`, func(a *hub.Answer) {
		a.Text(0, "a")
		_ = a.Fail(hub.UpstreamBroken("Try again."))
	})
	if err != nil {
		t.Fatal(err)
	}
	m, failed := accumulate(t, written)
	if failed != "Try again." || len(m.Content) != 1 || m.Content[0].Text != "a" || strings.Contains(written, "message_stop") {
		t.Errorf("stream\n%s", written)
	}
}

func TestAnIDThatIsNoneOfAnthropicsIsMade(t *testing.T) {
	written, err := answer(t, "", func(a *hub.Answer) { a.End() })
	if err != nil || !strings.HasPrefix(written, `{"id":"msg_1",`) {
		t.Error(written, err)
	}
	var out bytes.Buffer
	chat, _ := toChat(t, hi)
	a := hub.NewAnswer(&out, chat.Form(nil))
	a.SetID("a:b")
	a.End()
	if err := a.Close(); err != nil || strings.Contains(out.String(), "a:b") || !strings.HasPrefix(out.String(), `{"id":"msg_`) {
		t.Error(out.String(), err)
	}
}

func TestCountsKnownAtTheBeginningAreSaidThere(t *testing.T) {
	written, err := answer(t, `,"stream":true`, func(a *hub.Answer) {
		a.Usage(hub.Usage{Prompt: 10, Completion: 1, Cached: 4})
		a.Text(0, "a")
		a.Usage(hub.Usage{Prompt: 10, Completion: 3, Cached: 4})
		a.Finish(0, "stop")
	})
	want := `"usage":{"input_tokens":6,"cache_creation_input_tokens":0,"cache_read_input_tokens":4,"output_tokens":0}`
	if err != nil || !strings.Contains(eventsOf(t, written)[0].data, want) {
		t.Errorf("error %v, stream\n%s", err, written)
	}
}
