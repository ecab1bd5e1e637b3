package anthropic

import (
	"strconv"
	"strings"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
)

// tool is an element of `tools`. Its values are JSON.
type tool struct {
	kind                      string
	name, description, schema []byte
}

func readTool(r *jsontext.Reader) (t tool) {
	r.Object(func(name []byte) {
		switch string(name) {
		case "type":
			t.kind = r.String()
		case "name":
			t.name = r.Raw()
		case "description":
			t.description = r.Raw()
		case "input_schema":
			t.schema = r.Raw()
		}
	})
	return t
}

// serverTools are the beginnings of the types of tools that only Anthropic's servers can run.
var serverTools = []string{"web_search_", "web_fetch_", "code_execution_", "tool_search_tool_", "advisor_", "mcp_toolset"}

// runsAtAnthropic reports whether only Anthropic's servers can run a tool of a type.
func runsAtAnthropic(kind string) bool {
	for _, start := range serverTools {
		if strings.HasPrefix(kind, start) {
			return true
		}
	}
	return false
}

// trainedTools are tools that the client runs and Anthropic's models know without a schema, by the
// beginning of their type (https://docs.anthropic.com/en/docs/agents-and-tools/tool-use/overview). Other
// models are told what they take.
var trainedTools = []struct{ start, description, schema string }{
	{
		"bash_", "Runs a command in a bash shell that keeps its state from one call to the next.",
		`{"type":"object","properties":{"command":{"type":"string","description":"The command to run. Required unless the shell is restarted."},"restart":{"type":"boolean","description":"Whether to restart the shell."}}}`,
	},
	{
		"text_editor_", "Views, creates and edits text files.",
		`{"type":"object","properties":{"command":{"type":"string","enum":["view","create","str_replace","insert"],"description":"What to do."},"path":{"type":"string","description":"The absolute path of the file or folder."},"file_text":{"type":"string","description":"For create: the text of the new file."},"old_str":{"type":"string","description":"For str_replace: the text to replace, which must be in the file once."},"new_str":{"type":"string","description":"For str_replace: the text in its place."},"insert_line":{"type":"integer","description":"For insert: the line behind which to insert, 0 for the beginning."},"insert_text":{"type":"string","description":"For insert: the text to insert."},"view_range":{"type":"array","items":{"type":"integer"},"description":"For view: the first and the last line to show, -1 for the end."}},"required":["command","path"]}`,
	},
}

// complete gives a tool that needs it the schema that the client leaves out. It reports whether other models
// can call the tool at all.
func (t *tool) complete() bool {
	if t.kind == "" || t.kind == "custom" {
		if jsontext.IsNone(t.schema) {
			t.schema = []byte(`{"type":"object","properties":{}}`)
		}
		return true
	}
	for _, trained := range trainedTools {
		if strings.HasPrefix(t.kind, trained.start) {
			t.description = jsontext.AppendString(nil, trained.description)
			t.schema = []byte(trained.schema)
			return true
		}
	}
	return false
}

// toolChoice is `tool_choice`.
type toolChoice struct {
	kind string
	name []byte // JSON
	one  bool   // no parallel calls
}

func readToolChoice(raw []byte) (t toolChoice) {
	r := jsontext.NewRereader(raw)
	r.Object(func(name []byte) {
		switch string(name) {
		case "type":
			t.kind = r.String()
		case "name":
			t.name = r.Raw()
		case "disable_parallel_tool_use":
			t.one = r.True()
		}
	})
	return t
}

// appendTools appends the tools as functions, and how the model is to choose among them. Tools that only
// Anthropic's servers can run are left out.
func (m *members) appendTools(b []byte) ([]byte, error) {
	choice := readToolChoice(m.toolChoice)
	if !jsontext.IsNone(m.tools) && m.tools[0] != '[' {
		return nil, hub.BadRequest("tools", "Send `tools` as an array.")
	}
	start := len(b)
	b = append(b, `,"tools":[`...)
	begun := len(b)
	i, found := 0, false
	var err error
	r := jsontext.NewRereader(m.tools)
	r.Array(func() {
		t := readTool(&r)
		if err == nil && !runsAtAnthropic(t.kind) {
			if len(b) > begun {
				b = append(b, ',')
			}
			b, err = t.append(b, "tools["+strconv.Itoa(i)+"]")
			found = found || string(t.name) == string(choice.name)
		}
		i++
	})
	if err != nil {
		return nil, err
	}
	some := len(b) > begun
	b = append(b, ']')
	if !some {
		b = b[:start]
	}
	if jsontext.IsNone(m.toolChoice) {
		return b, nil
	}
	return choice.append(b, some, found)
}

// append appends a tool as a function. at is its field.
func (t *tool) append(b []byte, at string) ([]byte, error) {
	switch {
	case !t.complete():
		return nil, hub.BadRequest(at+".type", "Leave out the tool of the type "+t.kind+": other models than Anthropic's do not know it.")
	case !jsontext.IsSaid(t.name):
		return nil, hub.BadRequest(at+".name", "Send the tool's `name`.")
	case t.schema[0] != '{':
		return nil, hub.BadRequest(at+".input_schema", "Send `input_schema` as a JSON schema.")
	case !jsontext.IsNone(t.description) && !jsontext.IsString(t.description):
		return nil, hub.BadRequest(at+".description", "Send `description` as a string.")
	}
	b = append(append(b, `{"type":"function","function":{"name":`...), t.name...)
	if jsontext.IsSaid(t.description) {
		b = append(append(b, `,"description":`...), t.description...)
	}
	b = append(append(b, `,"parameters":`...), t.schema...)
	return append(b, "}}"...), nil
}

// append appends the choice. some says that there are functions, found that the tool it names is among them.
func (t *toolChoice) append(b []byte, some, found bool) ([]byte, error) {
	switch {
	case t.kind == "tool" && !found:
		return nil, hub.BadRequest("tool_choice.name", "Choose another tool: this one is not among `tools`, or only Anthropic's servers can run it.")
	case t.kind == "any" && !some:
		return nil, hub.BadRequest("tool_choice.type", "Send a tool that the model can call: there is none, or only Anthropic's servers can run it.")
	case t.kind != "auto" && t.kind != "any" && t.kind != "tool" && t.kind != "none":
		return nil, hub.BadRequest("tool_choice.type", "Send the `type` of `tool_choice` as auto, any, tool or none.")
	case !some:
		return b, nil
	}
	switch t.kind {
	case "auto":
		b = append(b, `,"tool_choice":"auto"`...)
	case "any":
		b = append(b, `,"tool_choice":"required"`...)
	case "none":
		b = append(b, `,"tool_choice":"none"`...)
	case "tool":
		b = append(append(b, `,"tool_choice":{"type":"function","function":{"name":`...), t.name...)
		b = append(b, "}}"...)
	}
	if t.one {
		b = append(b, `,"parallel_tool_calls":false`...)
	}
	return b, nil
}
