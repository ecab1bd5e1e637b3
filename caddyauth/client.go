package caddyauth

import (
	"strings"
)

// otherClient is the name for unknown programs.
const otherClient = "other"

// clients are the coding agents, each with the beginning of its User-Agent in lower case. Continue sends the
// name of the libraries that it was built with. Its last version, of June 2026, has the OpenAI SDK 5.23.2,
// which is called ls in its minified builds, and also uses node-fetch.
var clients = []struct{ prefix, name string }{
	{"claude-cli/", "claude-code"},
	{"codex", "codex"}, // codex_exec/, codex_cli_rs/, codex-tui/, Codex Desktop/
	{"opencode/", "opencode"},
	{"openai/js 5.23.2", "continue"},
	{"ls/js 5.23.2", "continue"},
	{"geminicli", "gemini-cli"}, // GeminiCLI/, GeminiCLI-tui/
	{"qwencode/", "qwen-code"},
	{"cline/", "cline"},
	{"zed/", "zed"},
	{"githubcopilot", "copilot"}, // GitHubCopilotChat/
	{"copilot", "copilot"},
}

// clientOf returns the name of the coding agent that sends this User-Agent. There are only a few names, so it
// can be used in logs and metrics.
func clientOf(userAgent string) string {
	if userAgent == "node-fetch" {
		return "continue"
	}
	for _, client := range clients {
		if len(userAgent) >= len(client.prefix) && strings.EqualFold(userAgent[:len(client.prefix)], client.prefix) {
			return client.name
		}
	}
	return otherClient
}
