package openai

import (
	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
)

// AppendModels appends the answer to GET /models.
func AppendModels(b []byte, models []hub.Model) []byte {
	b = append(b, `{"object":"list","data":[`...)
	for i, m := range models {
		if i > 0 {
			b = append(b, ',')
		}
		b = AppendModel(b, m)
	}
	return append(b, "]}"...)
}

// AppendModel appends one model, which its provider owns. When it was made is not known.
func AppendModel(b []byte, m hub.Model) []byte {
	b = jsontext.AppendString(append(b, `{"id":`...), m.Name)
	b = jsontext.AppendString(append(b, `,"object":"model","created":0,"owned_by":`...), m.Provider)
	return append(b, '}')
}

// CodexModels is the list that Codex is given. Codex's models have some thirty fields each, down to its
// prompts. From an empty list it takes nothing, and uses the models that it has built in.
const CodexModels = `{"models":[]}`

// CodexETag is the ETag of CodexModels. Codex takes a list only with one.
const CodexETag = `"empty"`
