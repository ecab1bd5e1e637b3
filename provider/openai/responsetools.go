package openai

import (
	"strconv"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
)

// calledTool is a tool as the client knows it.
type calledTool struct {
	name      string
	namespace string // empty: none
	custom    bool   // it takes text rather than arguments
}

// responseTool is an element of `tools`. Its values stay JSON.
type responseTool struct {
	calledTool
	at                              string // the field that it is
	description, parameters, strict []byte
	format                          []byte // of a custom tool
}

// responseTools are the tools of a request that a chat can have: functions.
type responseTools struct {
	all   []responseTool
	names []string          // of all, as the chat has them
	chats map[toolID]string // the same, by what the client calls them
}

// toolID is what a client calls a tool by. Without its namespace, the name is enough where no other tool has it.
type toolID struct{ namespace, name string }

// read reads `tools`, or those of a namespace.
func (t *responseTools) read(at string, tools []byte, namespace string) error {
	switch {
	case jsontext.IsNone(tools):
		return nil
	case tools[0] != '[':
		return hub.BadRequest(at, "Send `tools` as an array.")
	}
	var err error
	i := 0
	r := jsontext.NewRereader(tools)
	r.Array(func() {
		if err == nil {
			err = t.readTool(at+"["+strconv.Itoa(i)+"]", &r, namespace)
		}
		i++
	})
	return err
}

func (t *responseTools) readTool(at string, r *jsontext.Reader, namespace string) error {
	var kind, name, nested []byte
	tool := responseTool{at: at}
	object := r.Object(func(field []byte) {
		switch string(field) {
		case "type":
			kind = r.Raw()
		case "name":
			name = r.Raw()
		case "tools":
			nested = r.Raw()
		case "description":
			tool.description = r.Raw()
		case "parameters":
			tool.parameters = r.Raw()
		case "strict":
			tool.strict = r.Raw()
		case "format":
			tool.format = r.Raw()
		}
	})
	tool.name, tool.namespace = jsontext.StringOf(name), namespace
	switch kind := jsontext.StringOf(kind); {
	case !object || kind == "":
		return hub.BadRequest(at+".type", "Send each tool as an object with its `type`.")
	case kind == "namespace" && namespace == "":
		if tool.name == "" {
			return hub.BadRequest(at+".name", "Send the namespace's `name`.")
		}
		return t.read(at+".tools", nested, tool.name)
	case kind != "function" && kind != "custom":
		return nil // only OpenAI's servers can run it
	case tool.name == "":
		return hub.BadRequest(at+".name", "Send the tool's `name`.")
	default:
		tool.custom = kind == "custom"
		t.all = append(t.all, tool)
		return nil
	}
}

// maxToolName is what OpenAI allows, and others after it.
const maxToolName = 64

// name gives the tools their names in the chat: their own, behind that of their namespace where several have the same.
func (t *responseTools) name() error {
	count := make(map[string]int, len(t.all))
	for i := range t.all {
		count[t.all[i].name]++
	}
	t.chats = make(map[toolID]string, len(t.all))
	taken := make(map[string]bool, len(t.all))
	for i := range t.all {
		tool := &t.all[i]
		name := tool.name
		if count[name] > 1 && tool.namespace != "" {
			name = tool.namespace + "__" + name
		}
		if taken[name] || len(name) > maxToolName {
			return hub.BadRequest(tool.at+".name", "Give each tool a `name` of its own, of at most 64 characters with that of its namespace.")
		}
		taken[name] = true
		t.names = append(t.names, name)
		t.chats[toolID{tool.namespace, tool.name}] = name
		if count[tool.name] == 1 {
			t.chats[toolID{"", tool.name}] = name
		}
	}
	return nil
}

// special returns the tools whose calls differ from those of plain functions, by the chat's names.
func (t *responseTools) special() map[string]calledTool {
	var special map[string]calledTool
	for i := range t.all {
		if tool := &t.all[i]; tool.custom || tool.namespace != "" {
			if special == nil {
				special = make(map[string]calledTool)
			}
			special[t.names[i]] = tool.calledTool
		}
	}
	return special
}

// append appends the functions of a chat's `tools`, of which only may be a selection; nil: all.
func (t *responseTools) append(b []byte, only map[string]bool) []byte {
	separator := byte('[')
	b = append(b, `,"tools":`...)
	for i := range t.all {
		tool, name := &t.all[i], t.names[i]
		if only != nil && !only[name] {
			continue
		}
		b = append(append(b, separator), `{"type":"function","function":{"name":`...)
		b = tool.append(jsontext.AppendString(b, name))
		b = append(b, "}}"...)
		separator = ','
	}
	return append(b, ']')
}

// append appends the members of a function behind its name.
func (t *responseTool) append(b []byte) []byte {
	if t.custom {
		b = jsontext.AppendString(append(b, `,"description":`...), t.instructions())
		return append(b, `,"parameters":{"type":"object","properties":{"input":{"type":"string","description":"All of the tool's input, as it is."}},"required":["input"],"additionalProperties":false}`...)
	}
	if !jsontext.IsNone(t.description) {
		b = append(append(b, `,"description":`...), t.description...)
	}
	if !jsontext.IsNone(t.parameters) {
		b = append(append(b, `,"parameters":`...), t.parameters...)
	}
	if string(t.strict) == "true" {
		b = append(b, `,"strict":true`...)
	}
	return b
}

// instructions is the description of a custom tool, with the grammar of its input: a chat has no other place for it.
func (t *responseTool) instructions() string {
	text := jsontext.StringOf(t.description)
	var kind, syntax, definition string
	r := jsontext.NewRereader(t.format)
	r.Object(func(name []byte) {
		switch string(name) {
		case "type":
			kind = r.String()
		case "syntax":
			syntax = r.String()
		case "definition":
			definition = r.String()
		}
	})
	if kind == "grammar" {
		text += "\n\nThe input must follow this grammar (" + syntax + "):\n" + definition
	}
	return text
}

// choose reads `tool_choice`. It returns what the chat's is, nil where that says nothing, and the tools that may be
// called; nil: all.
func (t *responseTools) choose(choice []byte) (chosen []byte, only map[string]bool, err error) {
	if jsontext.IsNone(choice) {
		return nil, nil, nil
	}
	mode := jsontext.StringOf(choice)
	var kind, name, namespace string
	var tools []byte
	r := jsontext.NewRereader(choice)
	r.Object(func(field []byte) {
		switch string(field) {
		case "type":
			kind = r.String()
		case "name":
			name = r.String()
		case "namespace":
			namespace = r.String()
		case "mode":
			mode = r.String()
		case "tools":
			tools = r.Raw()
		}
	})
	switch {
	case kind == "function" || kind == "custom":
		called := t.chats[toolID{namespace, name}]
		if called == "" {
			return nil, nil, hub.BadRequest("tool_choice.name", "Choose one of the `tools` by its name: there is none of this one.")
		}
		chosen = append(jsontext.AppendString([]byte(`{"type":"function","function":{"name":`), called), "}}"...)
		return chosen, nil, nil
	case kind == "allowed_tools":
		if only, err = t.allow(tools); err != nil {
			return nil, nil, err
		}
	case kind != "":
		return nil, nil, hub.BadRequest("tool_choice.type", "Choose a function or a custom tool: tools that OpenAI's servers run are not served for this model.")
	}
	some := len(t.all) > 0 && (only == nil || len(only) > 0)
	switch {
	case mode == "auto":
		return nil, only, nil
	case mode == "none":
		return []byte(`"none"`), only, nil
	case mode != "required":
		return nil, nil, hub.BadRequest("tool_choice", "Send `tool_choice` as none, auto, required, allowed_tools, or a tool's type and name.")
	case !some:
		return nil, nil, hub.BadRequest("tool_choice", "Leave `tool_choice` to the model: none of the tools is served for it.")
	}
	return []byte(`"required"`), only, nil
}

// allow returns the chat's names of allowed tools. Those that have been left out cannot be called anyway.
func (t *responseTools) allow(tools []byte) (map[string]bool, error) {
	only := make(map[string]bool)
	var err error
	r := jsontext.NewRereader(tools)
	if !r.Array(func() {
		var kind, name, namespace string
		r.Object(func(field []byte) {
			switch string(field) {
			case "type":
				kind = r.String()
			case "name":
				name = r.String()
			case "namespace":
				namespace = r.String()
			}
		})
		if kind != "function" && kind != "custom" {
			return
		}
		called := t.chats[toolID{namespace, name}]
		if called == "" {
			err = hub.BadRequest("tool_choice.tools", "Allow none but the `tools` of the request.")
		}
		only[called] = true
	}) {
		err = hub.BadRequest("tool_choice.tools", "Send the allowed tools as an array.")
	}
	return only, err
}
