package openai

import (
	"strings"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
)

// ClientMetadata is the member of a request to /responses that no provider gets: Codex puts the developer's local
// path and an installation id into it.
const ClientMetadata = "client_metadata"

// responseRequest is a request to /responses. Its values stay JSON.
type responseRequest struct {
	model, input, instructions, text, reasoning []byte

	tools, toolChoice, parallel        []byte
	temperature, topP, maxTokens       []byte
	include, topLogprobs, metadata     []byte
	previous, conversation, background []byte
	prompt                             []byte
}

// read reads the members that mean something to a chat. All others are hints, or are for OpenAI's servers alone.
func (q *responseRequest) read(body []byte) {
	r := jsontext.NewRereader(body)
	r.Object(func(name []byte) {
		for _, member := range [...]struct {
			name  string
			value *[]byte
		}{
			{"model", &q.model}, {"input", &q.input}, {"instructions", &q.instructions}, {"text", &q.text}, {"reasoning", &q.reasoning},
			{"tools", &q.tools}, {"tool_choice", &q.toolChoice}, {"parallel_tool_calls", &q.parallel},
			{"temperature", &q.temperature}, {"top_p", &q.topP}, {"max_output_tokens", &q.maxTokens},
			{"include", &q.include}, {"top_logprobs", &q.topLogprobs}, {"metadata", &q.metadata},
			{"previous_response_id", &q.previous}, {"conversation", &q.conversation}, {"background", &q.background}, {"prompt", &q.prompt},
		} {
			if string(name) == member.name {
				*member.value = r.Raw()
			}
		}
	})
}

// check refuses what needs a server that remembers.
func (q *responseRequest) check() error {
	switch {
	case !jsontext.IsNone(q.previous):
		return hub.BadRequest("previous_response_id", "Send the whole conversation as `input`, without `previous_response_id`: no response is stored for this model.")
	case !jsontext.IsNone(q.conversation):
		return hub.BadRequest("conversation", "Send the whole conversation as `input`, without `conversation`: none is stored for this model.")
	case !jsontext.IsNone(q.background) && string(q.background) != "false":
		return hub.BadRequest("background", "Leave out `background`: this model answers at once or not at all.")
	case !jsontext.IsNone(q.prompt):
		return hub.BadRequest("prompt", "Send the prompt's text as `input`, without `prompt`: none is stored for this model.")
	case jsontext.IsNone(q.input):
		return hub.BadRequest("input", "Send `input`: a string or an array of items.")
	}
	return nil
}

// ToChat turns a request to /responses into the chat request that says the same, whose answer comes back as a
// response. Nothing is stored, and what only OpenAI's servers can run is left out. What a chat cannot express is
// refused; hints are dropped. Its errors are *hub.Error.
func ToChat(r *hub.Request) (*hub.Request, error) {
	var q responseRequest
	q.read(r.Body)
	if err := q.check(); err != nil {
		return nil, err
	}
	var tools responseTools
	if err := tools.read("tools", q.tools, ""); err != nil {
		return nil, err
	}
	if err := tools.name(); err != nil {
		return nil, err
	}
	b := append(r.NewBody(len(r.Body)+len(r.Body)/4+512), `{"model":`...)
	b = append(append(b, q.model...), `,"messages":[`...)
	b, err := appendMessages(b, &q, &tools)
	if err != nil {
		return nil, err
	}
	b = append(b, ']')
	if b, err = q.appendTools(b, &tools); err != nil {
		return nil, err
	}
	if b, err = q.appendOptions(b); err != nil {
		return nil, err
	}
	if r.Stream {
		b = append(b, `,"stream":true,"stream_options":`+`{"include_usage":true}`...)
	}
	chat, err := hub.ParseRequest(hub.Chat, append(b, '}'))
	if err != nil {
		return nil, err
	}
	chat.User, chat.Name, chat.Provider, chat.Model = r.User, r.Name, r.Provider, r.Model
	chat.Query, chat.AskUsage, chat.Memory = r.Query, r.AskUsage, r.Memory
	chat.Format = ResponsesFormat{asked: &responseAsked{tools: tools.special(), echo: q.echo()}}
	return chat, nil
}

// appendTools appends the functions and how free the model is to call them. What a chat does without being asked
// is left out: not all providers know the members.
func (q *responseRequest) appendTools(b []byte, tools *responseTools) ([]byte, error) {
	chosen, only, err := tools.choose(q.toolChoice)
	if err != nil || len(tools.all) == 0 || only != nil && len(only) == 0 {
		return b, err
	}
	b = tools.append(b, only)
	if chosen != nil {
		b = append(append(b, `,"tool_choice":`...), chosen...)
	}
	if string(q.parallel) == "false" {
		b = append(b, `,"parallel_tool_calls":false`...)
	}
	return b, nil
}

// appendOptions appends what shapes the answer. max_tokens is the name that all providers know who have no
// Responses of their own.
func (q *responseRequest) appendOptions(b []byte) ([]byte, error) {
	for _, option := range [...]struct {
		name  string
		value []byte
	}{{`,"temperature":`, q.temperature}, {`,"top_p":`, q.topP}, {`,"max_tokens":`, q.maxTokens}} {
		if !jsontext.IsNone(option.value) {
			b = append(append(b, option.name...), option.value...)
		}
	}
	if !jsontext.IsNone(q.reasoning) && q.reasoning[0] != '{' {
		return b, hub.BadRequest("reasoning", "Send `reasoning` as an object.")
	}
	if effort := member(q.reasoning, "effort"); !jsontext.IsNone(effort) {
		b = append(append(b, `,"reasoning_effort":`...), effort...)
	}
	switch top := string(q.topLogprobs); {
	case !jsontext.IsNone(q.topLogprobs) && top != "0":
		b = append(append(b, `,"logprobs":true,"top_logprobs":`...), top...)
	case strings.Contains(string(q.include), `"message.output_text.logprobs"`):
		b = append(b, `,"logprobs":true`...)
	}
	return q.appendFormat(b)
}

// appendFormat appends `text.format` as the chat's `response_format`. `text.verbosity` is a hint that no provider
// knows but OpenAI.
func (q *responseRequest) appendFormat(b []byte) ([]byte, error) {
	if !jsontext.IsNone(q.text) && q.text[0] != '{' {
		return b, hub.BadRequest("text", "Send `text` as an object.")
	}
	format := member(q.text, "format")
	if jsontext.IsNone(format) {
		return b, nil
	}
	switch jsontext.StringOf(member(format, "type")) {
	case "text":
		return b, nil
	case "json_object":
		return append(b, `,"response_format":{"type":"json_object"}`...), nil
	case "json_schema":
	default:
		return b, hub.BadRequest("text.format.type", "Send the type of `text.format` as text, json_object or json_schema.")
	}
	b = append(b, `,"response_format":{"type":"json_schema","json_schema":{`...)
	start := len(b)
	r := jsontext.NewRereader(format)
	r.Object(func(name []byte) {
		if string(name) == "type" {
			return
		}
		if len(b) > start {
			b = append(b, ',')
		}
		b = append(jsontext.AppendString(b, string(name)), ':')
		b = append(b, r.Raw()...)
	})
	return append(b, "}}"...), nil
}

// member returns a member of a valid JSON object, nil where there is none.
func member(object []byte, name string) (value []byte) {
	r := jsontext.NewRereader(object)
	r.Object(func(field []byte) {
		if string(field) == name {
			value = r.Raw()
		}
	})
	return value
}

// responseAsked is what of a request the answer depends on.
type responseAsked struct {
	tools map[string]calledTool // whose calls differ from a function's, by the chat's names
	echo  []byte                // members of the response that say what was asked for
}

// tool returns the tool that the chat calls so.
func (a *responseAsked) tool(name string) calledTool {
	if tool, ok := a.tools[name]; ok {
		return tool
	}
	return calledTool{name: name}
}

// echo returns what a response repeats of its request, behind another member. Tools and instructions are not
// repeated, since a stream would have them three times.
func (q *responseRequest) echo() []byte {
	b := []byte(`,"background":false,"instructions":null,"previous_response_id":null,"store":false,"tools":[],"truncation":"disabled"`)
	for _, asked := range [...]struct {
		name     string
		value    []byte
		fallback string
	}{
		{`,"max_output_tokens":`, q.maxTokens, "null"},
		{`,"metadata":`, q.metadata, "{}"},
		{`,"parallel_tool_calls":`, q.parallel, "true"},
		{`,"reasoning":`, q.reasoning, `{"effort":null,"summary":null}`},
		{`,"temperature":`, q.temperature, "1"},
		{`,"text":`, q.text, `{"format":{"type":"text"}}`},
		{`,"tool_choice":`, q.toolChoice, `"auto"`},
		{`,"top_p":`, q.topP, "1"},
	} {
		b = append(b, asked.name...)
		if jsontext.IsNone(asked.value) {
			b = append(b, asked.fallback...)
		} else {
			b = append(b, jsontext.Compact(string(asked.value))...)
		}
	}
	return b
}
