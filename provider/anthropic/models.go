package anthropic

import (
	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
)

// AppendModels appends the answer to GET /models, all on one page
// (https://platform.claude.com/docs/en/api/models/list).
func AppendModels(b []byte, models []hub.Model) []byte {
	b = append(b, `{"data":[`...)
	for i, m := range models {
		if i > 0 {
			b = append(b, ',')
		}
		b = AppendModel(b, m)
	}
	if len(models) == 0 {
		return append(b, `],"has_more":false,"first_id":null,"last_id":null}`...)
	}
	b = jsontext.AppendString(append(b, `],"has_more":false,"first_id":`...), models[0].Name)
	b = jsontext.AppendString(append(b, `,"last_id":`...), models[len(models)-1].Name)
	return append(b, '}')
}

// AppendModel appends one model. When it was made is not known, for which clients take the first second of
// 1970.
func AppendModel(b []byte, m hub.Model) []byte {
	b = jsontext.AppendString(append(b, `{"type":"model","id":`...), m.Name)
	b = jsontext.AppendString(append(b, `,"display_name":`...), m.Name)
	return append(b, `,"created_at":"1970-01-01T00:00:00Z"}`...)
}
