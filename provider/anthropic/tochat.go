package anthropic

import (
	"slices"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
)

// ToChat turns a request in Anthropic's format into a chat request of the hub, for models that are not
// Anthropic's: hub.Messages into hub.Chat, hub.MessageTokens into hub.ChatTokens. The answer comes back in
// Anthropic's format. Its errors are *hub.Error with status 400; they name the field that a chat has no place
// for.
//
// The stop sequences become the Stop of the request, because the client wants to know which of them ended the
// text. Members of the request that are not known are hints, and are left out.
func ToChat(r *hub.Request) (*hub.Request, error) {
	m := readMembers(r.Body)
	stop, err := hub.ReadStopWords("stop_sequences", m.stop)
	if err != nil {
		return nil, err
	}
	body, err := m.appendChat(r.NewBody(len(r.Body)+len(r.Body)/8+512), r)
	if err != nil {
		return nil, err
	}
	endpoint := hub.Chat
	if r.Endpoint == hub.MessageTokens {
		endpoint = hub.ChatTokens
	}
	chat, err := hub.ParseRequest(endpoint, body)
	if err != nil {
		return nil, err
	}
	chat.User, chat.Name, chat.Provider, chat.Model = r.User, r.Name, r.Provider, r.Model
	chat.AskUsage, chat.Query, chat.Memory = r.AskUsage, r.Query, r.Memory
	chat.Format, chat.Stop = Format{thinking: m.wantsThinking()}, stop
	chat.Translated, chat.File = true, m.file
	return chat, nil
}

// members are those of a request that a chat has something for. Their values are JSON, nil where there is none.
type members struct {
	system, messages        []byte
	tools, toolChoice       []byte
	maxTokens               []byte
	temperature, topP, topK []byte
	stop                    []byte
	thinking                thinking
	outputConfig            outputConfig
	outputFormat            []byte

	file string // the field of the first file that is no image
}

// readMembers reads a body that is known to be valid. Of several members of one name the last counts.
func readMembers(body []byte) (m members) {
	r := jsontext.NewRereader(body)
	r.Object(func(name []byte) {
		switch string(name) {
		case "system":
			m.system = r.Raw()
		case "messages":
			m.messages = r.Raw()
		case "tools":
			m.tools = r.Raw()
		case "tool_choice":
			m.toolChoice = r.Raw()
		case "max_tokens":
			m.maxTokens = r.Raw()
		case "temperature":
			m.temperature = r.Raw()
		case "top_p":
			m.topP = r.Raw()
		case "top_k":
			m.topK = r.Raw()
		case "stop_sequences":
			m.stop = r.Raw()
		case "thinking":
			m.thinking = readThinking(r.Raw())
		case "output_config":
			m.outputConfig = readOutputConfig(r.Raw())
		case "output_format": // where output_config.format was while it was in beta
			m.outputFormat = r.Raw()
		}
	})
	return m
}

// appendChat appends the body of the chat.
func (m *members) appendChat(b []byte, r *hub.Request) ([]byte, error) {
	name := r.Name
	if r.Provider != "" {
		name = r.Provider + "/" + r.Model
	}
	b = jsontext.AppendString(append(b, `{"model":`...), name)
	var err error
	for _, appendMember := range []func([]byte) ([]byte, error){
		m.appendMessages, m.appendTools, m.appendNumbers, m.appendEffort, m.appendResponseFormat,
	} {
		if b, err = appendMember(b); err != nil {
			return nil, err
		}
	}
	if r.Stream {
		b = append(b, `,"stream":true,"stream_options":{"include_usage":true}`...)
	}
	return append(b, '}'), nil
}

// appendNumbers appends the parameters that have the same name and meaning in both formats.
func (m *members) appendNumbers(b []byte) ([]byte, error) {
	for _, field := range []struct {
		name  string
		value []byte
	}{
		{"max_tokens", m.maxTokens}, {"temperature", m.temperature}, {"top_p", m.topP}, {"top_k", m.topK},
	} {
		switch {
		case jsontext.IsNone(field.value):
		case !jsontext.IsNumber(field.value):
			return nil, hub.BadRequest(field.name, "Send `"+field.name+"` as a number.")
		default:
			b = append(append(append(b, `,"`...), field.name...), `":`...)
			b = append(b, field.value...)
		}
	}
	return b, nil
}

// oneOf reports whether a valid JSON string is one of these words.
func oneOf(raw []byte, words ...string) bool { return slices.Contains(words, jsontext.StringOf(raw)) }
