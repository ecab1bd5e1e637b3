package anthropic

import (
	"errors"
	"strings"
	"testing"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
)

// parse reads a request to /messages whose body has these members beside its model.
func parse(t testing.TB, endpoint hub.Endpoint, members string) *hub.Request {
	t.Helper()
	r, err := ParseRequest(endpoint, []byte(`{"model":"alias",`+members+`}`))
	if err != nil {
		t.Fatalf("%s: %v", members, err)
	}
	r.Provider, r.Model, r.User = "p", "m", "dev@example.com"
	return r
}

// toChat returns the members of the chat that a request becomes, without its model.
func toChat(t testing.TB, members string) (*hub.Request, string) {
	t.Helper()
	chat, err := ToChat(parse(t, hub.Messages, members))
	if err != nil {
		t.Fatalf("%s: %v", members, err)
	}
	rest, ok := strings.CutPrefix(string(chat.Body), `{"model":"p/m",`)
	if !ok || chat.Name != "alias" || chat.Model != "m" || chat.User != "dev@example.com" || chat.Endpoint != hub.Chat {
		t.Errorf("%s became %+v", members, chat)
	}
	return chat, strings.TrimSuffix(rest, "}")
}

const (
	hi     = `"messages":[{"role":"user","content":"hi"}]`
	hiChat = `"messages":[{"role":"user","content":"hi"}]`
)

func TestMessagesBecomeAChat(t *testing.T) {
	for name, test := range map[string]struct{ messages, want string }{
		"text":                               {`[{"role":"user","content":"h\u00e9 \"x\""}]`, `[{"role":"user","content":"h\u00e9 \"x\""}]`},
		"a block of text":                    {`[{"role":"user","content":[{"type":"text","text":"hi","cache_control":{"type":"ephemeral"}}]}]`, `[{"role":"user","content":"hi"}]`},
		"blocks of text":                     {`[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":""},{"type":"text","text":"b"}]}]`, `[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}]`},
		"an empty message between":           {`[{"role":"user","content":"a"},{"role":"assistant","content":[]},{"role":"user","content":""},{"role":"user","content":"b"}]`, `[{"role":"user","content":"a"},{"role":"user","content":"b"}]`},
		"the assistant's text":               {`[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"text","text":"b"},{"type":"text","text":"c"}]}]`, `[{"role":"user","content":"a"},{"role":"assistant","content":"bc"}]`},
		"the assistant's text as a string":   {`[{"role":"assistant","content":"b"},{"role":"user","content":"a"}]`, `[{"role":"assistant","content":"b"},{"role":"user","content":"a"}]`},
		"a summary":                          {`[{"role":"assistant","content":[{"type":"compaction","content":"before"}]},{"role":"user","content":"a"}]`, `[{"role":"assistant","content":"before"},{"role":"user","content":"a"}]`},
		"an image in base64":                 {`[{"role":"user","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"aGk="}}]}]`, `[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,aGk="}}]}]`},
		"an image by its URL, and text":      {`[{"role":"user","content":[{"type":"image","source":{"type":"url","url":"https://x/y"}},{"type":"text","text":"what?"}]}]`, `[{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://x/y"}},{"type":"text","text":"what?"}]}]`},
		"a system's text in the middle":      {`[{"role":"user","content":"a"},{"role":"system","content":"b"},{"role":"assistant","content":"c"},{"role":"system","content":[{"type":"text","text":"d"},{"type":"text","text":"e"}]}]`, `[{"role":"user","content":"a"},{"role":"system","content":"b"},{"role":"assistant","content":"c"},{"role":"system","content":"d\n\ne"}]`},
		"thoughts, which are left out":       {`[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"s"},{"type":"redacted_thinking","data":"x"},{"type":"text","text":"b"}]}]`, `[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]`},
		"thoughts alone, which are left out": {`[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":""}]}]`, `[{"role":"user","content":"a"}]`},
		"steps of Anthropic's servers": {
			`[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"server_tool_use","id":"s","name":"web_search","input":{}},{"type":"web_search_tool_result","tool_use_id":"s","content":[]},{"type":"mcp_tool_use"},{"type":"mcp_tool_result"},{"type":"text","text":"b"}]}]`,
			`[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]`,
		},
		"a document of text":                {`[{"role":"user","content":[{"type":"document","title":"T","context":"C","source":{"type":"text","media_type":"text/plain","data":"d"}}]}]`, `[{"role":"user","content":[{"type":"text","text":"T"},{"type":"text","text":"C"},{"type":"text","text":"d"}]}]`},
		"a document of blocks":              {`[{"role":"user","content":[{"type":"document","source":{"type":"content","content":[{"type":"text","text":"d"},{"type":"image","source":{"type":"url","url":"u"}}]}}]}]`, `[{"role":"user","content":[{"type":"text","text":"d"},{"type":"image_url","image_url":{"url":"u"}}]}]`},
		"a document whose content is text":  {`[{"role":"user","content":[{"type":"document","source":{"type":"content","content":"d"}}]}]`, `[{"role":"user","content":"d"}]`},
		"a PDF":                             {`[{"role":"user","content":[{"type":"document","title":"a.pdf","source":{"type":"base64","media_type":"application/pdf","data":"aGk="}}]}]`, `[{"role":"user","content":[{"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,aGk="}}]}]`},
		"a PDF without a title":             {`[{"role":"user","content":[{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"aGk="}}]}]`, `[{"role":"user","content":[{"type":"file","file":{"filename":"document.pdf","file_data":"data:application/pdf;base64,aGk="}}]}]`},
		"what a search of the client found": {`[{"role":"user","content":[{"type":"search_result","title":"T","source":"https://x","content":[{"type":"text","text":"found"}]}]}]`, `[{"role":"user","content":[{"type":"text","text":"T"},{"type":"text","text":"https://x"},{"type":"text","text":"found"}]}]`},
	} {
		t.Run(name, func(t *testing.T) {
			if _, got := toChat(t, `"messages":`+test.messages); got != `"messages":`+test.want {
				t.Errorf("got  %s\nwant \"messages\":%s", got, test.want)
			}
		})
	}
}

func TestTheSystemsTextComesFirst(t *testing.T) {
	for name, test := range map[string]struct{ system, want string }{
		"a string":         {`"s"`, `{"role":"system","content":"s"},`},
		"blocks":           {`[{"type":"text","text":"a"},{"type":"text","text":"b","cache_control":{}}]`, `{"role":"system","content":"a\n\nb"},`},
		"a billing header": {`[{"type":"text","text":"x-anthropic-billing-header: cc_version=2;"},{"type":"text","text":"b"}]`, `{"role":"system","content":"b"},`},
		"nothing else":     {`[{"type":"text","text":"x-anthropic-billing-header: cc_version=2;"}]`, ``},
		"nothing":          {`""`, ``},
		"null":             {`null`, ``},
		"no blocks":        {`[]`, ``},
	} {
		t.Run(name, func(t *testing.T) {
			want := `"messages":[` + test.want + `{"role":"user","content":"hi"}]`
			if _, got := toChat(t, hi+`,"system":`+test.system); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

// calls is an assistant's message that calls tools with these ids.
func calls(ids ...string) (messages, chat string) {
	for i, id := range ids {
		if i > 0 {
			messages, chat = messages+",", chat+","
		}
		messages += `{"type":"tool_use","id":"` + id + `","name":"read","input":{"p":"é\n"}}`
		chat += `{"id":"` + id + `","type":"function","function":{"name":"read","arguments":"{\"p\":\"é\\n\"}"}}`
	}
	return `{"role":"assistant","content":[` + messages + `]}`, `{"role":"assistant","content":"","tool_calls":[` + chat + `]}`
}

func TestCallsOfToolsAndTheirResults(t *testing.T) {
	one, oneChat := calls("toolu_1")
	two, twoChat := calls("a", "b")
	for name, test := range map[string]struct{ messages, want string }{
		"text and a call": {
			`{"role":"assistant","content":[{"type":"text","text":"I look."},{"type":"tool_use","id":"a","name":"f","input":{}}]}`,
			`{"role":"assistant","content":"I look.","tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}]}`,
		},
		"a result of text":      {one + `,{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","content":"ok"}]}`, oneChat + `,{"role":"tool","tool_call_id":"toolu_1","content":"ok"}`},
		"a result of blocks":    {one + `,{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","content":[{"type":"text","text":"a"},{"type":"text","text":"b"},{"type":"tool_reference","tool_name":"t"}]}]}`, oneChat + `,{"role":"tool","tool_call_id":"toolu_1","content":"a\nb\nt"}`},
		"a result of nothing":   {one + `,{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1"}]}`, oneChat + `,{"role":"tool","tool_call_id":"toolu_1","content":""}`},
		"an error":              {one + `,{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","is_error":true,"content":[{"type":"text","text":"no file"}]}]}`, oneChat + `,{"role":"tool","tool_call_id":"toolu_1","content":"Error: no file"}`},
		"an error that is none": {one + `,{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","is_error":false,"content":"ok"}]}`, oneChat + `,{"role":"tool","tool_call_id":"toolu_1","content":"ok"}`},
		"results in another order, and text before them": {
			two + `,{"role":"user","content":[{"type":"text","text":"see"},{"type":"tool_result","tool_use_id":"b","content":"2"},{"type":"tool_result","tool_use_id":"a","content":"1"}]}`,
			twoChat + `,{"role":"tool","tool_call_id":"b","content":"2"},{"role":"tool","tool_call_id":"a","content":"1"},{"role":"user","content":"see"}`,
		},
		"results in several messages, and a system's between": {
			two + `,{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":"1"},{"type":"text","text":"x"}]},{"role":"system","content":"s"},{"role":"user","content":[{"type":"tool_result","tool_use_id":"b","content":"2"}]},{"role":"assistant","content":"done"}`,
			twoChat + `,{"role":"tool","tool_call_id":"a","content":"1"},{"role":"tool","tool_call_id":"b","content":"2"},{"role":"user","content":"x"},{"role":"system","content":"s"},{"role":"assistant","content":"done"}`,
		},
		"results with images": {
			two + `,{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":[{"type":"text","text":"1"},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"aQ=="}}]},{"type":"tool_result","tool_use_id":"b","content":"2"},{"type":"text","text":"x"}]}`,
			twoChat + `,{"role":"tool","tool_call_id":"a","content":"1\n(The next message has more of this result.)"},{"role":"tool","tool_call_id":"b","content":"2"},{"role":"user","content":[{"type":"text","text":"More of the result of the call a:"},{"type":"image_url","image_url":{"url":"data:image/png;base64,aQ=="}},{"type":"text","text":"x"}]}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			if _, got := toChat(t, `"messages":[`+test.messages+`]`); got != `"messages":[`+test.want+`]` {
				t.Errorf("got  %s\nwant \"messages\":[%s]", got, test.want)
			}
		})
	}
}

func TestToolsBecomeFunctions(t *testing.T) {
	const f = `{"name":"f","description":"d","input_schema":{"type":"object"}}`
	const g = `{"type":"custom","name":"g","eager_input_streaming":true,"cache_control":{"type":"ephemeral"}}`
	const fChat = `{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object"}}}`
	const gChat = `{"type":"function","function":{"name":"g","parameters":{"type":"object","properties":{}}}}`
	for name, test := range map[string]struct{ members, want string }{
		"functions":                  {`"tools":[` + f + `,` + g + `]`, `,"tools":[` + fChat + `,` + gChat + `]`},
		"none":                       {`"tools":[]`, ``},
		"null":                       {`"tools":null,"tool_choice":null`, ``},
		"those of Anthropic's alone": {`"tools":[{"type":"web_search_20250305","name":"web_search"},` + f + `,{"type":"code_execution_20250825","name":"code_execution"},{"type":"web_fetch_20250910","name":"web_fetch"},{"type":"mcp_toolset","mcp_server_name":"x"},{"type":"tool_search_tool_bm25_20251119","name":"t"}]`, `,"tools":[` + fChat + `]`},
		"only those":                 {`"tools":[{"type":"web_search_20250305","name":"web_search"}],"tool_choice":{"type":"auto","disable_parallel_tool_use":true}`, ``},
		"auto":                       {`"tools":[` + f + `],"tool_choice":{"type":"auto"}`, `,"tools":[` + fChat + `],"tool_choice":"auto"`},
		"any":                        {`"tools":[` + f + `],"tool_choice":{"type":"any"}`, `,"tools":[` + fChat + `],"tool_choice":"required"`},
		"no tool":                    {`"tools":[` + f + `],"tool_choice":{"type":"none"}`, `,"tools":[` + fChat + `],"tool_choice":"none"`},
		"one tool":                   {`"tools":[` + f + `],"tool_choice":{"type":"tool","name":"f"}`, `,"tools":[` + fChat + `],"tool_choice":{"type":"function","function":{"name":"f"}}`},
		"no parallel calls":          {`"tools":[` + f + `],"tool_choice":{"type":"auto","disable_parallel_tool_use":true}`, `,"tools":[` + fChat + `],"tool_choice":"auto","parallel_tool_calls":false`},
		"parallel calls":             {`"tools":[` + f + `],"tool_choice":{"type":"any","disable_parallel_tool_use":false}`, `,"tools":[` + fChat + `],"tool_choice":"required"`},
	} {
		t.Run(name, func(t *testing.T) {
			if _, got := toChat(t, hi+`,`+test.members); got != hiChat+test.want {
				t.Errorf("got  %s\nwant %s%s", got, hiChat, test.want)
			}
		})
	}
	_, got := toChat(t, hi+`,"tools":[{"type":"bash_20250124","name":"bash"},{"type":"text_editor_20250728","name":"str_replace_based_edit_tool"}]`)
	for _, want := range []string{`"name":"bash","description":"Runs`, `"command":`, `"name":"str_replace_based_edit_tool"`, `"old_str":`} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in %s", want, got)
		}
	}
}

func TestParametersOfAChat(t *testing.T) {
	for name, test := range map[string]struct{ members, want string }{
		"numbers":                        {`"max_tokens":16,"temperature":0.50,"top_p":1,"top_k":4`, `,"max_tokens":16,"temperature":0.50,"top_p":1,"top_k":4`},
		"nulls":                          {`"max_tokens":null,"temperature":null,"thinking":null,"output_config":null,"stop_sequences":null`, ``},
		"an object":                      {`"stream":false`, ``},
		"a stream, with its counts":      {`"stream":true`, `,"stream":true,"stream_options":{"include_usage":true}`},
		"hints":                          {`"metadata":{"user_id":"u"},"context_management":{"edits":[]},"service_tier":"auto","container":"c","mcp_servers":[],"cache_control":{},"never_heard_of":1`, ``},
		"a low budget":                   {`"thinking":{"type":"enabled","budget_tokens":2048}`, `,"reasoning_effort":"low"`},
		"a medium budget":                {`"thinking":{"type":"enabled","budget_tokens":2049}`, `,"reasoning_effort":"medium"`},
		"the most that is medium":        {`"thinking":{"type":"enabled","budget_tokens":8192}`, `,"reasoning_effort":"medium"`},
		"a high budget":                  {`"thinking":{"type":"enabled","budget_tokens":31999}`, `,"reasoning_effort":"high"`},
		"adaptive":                       {`"thinking":{"type":"adaptive"}`, ``},
		"adaptive with an effort":        {`"thinking":{"type":"adaptive"},"output_config":{"effort":"xhigh"}`, `,"reasoning_effort":"xhigh"`},
		"an effort alone":                {`"output_config":{"effort":"max"}`, `,"reasoning_effort":"max"`},
		"an effort and a budget":         {`"thinking":{"type":"enabled","budget_tokens":31999},"output_config":{"effort":"low"}`, `,"reasoning_effort":"low"`},
		"no thinking, whatever the rest": {`"thinking":{"type":"disabled"},"output_config":{"effort":"high"}`, ``},
		"a schema":                       {`"output_config":{"format":{"type":"json_schema","schema":{"type":"object"}}}`, `,"response_format":{"type":"json_schema","json_schema":{"name":"answer","schema":{"type":"object"}}}`},
		"a schema as it was in beta":     {`"output_format":{"type":"json_schema","schema":{"type":"object"}}`, `,"response_format":{"type":"json_schema","json_schema":{"name":"answer","schema":{"type":"object"}}}`},
	} {
		t.Run(name, func(t *testing.T) {
			chat, got := toChat(t, hi+`,`+test.members)
			if got != hiChat+test.want {
				t.Errorf("got  %s\nwant %s%s", got, hiChat, test.want)
			}
			if chat.Stream != strings.Contains(test.members, "true") || chat.IncludeUsage != chat.Stream {
				t.Errorf("stream %t, usage %t", chat.Stream, chat.IncludeUsage)
			}
		})
	}
}

func TestStopSequencesAreOursToApply(t *testing.T) {
	chat, got := toChat(t, hi+`,"stop_sequences":["a","","b"]`)
	if got != hiChat || len(chat.Stop) != 2 || chat.Stop[0] != "a" || chat.Stop[1] != "b" {
		t.Errorf("%q in %s", chat.Stop, got)
	}
}

func TestThinkingIsShownWhereItWasAskedFor(t *testing.T) {
	for members, want := range map[string]bool{
		`"max_tokens":1`:                                                            false,
		`"thinking":{"type":"disabled"}`:                                            false,
		`"thinking":{"type":"adaptive"}`:                                            true,
		`"thinking":{"type":"enabled","budget_tokens":1024}`:                        true,
		`"thinking":{"type":"enabled","budget_tokens":1024,"display":"summarized"}`: true,
		`"thinking":{"type":"enabled","budget_tokens":1024,"display":"omitted"}`:    false,
		`"thinking":{"type":"between_tools"}`:                                       true,
	} {
		if chat, _ := toChat(t, hi+`,`+members); chat.Format != (Format{thinking: want}) {
			t.Errorf("%s: %+v", members, chat.Format)
		}
	}
}

func TestWhatAChatCannotExpressIsRefused(t *testing.T) {
	user := func(block string) string {
		return `"messages":[{"role":"user","content":"x"},{"role":"user","content":[` + block + `]}]`
	}
	assistant := func(block string) string {
		return `"messages":[{"role":"assistant","content":[{"type":"text","text":"x"},` + block + `]}]`
	}
	for name, test := range map[string]struct{ members, param string }{
		"no messages":                         {`"max_tokens":1`, "messages"},
		"messages that are no array":          {`"messages":"hi"`, "messages"},
		"empty messages":                      {`"messages":[]`, "messages"},
		"nothing said":                        {`"messages":[{"role":"user","content":""}]`, "messages"},
		"an unknown role":                     {`"messages":[{"role":"tool","content":"x"}]`, "messages[0].role"},
		"a message that is no object":         {`"messages":["x"]`, "messages[0].role"},
		"no content":                          {`"messages":[{"role":"user"}]`, "messages[0].content"},
		"content that is a number":            {`"messages":[{"role":"assistant","content":1}]`, "messages[0].content"},
		"a system that is a number":           {hi + `,"system":1`, "system"},
		"a system's image":                    {hi + `,"system":[{"type":"text","text":"x"},{"type":"image"}]`, "system[1].type"},
		"an unknown block":                    {user(`{"type":"container_upload","file_id":"f"}`), "messages[1].content[0].type"},
		"a block without a type":              {user(`{"text":"x"}`), "messages[1].content[0].type"},
		"an unknown block of the assistant's": {assistant(`{"type":"image"}`), "messages[0].content[1].type"},
		"a result of the assistant's":         {assistant(`{"type":"tool_result","tool_use_id":"x"}`), "messages[0].content[1].type"},
		"a text that is none":                 {user(`{"type":"text","text":1}`), "messages[1].content[0].text"},
		"an image of a file":                  {user(`{"type":"image","source":{"type":"file","file_id":"f"}}`), "messages[1].content[0].source.type"},
		"an image without data":               {user(`{"type":"image","source":{"type":"base64","media_type":"image/png"}}`), "messages[1].content[0].source.data"},
		"an image without a type":             {user(`{"type":"image","source":{"type":"base64","data":"aQ=="}}`), "messages[1].content[0].source.media_type"},
		"an image without a URL":              {user(`{"type":"image","source":{"type":"url"}}`), "messages[1].content[0].source.url"},
		"a document by its URL":               {user(`{"type":"document","source":{"type":"url","url":"u"}}`), "messages[1].content[0].source.type"},
		"a document of a file":                {user(`{"type":"document","source":{"type":"file","file_id":"f"}}`), "messages[1].content[0].source.type"},
		"a document of odd blocks":            {user(`{"type":"document","source":{"type":"content","content":[{"type":"document"}]}}`), "messages[1].content[0].source.content"},
		"an unknown block in a result":        {user(`{"type":"tool_result","tool_use_id":"x","content":[{"type":"text","text":"a"},{"type":"browser_state"}]}`), "messages[1].content[0].content[1].type"},
		"a result that is a number":           {user(`{"type":"tool_result","tool_use_id":"x","content":1}`), "messages[1].content[0].content"},
		"a result of no call":                 {user(`{"type":"tool_result","content":"x"}`), "messages[1].content[0].tool_use_id"},
		"a call without an id":                {assistant(`{"type":"tool_use","name":"f","input":{}}`), "messages[0].content[1].id"},
		"a call without a name":               {assistant(`{"type":"tool_use","id":"f","input":{}}`), "messages[0].content[1].name"},
		"a call without input":                {assistant(`{"type":"tool_use","id":"f","name":"f"}`), "messages[0].content[1].input"},
		"tools that are no array":             {hi + `,"tools":{}`, "tools"},
		"a tool without a name":               {hi + `,"tools":[{"name":"f"},{"input_schema":{}}]`, "tools[1].name"},
		"a schema that is none":               {hi + `,"tools":[{"name":"f","input_schema":true}]`, "tools[0].input_schema"},
		"a description that is none":          {hi + `,"tools":[{"name":"f","description":1}]`, "tools[0].description"},
		"a computer":                          {hi + `,"tools":[{"type":"computer_20250124","name":"computer"}]`, "tools[0].type"},
		"a memory":                            {hi + `,"tools":[{"type":"memory_20250818","name":"memory"}]`, "tools[0].type"},
		"a tool that is left out":             {hi + `,"tools":[{"name":"f"},{"type":"web_search_20250305","name":"web_search"}],"tool_choice":{"type":"tool","name":"web_search"}`, "tool_choice.name"},
		"any of the tools that are left out":  {hi + `,"tools":[{"type":"web_search_20250305","name":"web_search"}],"tool_choice":{"type":"any"}`, "tool_choice.type"},
		"an unknown choice":                   {hi + `,"tools":[{"name":"f"}],"tool_choice":{"type":"some"}`, "tool_choice.type"},
		"a choice that is a string":           {hi + `,"tools":[{"name":"f"}],"tool_choice":"auto"`, "tool_choice.type"},
		"a number that is none":               {hi + `,"max_tokens":"16"`, "max_tokens"},
		"a temperature that is none":          {hi + `,"temperature":true`, "temperature"},
		"unknown thinking":                    {hi + `,"thinking":{"type":"deep"}`, "thinking.type"},
		"thinking without a budget":           {hi + `,"thinking":{"type":"enabled"}`, "thinking.budget_tokens"},
		"an unknown effort":                   {hi + `,"output_config":{"effort":"huge"}`, "output_config.effort"},
		"an unknown format":                   {hi + `,"output_config":{"format":{"type":"xml"}}`, "output_config.format.type"},
		"a format without a schema":           {hi + `,"output_format":{"type":"json_schema"}`, "output_format.schema"},
		"stop sequences that are an object":   {hi + `,"stop_sequences":{}`, "stop_sequences"},
		"a stop sequence that is a number":    {hi + `,"stop_sequences":[1]`, "stop_sequences"},
	} {
		t.Run(name, func(t *testing.T) {
			var e *hub.Error
			if _, err := ToChat(parse(t, hub.Messages, test.members)); !errors.As(err, &e) || e.Status != 400 || e.Param != test.param {
				t.Fatalf("got %+v, want 400 for %s", err, test.param)
			}
			// Anthropic's errors have no place for the field but the message.
			if body := string(Format{}.AppendError(nil, e, "id")); !strings.Contains(body, test.param) {
				t.Errorf("%s does not name the field", body)
			}
		})
	}
}

func TestAnIDOfACallComesBackAsItWas(t *testing.T) {
	for _, id := range []string{"call_abc-1", "functions.Read:0", "toolu_b64_", "toolu_b64_eA", "é", "a b", "toolu_1"} {
		ours := clientID(id)
		if !fits(ours) || providerID(ours) != id || clientID(id) != ours {
			t.Errorf("%q became %q and came back as %q", id, ours, providerID(ours))
		}
		calls := `"messages":[{"role":"assistant","content":[{"type":"tool_use","id":"` + ours + `","name":"f","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"` + ours + `"}]}]`
		want := `"messages":[{"role":"assistant","content":"","tool_calls":[{"id":"` + id + `","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"` + id + `","content":""}]`
		if _, got := toChat(t, calls); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	for _, id := range []string{"toolu_b64_!", "toolu_b64_YWI=", "toolu_b64__w"} {
		if got := providerID(id); got != id {
			t.Errorf("%q, which is not of our making, became %q", id, got)
		}
	}
}

func TestACountIsOfTheSameChat(t *testing.T) {
	members := hi + `,"system":"s"`
	chat, err := ToChat(parse(t, hub.MessageTokens, members))
	if err != nil {
		t.Fatal(err)
	}
	if _, want := toChat(t, members); chat.Endpoint != hub.ChatTokens || string(chat.Body) != `{"model":"p/m",`+want+`}` {
		t.Errorf("endpoint %d, body %s", chat.Endpoint, chat.Body)
	}
	if got := string(chat.Format.(hub.CountFormat).AppendCount(nil, 7)); got != `{"input_tokens":7}` {
		t.Error(got)
	}
}
