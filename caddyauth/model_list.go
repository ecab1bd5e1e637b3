package caddyauth

import (
	"net/http"

	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
)

// model is a model in a list: the name that clients use, and the provider.
type model struct{ name, provider string }

// listFormat is the format of a list of models.
type listFormat int

const (
	openaiList listFormat = iota
	anthropicList
	codexList
)

// listFormatOf returns the format that a client expects. Codex sends its version in the query. Anthropic's
// clients send the version of their API in a header.
func listFormatOf(r *http.Request) listFormat {
	switch {
	case r.URL.RawQuery != "" && r.URL.Query().Has("client_version"):
		return codexList
	case r.Header.Get("Anthropic-Version") != "":
		return anthropicList
	}
	return openaiList
}

// codexETag is the ETag of Codex's list, which never changes.
const codexETag = `"empty"`

// appendList appends the answer to GET /models. Codex's models have about thirty fields each, including
// prompts. From an empty list, Codex takes nothing and uses its built-in models.
func (f listFormat) appendList(b []byte, models []model) []byte {
	switch f {
	case codexList:
		return append(b, `{"models":[]}`...)
	case anthropicList:
		b = append(b, `{"data":[`...)
	default:
		b = append(b, `{"object":"list","data":[`...)
	}
	for i, model := range models {
		if i > 0 {
			b = append(b, ',')
		}
		b = f.appendModel(b, model)
	}
	if f == openaiList {
		return append(b, "]}"...)
	}
	if len(models) == 0 {
		return append(b, `],"has_more":false,"first_id":null,"last_id":null}`...)
	}
	b = jsontext.AppendString(append(b, `],"has_more":false,"first_id":`...), models[0].name)
	b = jsontext.AppendString(append(b, `,"last_id":`...), models[len(models)-1].name)
	return append(b, '}')
}

// appendModel appends one model. The time of its creation is not known. OpenAI's clients accept 0, and
// Anthropic's the first second of 1970 (https://platform.claude.com/docs/en/api/models/list).
func (f listFormat) appendModel(b []byte, m model) []byte {
	if f == anthropicList {
		b = jsontext.AppendString(append(b, `{"type":"model","id":`...), m.name)
		b = jsontext.AppendString(append(b, `,"display_name":`...), m.name)
		return append(b, `,"created_at":"1970-01-01T00:00:00Z"}`...)
	}
	b = jsontext.AppendString(append(b, `{"id":`...), m.name)
	b = jsontext.AppendString(append(b, `,"object":"model","created":0,"owned_by":`...), m.provider)
	return append(b, '}')
}
