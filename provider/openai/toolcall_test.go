package openai

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"testing"

	sdk "github.com/openai/openai-go/v3"
	"github.com/tidwall/gjson"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
)

// heard is what a client makes of an answer, in one line.
func heard(choice sdk.ChatCompletionChoice) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%q", choice.Message.Content)
	for _, call := range choice.Message.ToolCalls {
		id := call.ID
		if made.MatchString(id) {
			id = "made"
		}
		fmt.Fprintf(&b, " %s:%s(%s)", id, call.Function.Name, call.Function.Arguments)
	}
	return b.String() + " " + choice.FinishReason
}

var made = regexp.MustCompile(`^call_[A-Z2-7]{26}$`)

// delta is a chunk with a piece of one tool call.
func delta(call string) string {
	return `data: {"id":"1","choices":[{"index":0,"delta":{"tool_calls":[` + call + `]}}]}` + "\n\n"
}

const toolsEnd = "data: {\"id\":\"1\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\ndata: [DONE]\n\n"

func TestToolCallsOfProvidersThatAreAlmostOpenAI(t *testing.T) {
	const (
		first = `{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":""}}`
		one   = `{"index":0,"function":{"arguments":"{\"x\":"}}`
		two   = `{"index":0,"function":{"arguments":"1}"}}`
	)
	for name, test := range map[string]struct{ stream, want string }{
		"as OpenAI has them":                     {delta(first) + delta(one) + delta(two), `"" a:f({"x":1}) tool_calls`},
		"whole in one piece":                     {delta(`{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}`), `"" a:f({}) tool_calls`},
		"two, one after the other":               {delta(first) + delta(one) + delta(two) + delta(`{"index":1,"id":"b","function":{"name":"g","arguments":"{}"}}`), `"" a:f({"x":1}) b:g({}) tool_calls`},
		"two in one chunk":                       {delta(first + `,{"index":1,"id":"b","function":{"name":"g","arguments":"{}"}}`), `"" a:f({}) b:g({}) tool_calls`},
		"two without an index in one chunk":      {delta(`{"id":"a","function":{"name":"f","arguments":"{}"}},{"id":"b","function":{"name":"g","arguments":"{}"}}`), `"" a:f({}) b:g({}) tool_calls`},
		"two of one index with ids":              {delta(first) + delta(two+`,{"index":0,"id":"b","function":{"name":"g","arguments":"{}"}}`), `"" a:f(1}) b:g({}) tool_calls`},
		"two of one index without ids":           {delta(`{"index":0,"function":{"name":"f","arguments":{}}}`) + delta(`{"index":0,"function":{"name":"f","arguments":{"x":2}}}`), `"" made:f({}) made:f({"x":2}) tool_calls`},
		"two of one id":                          {delta(first) + delta(`{"index":1,"id":"a","function":{"name":"g","arguments":"{}"}}`), `"" a:f({}) made:g({}) tool_calls`},
		"an id with every piece":                 {delta(first) + delta(`{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}`), `"" a:f({}) tool_calls`},
		"a name with every piece, without an id": {delta(`{"index":0,"function":{"name":"f","arguments":"{"}}`) + delta(`{"index":0,"function":{"name":"f","arguments":"}"}}`), `"" made:f({}) tool_calls`},
		"an id that is null":                     {delta(`{"index":0,"id":null,"type":null,"function":{"name":"f","arguments":"{}"}}`), `"" made:f({}) tool_calls`},
		"arguments that are an object":           {delta(`{"index":0,"id":"a","function":{"name":"f","arguments":{"x": [1, "é\""]}}}`), `"" a:f({"x":[1,"é\""]}) tool_calls`},
		"arguments that are null":                {delta(`{"index":0,"id":"a","function":{"name":"f","arguments":null}}`), `"" a:f({}) tool_calls`},
		"an end in which all is null":            {delta(first) + delta(one) + delta(two) + delta(`{"index":0,"id":null,"type":null,"function":{"name":null,"arguments":""}}`), `"" a:f({"x":1}) tool_calls`},
		"an end of an index of its own":          {delta(first) + delta(one) + delta(two) + delta(`{"index":1,"id":null,"function":{"name":null}}`), `"" a:f({"x":1}) tool_calls`},
		"a name behind the id":                   {delta(`{"index":0,"id":"a"}`) + delta(one) + delta(`{"index":0,"function":{"name":"f","arguments":"2}"}}`), `"" a:f({"x":2}) tool_calls`},
		"without a function around the name":     {delta(`{"name":"f","arguments":{"x":1}}`), `"" made:f({"x":1}) tool_calls`},
		"beside text":                            {`data: {"choices":[{"index":0,"delta":{"content":"hm","tool_calls":[` + first + `]}}]}` + "\n\n" + delta(one) + delta(two), `"hm" a:f({"x":1}) tool_calls`},
		"in the deprecated form":                 {`data: {"choices":[{"index":0,"delta":{"function_call":{"name":"f","arguments":"{"}}}]}` + "\n\n" + `data: {"choices":[{"index":0,"delta":{"function_call":{"arguments":"}"}}}]}` + "\n\n", `"" made:f({}) tool_calls`},
		"none, though the finish reason says so": {`data: {"choices":[{"index":0,"delta":{"content":"x"}}]}` + "\n\n", `"x" stop`},
	} {
		t.Run(name, func(t *testing.T) {
			want, err := translated(t, hub.Form{Format: Format{}, Stream: true, Model: "p/m"}, true, test.stream+toolsEnd)
			if err != nil {
				t.Fatal(err)
			}
			all, _ := stream(t, want)
			if got := heard(all.Choices[0]); got != test.want {
				t.Errorf("the client hears %s, want %s in\n%s", got, test.want, want)
			}
			object, err := translated(t, hub.Form{Format: Format{}, Model: "p/m"}, true, test.stream+toolsEnd)
			if err != nil {
				t.Fatal(err)
			}
			if got := heard(readObject(t, object).Choices[0]); got != test.want {
				t.Errorf("as an object, the client reads %s, want %s in\n%s", got, test.want, object)
			}
		})
	}
}

func TestPiecesOfTwoCallsNeverAlternate(t *testing.T) {
	piece := func(index int, id, name, arguments string) string {
		return delta(fmt.Sprintf(`{"index":%d%s,"function":{%s"arguments":%s}}`, index, id, name, jsontext.AppendString(nil, arguments)))
	}
	first, second := piece(0, `,"id":"a"`, `"name":"f",`, ""), piece(1, `,"id":"b"`, `"name":"g",`, "")
	for name, test := range map[string]struct{ stream, want string }{
		"introduced together":    {first + second + piece(0, "", "", `{"x":1}`) + piece(1, "", "", `{"y":2}`), `"" a:f({"x":1}) b:g({"y":2}) tool_calls`},
		"piece by piece":         {first + second + piece(0, "", "", `{"x"`) + piece(1, "", "", `{"y"`) + piece(0, "", "", `:1}`) + piece(1, "", "", `:2}`), `"" a:f({"x":1}) b:g({"y":2}) tool_calls`},
		"the second one first":   {first + second + piece(1, "", "", `{"y":2}`) + piece(0, "", "", `{"x":1}`), `"" a:f({"x":1}) b:g({"y":2}) tool_calls`},
		"the first one without":  {first + second + piece(1, "", "", `{"y":2}`), `"" a:f({}) b:g({"y":2}) tool_calls`},
		"three":                  {first + second + piece(2, `,"id":"c"`, `"name":"h",`, "{}") + piece(1, "", "", `{}`) + piece(0, "", "", `{}`), `"" a:f({}) b:g({}) c:h({}) tool_calls`},
		"twice the same, native": {"data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"name\":\"f\",\"arguments\":\"{}\"}]}}]}\n\ndata: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1}\"}]}}]}\n\n", `"" made:f({}) made:f({"a":1}) tool_calls`},
		"one that comes again":   {delta(`{"index":0,"id":"a","function":{"name":"f","arguments":{"x":1}}}`) + delta(`{"index":0,"id":"a","function":{"name":"f","arguments":{"x":1}}}`), `"" a:f({"x":1}) tool_calls`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := translated(t, hub.Form{Format: Format{}, Stream: true, Model: "p/m"}, true, test.stream+toolsEnd)
			if err != nil {
				t.Fatal(err)
			}
			all, _ := stream(t, got)
			if said := heard(all.Choices[0]); said != test.want {
				t.Errorf("the client hears %s, want %s in\n%s", said, test.want, got)
			}
			latest := -1
			for line := range strings.Lines(got) {
				if index := gjson.Get(strings.TrimPrefix(line, "data: "), "choices.0.delta.tool_calls.0.index"); index.Exists() {
					if int(index.Int()) < latest {
						t.Errorf("call %d goes on behind call %d in\n%s", index.Int(), latest, got)
					}
					latest = int(index.Int())
				}
			}
			object, err := translated(t, hub.Form{Format: Format{}, Model: "p/m"}, true, test.stream+toolsEnd)
			if err != nil {
				t.Fatal(err)
			}
			if said := heard(readObject(t, object).Choices[0]); said != test.want {
				t.Errorf("as an object, the client reads %s, want %s", said, test.want)
			}
		})
	}
}

// TestACallGoesOutAsItComes: its arguments are not held back for their end.
func TestACallGoesOutAsItComes(t *testing.T) {
	var out bytes.Buffer
	translator := hub.Translate(hub.Form{Format: Format{}, Stream: true, Model: "p/m"}, DecodeChat)(&out, true)
	for _, arguments := range []string{`{"x`, `":"`, `long`, `"}`} {
		before := out.Len()
		if _, err := translator.Write([]byte(delta(`{"index":0,"id":"a","function":{"name":"f","arguments":` + string(jsontext.AppendString(nil, arguments)) + `}}`))); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out.String()[before:], string(jsontext.AppendString(nil, arguments))) {
			t.Errorf("%s is held back", arguments)
		}
	}
}

func TestACallWithoutANameIsNoAnswer(t *testing.T) {
	calls := delta(`{"index":0,"id":"a","function":{"arguments":"{}"}}`) + toolsEnd
	got, err := translated(t, hub.Form{Format: Format{}, Stream: true, Model: "p/m"}, true, calls)
	if err != nil || strings.Contains(got, "[DONE]") || !strings.Contains(got, "without naming it") {
		t.Errorf("error %v, stream\n%s", err, got)
	}
	if got, err := translated(t, hub.Form{Format: Format{}, Model: "p/m"}, true, calls); err == nil || got != "" {
		t.Errorf("error %v, answer %s", err, got)
	}
}

// A client that sends `functions` looks for calls in `function_call` alone.
func TestCallsInTheDeprecatedForm(t *testing.T) {
	say := func(form hub.Form) string {
		var out bytes.Buffer
		a := hub.NewAnswer(&out, form)
		a.ToolCall(0, hub.ToolCall{ID: "a", Name: "f", Arguments: `{"x":1}`, Extra: []byte(`{}`)})
		a.ToolCall(0, hub.ToolCall{ID: "b", Name: "g"})
		a.Finish(0, hub.FinishStop)
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	chunks := say(hub.Form{Format: Format{}, Stream: true, Functions: true, Model: "p/m"})
	if !strings.Contains(chunks, `"delta":{"function_call":{"name":"f","arguments":"{\"x\":1}"}}`) ||
		strings.Contains(chunks, "tool_calls") || strings.Contains(chunks, `"g"`) || !strings.Contains(chunks, `"finish_reason":"function_call"`) {
		t.Errorf("stream\n%s", chunks)
	}
	object := say(hub.Form{Format: Format{}, Functions: true, Model: "p/m"})
	read := readObject(t, object).Choices[0]
	call := read.Message.FunctionCall //nolint:staticcheck // deprecated is what this is about
	if call.Name != "f" || call.Arguments != `{"x":1}` || read.FinishReason != "function_call" || len(read.Message.ToolCalls) > 0 {
		t.Errorf("answer %s", object)
	}
}
