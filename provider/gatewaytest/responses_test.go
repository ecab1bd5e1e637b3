package gatewaytest

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/openai/openai-go/v3/responses"
)

const responsesPath = "openai/responses"

// streamed reads a stream of /responses with the SDK's accumulator. It returns the types of the
// events, counting repeated types once, and the final response.
func streamed(t *testing.T, s *Server, body string) (types []string, snapshot responses.ResponseAccumulatorSnapshot, end *responses.Response) {
	t.Helper()
	res := post(t, s, responsesPath, body)
	if res.status != 200 || res.header.Get("Content-Type") != "text/event-stream" {
		t.Fatal(res)
	}
	var accumulator responses.ResponseAccumulator
	for number, frame := range strings.Split(strings.TrimSuffix(res.body, "\n\n"), "\n\n") {
		name, data, ok := strings.Cut(strings.TrimPrefix(frame, "event: "), "\ndata: ")
		var event responses.ResponsesServerEventUnion
		var numbered responses.ResponseStreamEventUnion
		if err := errors.Join(json.Unmarshal([]byte(data), &event), json.Unmarshal([]byte(data), &numbered)); err != nil || !ok || event.Type != name || numbered.SequenceNumber != int64(number) {
			t.Errorf("event %d: %q %v", number, frame, err)
		}
		if err := accumulator.AddEvent(event); err != nil {
			t.Error(frame, err)
		}
		types = append(types, strings.TrimPrefix(name, "response."))
	}
	end, err := accumulator.ReconstructedResponse()
	if err != nil {
		t.Fatal(err)
	}
	return slices.Compact(types), accumulator.Snapshot(), end
}

func TestResponsesStreamText(t *testing.T) {
	types, snapshot, end := streamed(t, start(t), `{"model":"gpt-5","stream":true,"input":"Hello there","instructions":"Be brief.","metadata":{"a":"b"}}`)
	want := []string{"created", "in_progress", "output_item.added", "content_part.added", "output_text.delta", "output_text.done", "content_part.done", "output_item.done", "completed"}
	if !slices.Equal(types, want) {
		t.Error(types)
	}
	if !strings.Contains(end.OutputText(), `You said "Hello there"`) || snapshot.OutputText() != end.OutputText() || end.Status != "completed" ||
		end.Instructions.OfString != "Be brief." || end.Metadata["a"] != "b" || end.Usage.OutputTokens == 0 {
		t.Error(end.RawJSON())
	}
}

func TestResponsesEndIncompleteAtTheLimit(t *testing.T) {
	s := start(t)
	s.Always(Scenario{Text: strings.SplitAfter(strings.Repeat("word ", 40), " ")})
	types, _, end := streamed(t, s, `{"model":"gpt-5","stream":true,"input":"x","max_output_tokens":20}`)
	if types[len(types)-1] != "incomplete" || end.Status != "incomplete" || end.IncompleteDetails.Reason != "max_output_tokens" || strings.Count(end.OutputText(), "word") != 20 {
		t.Error(types, end.RawJSON())
	}
}

const responseTool = `{"type":"function","name":"read","parameters":{"type":"object","properties":{"path":{"type":"string"}}}}`

func TestResponsesCallFunctions(t *testing.T) {
	s := start(t)
	asked := `{"role":"user","content":"USETOOL a.go and b.go"}`
	types, snapshot, end := streamed(t, s, `{"model":"gpt-5","stream":true,"input":[`+asked+`],"tools":[`+responseTool+`]}`)
	one := []string{"output_item.added", "function_call_arguments.delta", "function_call_arguments.done", "output_item.done"}
	if want := slices.Concat([]string{"created", "in_progress"}, one, one, []string{"completed"}); !slices.Equal(types, want) {
		t.Error(types)
	}
	if len(end.Output) != 2 || end.Output[0].Arguments.OfString != `{"path":"a.go"}` || end.Output[1].Arguments.OfString != `{"path":"b.go"}` ||
		end.Output[0].CallID == end.Output[1].CallID || snapshot.Output[1].Arguments != `{"path":"b.go"}` || snapshot.Output[1].Name != "read" {
		t.Error(end.RawJSON())
	}
	results := ""
	for _, item := range end.Output {
		results += "," + item.RawJSON() + `,{"type":"function_call_output","call_id":"` + item.CallID + `","output":"forty two"}`
	}
	_, _, end = streamed(t, s, `{"model":"gpt-5","stream":true,"input":[`+asked+results+`],"tools":[`+responseTool+`]}`)
	if !strings.Contains(end.OutputText(), `The tool says "forty two"`) {
		t.Error(end.RawJSON())
	}
}

func TestResponsesCallToolsOfEveryKind(t *testing.T) {
	s := start(t)
	for name, test := range map[string]struct{ tools, choice, want string }{
		"a custom tool": {`{"type":"custom","name":"apply_patch","format":{"type":"grammar","syntax":"lark","definition":"start: /.+/"}}`, `"auto"`,
			`"input":"*** Begin Patch\n*** Add File: a.go\n+hello\n*** End Patch\n"`},
		"a function in a namespace":    {`{"type":"namespace","name":"files","description":"x","tools":[` + responseTool + `]}`, `"auto"`, `"namespace":"files"`},
		"a forced tool":                {responseTool + `,{"type":"custom","name":"other"}`, `{"type":"custom","name":"other"}`, `"name":"other"`},
		"a tool of the model's choice": {`{"type":"web_search"},` + responseTool, `"required"`, `"name":"read"`},
		"no tool":                      {responseTool, `"none"`, `"output_text"`},
	} {
		t.Run(name, func(t *testing.T) {
			types, snapshot, end := streamed(t, s, `{"model":"gpt-5","stream":true,"input":"USETOOL a.go","tools":[`+test.tools+`],"tool_choice":`+test.choice+`}`)
			if !strings.Contains(end.RawJSON(), test.want) {
				t.Error(end.RawJSON())
			}
			if item := end.Output[0]; item.Type == "custom_tool_call" && (snapshot.Output[0].Input != item.Input || !slices.Contains(types, "custom_tool_call_input.done")) {
				t.Error(types, snapshot)
			}
		})
	}
}

func TestResponsesRefuseInvalidRequests(t *testing.T) {
	call := `{"type":"function_call","call_id":"c1","name":"read","arguments":"{}"}`
	output := `{"type":"function_call_output","call_id":"c1","output":"x"}`
	for name, test := range map[string]struct{ body, want string }{
		"an unknown member":                     {`"input":"x","foo":1`, "Unknown parameter: 'foo'."},
		"a chat's format":                       {`"input":"x","response_format":{"type":"json_object"}`, "has moved to 'text.format'"},
		"no input":                              {`"store":false`, "Missing required parameter: 'input'"},
		"an empty input":                        {`"input":[]`, "empty array"},
		"an unknown member of a message":        {`"input":[{"role":"user","content":"x","cache_control":{}}]`, "Unknown parameter: 'input[0].cache_control'"},
		"an unknown member of a part":           {`"input":[{"role":"user","content":[{"type":"input_text","text":"x","foo":1}]}]`, "Unknown parameter: 'input[0].content[0].foo'"},
		"a chat's part":                         {`"input":[{"role":"user","content":[{"type":"text","text":"x"}]}]`, "Invalid value: 'text'. Supported values are: 'input_file'"},
		"an unknown item":                       {`"input":[{"type":"thought"}]`, "Invalid value: 'thought'"},
		"an unknown role":                       {`"input":[{"role":"tool","content":"x"}]`, "Invalid value: 'tool'. Supported values are: 'assistant', 'developer', 'system', 'user'"},
		"a message without content":             {`"input":[{"role":"user"}]`, "Missing required parameter: 'input[0].content'"},
		"a call without a name":                 {`"input":[{"type":"function_call","call_id":"c1","arguments":"{}"}]`, "Missing required parameter: 'input[0].name'"},
		"a type that is a number":               {`"input":[{"type":1}]`, "Invalid type for 'input[0].type'"},
		"arguments that are an object":          {`"input":[{"type":"function_call","call_id":"c1","name":"read","arguments":{}},` + output + `]`, "Invalid type for 'input[0].arguments'"},
		"an output without its call":            {`"input":[` + output + `]`, "No tool call found for function call output with call_id c1."},
		"an output before its call":             {`"input":[` + output + `,` + call + `]`, "No tool call found"},
		"a call without its output":             {`"input":[` + call + `]`, "No tool output found for function call c1."},
		"a custom output for a function":        {`"input":[` + call + `,` + output + `,{"type":"custom_tool_call_output","call_id":"c1","output":"x"}]`, "No tool call found for custom tool call output"},
		"a chat's tool":                         {`"input":"x","tools":[{"type":"function","function":{"name":"read"}}]`, "Unknown parameter: 'tools[0].function'"},
		"an unknown tool":                       {`"input":"x","tools":[{"type":"telepathy"}]`, "Invalid value: 'telepathy'"},
		"a function's name with spaces":         {`"input":"x","tools":[{"type":"function","name":"a b"}]`, "Invalid 'tools[0].name'"},
		"a name with spaces in a namespace":     {`"input":"x","tools":[{"type":"namespace","name":"n","tools":[{"type":"custom","name":"a b"}]}]`, "Invalid 'tools[0].tools[0].name'"},
		"a strict function with a loose schema": {`"input":"x","tools":[{"type":"function","name":"a","strict":true,"parameters":{"type":"object","properties":{}}}]`, "'additionalProperties' is required"},
		"a schema that does not require all":    {`"input":"x","text":{"format":{"type":"json_schema","name":"n","strict":true,"schema":{"type":"object","properties":{"a":{"type":"string"}},"required":[],"additionalProperties":false}}}`, "Missing 'a'"},
		"a format without a schema":             {`"input":"x","text":{"format":{"type":"json_schema","name":"n"}}`, "Missing required parameter: 'text.format.schema'"},
		"json_object without the word JSON":     {`"input":"x","text":{"format":{"type":"json_object"}}`, "must contain the word 'json'"},
		"too few tokens":                        {`"input":"x","max_output_tokens":15`, "Expected a value >= 16, but got 15"},
		"stream_options without a stream":       {`"input":"x","stream_options":{"include_obfuscation":false}`, "only allowed when 'stream' is enabled"},
		"a chat's stream_options":               {`"input":"x","stream":true,"stream_options":{"include_usage":true}`, "Unknown parameter: 'stream_options.include_usage'"},
	} {
		t.Run(name, func(t *testing.T) {
			if res := post(t, start(t), responsesPath, `{"model":"gpt-5",`+test.body+`}`); res.status != 400 || !strings.Contains(res.body, test.want) {
				t.Errorf("%d %s, want %s", res.status, res.body, test.want)
			}
		})
	}
}

func TestChatsRefuseInvalidRequests(t *testing.T) {
	user := `{"role":"user","content":"x"}`
	call := `{"role":"assistant","tool_calls":[{"id":"c1","type":"function","function":{"name":"read","arguments":"{}"}}]}`
	for name, test := range map[string]struct{ body, want string }{
		"an unknown member of a message":    {`"messages":[{"role":"user","content":"x","cache_control":{}}]`, "Unknown parameter: 'messages[0].cache_control'"},
		"an unknown member of a part":       {`"messages":[{"role":"user","content":[{"type":"text","text":"x","foo":1}]}]`, "Unknown parameter: 'messages[0].content[0].foo'"},
		"an image in a system message":      {`"messages":[{"role":"system","content":[{"type":"image_url","image_url":{"url":"x"}}]}]`, "Invalid value: 'image_url'"},
		"an image's URL as a string":        {`"messages":[{"role":"user","content":[{"type":"image_url","image_url":"x"}]}]`, "Invalid type for 'messages[0].content[0].image_url'"},
		"a result without its call":         {`"messages":[` + user + `,{"role":"tool","tool_call_id":"c1","content":"x"}]`, "must be a response to a preceding message"},
		"a call without its result":         {`"messages":[` + user + `,` + call + `,` + user + `]`, "did not have response messages: c1"},
		"a call at the end":                 {`"messages":[` + user + `,` + call + `]`, "did not have response messages: c1"},
		"a result twice":                    {`"messages":[` + user + `,` + call + `,{"role":"tool","tool_call_id":"c1","content":"x"},{"role":"tool","tool_call_id":"c1","content":"x"}]`, "must be a response"},
		"a function without a name":         {`"messages":[` + user + `],"tools":[{"type":"function","function":{}}]`, "Missing required parameter: 'tools[0].function.name'"},
		"a schema without a name":           {`"messages":[` + user + `],"response_format":{"type":"json_schema","json_schema":{"name":"a b","schema":{}}}`, "Invalid 'response_format.json_schema.name'"},
		"json_object without the word JSON": {`"messages":[` + user + `],"response_format":{"type":"json_object"}`, "must contain the word 'json'"},
	} {
		t.Run(name, func(t *testing.T) {
			res := post(t, start(t), "compat/chat/completions", `{"model":"openai/gpt-4o",`+test.body+`}`)
			if res.status != 400 || !strings.Contains(res.body, test.want) {
				t.Errorf("%d %s, want %s", res.status, res.body, test.want)
			}
		})
	}
}
