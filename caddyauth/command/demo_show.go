package command

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/continue-auth/caddy-continue-auth/caddyauth/agents"
)

// demoModels has a model for chats and one for tab completion for each provider.
var demoModels = []struct{ provider, chat, completion string }{
	{"workers-ai", "@cf/meta/llama-3.1-8b-instruct", "@cf/qwen/qwen2.5-coder-32b-instruct"},
	{"azure-openai", "myinstance/gpt-4o-mini", "myinstance/gpt-4o-mini"},
	{"google-ai-studio", "gemini-2.5-flash", "gemini-2.5-flash"},
	{"openai", "gpt-4o-mini", "gpt-4o-mini"},
	{"anthropic", "claude-sonnet-4-5", "claude-sonnet-4-5"},
}

// show sends a chat, a tab completion and a Messages request to each provider, and writes the
// answers as they arrive.
// An error does not stop it, because a real provider may refuse a request. It returns all errors.
func (s *demoServer) show(ctx context.Context, out io.Writer) (failed error) {
	for _, model := range demoModels {
		for _, example := range []struct {
			what, model, path string
			body              map[string]any
		}{
			{"chat", model.chat, "/v1/chat/completions", map[string]any{
				"messages": []map[string]string{{"role": "user", "content": "What is an API gateway?"}},
			}},
			{"tab completion", model.completion, "/v1/completions", map[string]any{
				"prompt": "def add(a, b):\n    ", "max_tokens": 64, "temperature": 0.01,
				"stop": []string{"<fim_prefix>", "<fim_suffix>", "<fim_middle>", "<file_sep>", "<|endoftext|>", "</fim_middle>", "</code>"},
			}},
			{"Messages", model.chat, "/v1/messages", map[string]any{
				"messages": []map[string]string{{"role": "user", "content": "What is an API gateway?"}}, "max_tokens": 256,
			}},
		} {
			fmt.Fprintf(out, "\n%s, %s\n  ", model.provider+"/"+example.model, example.what)
			example.body["model"] = model.provider + "/" + example.model
			example.body["stream"] = true
			if err := s.stream(ctx, out, example.path, example.body); err != nil {
				fmt.Fprintln(out, err)
				failed = errors.Join(failed, fmt.Errorf("%s of %s: %w", example.what, model.provider, err))
			}
		}
	}
	return failed
}

// stream sends a request and writes the text of the answer as it arrives.
func (s *demoServer) stream(ctx context.Context, out io.Writer, path string, body map[string]any) error {
	content, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+path, bytes.NewReader(content))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+s.key)
	req.Header.Set("X-User-Email", demoEmail)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		answer, _ := io.ReadAll(res.Body)
		return fmt.Errorf("%s: %s", res.Status, gjson.GetBytes(answer, "error.message").Str)
	}
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		event := gjson.Parse(data)
		if e := event.Get("error.message"); e.Exists() {
			return errors.New(e.Str)
		}
		text := event.Get("choices.0.delta.content").Str + event.Get("choices.0.text").Str + event.Get("delta.text").Str
		fmt.Fprint(out, strings.ReplaceAll(text, "\n", "\n  "))
	}
	fmt.Fprintln(out)
	return lines.Err()
}

// invite prints how to try the server.
func (s *demoServer) invite(out io.Writer) error {
	chat := demoModels[0].provider + "/" + demoModels[0].chat
	completion := demoModels[0].provider + "/" + demoModels[0].completion
	last := demoModels[len(demoModels)-1]
	messages := last.provider + "/" + last.chat
	fmt.Fprintf(out, `
Ready: %[1]s is up until you press Ctrl+C. Open it in a browser to see the portal, and sign in with:

email: %[3]s
key:   %[2]s

Try it with curl:

curl -N %[1]s/v1/chat/completions -H 'Authorization: Bearer %[2]s' -H 'X-User-Email: %[3]s' -d '{"model":"%[4]s","stream":true,"messages":[{"role":"user","content":"Hello"}]}'
curl -N %[1]s/v1/messages -H 'x-api-key: %[3]s:%[2]s' -H 'anthropic-version: 2023-06-01' -d '{"model":"%[5]s","max_tokens":256,"stream":true,"messages":[{"role":"user","content":"Hello"}]}'

Or set up an agent.

`, s.url, s.key, demoEmail, chat, messages)
	if err := s.setUp(out); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, `# Continue for %[3]s, as ~/.continue/config.yaml.

name: AI proxy
version: 1.0.0
schema: v1
models:
  - name: Llama 3.1 8B (chat)
    provider: openai
    model: %[4]s
    apiBase: %[1]s/v1
    apiKey: %[2]s
    roles: [chat, edit, apply]
    requestOptions: &user
      headers:
        x-user-email: %[3]s
  - name: Qwen Coder (autocomplete)
    provider: openai
    model: %[5]s
    apiBase: %[1]s/v1
    apiKey: %[2]s
    roles: [autocomplete]
    requestOptions: *user
`, s.url, s.key, demoEmail, chat, completion)
	return err
}

// setUp prints the configuration of each agent but Continue, with the user's key.
func (s *demoServer) setUp(out io.Writer) error {
	config := agents.Config{Email: demoEmail, EmailHeader: "X-User-Email", APIBase: s.url + "/v1"}
	for _, model := range demoModels {
		config.Models = append(config.Models, model.provider+"/"+model.chat)
	}
	for _, agent := range agents.All() {
		if agent.Name == agents.Default {
			continue
		}
		parts, err := config.Parts(agent)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "# %s for %s.\n", agent.Title, demoEmail)
		for _, part := range parts {
			fmt.Fprintf(out, "\n# %s:\n%s\n", part.Heading, strings.ReplaceAll(part.Content, agents.KeyPlaceholder, s.key))
		}
	}
	return nil
}
