package caddyauth

import (
	"net/http"

	"github.com/continue-auth/caddy-continue-auth/provider/anthropic"
	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/openai"
)

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

// appendList appends the answer to GET /models.
func (f listFormat) appendList(b []byte, models []hub.Model) []byte {
	switch f {
	case codexList:
		return append(b, openai.CodexModels...)
	case anthropicList:
		return anthropic.AppendModels(b, models)
	}
	return openai.AppendModels(b, models)
}

// appendModel appends one model.
func (f listFormat) appendModel(b []byte, m hub.Model) []byte {
	if f == anthropicList {
		return anthropic.AppendModel(b, m)
	}
	return openai.AppendModel(b, m)
}
