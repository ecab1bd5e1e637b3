package googleaistudio

import (
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
)

const hi = `{"role":"user","content":"hi"}`

// The user's turn that is added if the assistant spoke last.
const next = `,{"role":"user","parts":[{"text":"Continue."}]}`

func TestMessagesAreTranslated(t *testing.T) {
	for name, test := range map[string]struct{ messages, want string }{
		"a text": {
			hi,
			`"contents":[{"role":"user","parts":[{"text":"hi"}]}]`,
		},
		"instructions of both kinds and anywhere, in order": {
			`{"role":"system","content":"a"},` + hi + `,{"role":"developer","content":"b"},{"role":"system","content":[{"type":"text","text":"c"},{"type":"text","text":"d"}]}`,
			`"systemInstruction":{"parts":[{"text":"a"},{"text":"b"},{"text":"cd"}]},"contents":[{"role":"user","parts":[{"text":"hi"}]}]`,
		},
		"an instruction does not split a turn": {
			hi + `,{"role":"system","content":"a"},` + hi,
			`"systemInstruction":{"parts":[{"text":"a"}]},"contents":[{"role":"user","parts":[{"text":"hi"},{"text":"hi"}]}]`,
		},
		"instructions alone become the user's message": {
			`{"role":"system","content":"a"},{"role":"developer","content":"b"},{"role":"user","content":""}`,
			`"contents":[{"role":"user","parts":[{"text":"a"},{"text":"b"}]}]`,
		},
		"an empty instruction is left out": {
			`{"role":"system","content":""},` + hi,
			`"contents":[{"role":"user","parts":[{"text":"hi"}]}]`,
		},
		"the assistant becomes the model": {
			hi + `,{"role":"assistant","content":"yes?"},` + hi,
			`"contents":[{"role":"user","parts":[{"text":"hi"}]},{"role":"model","parts":[{"text":"yes?"}]},{"role":"user","parts":[{"text":"hi"}]}]`,
		},
		"messages of one role in a row become one turn": {
			hi + "," + hi + `,{"role":"assistant","content":"a"},{"role":"assistant","content":"b"},` + hi,
			`"contents":[{"role":"user","parts":[{"text":"hi"},{"text":"hi"}]},{"role":"model","parts":[{"text":"a"},{"text":"b"}]},{"role":"user","parts":[{"text":"hi"}]}]`,
		},
		"text as parts, the empty ones left out": {
			`{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":""},{"type":"text","text":" "}]}`,
			`"contents":[{"role":"user","parts":[{"text":"a"},{"text":" "}]}]`,
		},
		"an assistant's blank text and its turn are left out": {
			hi + `,{"role":"assistant","content":" \n"},{"role":"assistant","content":null},{"role":"assistant"},` + hi,
			`"contents":[{"role":"user","parts":[{"text":"hi"},{"text":"hi"}]}]`,
		},
		"a user's empty message is left out": {
			`{"role":"user","content":[]},{"role":"user","content":null},{"role":"user"},` + hi,
			`"contents":[{"role":"user","parts":[{"text":"hi"}]}]`,
		},
		"an empty message between two messages of the assistant": {
			hi + `,{"role":"assistant","content":"a"},{"role":"user","content":""},{"role":"assistant","content":"b"},` + hi,
			`"contents":[{"role":"user","parts":[{"text":"hi"}]},{"role":"model","parts":[{"text":"a"},{"text":"b"}]},{"role":"user","parts":[{"text":"hi"}]}]`,
		},
		"a refusal": {
			hi + `,{"role":"assistant","content":null,"refusal":"no"},{"role":"assistant","content":[{"type":"refusal","refusal":"never"}]}`,
			`"contents":[{"role":"user","parts":[{"text":"hi"}]},{"role":"model","parts":[{"text":"no"},{"text":"never"}]}` + next + `]`,
		},
		"a conversation that begins and ends with the assistant": {
			`{"role":"assistant","content":"a"}`,
			`"contents":[{"role":"user","parts":[{"text":"(The beginning of this conversation was left out.)"}]},{"role":"model","parts":[{"text":"a"}]}` + next + `]`,
		},
		"escapes and invalid text": {
			`{"role":"user","content":"\u00e9\ud83d\ude00\u0001\"\\\/\ud800"}`,
			`"contents":[{"role":"user","parts":[{"text":"é😀\u0001\"\\/` + "\ufffd" + `"}]}]`,
		},
		"escapes are kept if every reader accepts them": {
			`{"role":"user","content":"\u00e9\/\b\n"},{"role":"user","content":[{"type":"text","text":"\u003cb\u003e"}]}`,
			`"contents":[{"role":"user","parts":[{"text":"\u00e9\/\b\n"},{"text":"\u003cb\u003e"}]}]`,
		},
		"halves of a pair of surrogates in two parts do not become one character": {
			`{"role":"system","content":[{"type":"text","text":"a\ud83d"},{"type":"text","text":"\ude00b"}]},` + hi,
			`"systemInstruction":{"parts":[{"text":"a` + "\ufffd\ufffd" + `b"}]},"contents":[{"role":"user","parts":[{"text":"hi"}]}]`,
		},
		"invalid UTF-8": {
			"{\"role\":\"user\",\"content\":\"a\xff\"}",
			`"contents":[{"role":"user","parts":[{"text":"a` + "\ufffd" + `"}]}]`,
		},
		"all kinds of white space count as blank": {
			hi + `,{"role":"assistant","content":"\u00a0\t` + "\u3000" + `","refusal":"no"},` + hi,
			`"contents":[{"role":"user","parts":[{"text":"hi"}]},{"role":"model","parts":[{"text":"no"}]},{"role":"user","parts":[{"text":"hi"}]}]`,
		},
		"text after white space": {
			hi + `,{"role":"assistant","content":"\n é"},` + hi,
			`"contents":[{"role":"user","parts":[{"text":"hi"}]},{"role":"model","parts":[{"text":"\n é"}]},{"role":"user","parts":[{"text":"hi"}]}]`,
		},
		"names and unknown fields are left out": {
			`{"role":"user","name":"dev","content":"hi","cache_control":{}}`,
			`"contents":[{"role":"user","parts":[{"text":"hi"}]}]`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := string(send(t, "gemini-2.5-flash", `"messages":[`+test.messages+`]`))
			if want := "{" + test.want + "}"; got != want {
				t.Errorf("sends\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func TestAUsersPartsAreTranslated(t *testing.T) {
	for name, test := range map[string]struct{ part, want string }{
		"an image in the request":      {`{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA","detail":"auto"}}`, `{"inlineData":{"mimeType":"image/png","data":"AAAA"}}`},
		"an image's URL in upper case": {`{"type":"image_url","image_url":{"url":"DATA:image/webp;x=y;BASE64,AA=="}}`, `{"inlineData":{"mimeType":"image/webp","data":"AA=="}}`},
		"speech":                       {`{"type":"input_audio","input_audio":{"data":"AAAA","format":"wav"}}`, `{"inlineData":{"mimeType":"audio/wav","data":"AAAA"}}`},
		"music":                        {`{"type":"input_audio","input_audio":{"data":"AAAA","format":"mp3"}}`, `{"inlineData":{"mimeType":"audio/mp3","data":"AAAA"}}`},
		"a document":                   {`{"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,AAAA"}}`, `{"inlineData":{"mimeType":"application/pdf","data":"AAAA"}}`},
	} {
		t.Run(name, func(t *testing.T) {
			got := string(send(t, "gemini-2.5-flash", `"messages":[{"role":"user","content":[{"type":"text","text":"a"},`+test.part+`,{"type":"text","text":"b"}]}]`))
			if want := `{"contents":[{"role":"user","parts":[{"text":"a"},` + test.want + `,{"text":"b"}]}]}`; got != want {
				t.Errorf("sends\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func TestInvalidMessagesAreRefused(t *testing.T) {
	part := func(part string) string {
		return hi + `,{"role":"user","content":[{"type":"text","text":"a"},` + part + `]}`
	}
	for name, test := range map[string]struct{ messages, param string }{
		"none":                              {``, "messages"},
		"empty ones":                        {`{"role":"user","content":""}`, "messages"},
		"a string for a message":            {hi + `,"hi"`, "messages[1]"},
		"a message without a role":          {`{"content":"hi"}`, "messages[0].role"},
		"an unknown role":                   {`{"role":"model","content":"hi"}`, "messages[0].role"},
		"a number for a content":            {`{"role":"user","content":1}`, "messages[0].content"},
		"an object for a content":           {`{"role":"assistant","content":{}}`, "messages[0].content"},
		"an image in an instruction":        {`{"role":"system","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]}`, "messages[0].content[0].type"},
		"a number for an instruction":       {`{"role":"developer","content":[{"type":"text","text":1}]}`, "messages[0].content[0].text"},
		"a string for a part":               {part(`"b"`), "messages[1].content[1].type"},
		"a part of an unknown type":         {part(`{"type":"video"}`), "messages[1].content[1].type"},
		"a text part without text":          {part(`{"type":"text"}`), "messages[1].content[1].text"},
		"an image without a URL":            {part(`{"type":"image_url","image_url":{}}`), "messages[1].content[1].image_url.url"},
		"an image elsewhere":                {part(`{"type":"image_url","image_url":{"url":"https://example.com/a.png"}}`), "messages[1].content[1].image_url.url"},
		"an image's URL without encryption": {part(`{"type":"image_url","image_url":{"url":"http://example.com/a.png"}}`), "messages[1].content[1].image_url.url"},
		"an image that is not base64":       {part(`{"type":"image_url","image_url":{"url":"data:image/png,AAAA"}}`), "messages[1].content[1].image_url.url"},
		"an image without a type":           {part(`{"type":"image_url","image_url":{"url":"data:;base64,AAAA"}}`), "messages[1].content[1].image_url.url"},
		"an image without data":             {part(`{"type":"image_url","image_url":{"url":"data:image/png;base64,"}}`), "messages[1].content[1].image_url.url"},
		"an image in an unknown detail":     {part(`{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA","detail":"ultra"}}`), "messages[1].content[1].image_url.detail"},
		"an image with a number for detail": {part(`{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA","detail":1}}`), "messages[1].content[1].image_url.detail"},
		"audio without data":                {part(`{"type":"input_audio","input_audio":{"format":"wav"}}`), "messages[1].content[1].input_audio.data"},
		"audio of another format":           {part(`{"type":"input_audio","input_audio":{"data":"AAAA","format":"ogg"}}`), "messages[1].content[1].input_audio.format"},
		"a file of OpenAI's":                {part(`{"type":"file","file":{"file_id":"file-1"}}`), "messages[1].content[1].file.file_data"},
		"a refusal part of the user":        {part(`{"type":"refusal","refusal":"no"}`), "messages[1].content[1].type"},
		"tool calls that are not an array":  {`{"role":"assistant","tool_calls":{}}`, "messages[0].tool_calls"},
		"a tool call of another type":       {`{"role":"assistant","tool_calls":[{"type":"custom","custom":{}}]}`, "messages[0].tool_calls[0].type"},
		"a tool call without a name":        {`{"role":"assistant","tool_calls":[{"id":"1","type":"function","function":{}}]}`, "messages[0].tool_calls[0].function.name"},
		"an old call without a name":        {`{"role":"assistant","function_call":{"arguments":"{}"}}`, "messages[0].function_call.name"},
		"a result without a call":           {hi + `,{"role":"tool","tool_call_id":"1","content":"r"}`, "messages[1].tool_call_id"},
		"a result without an id":            {hi + `,{"role":"tool","content":"r"}`, "messages[1].tool_call_id"},
		"a result that comes twice":         {calls("1") + `,{"role":"tool","tool_call_id":"1","content":"r"},{"role":"tool","tool_call_id":"1","content":"r"}`, "messages[2].tool_call_id"},
		"a result before its call":          {`{"role":"tool","tool_call_id":"1","content":"r"},` + calls("1"), "messages[0].tool_call_id"},
		"an old result without a call":      {hi + `,{"role":"function","name":"f","content":"r"}`, "messages[1].name"},
		"an image for a result":             {calls("1") + `,{"role":"tool","tool_call_id":"1","content":[{"type":"image_url"}]}`, "messages[1].content[0].type"},
	} {
		t.Run(name, func(t *testing.T) { wantRefused(t, hub.Chat, `"messages":[`+test.messages+`]`, test.param) })
	}
	t.Run("messages that are not an array", func(t *testing.T) { wantRefused(t, hub.Chat, `"messages":"hi"`, "messages") })
	t.Run("no messages", func(t *testing.T) { wantRefused(t, hub.Chat, `"n":1`, "messages") })
}

// calls returns an assistant's message that calls the function f once for each id.
func calls(ids ...string) string {
	var all []string
	for _, id := range ids {
		all = append(all, `{"id":"`+id+`","type":"function","function":{"name":"f","arguments":"{}"}}`)
	}
	return `{"role":"assistant","content":" ","tool_calls":[` + strings.Join(all, ",") + `]}`
}

func result(id, output string) string {
	return `{"role":"tool","tool_call_id":"` + id + `","content":"` + output + `"}`
}

// turns returns contents as one line: u or m for the role, then the texts, calls and results.
func turns(body []byte) string {
	var b strings.Builder
	gjson.GetBytes(body, "contents").ForEach(func(_, turn gjson.Result) bool {
		b.WriteString(turn.Get("role").Str[:1] + "(")
		for i, part := range turn.Get("parts").Array() {
			if i > 0 {
				b.WriteString(" ")
			}
			if call := part.Get("functionCall"); call.Exists() {
				b.WriteString("call " + call.Get("id").Str)
			} else if result := part.Get("functionResponse"); result.Exists() {
				b.WriteString(result.Get("id").Str + "=" + result.Get("response.*").Str)
			} else {
				b.WriteString(part.Get("text").Str)
			}
		}
		b.WriteString(")")
		return true
	})
	return b.String()
}

func TestToolResultsFollowTheirCalls(t *testing.T) {
	for name, test := range map[string]struct{ messages, want string }{
		"one call":                                     {hi + "," + calls("1") + "," + result("1", "a"), "u(hi)m(call 1)u(1=a)"},
		"results in the order of the calls":            {hi + "," + calls("1", "2") + "," + result("2", "b") + "," + result("1", "a"), "u(hi)m(call 1 call 2)u(1=a 2=b)"},
		"the user's text comes after the results":      {hi + "," + calls("1", "2") + "," + result("1", "a") + "," + hi + "," + result("2", "b"), "u(hi)m(call 1 call 2)u(1=a 2=b hi)"},
		"a missing result":                             {hi + "," + calls("1", "2") + "," + result("2", "b") + "," + hi, "u(hi)m(call 1 call 2)u(1=no result 2=b hi)"},
		"no result at all":                             {hi + "," + calls("1") + "," + hi, "u(hi)m(call 1)u(1=no result hi)"},
		"a call at the end":                            {hi + "," + calls("1"), "u(hi)m(call 1)u(1=no result)"},
		"a call at the beginning":                      {calls("1") + "," + result("1", "a"), "u((The beginning of this conversation was left out.))m(call 1)u(1=a)"},
		"one call after the other":                     {hi + "," + calls("1") + "," + result("1", "a") + "," + calls("2") + "," + result("2", "b"), "u(hi)m(call 1)u(1=a)m(call 2)u(2=b)"},
		"calls of two messages in a row":               {hi + "," + calls("1") + "," + calls("2") + "," + result("1", "a") + "," + result("2", "b"), "u(hi)m(call 1 call 2)u(1=a 2=b)"},
		"ids that start again":                         {hi + "," + calls("1") + "," + result("1", "a") + "," + calls("1") + "," + result("1", "b"), "u(hi)m(call 1)u(1=a)m(call 1_1)u(1_1=b)"},
		"an id again, the first without a result":      {hi + "," + calls("1") + "," + hi + "," + calls("1") + "," + result("1", "b"), "u(hi)m(call 1)u(1=no result hi)m(call 1_1)u(1_1=b)"},
		"calls with one id":                            {hi + "," + calls("1", "1") + "," + result("1", "a") + "," + result("1", "b"), "u(hi)m(call 1 call 1_1)u(1=a 1_1=b)"},
		"a late result":                                {hi + "," + calls("1") + "," + hi + `,{"role":"assistant","content":"x"},` + result("1", "a"), "u(hi)m(call 1)u(1=a hi)m(x)u(Continue.)"},
		"a late result between two turns of the model": {hi + "," + calls("1") + "," + hi + `,{"role":"assistant","content":"x"},` + result("1", "a") + `,{"role":"assistant","content":"y"},` + hi, "u(hi)m(call 1)u(1=a hi)m(x y)u(hi)"},
		"an instruction between call and result":       {hi + "," + calls("1") + `,{"role":"system","content":"s"},` + result("1", "a"), "u(hi)m(call 1)u(1=a)"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := turns(send(t, "gemini-2.5-flash", `"messages":[`+test.messages+`]`)); got != test.want {
				t.Errorf("sends\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}

// Otherwise each result would check all answered calls before it.
func TestAnAnsweredCallIsForgotten(t *testing.T) {
	const answered, all = 3, 5
	messages := "[" + calls("1", "1", "1", "1", "1") + "," + result("1", "a") + "," + result("1", "b") + `,{"role":"tool","name":"f","content":"c"}]`
	c, err := readMessages([]byte(messages), "gemini-2.5-flash", func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	// The next look-up by any of the keys drops the answered calls.
	if called := firstWaiting(c.byID, "1"); called != c.turns[0].calls[answered] || len(c.byID["1"]) != all-answered {
		t.Errorf("%d calls are left by their id, the first is %+v", len(c.byID["1"]), called)
	}
	if called := firstWaiting(c.byName, "f"); called != c.turns[0].calls[answered] || len(c.byName["f"]) != all-answered {
		t.Errorf("%d calls are left by their name, the first is %+v", len(c.byName["f"]), called)
	}
	for range all - answered {
		firstWaiting(c.byID, "1").result = []byte(`""`)
	}
	if called := firstWaiting(c.byID, "1"); called != nil || len(c.byID) != 0 {
		t.Errorf("%+v waits, of %v", called, c.byID)
	}
}

func TestToolCallsAreTranslated(t *testing.T) {
	const dummy = `,"thoughtSignature":"skip_thought_signature_validator"}`
	call := func(rest string) string { return `{"id":"1","type":"function","function":{"name":"f"` + rest }
	for name, test := range map[string]struct{ calls, want string }{
		"arguments":                          {call(`,"arguments":" {\"a\": 1.50}"}}`), `{"functionCall":{"id":"1","name":"f","args":{"a": 1.50}}` + dummy},
		"arguments as an object":             {call(`,"arguments":{"a":1}}}`), `{"functionCall":{"id":"1","name":"f","args":{"a":1}}` + dummy},
		"no arguments":                       {call(`}}`), `{"functionCall":{"id":"1","name":"f","args":{}}` + dummy},
		"empty arguments":                    {call(`,"arguments":""}}`), `{"functionCall":{"id":"1","name":"f","args":{}}` + dummy},
		"arguments that are not JSON":        {call(`,"arguments":"{\"a\":"}}`), `{"functionCall":{"id":"1","name":"f","args":{}}` + dummy},
		"arguments that are not an object":   {call(`,"arguments":"[1]"}}`), `{"functionCall":{"id":"1","name":"f","args":{}}` + dummy},
		"arguments that are null":            {call(`,"arguments":null}}`), `{"functionCall":{"id":"1","name":"f","args":{}}` + dummy},
		"arguments that nest without end":    {call(`,"arguments":"` + strings.Repeat(`{\"a\":`, 5000) + `"}}`), `{"functionCall":{"id":"1","name":"f","args":{}}` + dummy},
		"Google's signature":                 {call(`},"extra_content":{"google":{"thought_signature":"a_b-c+/=="}}}`), `{"functionCall":{"id":"1","name":"f","args":{}},"thoughtSignature":"a_b-c+/=="}`},
		"Vertex's signature":                 {call(`},"extra_content":{"vertex":{"thought_signature":"xx"}}}`), `{"functionCall":{"id":"1","name":"f","args":{}},"thoughtSignature":"xx"}`},
		"a signature that is not a string":   {call(`},"extra_content":{"google":{"thought_signature":5}}}`), `{"functionCall":{"id":"1","name":"f","args":{}}` + dummy},
		"an empty signature":                 {call(`},"extra_content":{"google":{"thought_signature":""}}}`), `{"functionCall":{"id":"1","name":"f","args":{}}` + dummy},
		"the second call needs no signature": {call(`}},`) + call(`}}`), `{"functionCall":{"id":"1","name":"f","args":{}}` + dummy + `,{"functionCall":{"id":"1_1","name":"f","args":{}}}`},
		"the second call keeps its own":      {call(`}},`) + call(`},"extra_content":{"google":{"thought_signature":"s"}}}`), `{"functionCall":{"id":"1","name":"f","args":{}}` + dummy + `,{"functionCall":{"id":"1_1","name":"f","args":{}},"thoughtSignature":"s"}`},
		"no id and no type":                  {`{"function":{"name":"f"}}`, `{"functionCall":{"id":"call_1","name":"f","args":{}}` + dummy},
	} {
		t.Run(name, func(t *testing.T) {
			body := send(t, "gemini-3-pro-preview", `"messages":[`+hi+`,{"role":"assistant","content":"look","tool_calls":[`+test.calls+`]}]`)
			if got, want := gjson.GetBytes(body, "contents.1.parts").Raw, `[{"text":"look"},`+test.want+`]`; got != want {
				t.Errorf("sends\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func TestAToolsOutputBecomesAnObject(t *testing.T) {
	for name, test := range map[string]struct{ content, want string }{
		"text":                                   {`"a\n\"b\""`, `{"output":"a\n\"b\""}`},
		"nothing":                                {`""`, `{"output":""}`},
		"null":                                   {`null`, `{"output":""}`},
		"parts":                                  {`[{"type":"text","text":"a"},{"type":"text","text":"b"}]`, `{"output":"ab"}`},
		"an object":                              {`" {\"a\":[1,{\"b\":null}]}\n"`, `{"a":[1,{"b":null}]}`},
		"an object after escapes":                {`"\n\u0009\u007b\"a\":1}"`, `{"a":1}`},
		"text that begins like an escape":        {`"nrt \\{}"`, `{"output":"nrt \\{}"}`},
		"an array":                               {`"[1]"`, `{"output":"[1]"}`},
		"half an object":                         {`"{\"a\":"`, `{"output":"{\"a\":"}`},
		"two objects":                            {`"{}{}"`, `{"output":"{}{}"}`},
		"what Gemini would take for a reference": {`"{\"a\":{\"$ref\":\"#/x\"}}"`, `{"output":"{\"a\":{\"$ref\":\"#/x\"}}"}`},
		"what Gemini would take for definitions": {`"{\"$defs\":{}}"`, `{"output":"{\"$defs\":{}}"}`},
		"an escaped reference":                   {`"{\"\\u0024ref\":1}"`, `{"output":"{\"\\u0024ref\":1}"}`},
	} {
		t.Run(name, func(t *testing.T) {
			body := send(t, "gemini-2.5-flash", `"messages":[`+hi+","+calls("1")+`,{"role":"tool","tool_call_id":"1","content":`+test.content+`}]`)
			if got := gjson.GetBytes(body, "contents.2.parts.0.functionResponse.response").Raw; got != test.want {
				t.Errorf("sends %s, want %s", got, test.want)
			}
		})
	}
}

// The function's name is used if the id is missing, and for the deprecated kind of calls.
func TestAResultCanNameItsFunction(t *testing.T) {
	const calls = `{"role":"user","content":"x"},{"role":"assistant","content":null,"tool_calls":[{"id":"1","type":null,"function":{"name":"f","arguments":"{}"}},{"id":"2","type":"function","function":{"name":"g","arguments":"{}"}}]},`
	for name, results := range map[string]string{
		"results of the deprecated kind": `{"role":"function","name":"g","content":"of g"},{"role":"function","name":"f","content":"of f"}`,
		"results without ids":            `{"role":"tool","name":"g","content":"of g"},{"role":"tool","name":"f","content":"of f"}`,
	} {
		body := send(t, "gemini-2.5-flash", `"messages":[`+calls+results+`]`)
		want := `{"role":"user","parts":[{"functionResponse":{"id":"1","name":"f","response":{"output":"of f"}}},{"functionResponse":{"id":"2","name":"g","response":{"output":"of g"}}}]}`
		if got := gjson.GetBytes(body, "contents.2").Raw; got != want {
			t.Errorf("%s: sends %s, want %s", name, got, want)
		}
	}
	body := send(t, "gemini-2.5-flash", `"messages":[{"role":"user","content":"x"},{"role":"assistant","content":null,"tool_calls":[],"function_call":{"name":"f","arguments":"{}"}},{"role":"function","name":"f","content":"y"}],"tools":[],"functions":[{"name":"f"}]`)
	if gjson.GetBytes(body, "contents.1.parts.0.functionCall.name").Str != "f" || gjson.GetBytes(body, "tools.0.functionDeclarations.0.name").Str != "f" {
		t.Errorf("beside empty lists of the other kind: sends %s", body)
	}
}

func TestDeprecatedCallsAreTranslated(t *testing.T) {
	body := send(t, "gemini-2.5-flash", `"messages":[`+hi+`,
		{"role":"assistant","content":null,"function_call":{"name":"f","arguments":"{\"a\":1}"}},
		{"role":"function","name":"f","content":"done"}]`)
	const want = `{"contents":[{"role":"user","parts":[{"text":"hi"}]},` +
		`{"role":"model","parts":[{"functionCall":{"id":"call_1","name":"f","args":{"a":1}},"thoughtSignature":"skip_thought_signature_validator"}]},` +
		`{"role":"user","parts":[{"functionResponse":{"id":"call_1","name":"f","response":{"output":"done"}}}]}]}`
	if string(body) != want {
		t.Errorf("sends\n%s\nwant\n%s", body, want)
	}
}
