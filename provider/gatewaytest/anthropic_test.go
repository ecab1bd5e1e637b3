package gatewaytest

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/anthropics/anthropic-sdk-go/v2"
	"github.com/anthropics/anthropic-sdk-go/v2/option"
)

const messagesPath = "anthropic/v1/messages"

// postAnthropic posts a request. If the path is Anthropic's, it adds the header that Anthropic
// needs.
func postAnthropic(t *testing.T, s *Server, path, body string, header ...string) response {
	t.Helper()
	if !strings.HasPrefix(path, "anthropic/") {
		return post(t, s, path, body)
	}
	r := newPost(t.Context(), s, path, "anthropic", body)
	r.Header.Set("Anthropic-Version", "2023-06-01")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return send(t, r)
}

func anthropicClient(s *Server) anthropic.Client {
	return anthropic.NewClient(
		option.WithoutEnvironmentDefaults(),
		option.WithBaseURL(s.URL+"/v1/"+s.Config.Account+"/"+s.Config.Gateway+"/anthropic/"),
		option.WithHTTPClient(withGatewayHeaders(s)), option.WithMaxRetries(0), option.WithHeader("X-Api-Key", "sk-ant-gatewaytest-key"),
	)
}

func TestAnthropicsClientCanChat(t *testing.T) {
	s := start(t)
	client := anthropicClient(s)
	params := anthropic.MessageNewParams{
		Model: "claude-sonnet-4-5", MaxTokens: 4096,
		Thinking: anthropic.ThinkingConfigParamOfEnabled(2048),
		Messages: []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock("What is it?"))},
	}
	whole, err := client.Messages.New(t.Context(), params)
	if err != nil {
		t.Fatal(err)
	}
	message := accumulated(t, client, params)
	for _, m := range []*anthropic.Message{whole, message} {
		if len(m.Content) != 2 || m.Content[0].Type != "thinking" || m.Content[0].Signature == "" || m.Content[0].Thinking != thought ||
			!strings.Contains(m.Content[1].Text, `You said "What is it?"`) || m.StopReason != "end_turn" || m.Usage.InputTokens == 0 || m.Usage.OutputTokens < 2 {
			t.Error(m.RawJSON(), m.Content)
		}
	}
	params.Messages = append(params.Messages, whole.ToParam(), anthropic.NewUserMessage(anthropic.NewTextBlock("And then?")))
	if _, err := client.Messages.New(t.Context(), params); err != nil {
		t.Error("its own answer is refused:", err)
	}
	if found := s.Complaints(); len(found) > 0 {
		t.Error(found)
	}
}

func TestAnthropicsEventsComeInOrder(t *testing.T) {
	res := postAnthropic(t, start(t), messagesPath,
		`{"model":"claude-sonnet-4-5","max_tokens":4096,"stream":true,"thinking":{"type":"adaptive"},"messages":[{"role":"user","content":"x"}]}`)
	var kinds []string
	for frame := range strings.SplitSeq(strings.TrimSuffix(res.body, "\n\n"), "\n\n") {
		name, data, _ := strings.Cut(strings.TrimPrefix(frame, "event: "), "\ndata: ")
		if !strings.Contains(data, `"type":"`+name+`"`) {
			t.Error(frame)
		}
		kinds = append(kinds, name)
	}
	want := []string{"message_start", "content_block_start", "ping", "content_block_delta", "content_block_stop",
		"content_block_start", "content_block_delta", "content_block_stop", "message_delta", "message_stop"}
	if kinds = slices.Compact(kinds); !slices.Equal(kinds, want) {
		t.Error(kinds)
	}
}

// accumulated reads a stream with the SDK.
func accumulated(t *testing.T, client anthropic.Client, params anthropic.MessageNewParams) *anthropic.Message {
	t.Helper()
	stream := client.Messages.NewStreaming(t.Context(), params)
	var message anthropic.Message
	for stream.Next() {
		if err := message.Accumulate(stream.Current()); err != nil {
			t.Error(err)
		}
	}
	if err := stream.Err(); err != nil {
		t.Fatal(err)
	}
	return &message
}

func TestAnthropicsClientCallsTools(t *testing.T) {
	client := anthropicClient(start(t))
	params := anthropic.MessageNewParams{
		Model: "claude-sonnet-4-5", MaxTokens: 1024,
		Messages: []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock("USETOOL a.go and b.go"))},
		Tools: []anthropic.ToolUnionParam{{OfTool: &anthropic.ToolParam{Name: "read", InputSchema: anthropic.ToolInputSchemaParam{
			Properties: map[string]any{"path": map[string]any{"type": "string"}}, Required: []string{"path"},
		}}}},
	}
	message := accumulated(t, client, params)
	if len(message.Content) != 2 || message.StopReason != "tool_use" || message.Content[0].Name != "read" || string(message.Content[1].Input) != `{"path":"b.go"}` {
		t.Fatal(message.Content)
	}
	params.Messages = append(params.Messages, message.ToParam(), anthropic.NewUserMessage(
		anthropic.NewToolResultBlock(message.Content[0].ID, "forty two", false), anthropic.NewToolResultBlock(message.Content[1].ID, "forty three", false)))
	after, err := client.Messages.New(t.Context(), params)
	if err != nil || !strings.Contains(after.Content[0].Text, `The tool says "forty three"`) {
		t.Error(err, after)
	}
}

func TestAnthropicsClientCountsAndReadsErrors(t *testing.T) {
	s := start(t)
	client := anthropicClient(s)
	count, err := client.Messages.CountTokens(t.Context(), anthropic.MessageCountTokensParams{
		Model: "claude-sonnet-4-5", Messages: []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock("What is it?"))},
	})
	if err != nil || count.InputTokens == 0 {
		t.Error(err, count)
	}
	s.Next(AnthropicError(529, "overloaded_error", "Overloaded"))
	_, err = client.Messages.New(t.Context(), anthropic.MessageNewParams{
		Model: "claude-sonnet-4-5", MaxTokens: 16, Messages: []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock("x"))},
	})
	var failure *anthropic.Error
	if !errors.As(err, &failure) || failure.StatusCode != 529 || failure.RequestID == "" || !strings.Contains(failure.RawJSON(), "overloaded_error") {
		t.Error(err)
	}
}

func TestAnthropicRefusesInvalidRequests(t *testing.T) {
	user := `{"role":"user","content":"x"}`
	call := `{"role":"assistant","content":[{"type":"tool_use","id":"t1","name":"read","input":{}}]}`
	result := `{"role":"user","content":[{"type":"tool_result","tool_use_id":"t1","content":"x"}]}`
	with := func(rest string) string { return `"max_tokens":100,"messages":[` + user + `]` + rest }
	cached := `{"type":"text","text":"x","cache_control":{"type":"ephemeral"}}`
	for name, test := range map[string]struct{ body, want string }{
		"an unknown member":                  {with(`,"foo":1`), "foo: Extra inputs are not permitted"},
		"a beta without its header":          {with(`,"context_management":{"edits":[]}`), "context_management: Extra inputs are not permitted"},
		"no max_tokens":                      {`"messages":[` + user + `]`, "max_tokens: Field required"},
		"no messages":                        {`"max_tokens":1`, "messages: Field required"},
		"an empty list of messages":          {`"max_tokens":1,"messages":[]`, "at least one message is required"},
		"a wrong type":                       {`"max_tokens":"1","messages":[` + user + `]`, "max_tokens: Input should be a valid integer"},
		"a role of OpenAI":                   {`"max_tokens":1,"messages":[{"role":"developer","content":"x"}]`, "messages.0.role: Input should be 'assistant', 'system', 'user'"},
		"the assistant first":                {`"max_tokens":1,"messages":[{"role":"assistant","content":"x"}]`, `first message must use the \"user\" role`},
		"an unknown block":                   {`"max_tokens":1,"messages":[{"role":"user","content":[{"type":"image_url"}]}]`, "messages.0.content.0: Input tag 'image_url' found using 'type'"},
		"an unknown member of a block":       {`"max_tokens":1,"messages":[{"role":"user","content":[{"type":"text","text":"x","foo":1}]}]`, "messages.0.content.0.text.foo: Extra inputs"},
		"a block without text":               {`"max_tokens":1,"messages":[{"role":"user","content":[{"type":"text","text":" "}]}]`, "text content blocks must be non-empty"},
		"no content":                         {`"max_tokens":1,"messages":[{"role":"user","content":""}]`, "must have non-empty content"},
		"whitespace at the end":              {with(``)[:len(with(``))-1] + `,{"role":"assistant","content":"x "}]`, "trailing whitespace"},
		"a result without its call":          {`"max_tokens":1,"messages":[` + result + `]`, "unexpected `tool_use_id` found"},
		"a call without its result":          {`"max_tokens":1,"messages":[` + user + `,` + call + `,` + user + `]`, "without `tool_result` blocks immediately after: t1"},
		"a tool in OpenAI's format":          {with(`,"tools":[{"type":"function","function":{"name":"read"}}]`), "tools.0: Input tag 'function'"},
		"a tool without a schema":            {with(`,"tools":[{"name":"read"}]`), "tools.0.custom.input_schema: Field required"},
		"a schema without a type":            {with(`,"tools":[{"name":"read","input_schema":{}}]`), "tools.0.custom.input_schema.type: Field required"},
		"a tool twice":                       {with(`,"tools":[{"name":"read","input_schema":{"type":"object"}},{"name":"read","input_schema":{"type":"object"}}]`), "Tool names must be unique"},
		"a tool's name with a dot":           {with(`,"tools":[{"name":"a.b","input_schema":{"type":"object"}}]`), "String should match pattern"},
		"a choice without tools":             {with(`,"tool_choice":{"type":"auto"}`), "may only be specified while providing tools"},
		"a choice that is a string":          {with(`,"tool_choice":"auto"`), "tool_choice: Input should be a valid dictionary"},
		"more thinking than answer":          {with(`,"thinking":{"type":"enabled","budget_tokens":2000}`), "must be greater than `thinking.budget_tokens`"},
		"too little thinking":                {with(`,"thinking":{"type":"enabled","budget_tokens":50}`), "greater than or equal to 1024"},
		"a temperature only OpenAI accepts":  {with(`,"temperature":1.5`), "temperature: range: 0..1"},
		"thinking with another signature":    {`"max_tokens":1,"messages":[` + user + `,{"role":"assistant","content":[{"type":"thinking","thinking":"x","signature":"x"}]},` + user + `]`, "Invalid `signature`"},
		"too many blocks with cache_control": {with(`,"system":[` + strings.Repeat(cached+",", 4) + cached + `]`), "Found 5"},
		"an unknown kind of caching":         {with(`,"system":[{"type":"text","text":"x","cache_control":{"type":"forever"}}]`), "system.0.text.cache_control"},
		"an unknown effort":                  {with(`,"output_config":{"effort":"minimal"}`), "output_config.effort: Input should be 'low'"},
	} {
		t.Run(name, func(t *testing.T) {
			res := postAnthropic(t, start(t), messagesPath, `{"model":"claude-sonnet-4-5",`+test.body+`}`)
			if res.status != 400 || !strings.Contains(res.body, test.want) || !strings.Contains(res.body, `"invalid_request_error"`) || res.header.Get("Request-Id") == "" {
				t.Errorf("%d %s, want %s", res.status, res.body, test.want)
			}
		})
	}
}

func TestAnthropicNeedsItsHeaders(t *testing.T) {
	s := start(t)
	body := `{"model":"claude-sonnet-4-5","max_tokens":1,"messages":[{"role":"user","content":"x"}],"context_management":{"edits":[]}}`
	if res := postAnthropic(t, s, messagesPath, body, "Anthropic-Beta", "context-management-2025-06-27"); res.status != 200 {
		t.Error(res)
	}
	if res := postAnthropic(t, s, messagesPath, body, "X-Api-Key", "sk-ant-other"); res.status != 401 || !strings.Contains(res.body, "authentication_error") {
		t.Error(res)
	}
	if res := post(t, s, messagesPath, body); res.status != 400 || !strings.Contains(res.body, "anthropic-version: header is required") {
		t.Error(res)
	}
	r := newPost(t.Context(), s, messagesPath, "anthropic", body)
	r.Header.Del("X-Api-Key")
	r.Header.Set("Authorization", "Bearer sk-ant-gatewaytest-key")
	if res := send(t, r); res.status != 400 || !strings.Contains(res.body, "no credential of anthropic") {
		t.Error(res)
	}
	if res := postAnthropic(t, s, messagesPath, strings.Replace(body, "claude-sonnet-4-5", "gpt-5", 1), "Anthropic-Beta", "x"); res.status != http.StatusNotFound {
		t.Error(res)
	}
	if res := postAnthropic(t, s, messagesPath+"/count_tokens", body, "Anthropic-Beta", "x"); res.status != 400 || !strings.Contains(res.body, "max_tokens: Extra inputs") {
		t.Error(res)
	}
}

func TestAnthropicNamesTheStopSequence(t *testing.T) {
	s := start(t)
	s.Next(Scenario{Text: []string{"one ", "END ", "two"}})
	res := postAnthropic(t, s, messagesPath, `{"model":"claude-sonnet-4-5","max_tokens":10,"stop_sequences":["END"],"messages":[{"role":"user","content":"x"}]}`)
	if !strings.Contains(res.body, `"stop_reason":"stop_sequence","stop_sequence":"END"`) || strings.Contains(res.body, "two") {
		t.Error(res)
	}
}
