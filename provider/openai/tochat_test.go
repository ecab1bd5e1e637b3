package openai

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/tidwall/gjson"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
)

// toChat turns a request with these members into one for a chat.
func toChat(t testing.TB, members string) (*hub.Request, error) {
	t.Helper()
	r, err := ParseRequest(hub.Responses, []byte(`{"model":"groq/m",`+members+`}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Provider, r.Model = "groq", "m"
	return ToChat(r)
}

// sameJSON reports whether two texts are the same JSON value.
func sameJSON(a, b string) bool {
	var x, y any
	return json.Unmarshal([]byte(a), &x) == nil && json.Unmarshal([]byte(b), &y) == nil && reflect.DeepEqual(x, y)
}

// chats are the members of requests to /responses, and of the chats that say the same, beside the model.
var chats = map[string]struct{ response, chat string }{
	"a string":                    {`"input":"hi \ud83d\ude00"`, `"messages":[{"role":"user","content":"hi 😀"}]`},
	"instructions":                {`"instructions":"Be brief.","input":"hi"`, `"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"hi"}]`},
	"messages of all roles":       {`"input":[{"role":"system","content":"s"},{"type":"message","role":"user","content":"u"},{"type":"message","id":"msg_1","status":"completed","role":"assistant","content":[{"type":"output_text","text":"a","annotations":[]}]},{"role":"developer","content":[{"type":"input_text","text":"d"}]},{"role":"user","content":[{"type":"input_text","text":"u2"}]}]`, `"messages":[{"role":"system","content":"s"},{"role":"user","content":"u"},{"role":"assistant","content":"a"},{"role":"system","content":"d"},{"role":"user","content":"u2"}]`},
	"instructions beside more":    {`"instructions":"1","input":[{"role":"developer","content":[{"type":"input_text","text":"2"},{"type":"input_text","text":""},{"type":"input_text","text":"3"}]},{"role":"system","content":"4"},{"role":"user","content":"u"}]`, `"messages":[{"role":"system","content":"1\n\n2\n\n3\n\n4"},{"role":"user","content":"u"}]`},
	"texts of one message":        {`"input":[{"role":"user","content":[{"type":"input_text","text":"a\n"},{"type":"input_text","text":"\"b\""}]}]`, `"messages":[{"role":"user","content":"a\n\n\n\"b\""}]`},
	"a message that is empty":     {`"input":[{"role":"user","content":[]},{"role":"user","content":"x"}]`, `"messages":[{"role":"user","content":"x"}]`},
	"a refusal":                   {`"input":[{"role":"assistant","content":[{"type":"refusal","refusal":"No."}]},{"role":"user","content":"x"}]`, `"messages":[{"role":"assistant","content":"No."},{"role":"user","content":"x"}]`},
	"what the model said at once": {`"input":[{"role":"user","content":"x"},{"role":"assistant","content":"a"},{"type":"reasoning","summary":[],"encrypted_content":"x"},{"role":"assistant","content":"b"}]`, `"messages":[{"role":"user","content":"x"},{"role":"assistant","content":"a\n\nb"}]`},
	"images": {
		`"input":[{"role":"user","content":[{"type":"input_text","text":"see"},{"type":"input_image","image_url":"data:image/png;base64,AA==","detail":"low"},{"type":"input_text","text":"?"},{"type":"input_image","image_url":"https://x/y.png","detail":null}]}]`,
		`"messages":[{"role":"user","content":[{"type":"text","text":"see"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AA==","detail":"low"}},{"type":"text","text":"?"},{"type":"image_url","image_url":{"url":"https://x/y.png"}}]}]`,
	},
	"a part with fields of others": {
		`"input":[{"role":"user","content":[{"type":"input_image","image_url":"data:x","text":7},{"type":"input_text","text":"x","image_url":"data:y"}]}]`,
		`"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:x"}},{"type":"text","text":"x"}]}]`,
	},
	"sound and a file": {
		`"input":[{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"AA==","format":"wav"}},{"type":"input_file","filename":"a.pdf","file_data":"data:application/pdf;base64,AA=="}]}]`,
		`"messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"AA==","format":"wav"}},{"type":"file","file":{"file_data":"data:application/pdf;base64,AA==","filename":"a.pdf"}}]}]`,
	},
	"calls at once, and results in any order": {
		`"input":[{"role":"user","content":"x"},{"role":"assistant","content":"a"},{"type":"function_call","id":"fc_1","call_id":"1","name":"f","arguments":"{\"a\":1}"},{"type":"function_call","call_id":"2","name":"g","arguments":""},{"type":"function_call_output","call_id":"2","output":"two"},{"type":"function_call_output","call_id":"1","output":[{"type":"input_text","text":"o"},{"type":"input_text","text":"ne"}]}]`,
		`"messages":[{"role":"user","content":"x"},{"role":"assistant","content":"a","tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}},{"id":"2","type":"function","function":{"name":"g","arguments":""}}]},{"role":"tool","tool_call_id":"1","content":"o\n\nne"},{"role":"tool","tool_call_id":"2","content":"two"}]`,
	},
	"calls one after the other": {
		`"input":[{"type":"function_call","call_id":"1","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"1","output":"one"},{"type":"reasoning","summary":[]},{"type":"function_call","call_id":"2","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"2","output":""}]`,
		`"messages":[{"role":"assistant","content":"","tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"1","content":"one"},{"role":"assistant","content":"","tool_calls":[{"id":"2","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"2","content":""}]`,
	},
	"a message between a call and its result": {
		`"input":[{"type":"function_call","call_id":"1","name":"f","arguments":"{}"},{"role":"assistant","content":"wait"},{"role":"user","content":"and?"},{"type":"function_call_output","call_id":"1","output":"one"}]`,
		`"messages":[{"role":"assistant","content":"wait","tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"1","content":"one"},{"role":"user","content":"and?"}]`,
	},
	"an id that comes again": {
		`"input":[{"type":"function_call","call_id":"1","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"1","output":"one"},{"role":"user","content":"x"},{"type":"function_call","call_id":"1","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"1","output":"two"}]`,
		`"messages":[{"role":"assistant","content":"","tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"1","content":"one"},{"role":"user","content":"x"},{"role":"assistant","content":"","tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"1","content":"two"}]`,
	},
	"images in results": {
		`"input":[{"type":"function_call","call_id":"1","name":"f","arguments":"{}"},{"type":"function_call","call_id":"2","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"1","output":[{"type":"input_image","image_url":"data:image/png;base64,AA=="}]},{"type":"function_call_output","call_id":"2","output":[{"type":"input_text","text":"two"},{"type":"input_image","image_url":"data:image/png;base64,BB=="}]}]`,
		`"messages":[{"role":"assistant","content":"","tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{}"}},{"id":"2","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"1","content":"(See the next message.)"},{"role":"tool","tool_call_id":"2","content":"two"},{"role":"user","content":[{"type":"text","text":"What the call 1 has put out beside its text:"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AA=="}},{"type":"text","text":"What the call 2 has put out beside its text:"},{"type":"image_url","image_url":{"url":"data:image/png;base64,BB=="}}]}]`,
	},
	"what OpenAI's servers have done": {
		`"input":[{"role":"user","content":"x"},{"type":"web_search_call","id":"ws_1","status":"completed"},{"type":"local_shell_call","call_id":"1"},{"type":"local_shell_call_output","call_id":"1","output":"x"},{"type":"tool_search_call"},{"type":"tool_search_output","tools":[]},{"type":"mcp_call"},{"role":"assistant","content":"a"}]`,
		`"messages":[{"role":"user","content":"x"},{"role":"assistant","content":"a"}]`,
	},
	"functions": {
		`"input":"x","tools":[{"type":"function","name":"f","description":"d","parameters":{"type":"object","properties":{}},"strict":true},{"type":"function","name":"g","description":null,"parameters":null,"strict":false}]`,
		`"messages":[{"role":"user","content":"x"}],"tools":[{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object","properties":{}},"strict":true}},{"type":"function","function":{"name":"g"}}]`,
	},
	"a custom tool, its call and its result": {
		`"input":[{"type":"custom_tool_call","call_id":"1","name":"apply_patch","input":"a \"b\"\n"},{"type":"custom_tool_call_output","call_id":"1","output":"done"}],"tools":[{"type":"custom","name":"apply_patch","description":"Edits.","format":{"type":"grammar","syntax":"lark","definition":"start: \"x\""}}]`,
		`"messages":[{"role":"assistant","content":"","tool_calls":[{"id":"1","type":"function","function":{"name":"apply_patch","arguments":"{\"input\":\"a \\\"b\\\"\\n\"}"}}]},{"role":"tool","tool_call_id":"1","content":"done"}],"tools":[{"type":"function","function":{"name":"apply_patch","description":"Edits.\n\nThe input must follow this grammar (lark):\nstart: \"x\"","parameters":{"type":"object","properties":{"input":{"type":"string","description":"All of the tool's input, as it is."}},"required":["input"],"additionalProperties":false}}}]`,
	},
	"namespaces": {
		`"input":[{"type":"function_call","call_id":"1","namespace":"b","name":"read","arguments":"{}"},{"type":"function_call_output","call_id":"1","output":""},{"type":"function_call","call_id":"2","namespace":"a","name":"list","arguments":"{}"},{"type":"function_call_output","call_id":"2","output":""}],"tools":[{"type":"function","name":"read"},{"type":"namespace","name":"a","description":"d","tools":[{"type":"function","name":"list"}]},{"type":"namespace","name":"b","tools":[{"type":"function","name":"read"}]}],"tool_choice":{"type":"function","name":"list"}`,
		`"messages":[{"role":"assistant","content":"","tool_calls":[{"id":"1","type":"function","function":{"name":"b__read","arguments":"{}"}}]},{"role":"tool","tool_call_id":"1","content":""},{"role":"assistant","content":"","tool_calls":[{"id":"2","type":"function","function":{"name":"list","arguments":"{}"}}]},{"role":"tool","tool_call_id":"2","content":""}],"tools":[{"type":"function","function":{"name":"read"}},{"type":"function","function":{"name":"list"}},{"type":"function","function":{"name":"b__read"}}],"tool_choice":{"type":"function","function":{"name":"list"}}`,
	},
	"tools of OpenAI's servers":        {`"input":"x","tools":[{"type":"web_search","external_web_access":false},{"type":"tool_search"},{"type":"mcp"},{"type":"image_generation"}],"tool_choice":"auto","parallel_tool_calls":false`, `"messages":[{"role":"user","content":"x"}]`},
	"no tools":                         {`"input":"x","tools":[],"tool_choice":"none","parallel_tool_calls":false`, `"messages":[{"role":"user","content":"x"}]`},
	"one call at a time":               {`"input":"x","tools":[{"type":"function","name":"f"}],"parallel_tool_calls":false`, `"messages":[{"role":"user","content":"x"}],"tools":[{"type":"function","function":{"name":"f"}}],"parallel_tool_calls":false`},
	"no calls":                         {`"input":"x","tools":[{"type":"function","name":"f"}],"tool_choice":"none","parallel_tool_calls":true`, `"messages":[{"role":"user","content":"x"}],"tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"none"`},
	"some call":                        {`"input":"x","tools":[{"type":"function","name":"f"}],"tool_choice":"required"`, `"messages":[{"role":"user","content":"x"}],"tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"required"`},
	"this custom tool":                 {`"input":"x","tools":[{"type":"custom","name":"f"}],"tool_choice":{"type":"custom","name":"f"}`, `"messages":[{"role":"user","content":"x"}],"tools":[{"type":"function","function":{"name":"f","description":"","parameters":{"type":"object","properties":{"input":{"type":"string","description":"All of the tool's input, as it is."}},"required":["input"],"additionalProperties":false}}}],"tool_choice":{"type":"function","function":{"name":"f"}}`},
	"allowed tools":                    {`"input":"x","tools":[{"type":"function","name":"f"},{"type":"function","name":"g"},{"type":"web_search"}],"tool_choice":{"type":"allowed_tools","mode":"required","tools":[{"type":"web_search"},{"type":"function","name":"g"}]}`, `"messages":[{"role":"user","content":"x"}],"tools":[{"type":"function","function":{"name":"g"}}],"tool_choice":"required"`},
	"none but a server's tool allowed": {`"input":"x","tools":[{"type":"function","name":"f"}],"tool_choice":{"type":"allowed_tools","mode":"auto","tools":[{"type":"web_search"}]}`, `"messages":[{"role":"user","content":"x"}]`},
	"what shapes the answer":           {`"input":"x","temperature":0.50,"top_p":0.9,"max_output_tokens":16,"reasoning":{"effort":"low","summary":"auto"},"text":{"verbosity":"low","format":{"type":"text"}}`, `"messages":[{"role":"user","content":"x"}],"temperature":0.50,"top_p":0.9,"max_tokens":16,"reasoning_effort":"low"`},
	"null for everything":              {`"input":"x","instructions":null,"temperature":null,"top_p":null,"max_output_tokens":null,"reasoning":null,"text":null,"tools":null,"tool_choice":null,"previous_response_id":null,"conversation":null,"background":false,"prompt":null,"include":null,"metadata":null,"top_logprobs":null`, `"messages":[{"role":"user","content":"x"}]`},
	"JSON":                             {`"input":"x","text":{"format":{"type":"json_object"}}`, `"messages":[{"role":"user","content":"x"}],"response_format":{"type":"json_object"}`},
	"JSON of a schema":                 {`"input":"x","text":{"format":{"type":"json_schema","name":"n","description":"d","strict":true,"schema":{"type":"object","title":"\u00e9"}}}`, `"messages":[{"role":"user","content":"x"}],"response_format":{"type":"json_schema","json_schema":{"name":"n","description":"d","strict":true,"schema":{"type":"object","title":"é"}}}`},
	"log probabilities":                {`"input":"x","top_logprobs":3,"include":["message.output_text.logprobs"]`, `"messages":[{"role":"user","content":"x"}],"logprobs":true,"top_logprobs":3`},
	"log probabilities alone":          {`"input":"x","top_logprobs":0,"include":["reasoning.encrypted_content","message.output_text.logprobs"]`, `"messages":[{"role":"user","content":"x"}],"logprobs":true`},
	"a stream":                         {`"input":"x","stream":true,"stream_options":{"include_obfuscation":false}`, `"messages":[{"role":"user","content":"x"}],"stream":true,"stream_options":{"include_usage":true}`},
	"hints": {
		`"input":"x","store":true,"truncation":"auto","include":["reasoning.encrypted_content"],"metadata":{"a":"b"},"prompt_cache_key":"k","prompt_cache_retention":"24h","safety_identifier":"s","service_tier":"flex","user":"u","max_tool_calls":3,"client_metadata":{"x":"/home"},"context_management":[],"never_heard_of":1`,
		`"messages":[{"role":"user","content":"x"}]`,
	},
}

func TestARequestToResponsesAsAChat(t *testing.T) {
	for name, test := range chats {
		t.Run(name, func(t *testing.T) {
			chat, err := toChat(t, test.response)
			if err != nil {
				t.Fatal(err)
			}
			if want := `{"model":"groq/m",` + test.chat + `}`; !sameJSON(string(chat.Body), want) {
				t.Errorf("chat\n%s\nwant\n%s", chat.Body, want)
			}
			var params openai.ChatCompletionNewParams
			if err := json.Unmarshal(chat.Body, &params); err != nil || len(params.Messages) == 0 {
				t.Errorf("not OpenAI's: %v", err)
			}
		})
	}
}

func TestAChatKeepsWhatIsKnownOfItsRequest(t *testing.T) {
	r, err := ParseRequest(hub.Responses, []byte(`{"model":"groq/long-name","input":"x","stream":true}`))
	if err != nil {
		t.Fatal(err)
	}
	taken := 0
	r.User, r.Provider, r.Model, r.Name, r.AskUsage = "u", "groq", "long-name", "alias", true
	r.Query = map[string][]string{"beta": {"true"}}
	r.Memory = func(size int) []byte { taken++; return make([]byte, size) }
	chat, err := ToChat(r)
	if err != nil {
		t.Fatal(err)
	}
	if chat.Endpoint != hub.Chat || chat.User != "u" || chat.Provider != "groq" || chat.Model != "long-name" || chat.Name != "alias" || !chat.AskUsage || !chat.Stream || !chat.IncludeUsage || chat.Query.Get("beta") != "true" || chat.Memory == nil || taken != 1 {
		t.Errorf("chat %+v, memory taken %d times", chat, taken)
	}
	if got := gjson.GetBytes(chat.Body, "model").Str; got != "groq/long-name" {
		t.Errorf("the body names %s", got)
	}
	form := chat.Form(nil)
	if Passes(form) || form.Model != "alias" || !form.Usage {
		t.Errorf("form %+v", form)
	}
	if again := chat.Form(nil); form.Format != again.Format {
		t.Error("a request has two formats")
	}
}

func TestWhatAChatCannotExpress(t *testing.T) {
	const text = `{"role":"user","content":"x"}`
	for name, test := range map[string]struct{ members, param, says string }{
		"a response before":            {`"input":"x","previous_response_id":"resp_1"`, "previous_response_id", "whole conversation"},
		"a conversation":               {`"input":"x","conversation":{"id":"c"}`, "conversation", "whole conversation"},
		"background":                   {`"input":"x","background":true`, "background", "Leave out"},
		"a stored prompt":              {`"input":"x","prompt":{"id":"p"}`, "prompt", "as `input`"},
		"no input":                     {`"instructions":"x"`, "input", "Send `input`"},
		"input of a wrong type":        {`"input":7`, "input", "string or an array"},
		"an empty input":               {`"input":[]`, "input", "at least one message"},
		"nothing said":                 {`"input":[{"type":"reasoning","summary":[]}]`, "input", "at least one message"},
		"instructions of a wrong type": {`"input":"x","instructions":[]`, "instructions", "string"},
		"an item that is none":         {`"input":[` + text + `,7]`, "input[1]", "object"},
		"a reference":                  {`"input":[` + text + `,{"type":"item_reference","id":"msg_1"}]`, "input[1]", "item_reference"},
		"a reference without a type":   {`"input":[{"id":"msg_1"}]`, "input[0]", "item_reference"},
		"an unknown item":              {`"input":[` + text + `,{"type":"never_heard_of"}]`, "input[1].type", "Leave out"},
		"a compaction":                 {`"input":[{"type":"compaction","encrypted_content":"x"},` + text + `]`, "input[0].type", "Leave out"},
		"no role":                      {`"input":[{"content":"x"}]`, "input[0].role", "`role`"},
		"an unknown role":              {`"input":[{"role":"tool","content":"x"}]`, "input[0].role", "`role`"},
		"a content of a wrong type":    {`"input":[{"role":"user","content":7}]`, "input[0].content", "array of parts"},
		"an unknown part":              {`"input":[{"role":"user","content":[{"type":"input_text","text":"x"},{"type":"input_smell"}]}]`, "input[0].content[1].type", "input_text"},
		"a text that is none":          {`"input":[{"role":"user","content":[{"type":"input_text","text":7}]}]`, "input[0].content[0].text", "string"},
		"a refusal that is none":       {`"input":[{"role":"assistant","content":[{"type":"refusal"}]}]`, "input[0].content[0].refusal", "string"},
		"an image of OpenAI's":         {`"input":[{"role":"user","content":[{"type":"input_image","file_id":"file_1"}]}]`, "input[0].content[0].image_url", "out of this model's reach"},
		"a file of OpenAI's":           {`"input":[{"role":"user","content":[{"type":"input_file","file_id":"file_1"}]}]`, "input[0].content[0].file_data", "out of this model's reach"},
		"sound that is none":           {`"input":[{"role":"user","content":[{"type":"input_audio"}]}]`, "input[0].content[0].input_audio", "audio"},
		"an image of the system's":     {`"input":[{"role":"system","content":[{"type":"input_image","image_url":"data:x"}]}]`, "input[0].content", "as text"},
		"a call without an id":         {`"input":[{"type":"function_call","name":"f","arguments":"{}"}]`, "input[0].call_id", "`call_id`"},
		"a call without a name":        {`"input":[{"type":"function_call","call_id":"1","arguments":"{}"}]`, "input[0].name", "`name`"},
		"a call without arguments":     {`"input":[{"type":"function_call","call_id":"1","name":"f"}]`, "input[0].arguments", "`arguments`"},
		"a custom call without input":  {`"input":[{"type":"custom_tool_call","call_id":"1","name":"f"}]`, "input[0].input", "`input`"},
		"a call without its output":    {`"input":[` + text + `,{"type":"function_call","call_id":"1","name":"f","arguments":"{}"},` + text + `]`, "input", `none for "1"`},
		"an output without its call":   {`"input":[` + text + `,{"type":"function_call_output","call_id":"1","output":"x"}]`, "input[1].call_id", "belongs to none"},
		"several without their calls":  {`"input":[` + text + `,{"type":"function_call_output","call_id":"1","output":"x"},{"type":"function_call_output","call_id":"2","output":"x"},{"type":"custom_tool_call_output","call_id":"3","output":"x"}]`, "input[1].call_id", "belongs to none"},
		"an output of a wrong type":    {`"input":[{"type":"function_call","call_id":"1","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"1","output":[{"type":"x"}]}]`, "input[1].output[0].type", "input_text"},
		"tools of a wrong type":        {`"input":"x","tools":{}`, "tools", "array"},
		"a tool without a type":        {`"input":"x","tools":[{"name":"f"}]`, "tools[0].type", "`type`"},
		"a function without a name":    {`"input":"x","tools":[{"type":"function"}]`, "tools[0].name", "`name`"},
		"a namespace without a name":   {`"input":"x","tools":[{"type":"namespace","tools":[]}]`, "tools[0].name", "`name`"},
		"a nested tool without a name": {`"input":"x","tools":[{"type":"namespace","name":"n","tools":[{"type":"custom"}]}]`, "tools[0].tools[0].name", "`name`"},
		"two tools of a name":          {`"input":"x","tools":[{"type":"function","name":"f"},{"type":"custom","name":"f"}]`, "tools[1].name", "of its own"},
		"a name that is too long":      {`"input":"x","tools":[{"type":"function","name":"` + strings.Repeat("f", 65) + `"}]`, "tools[0].name", "64"},
		"a choice of a wrong type":     {`"input":"x","tool_choice":7`, "tool_choice", "`tool_choice`"},
		"a choice that is unknown":     {`"input":"x","tool_choice":"sometimes"`, "tool_choice", "`tool_choice`"},
		"a choice of a server's tool":  {`"input":"x","tools":[{"type":"web_search"}],"tool_choice":{"type":"web_search"}`, "tool_choice.type", "OpenAI's servers"},
		"a choice of no tool":          {`"input":"x","tools":[{"type":"function","name":"f"}],"tool_choice":{"type":"function","name":"g"}`, "tool_choice.name", "none of this one"},
		"no tool that can be called":   {`"input":"x","tools":[{"type":"web_search"}],"tool_choice":"required"`, "tool_choice", "none of the tools"},
		"no allowed tool left":         {`"input":"x","tools":[{"type":"function","name":"f"}],"tool_choice":{"type":"allowed_tools","mode":"required","tools":[{"type":"mcp"}]}`, "tool_choice", "none of the tools"},
		"an allowed tool that is none": {`"input":"x","tools":[{"type":"function","name":"f"}],"tool_choice":{"type":"allowed_tools","mode":"auto","tools":[{"type":"function","name":"g"}]}`, "tool_choice.tools", "none but"},
		"allowed tools that are none":  {`"input":"x","tools":[{"type":"function","name":"f"}],"tool_choice":{"type":"allowed_tools","mode":"auto"}`, "tool_choice.tools", "array"},
		"reasoning of a wrong type":    {`"input":"x","reasoning":"low"`, "reasoning", "object"},
		"text of a wrong type":         {`"input":"x","text":"json"`, "text", "object"},
		"a format that is unknown":     {`"input":"x","text":{"format":{"type":"xml"}}`, "text.format.type", "json_schema"},
	} {
		t.Run(name, func(t *testing.T) {
			chat, err := toChat(t, test.members)
			var e *hub.Error
			if !errors.As(err, &e) || e.Status != 400 || !e.Final || e.Param != test.param || !strings.Contains(e.Message, test.says) {
				t.Errorf("error %#v, chat %v", err, chat)
			}
		})
	}
}

func TestErrorsAboutAChatNameTheFieldsOfTheResponse(t *testing.T) {
	for chat, response := range map[string]string{
		"messages[3].content[1].image_url.url": "input", "messages": "input", "messages.3": "input",
		"tools[0].function.name": "tools", "tool_choice.function.name": "tool_choice", "reasoning_effort": "reasoning.effort",
		"response_format.json_schema": "text.format", "max_tokens": "max_output_tokens", "max_completion_tokens": "max_output_tokens",
		"temperature": "temperature", "messages_of_others": "messages_of_others", "": "",
	} {
		var e *hub.Error
		if !errors.As(InResponse(hub.BadRequest(chat, "x")), &e) || e.Param != response || e.Status != 400 || e.Message != "x" {
			t.Errorf("%q became %+v", chat, e)
		}
	}
	if InResponse(nil) != nil {
		t.Error("no error became one")
	}
}

// FuzzToChat: whatever is sent, it becomes a chat in which each call is followed by its results, or is refused by
// the field's name.
func FuzzToChat(f *testing.F) {
	for _, test := range chats {
		f.Add([]byte(`{"model":"groq/m",` + test.response + `}`))
	}
	f.Add([]byte(`{"model":"m","input":[{"type":"function_call_output","call_id":""},{"type":7,"role":{}}],"tools":[[],{"type":"namespace","name":"a","tools":[{"type":"namespace","name":"b"}]}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := ParseRequest(hub.Responses, body)
		if err != nil {
			return
		}
		before := string(body)
		chat, err := ToChat(r)
		var e *hub.Error
		if err != nil {
			if !errors.As(err, &e) || e.Status != 400 || e.Message == "" || e.Param == "" {
				t.Fatalf("error %#v", err)
			}
			return
		}
		if string(body) != before {
			t.Fatalf("the request became %s", body)
		}
		if !jsontext.ValidObject(chat.Body) || chat.Name != r.Name || chat.Stream != r.Stream {
			t.Fatalf("chat %s", chat.Body)
		}
		waiting := map[string]int{}
		gjson.ParseBytes(chat.Messages()).ForEach(func(_, m gjson.Result) bool {
			id := m.Get("tool_call_id").Str
			switch role := m.Get("role").Str; {
			case role == "tool" && waiting[id] > 0:
				if waiting[id]--; waiting[id] == 0 {
					delete(waiting, id)
				}
			case role == "tool" || len(waiting) > 0:
				t.Fatalf("%s comes where %v wait in %s", m.Raw, waiting, chat.Body)
			}
			m.Get("tool_calls").ForEach(func(_, call gjson.Result) bool {
				waiting[call.Get("id").Str]++
				return true
			})
			return true
		})
		if len(waiting) > 0 {
			t.Fatalf("%v have no result in %s", waiting, chat.Body)
		}
	})
}
