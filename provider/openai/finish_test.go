package openai

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	sdk "github.com/openai/openai-go/v3"
)

func TestWhatFollowsANotedFinishReasonIsPartOfTheAnswer(t *testing.T) {
	for name, test := range map[string]struct {
		reasons []string
		call    bool
		want    string
	}{
		"one":                           {[]string{FinishLength}, false, FinishLength},
		"the last of several":           {[]string{FinishStop, FinishLength}, false, FinishLength},
		"stop does not undo another":    {[]string{FinishContentFilter, FinishStop}, false, FinishContentFilter},
		"stop before a call":            {[]string{FinishStop, FinishStop}, true, FinishToolCalls},
		"none, so that it is not whole": {nil, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			a := NewAnswer(&out, Form{Stream: true, Model: "p/m"})
			for _, reason := range test.reasons {
				a.Text(0, "a")
				a.FinishLast(0, reason)
			}
			a.Text(0, "b")
			if test.call {
				a.ToolCall(0, ToolCall{Name: "f"})
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
	a := NewAnswer(&out, Form{Model: "p/m"})
	a.FinishLast(0, FinishLength)
	a.End()
	if err := a.Close(); err != nil || !strings.Contains(out.String(), `"finish_reason":"length"`) {
		t.Errorf("error %v, object %s", err, out.String())
	}
}

func TestRefusal(t *testing.T) {
	say := func(form Form) string {
		var out bytes.Buffer
		a := NewAnswer(&out, form)
		a.Refusal(0, "")
		a.Refusal(0, "no \"way\"")
		a.Finish(0, FinishContentFilter)
		a.Refusal(0, "never")
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	all, _ := stream(t, say(Form{Stream: true}))
	var object sdk.ChatCompletion
	if err := json.Unmarshal([]byte(say(Form{})), &object); err != nil {
		t.Fatal(err)
	}
	for _, c := range []sdk.ChatCompletionChoice{all.Choices[0], object.Choices[0]} {
		if c.Message.Refusal != "no \"way\"" || c.Message.Content != "" || c.FinishReason != FinishContentFilter {
			t.Errorf("read %+v", c)
		}
	}
	if !strings.Contains(say(Form{}), `"content":null,"refusal":"no`) {
		t.Errorf("object %s", say(Form{}))
	}
	if got := say(Form{Completion: true}); strings.Contains(got, "no ") {
		t.Errorf("completion %s", got)
	}
}

func TestLogprobs(t *testing.T) {
	say := func(form Form) string {
		var out bytes.Buffer
		a := NewAnswer(&out, form)
		a.Text(0, "ab")
		a.Logprobs(0, nil)
		a.Logprobs(0, []TokenLogprob{{Token: "a", Logprob: -0.25, Top: []TokenLogprob{{Token: "a", Logprob: -0.25}, {Token: "\"", Logprob: -1e300}}}})
		a.Logprobs(0, []TokenLogprob{{Token: "b"}})
		a.Finish(0, FinishStop)
		a.Logprobs(0, []TokenLogprob{{Token: "c"}})
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	all, _ := stream(t, say(Form{Stream: true}))
	var object sdk.ChatCompletion
	if err := json.Unmarshal([]byte(say(Form{})), &object); err != nil {
		t.Fatal(err)
	}
	for _, c := range []sdk.ChatCompletionChoice{all.Choices[0], object.Choices[0]} {
		tokens := c.Logprobs.Content
		if c.Message.Content != "ab" || len(tokens) != 2 || tokens[0].Logprob != -0.25 || len(tokens[0].TopLogprobs) != 2 || tokens[0].TopLogprobs[1].Token != "\"" || tokens[1].Token != "b" {
			t.Errorf("read %+v", c)
		}
	}
	if got := say(Form{Completion: true}); strings.Contains(got, "logprob\"") {
		t.Errorf("completion %s", got)
	}
}

func TestJSONThatStandsAloneIsAnEvent(t *testing.T) {
	for name, test := range map[string]struct {
		stream string
		want   []string
	}{
		"in one line":             {"data: a\n\n{\"b\":1}\n", []string{"a", `{"b":1}`}},
		"in several":              {"data: a\r\n\r\n{\r\n  \"data\": 1\r\n}", []string{"a", "{\n  \"data\": 1\n}"}},
		"in a list":               {"[{\"b\":1}]\n\ndata: a\n\n", []string{`[{"b":1}]`, "a"}},
		"not in an event of data": {"data: a\n{\"b\":1}\n\n", []string{"a"}},
	} {
		t.Run(name, func(t *testing.T) {
			for i := range test.stream {
				if got := split(t, test.stream[:i], test.stream[i:]); !slices.Equal(got, test.want) {
					t.Errorf("torn at %d: got %q, want %q", i, got, test.want)
				}
			}
		})
	}
}
