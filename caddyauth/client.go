package caddyauth

import (
	"strings"
)

// otherClient is a program that does not say which it is.
const otherClient = "other"

// clients are the coding agents, by how their User-Agent begins, in small letters. Continue does not say its
// name, but the library that it was built with: its last version, of June 2026, has the OpenAI SDK 5.23.2,
// which its minified builds call ls, and uses node-fetch beside it.
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

// clientOf returns the name of the coding agent that sends this User-Agent. It is one of a few.
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
