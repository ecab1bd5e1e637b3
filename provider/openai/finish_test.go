package openai

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	sdk "github.com/openai/openai-go/v3"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
)

func TestWhatFollowsANotedFinishReasonIsPartOfTheAnswer(t *testing.T) {
	for name, test := range map[string]struct {
		reasons []string
		call    bool
		want    string
	}{
		"one":                           {[]string{hub.FinishLength}, false, hub.FinishLength},
		"the last of several":           {[]string{hub.FinishStop, hub.FinishLength}, false, hub.FinishLength},
		"stop does not undo another":    {[]string{hub.FinishContentFilter, hub.FinishStop}, false, hub.FinishContentFilter},
		"stop before a call":            {[]string{hub.FinishStop, hub.FinishStop}, true, hub.FinishToolCalls},
		"none, so that it is not whole": {nil, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			a := hub.NewAnswer(&out, hub.Form{Format: Format{}, Stream: true, Model: "p/m"})
			for _, reason := range test.reasons {
				a.Text(0, "a")
				a.FinishLast(0, reason)
			}
			a.Text(0, "b")
			if test.call {
				a.ToolCall(0, hub.ToolCall{Name: "f"})
			}
			if err := a.Close(); err != nil {
				t.Fatal(err)
			}
			if test.want == "" {
				if !strings.Contains(out.String(), `data: {"error"`) {
					t.Errorf("stream\n%s", out.String())
				}
				return
			}
			all, _ := stream(t, out.String())
			c := all.Choices[0]
			if c.Message.Content != strings.Repeat("a", len(test.reasons))+"b" || c.FinishReason != test.want || (len(c.Message.ToolCalls) == 1) != test.call {
				t.Errorf("read %+v", c)
			}
		})
	}
}

func TestANotedFinishReasonCountsOverTheEnd(t *testing.T) {
	var out bytes.Buffer
	a := hub.NewAnswer(&out, hub.Form{Format: Format{}, Model: "p/m"})
	a.FinishLast(0, hub.FinishLength)
	a.End()
	if err := a.Close(); err != nil || !strings.Contains(out.String(), `"finish_reason":"length"`) {
		t.Errorf("error %v, object %s", err, out.String())
	}
}

func TestRefusal(t *testing.T) {
	say := func(form hub.Form) string {
		var out bytes.Buffer
		a := hub.NewAnswer(&out, form)
		a.Refusal(0, "")
		a.Refusal(0, "no \"way\"")
		a.Finish(0, hub.FinishContentFilter)
		a.Refusal(0, "never")
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	all, _ := stream(t, say(hub.Form{Format: Format{}, Stream: true}))
	var object sdk.ChatCompletion
	if err := json.Unmarshal([]byte(say(hub.Form{Format: Format{}})), &object); err != nil {
		t.Fatal(err)
	}
	for _, c := range []sdk.ChatCompletionChoice{all.Choices[0], object.Choices[0]} {
		if c.Message.Refusal != "no \"way\"" || c.Message.Content != "" || c.FinishReason != hub.FinishContentFilter {
			t.Errorf("read %+v", c)
		}
	}
	if !strings.Contains(say(hub.Form{Format: Format{}}), `"content":null,"refusal":"no`) {
		t.Errorf("object %s", say(hub.Form{Format: Format{}}))
	}
	if got := say(hub.Form{Format: Format{}, TextOnly: true}); strings.Contains(got, "no ") {
		t.Errorf("completion %s", got)
	}
}

func TestLogprobs(t *testing.T) {
	say := func(form hub.Form) string {
		var out bytes.Buffer
		a := hub.NewAnswer(&out, form)
		a.Text(0, "ab")
		a.Logprobs(0, nil)
		a.Logprobs(0, []hub.TokenLogprob{{Token: "a", Logprob: -0.25, Top: []hub.TokenLogprob{{Token: "a", Logprob: -0.25}, {Token: "\"", Logprob: -1e300}}}})
		a.Logprobs(0, []hub.TokenLogprob{{Token: "b"}})
		a.Finish(0, hub.FinishStop)
		a.Logprobs(0, []hub.TokenLogprob{{Token: "c"}})
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	all, _ := stream(t, say(hub.Form{Format: Format{}, Stream: true}))
	var object sdk.ChatCompletion
	if err := json.Unmarshal([]byte(say(hub.Form{Format: Format{}})), &object); err != nil {
		t.Fatal(err)
	}
	for _, c := range []sdk.ChatCompletionChoice{all.Choices[0], object.Choices[0]} {
		tokens := c.Logprobs.Content
		if c.Message.Content != "ab" || len(tokens) != 2 || tokens[0].Logprob != -0.25 || len(tokens[0].TopLogprobs) != 2 || tokens[0].TopLogprobs[1].Token != "\"" || tokens[1].Token != "b" {
			t.Errorf("read %+v", c)
		}
	}
	if got := say(hub.Form{Format: Format{}, TextOnly: true}); strings.Contains(got, "logprob\"") {
		t.Errorf("completion %s", got)
	}
}

// TestAStopWordInWhatIsHeldBackEndsTheChoice: "bc" is there, but "abcd" may have begun before it.
func TestAStopWordInWhatIsHeldBackEndsTheChoice(t *testing.T) {
	form := hub.Form{Format: Format{}, Model: "p/m", Stop: []string{"bc", "abcd"}}
	for name, then := range map[string]func(a *hub.Answer){
		"before the upstream's reason": func(a *hub.Answer) { a.Finish(0, hub.FinishLength) },
		"before a call": func(a *hub.Answer) {
			a.ToolCallPart(0, 0, hub.ToolCall{ID: "1", Name: "f", Arguments: `{"a"`}, false)
			a.ToolCallPart(0, 0, hub.ToolCall{Arguments: `:1}`}, false)
			a.Finish(0, hub.FinishToolCalls)
		},
	} {
		for _, form.Stream = range []bool{true, false} {
			var out bytes.Buffer
			a := hub.NewAnswer(&out, form)
			a.Text(0, "xabc")
			then(a)
			if err := a.Close(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			got := out.String()
			if strings.Contains(got, "bc") || strings.Contains(got, "arguments") || !strings.Contains(got, `"finish_reason":"stop"`) || strings.Contains(got, `"error"`) {
				t.Errorf("%s, stream %t: %s", name, form.Stream, got)
			}
		}
	}
}
