package openai

import (
	"strings"

	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
)

// AppendModels appends the answer to GET /models.
func AppendModels(b []byte, names []string) []byte {
	b = append(b, `{"object":"list","data":[`...)
	for i, name := range names {
		if i > 0 {
			b = append(b, ',')
		}
		b = AppendModel(b, name)
	}
	return append(b, "]}"...)
}

// AppendModel appends one model, which its provider owns. When it was made is not known.
func AppendModel(b []byte, name string) []byte {
	owner, _, _ := strings.Cut(name, "/")
	b = append(b, `{"id":`...)
	b = jsontext.AppendString(b, name)
	b = append(b, `,"object":"model","created":0,"owned_by":`...)
	b = jsontext.AppendString(b, owner)
	return append(b, '}')
}
