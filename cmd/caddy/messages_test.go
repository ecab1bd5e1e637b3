package main

import (
	"strings"
	"testing"

	"github.com/anthropics/anthropic-sdk-go/v2"
	"github.com/anthropics/anthropic-sdk-go/v2/option"
)

// TestTheOfficialAnthropicClientWorksWithEveryProvider runs an agent's loop: a request with a tool, its call, and
// the call's result.
func TestTheOfficialAnthropicClientWorksWithEveryProvider(t *testing.T) {
	s := start(t)
	client := anthropic.NewClient(option.WithBaseURL(s.http), option.WithAPIKey(email+":"+key), option.WithMaxRetries(0))
	for _, model := range append([]string{"anthropic/claude-sonnet-4-5"}, chatModels...) {
		t.Run(strings.ReplaceAll(model, "/", "_"), func(t *testing.T) {
			params := anthropic.MessageNewParams{
				Model: model, MaxTokens: 4096,
				System: []anthropic.TextBlockParam{{Text: "Use tools."}},
				Tools: []anthropic.ToolUnionParam{{OfTool: &anthropic.ToolParam{
					Name:        "read",
					Description: anthropic.String("Reads a file."),
					InputSchema: anthropic.ToolInputSchemaParam{Properties: map[string]any{"path": map[string]any{"type": "string"}}},
				}}},
				Messages: []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock("USETOOL a.txt b.txt"))},
			}
			first := streamed(t, client, params)
			var results []anthropic.ContentBlockParamUnion
			for _, block := range first.Content {
				if block.Type == "tool_use" {
					results = append([]anthropic.ContentBlockParamUnion{anthropic.NewToolResultBlock(block.ID, "the text of "+string(block.Input), false)}, results...)
				}
			}
			if first.StopReason != anthropic.StopReasonToolUse || len(results) != 2 || first.Usage.OutputTokens == 0 {
				t.Fatalf("first answer %s", first.RawJSON())
			}
			params.Messages = append(params.Messages, first.ToParam(), anthropic.NewUserMessage(results...))
			second := streamed(t, client, params)
			whole, err := client.Messages.New(t.Context(), params)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range []*anthropic.Message{second, whole} {
				if m.StopReason != anthropic.StopReasonEndTurn || len(m.Content) != 1 || !strings.Contains(m.Content[0].Text, "The tool says") || m.Usage.InputTokens == 0 {
					t.Errorf("answer %s", m.RawJSON())
				}
			}
		})
	}
	count, err := client.Messages.CountTokens(t.Context(), anthropic.MessageCountTokensParams{
		Model:    "google-ai-studio/gemini-2.5-flash",
		Messages: []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock("hello"))},
	})
	if err != nil || count.InputTokens == 0 {
		t.Errorf("count %+v, error %v", count, err)
	}
}

// streamed asks for a stream and returns what the official client makes of it.
func streamed(t *testing.T, client anthropic.Client, params anthropic.MessageNewParams) *anthropic.Message {
	t.Helper()
	events := client.Messages.NewStreaming(t.Context(), params)
	defer func() { _ = events.Close() }()
	m := new(anthropic.Message)
	for events.Next() {
		if err := m.Accumulate(events.Current()); err != nil {
			t.Fatal(err)
		}
	}
	if err := events.Err(); err != nil {
		t.Fatal(err)
	}
	return m
}
