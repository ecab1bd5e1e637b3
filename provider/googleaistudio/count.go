package googleaistudio

import (
	"github.com/tidwall/gjson"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
)

// count asks how many tokens a chat would take, with the request that the chat itself would be
// (https://ai.google.dev/api/tokens).
func (p Provider) count(r *hub.Request) (*hub.Call, error) {
	format, ok := r.Format.(hub.CountFormat)
	if !ok {
		return nil, hub.BadRequest("", "Send the request to another path: this one does not count tokens.")
	}
	call, err := p.chat(r)
	if err != nil {
		return nil, err
	}
	body := jsontext.AppendString([]byte(`{"generateContentRequest":{"model":`), "models/"+r.Model)
	body = append(append(body, ','), call.Body[1:]...)
	return &hub.Call{
		Path: method(r.Model, "countTokens"),
		Body: append(body, '}'),
		Translate: hub.TranslateBody(func(answer []byte) ([]byte, error) {
			total := gjson.GetBytes(answer, "totalTokens")
			switch {
			case !jsontext.ValidObject(answer):
				return nil, hub.ErrUnreadable
			case total.Type != gjson.Number:
				if e := hub.Reported(gjson.ParseBytes(answer)); e != nil {
					return nil, e
				}
				return nil, hub.UpstreamBroken("Try again: the provider's answer has no count of tokens.")
			}
			return format.AppendCount(nil, total.Int()), nil
		}),
	}, nil
}
