package gatewaytest

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/packages/param"
	"github.com/openai/openai-go/v3/responses"
)

// gatewayHeaders is a transport that adds the gateway's headers to a provider's client.
type gatewayHeaders struct{ server *Server }

func (g gatewayHeaders) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	for name := range r.Header {
		if strings.HasPrefix(name, "X-Stainless-") || name == "X-Goog-Api-Client" || name == "Idempotency-Key" {
			r.Header.Del(name)
		}
	}
	r.Header.Set("Cf-Aig-Authorization", "Bearer "+g.server.Config.Token)
	r.Header.Set("Cf-Aig-Metadata", `{"user":"dev@example.com"}`)
	return http.DefaultTransport.RoundTrip(r)
}

func withGatewayHeaders(s *Server) *http.Client { return &http.Client{Transport: gatewayHeaders{s}} }

// routes are the routes in OpenAI's format.
var routes = map[string]struct{ path, provider, model, query string }{
	"workers-ai":   {"workers-ai/v1", "workers-ai", llama, ""},
	"azure-openai": {"azure-openai/myinstance/gpt-4o", "azure-openai", "gpt-4o", "2024-10-21"},
	"compat":       {"compat", "openai", "openai/gpt-4o", ""},
	"a reasoner":   {"azure-openai/myinstance/gpt-5-mini", "azure-openai", "gpt-5-mini", "2025-04-01-preview"},
}

func openAIClient(s *Server, path, provider, version string) openai.Client {
	options := []option.RequestOption{
		option.WithBaseURL(s.URL + "/v1/" + s.Config.Account + "/" + s.Config.Gateway + "/" + path + "/"),
		option.WithHTTPClient(withGatewayHeaders(s)), option.WithMaxRetries(0), option.WithAPIKey("unused"), option.WithHeaderDel("Authorization"),
	}
	for name, value := range s.Config.ProviderHeaders[provider] {
		options = append(options, option.WithHeader(name, value))
	}
	if version != "" {
		options = append(options, option.WithQuery("api-version", version))
	}
	return openai.NewClient(options...)
}

func readFunction() []openai.ChatCompletionToolUnionParam {
	return []openai.ChatCompletionToolUnionParam{openai.ChatCompletionFunctionTool(openai.FunctionDefinitionParam{
		Name: "read",
		Parameters: openai.FunctionParameters{"type": "object", "required": []string{"path", "deep", "lines", "tags", "more"}, "properties": map[string]any{
			"path": map[string]any{"type": "string"}, "deep": map[string]any{"type": "boolean"}, "lines": map[string]any{"type": []string{"integer", "null"}},
			"tags": map[string]any{"type": "array"}, "more": map[string]any{"type": "object"}, "left": map[string]any{"type": "string"},
		}},
	})}
}

func TestOpenAIsClientCanChat(t *testing.T) {
	for name, route := range routes {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			client := openAIClient(s, route.path, route.provider, route.query)
			params := openai.ChatCompletionNewParams{
				Model:    route.model,
				Messages: []openai.ChatCompletionMessageParamUnion{openai.SystemMessage("Be brief."), openai.UserMessage("What is it?")},
				Tools:    readFunction(),
			}
			whole, err := client.Chat.Completions.New(t.Context(), params)
			if err != nil {
				t.Fatal(err)
			}
			answer := whole.Choices[0]
			if !strings.Contains(answer.Message.Content, `You said "What is it?"`) || answer.FinishReason != "stop" || whole.Usage.TotalTokens == 0 || whole.Usage.CompletionTokens == 0 {
				t.Error(whole.RawJSON())
			}
			params.StreamOptions.IncludeUsage = openai.Bool(true)
			stream := client.Chat.Completions.NewStreaming(t.Context(), params)
			var streamed openai.ChatCompletionAccumulator
			for stream.Next() {
				if chunk := stream.Current(); !streamed.AddChunk(chunk) {
					t.Error("not taken:", chunk.RawJSON())
				}
			}
			if err := stream.Err(); err != nil {
				t.Fatal(err)
			}
			if len(streamed.Choices) != 1 || streamed.Choices[0].Message.Content != answer.Message.Content || streamed.Choices[0].FinishReason != "stop" || streamed.Usage.TotalTokens != whole.Usage.TotalTokens {
				t.Errorf("%+v", streamed.Choices)
			}
		})
	}
}

func TestOpenAIsClientCallsTools(t *testing.T) {
	for name, route := range routes {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			client := openAIClient(s, route.path, route.provider, route.query)
			params := openai.ChatCompletionNewParams{
				Model:    route.model,
				Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("USETOOL: read (ä.py) and b.py, please")},
				Tools:    readFunction(),
			}
			whole, err := client.Chat.Completions.New(t.Context(), params)
			if err != nil {
				t.Fatal(err)
			}
			stream := client.Chat.Completions.NewStreaming(t.Context(), params)
			var streamed openai.ChatCompletionAccumulator
			chunks := 0
			for stream.Next() {
				chunks++
				if chunk := stream.Current(); !streamed.AddChunk(chunk) {
					t.Error("not taken:", chunk.RawJSON())
				}
			}
			if err := stream.Err(); err != nil {
				t.Fatal(err)
			}
			for _, choice := range []openai.ChatCompletionChoice{whole.Choices[0], streamed.Choices[0]} {
				calls := choice.Message.ToolCalls
				if choice.FinishReason != "tool_calls" || choice.Message.Content != "" || len(calls) != 2 || calls[0].ID == calls[1].ID || calls[0].Function.Name != "read" ||
					calls[0].Function.Arguments != `{"deep":true,"lines":1,"more":{},"path":"ä.py","tags":[]}` || !strings.Contains(calls[1].Function.Arguments, `"b.py"`) {
					t.Errorf("%+v", choice)
				}
			}
			if chunks < 16 {
				t.Error("arguments do not come in pieces:", chunks, "chunks")
			}
			params.Messages = append(params.Messages, whole.Choices[0].Message.ToParam())
			for _, call := range whole.Choices[0].Message.ToolCalls {
				params.Messages = append(params.Messages, openai.ToolMessage("forty two", call.ID))
			}
			after, err := client.Chat.Completions.New(t.Context(), params)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(after.Choices[0].Message.Content, `The tool says "forty two"`) {
				t.Error(after.RawJSON())
			}
		})
	}
}

func TestThePromptAndTheChoiceDecideWhichToolsAreCalled(t *testing.T) {
	s := start(t)
	for name, test := range map[string]struct {
		prompt, more string
		want         int // the number of calls
	}{
		"no call without a reason":        {"hello a.py", "", 0},
		"the prompt asks for a call":      {"USETOOL", "", 1},
		"one call for each file":          {"USETOOL a.py b.py", "", 2},
		"what comes before is left alone": {"first.txt and more.txt; USETOOL a.py", "", 1},
		"no parallel calls":               {"USETOOL a.py b.py", `,"parallel_tool_calls":false`, 1},
		"no call if it is forbidden":      {"USETOOL", `,"tool_choice":"none"`, 0},
		"a call if it is required":        {"hello", `,"tool_choice":"required"`, 1},
		"a call of a tool that is forced": {"hello", `,"tool_choice":{"type":"function","function":{"name":"second"}}`, 1},
		"a prompt in parts of a message":  {`"},{"type":"text","text":"USETOOL`, "", 1},
	} {
		t.Run(name, func(t *testing.T) {
			body := `{"messages":[{"role":"user","content":[{"type":"text","text":"` + test.prompt + `"}]}],"tools":[{"type":"function","function":{"name":"first"}},{"type":"function","function":{"name":"second"}}]` + test.more + `}`
			res := post(t, s, azureChat, body)
			if res.status != 200 || strings.Count(res.body, `"arguments"`) != test.want || strings.Contains(res.body, `"name":"second"`) != (name == "a call of a tool that is forced") {
				t.Error(res)
			}
		})
	}
}

func TestAShellReadsTheFile(t *testing.T) {
	s := start(t)
	for name, want := range map[string]string{"cmd": `{\"cmd\":\"cat a.py\"}`, "command": `{\"command\":\"cat a.py\"}`, "path": `{\"path\":\"a.py\"}`} {
		body := `{"messages":[{"role":"user","content":"USETOOL a.py"}],"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{"` + name + `":{"type":"string"}}}}}]}`
		if res := post(t, s, azureChat, body); !strings.Contains(res.body, want) {
			t.Errorf("%s: %v", name, res)
		}
	}
}

func TestOpenAIsClientEmbeds(t *testing.T) {
	for name, route := range routes {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			client := openAIClient(s, route.path, route.provider, route.query)
			params := openai.EmbeddingNewParams{Model: route.model, Input: openai.EmbeddingNewParamsInputUnion{OfArrayOfStrings: []string{"a", "b"}}}
			plain, err := client.Embeddings.New(t.Context(), params)
			if err != nil {
				t.Fatal(err)
			}
			if len(plain.Data) != 2 || plain.Data[1].Index != 1 || len(plain.Data[0].Embedding) != defaultDimensions || plain.Data[0].Embedding[0] == plain.Data[1].Embedding[0] || plain.Usage.TotalTokens != 1 {
				t.Error(plain.RawJSON())
			}
			answers := make([]string, 2)
			for i, format := range []string{"float", "base64"} {
				body, _ := json.Marshal(map[string]any{"model": route.model, "input": "a", "encoding_format": format, "dimensions": 2})
				answers[i] = post(t, s, route.path+"/embeddings?api-version="+route.query, string(body)).body
			}
			var floats struct {
				Data []struct{ Embedding []float32 }
			}
			var packed struct{ Data []struct{ Embedding []byte } }
			if err := errors.Join(json.Unmarshal([]byte(answers[0]), &floats), json.Unmarshal([]byte(answers[1]), &packed)); err != nil {
				t.Fatal(err)
			}
			var unpacked [2]float32
			if err := binary.Read(bytes.NewReader(packed.Data[0].Embedding), binary.LittleEndian, &unpacked); err != nil || !slices.Equal(unpacked[:], floats.Data[0].Embedding) {
				t.Error(answers, err)
			}
		})
	}
	s := start(t)
	for input, want := range map[string]int{`[1,2]`: 1, `[[1,2],[3]]`: 2} {
		if res := post(t, s, "compat/embeddings", `{"model":"openai/e","input":`+input+`}`); res.status != 200 || strings.Count(res.body, `"index"`) != want {
			t.Error(input, res)
		}
	}
}

func TestOpenAIsClientCompletes(t *testing.T) {
	s := start(t)
	client := openAIClient(s, "azure-openai/myinstance/gpt-35-turbo-instruct", "azure-openai", "2024-10-21")
	params := openai.CompletionNewParams{
		Model:  "gpt-35-turbo-instruct",
		Prompt: openai.CompletionNewParamsPromptUnion{OfString: openai.String("def add(a, b):\n    ")},
	}
	whole, err := client.Completions.New(t.Context(), params)
	if err != nil {
		t.Fatal(err)
	}
	if whole.Choices[0].Text != "return a + b" || whole.Choices[0].FinishReason != "stop" || whole.Usage.CompletionTokens != 4 {
		t.Error(whole.RawJSON())
	}
	params.StreamOptions = openai.ChatCompletionStreamOptionsParam{IncludeUsage: openai.Bool(true)}
	stream := client.Completions.NewStreaming(t.Context(), params)
	said, finish, used := "", "", int64(0)
	for stream.Next() {
		chunk := stream.Current()
		used += chunk.Usage.CompletionTokens
		for _, choice := range chunk.Choices {
			said += choice.Text
			finish += string(choice.FinishReason)
		}
	}
	if stream.Err() != nil || said != "return a + b" || finish != "stop" || used != 4 {
		t.Error(stream.Err(), said, finish, used)
	}
	s.Next(Scenario{Text: strings.SplitAfter(strings.Repeat("a ", 30), " ")})
	if whole, err = client.Completions.New(t.Context(), openai.CompletionNewParams{Model: params.Model, Prompt: params.Prompt}); err != nil || whole.Usage.CompletionTokens != 16 || whole.Choices[0].FinishReason != "length" {
		t.Error("16 tokens are the default:", err, whole.RawJSON())
	}
}

func TestOpenAIsClientUsesResponses(t *testing.T) {
	for name, route := range map[string]struct{ path, provider, model, query string }{
		"openai":       {"openai", "openai", "gpt-5-mini", ""},
		"azure-openai": {"azure-openai/myinstance/openai", "azure-openai", "gpt-5-mini", "2025-04-01-preview"},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			client := openAIClient(s, route.path, route.provider, route.query)
			params := responses.ResponseNewParams{Model: route.model, Input: responses.ResponseNewParamsInputUnion{OfString: param.NewOpt("What is it?")}}
			whole, err := client.Responses.New(t.Context(), params)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(whole.OutputText(), `You said "What is it?"`) || whole.Status != "completed" || whole.Usage.TotalTokens == 0 {
				t.Error(whole.RawJSON())
			}
			params.Input = responses.ResponseNewParamsInputUnion{OfInputItemList: responses.ResponseInputParam{
				responses.ResponseInputItemParamOfMessage("What is it?", responses.EasyInputMessageRoleUser),
			}}
			stream := client.Responses.NewStreaming(t.Context(), params)
			said, last := "", int64(-1)
			var completed responses.Response
			for stream.Next() {
				event := stream.Current()
				if event.SequenceNumber != last+1 {
					t.Error("sequence:", event.RawJSON())
				}
				last = event.SequenceNumber
				if event.Type == "response.output_text.delta" {
					said += event.Delta
				}
				completed = event.Response
			}
			if stream.Err() != nil || said != whole.OutputText() || completed.OutputText() != said {
				t.Error(stream.Err(), said, completed.RawJSON())
			}
		})
	}
	s := start(t)
	if res := post(t, s, "workers-ai/v1/responses", `{"model":"@cf/openai/gpt-oss-20b","input":"x"}`); res.status != 200 || !strings.Contains(res.body, `"output_text"`) {
		t.Error(res)
	}
}

func TestOpenAIsClientReadsErrors(t *testing.T) {
	s := start(t)
	client := openAIClient(s, "compat", "openai", "")
	s.Next(OpenAIError(429, "Slow down.", "requests", "", "rate_limit_exceeded"))
	_, err := client.Chat.Completions.New(t.Context(), openai.ChatCompletionNewParams{
		Model: "openai/gpt-4o", Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("hi")},
	})
	var failed *openai.Error
	if !errors.As(err, &failed) || failed.StatusCode != 429 || failed.Message != "Slow down." || failed.Code != "rate_limit_exceeded" || failed.Type != "requests" {
		t.Error(err)
	}
}
