package caddyauth

import "testing"

func TestClientsAreRecognizedByTheirUserAgent(t *testing.T) {
	for userAgent, want := range map[string]string{
		"claude-cli/2.1.197 (external, sdk-cli)":                                 "claude-code",
		"codex_exec/0.171.0 (Debian 12.0.0; x86_64) xterm (codex_exec; 0.171.0)": "codex",
		"codex_cli_rs/0.20.0": "codex",
		"Codex Desktop/1.0":   "codex",
		"opencode/1.18.33 ai-sdk/provider-utils/4.0.46 runtime/bun/1.3.14": "opencode",
		"OpenAI/JS 5.23.2": "continue",
		"ls/JS 5.23.2":     "continue",
		"node-fetch":       "continue",
		"GeminiCLI-tui/0.61.0/gemini-2.5-flash (linux; x64; terminal)": "gemini-cli",
		"GeminiCLI/0.1.5 (linux; x64)":                                 "gemini-cli",
		"QwenCode/0.15.10 (linux; x64)":                                "qwen-code",
		"Cline/3.36.0":                                                 "cline",
		"Zed/0.211.6 (linux; x86_64)":                                  "zed",
		"GitHubCopilotChat/0.35.0":                                     "copilot",
		"copilot/1.0.63":                                               "copilot",
		"ai-sdk/openai-compatible/3.0.37 ai-sdk/provider-utils/5.0.30 runtime/bun/1.3.13": "other",
		"OpenAI/JS 7.57.0":    "other",
		"OpenAI/Python 2.0":   "other",
		"Anthropic/JS 1.14.0": "other",
		"node-fetch/1.0 (+https://github.com/bitinn/node-fetch)": "other",
		"Bun/1.4.0":                        "other",
		"curl/8.5.0":                       "other",
		"Mozilla/5.0 (claude-cli/2.1.197)": "other",
		"":                                 "other",
	} {
		if got := clientOf(userAgent); got != want {
			t.Errorf("%q is %s, want %s", userAgent, got, want)
		}
	}
}

func TestTheAccessLogTellsTheClientAndItsFormat(t *testing.T) {
	p := start(t, setup{upstream: newUpstream(t, answerChat).URL, before: "log_append its_client {http.continue_auth.client}\nlog_append its_format {http.continue_auth.client_format}"})
	for name, test := range map[string]struct {
		request
		userAgent, client, format string
	}{
		"a chat":                      {request{path: "/v1/chat/completions", body: chatBody("groq/llama")}, "QwenCode/0.15.10 (linux; x64)", "qwen-code", "chat"},
		"a text completion":           {request{path: "/v1/completions", body: `{"model":"groq/llama","prompt":"x"}`}, "node-fetch", "continue", "completions"},
		"a response":                  {request{path: "/v1/responses", body: `{"model":"openai/gpt-5","input":"x"}`}, "codex_exec/0.171.0", "codex", "responses"},
		"embeddings":                  {request{path: "/embeddings", body: `{"model":"groq/e","input":"x"}`}, "me/1.0", "other", "embeddings"},
		"a list of models":            {request{method: "GET", path: "/v1/models"}, "claude-cli/2.1.197", "claude-code", ""},
		"a chat without an email":     {request{path: "/v1/chat/completions", header: map[string]string{"X-User-Email": ""}}, "Zed/0.211.6", "zed", "chat"},
		"a path that does not exist":  {request{path: "/v1/nowhere"}, "opencode/1.18.33", "opencode", ""},
		"a chat that cannot be read":  {request{path: "/v1/chat/completions", body: "x"}, "GeminiCLI/1", "gemini-cli", "chat"},
		"a client without User-Agent": {request{path: "/v1/chat/completions", body: chatBody("groq/llama")}, "", "other", "chat"},
	} {
		t.Run(name, func(t *testing.T) {
			if test.header == nil {
				test.header = as(testEmail, testKey)
			}
			test.header["User-Agent"] = test.userAgent
			res := p.do(test.request)
			wantFields(t, p.logged(res.Header.Get("X-Request-Id")), map[string]string{
				"client": test.client, "client_format": test.format, "its_client": test.client, "its_format": test.format,
			})
		})
	}
}
