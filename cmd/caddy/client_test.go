package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"github.com/continue-auth/caddy-continue-auth/provider/gatewaytest"
)

// clients returns one client for each way to reach the server.
func clients(t *testing.T, s *server) map[string]*http.Client {
	t.Helper()
	certificate, err := os.ReadFile(s.root)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(certificate) {
		t.Fatal("Caddy's root certificate cannot be read")
	}
	client := func(version string, protocols func(*http.Protocols)) *http.Client {
		p := new(http.Protocols)
		protocols(p)
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, Protocols: p}
		t.Cleanup(transport.CloseIdleConnections)
		return &http.Client{Transport: checkVersion{t, transport, version}}
	}
	return map[string]*http.Client{
		"HTTP/2 over TLS":   client("HTTP/2.0", func(p *http.Protocols) { p.SetHTTP2(true) }),
		"HTTP/1.1 over TLS": client("HTTP/1.1", func(p *http.Protocols) { p.SetHTTP1(true) }),
	}
}

// checkVersion fails the test if an answer has another version of HTTP.
type checkVersion struct {
	t       *testing.T
	next    http.RoundTripper
	version string
}

func (c checkVersion) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := c.next.RoundTrip(r)
	if err == nil && res.Proto != c.version {
		c.t.Errorf("%s came by %s, want %s", r.URL, res.Proto, c.version)
	}
	return res, err
}

var chatModels = []string{
	"workers-ai/@cf/meta/llama-3.1-8b-instruct", "azure-openai/myinstance/gpt-4o", "google-ai-studio/gemini-2.5-flash", "openai/gpt-4o-mini",
}

// openai-go decodes answers strictly.
func TestTheOfficialClientWorksWithEveryProvider(t *testing.T) {
	s := start(t)
	for name, transport := range clients(t, s) {
		t.Run(name, func(t *testing.T) {
			client := openai.NewClient(
				option.WithBaseURL(s.https+"/v1"), option.WithAPIKey(key), option.WithHeader("X-User-Email", email),
				option.WithHTTPClient(transport), option.WithMaxRetries(0),
			)
			for _, model := range chatModels {
				t.Run(strings.ReplaceAll(model, "/", "_"), func(t *testing.T) {
					chat(t, client, model)
					stream(t, client, model)
					tools(t, client, model)
					completion(t, client, model)
					embeddings(t, client, model)
				})
			}
			models(t, client)
			refused(t, client)
		})
	}
}

// Whatever the providers and the gateway do, the client must not notice.
func TestTheOfficialClientWorksWithAnOddGateway(t *testing.T) {
	s := start(t)
	client := openai.NewClient(
		option.WithBaseURL(s.https+"/v1"), option.WithAPIKey(email+":"+key),
		option.WithHTTPClient(clients(t, s)["HTTP/2 over TLS"]), option.WithMaxRetries(0),
	)
	for name, test := range map[string]struct {
		scenario gatewaytest.Scenario
		models   []string
	}{
		"Workers AI's quirks":                {gatewaytest.Scenario{UsageOnEveryFrame: true, OddToolCalls: true}, chatModels[:1]},
		"JSON instead of a stream":           {gatewaytest.Scenario{JSONForStream: true}, chatModels},
		"compression that was not asked for": {gatewaytest.Scenario{Gzip: true}, chatModels},
	} {
		for _, model := range test.models {
			t.Run(name+"/"+strings.ReplaceAll(model, "/", "_"), func(t *testing.T) {
				s.gateway.Always(test.scenario)
				stream(t, client, model)
				tools(t, client, model)
				completion(t, client, model)
			})
		}
	}
	s.gateway.Always(gatewaytest.Scenario{Text: []string{"It has ", "4", "2", " lines", ", or ", "1.50"}, UsageOnEveryFrame: true, NumbersAsText: true})
	got, err := client.Chat.Completions.New(t.Context(), openai.ChatCompletionNewParams{Model: chatModels[0], Messages: say("x")})
	if err != nil || got.Choices[0].Message.Content != "It has 42 lines, or 1.50" {
		t.Errorf("chat: %v, %v", got, err)
	}
	events := client.Chat.Completions.NewStreaming(t.Context(), openai.ChatCompletionNewParams{Model: chatModels[0], Messages: say("x")})
	var all openai.ChatCompletionAccumulator
	for events.Next() {
		all.AddChunk(events.Current())
	}
	if err := events.Err(); err != nil || all.Choices[0].Message.Content != "It has 42 lines, or 1.50" {
		t.Errorf("stream: %+v, %v", all.ChatCompletion, err)
	}
}

func say(text string) []openai.ChatCompletionMessageParamUnion {
	return []openai.ChatCompletionMessageParamUnion{openai.SystemMessage("Be brief."), openai.UserMessage(text)}
}

func chat(t *testing.T, client openai.Client, model string) {
	t.Helper()
	got, err := client.Chat.Completions.New(t.Context(), openai.ChatCompletionNewParams{Model: model, Messages: say("hello there")})
	if err != nil {
		t.Fatal(err)
	}
	if c := got.Choices[0]; !strings.Contains(c.Message.Content, "hello there") || c.FinishReason != "stop" || got.Usage.TotalTokens == 0 || got.Object != "chat.completion" {
		t.Errorf("chat: %s", got.RawJSON())
	}
}

func stream(t *testing.T, client openai.Client, model string) {
	t.Helper()
	events := client.Chat.Completions.NewStreaming(t.Context(), openai.ChatCompletionNewParams{
		Model: model, Messages: say("hello there"), StreamOptions: openai.ChatCompletionStreamOptionsParam{IncludeUsage: openai.Bool(true)},
	})
	var all openai.ChatCompletionAccumulator
	for events.Next() {
		if !all.AddChunk(events.Current()) {
			t.Errorf("stream: the accumulator refuses %s", events.Current().RawJSON())
		}
	}
	if err := events.Err(); err != nil {
		t.Fatal(err)
	}
	if c := all.Choices[0]; !strings.Contains(c.Message.Content, "hello there") || c.FinishReason != "stop" || all.Usage.TotalTokens == 0 {
		t.Errorf("stream: %+v", all.ChatCompletion)
	}
}

func tools(t *testing.T, client openai.Client, model string) {
	t.Helper()
	events := client.Chat.Completions.NewStreaming(t.Context(), openai.ChatCompletionNewParams{
		Model: model, Messages: say("USETOOL read_file a.py and b.py"),
		Tools: []openai.ChatCompletionToolUnionParam{openai.ChatCompletionFunctionTool(openai.FunctionDefinitionParam{
			Name: "read_file",
			Parameters: openai.FunctionParameters{
				"type": "object", "properties": map[string]any{"filepath": map[string]any{"type": "string"}}, "required": []string{"filepath"},
			},
		})},
	})
	var all openai.ChatCompletionAccumulator
	for events.Next() {
		if !all.AddChunk(events.Current()) {
			t.Errorf("tools: the accumulator refuses %s", events.Current().RawJSON())
		}
	}
	if err := events.Err(); err != nil {
		t.Fatal(err)
	}
	calls := all.Choices[0].Message.ToolCalls
	if len(calls) != 2 || calls[0].Function.Name != "read_file" || !strings.Contains(calls[0].Function.Arguments, "a.py") || !strings.Contains(calls[1].Function.Arguments, "b.py") ||
		calls[0].ID == calls[1].ID || all.Choices[0].FinishReason != "tool_calls" {
		t.Errorf("tools: %+v", all.Choices[0])
	}
}

func completion(t *testing.T, client openai.Client, model string) {
	t.Helper()
	params := openai.CompletionNewParams{
		Model: openai.CompletionNewParamsModel(model), Prompt: openai.CompletionNewParamsPromptUnion{OfString: openai.String("<fim_prefix>def add(a, b):\n    <fim_suffix>\n<fim_middle>")},
		MaxTokens: openai.Int(64), Stop: openai.CompletionNewParamsStopUnion{OfStringArray: []string{"<fim_prefix>", "<fim_suffix>", "<fim_middle>", "<file_sep>", "<|endoftext|>", "</fim_middle>", "</code>"}},
	}
	whole, err := client.Completions.New(t.Context(), params)
	if err != nil {
		t.Fatal(err)
	}
	events := client.Completions.NewStreaming(t.Context(), params)
	var text strings.Builder
	for events.Next() {
		for _, c := range events.Current().Choices {
			text.WriteString(c.Text)
		}
	}
	if err := events.Err(); err != nil {
		t.Fatal(err)
	}
	if whole.Object != "text_completion" || whole.Choices[0].Text != "return a + b" || text.String() != whole.Choices[0].Text {
		t.Errorf("completion: %q, streamed %q", whole.Choices[0].Text, text.String())
	}
}

func embeddings(t *testing.T, client openai.Client, model string) {
	t.Helper()
	model = map[string]string{
		chatModels[0]: "workers-ai/@cf/baai/bge-m3", chatModels[1]: "azure-openai/myinstance/text-embedding-3-small",
		chatModels[2]: "google-ai-studio/gemini-embedding-001", chatModels[3]: "openai/text-embedding-3-small",
	}[model]
	got, err := client.Embeddings.New(t.Context(), openai.EmbeddingNewParams{
		Model: model, Input: openai.EmbeddingNewParamsInputUnion{OfArrayOfStrings: []string{"one", "two"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Data) != 2 || got.Data[1].Index != 1 || len(got.Data[0].Embedding) == 0 {
		t.Errorf("embeddings: %s", got.RawJSON())
	}
}

func models(t *testing.T, client openai.Client) {
	t.Helper()
	page, err := client.Models.List(t.Context())
	if err != nil || len(page.Data) != 2 || page.Data[0].ID != chatModels[0] {
		t.Errorf("models: %v, %v", page, err)
	}
	if one, err := client.Models.Get(t.Context(), chatModels[0]); err != nil || one.ID != chatModels[0] {
		t.Errorf("one model: %v, %v", one, err)
	}
}

func refused(t *testing.T, client openai.Client) {
	t.Helper()
	_, err := client.Chat.Completions.New(t.Context(), openai.ChatCompletionNewParams{Model: chatModels[0], Messages: say("x")}, option.WithAPIKey("wrong"), option.WithMaxRetries(5))
	var e *openai.Error
	if !errors.As(err, &e) || e.StatusCode != 401 || e.Code != "invalid_api_key" || e.Type != "authentication_error" || !strings.Contains(e.Message, "Invalid API key") {
		t.Errorf("a wrong key: %v", err)
	}
}
