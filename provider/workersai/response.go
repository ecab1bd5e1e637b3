package workersai

import (
	"github.com/tidwall/gjson"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
	"github.com/continue-auth/caddy-continue-auth/provider/openai"
)

// newDecode returns the decoder of one answer. All of Workers AI's endpoints answer in OpenAI's format or in
// {"response":…}, either of them with or without Cloudflare's API envelope. Which one it is depends on the
// model more than on the endpoint.
func newDecode() hub.Decode { return new(decoder).decode }

// decoder reads the messages of one answer.
type decoder struct{ chat openai.ChatDecoder }

func (d *decoder) decode(message []byte, a *hub.Answer) error {
	if chat, err := d.chat.DecodeIfChat(message, a); chat || err != nil {
		return err
	}
	n := readNative(message)
	if len(n.result) > 0 && n.result[0] == '{' {
		if chat, err := d.chat.DecodeIfChat(n.result, a); chat || err != nil {
			return err
		}
		n = readNative(n.result)
	}
	n.say(a)
	return nil
}

// native is a message in Workers AI's own format. Values that may have several types are kept as JSON.
type native struct {
	result, calls []byte
	response      []byte
	finish        string
}

func readNative(message []byte) (n native) {
	r := jsontext.NewReader(message)
	r.Object(func(name []byte) {
		switch string(name) {
		case "result":
			n.result = r.Raw()
		case "response":
			n.response = r.Raw()
		case "tool_calls":
			n.calls = r.Raw()
		case "finish_reason":
			n.finish = r.String()
		}
	})
	return n
}

// say reports a message to a. A message of only padding reports nothing.
func (n *native) say(a *hub.Answer) {
	if n.response == nil && n.calls == nil && n.finish == "" {
		return
	}
	response := gjson.ParseBytes(n.response)
	if response.IsArray() { // an answer in JSON mode; jsontext.RawText would read it as parts of a content
		a.Text(0, jsontext.Compact(response.Raw))
	} else {
		a.Text(0, jsontext.RawText(n.response))
	}
	openai.DecodeCalls(0, n.calls, a)
	if n.finish != "" {
		a.FinishLast(0, n.finish)
	}
}
