package openai

import (
	"strconv"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
)

// responseItem is an element of `input`. Its values stay JSON.
type responseItem struct {
	object                  bool
	kind, role, content, id []byte
	callID, name, namespace []byte
	arguments, input        []byte
}

func readItem(r *jsontext.Reader) (t responseItem) {
	t.object = r.Object(func(name []byte) {
		switch string(name) {
		case "type":
			t.kind = r.Raw()
		case "role":
			t.role = r.Raw()
		case "content":
			t.content = r.Raw()
		case "id":
			t.id = r.Raw()
		case "call_id":
			t.callID = r.Raw()
		case "name":
			t.name = r.Raw()
		case "namespace":
			t.namespace = r.Raw()
		case "arguments":
			t.arguments = r.Raw()
		case "input":
			t.input = r.Raw()
		}
	})
	return t
}

// callResult is an item with the output of a call. Its values stay JSON.
type callResult struct {
	item           int // its place in `input`
	callID, output []byte
}

// readResult reads an item. ok reports whether it is a result.
func readResult(r *jsontext.Reader) (t callResult, ok bool) {
	r.Object(func(name []byte) {
		switch string(name) {
		case "type":
			kind := string(r.Raw())
			ok = kind == `"function_call_output"` || kind == `"custom_tool_call_output"`
		case "call_id":
			t.callID = r.Raw()
		case "output":
			t.output = r.Raw()
		}
	})
	return t, ok
}

// chatMessages writes the messages of a chat. A chat has what the model says next to each other in one message, with
// its calls, and the calls' results right behind it, whereas items come one by one and in any order.
type chatMessages struct {
	b       []byte
	start   int // where in b the messages begin
	tools   *responseTools
	results map[string][]callResult // by the id of their calls, in their order

	open   string     // the role of the message that is being collected; "": none
	text   joinedText // what it says
	calls  []byte     // separated by commas
	called []string   // their ids
}

// appendMessages appends the messages of a chat, separated by commas.
func appendMessages(b []byte, q *responseRequest, tools *responseTools) ([]byte, error) {
	m := chatMessages{b: b, start: len(b), tools: tools}
	if !jsontext.IsNone(q.instructions) {
		if !jsontext.IsString(q.instructions) {
			return b, hub.BadRequest("instructions", "Send `instructions` as a string.")
		}
		if err := m.collect("system", q.instructions); err != nil {
			return b, err
		}
	}
	if jsontext.IsString(q.input) {
		if err := m.flush(); err != nil {
			return b, err
		}
		m.message("user", q.input)
		return m.b, nil
	}
	err := m.readResults(q.input)
	i := 0
	r := jsontext.NewRereader(q.input)
	r.Array(func() {
		if err == nil {
			t := readItem(&r)
			err = m.item(i, &t)
		}
		i++
	})
	if err == nil {
		err = m.flush()
	}
	if err == nil {
		err = m.checkResults()
	}
	if err == nil && len(m.b) == m.start {
		err = hub.BadRequest("input", "Send at least one message that is not empty.")
	}
	return m.b, err
}

// readResults reads the results of calls, which may stand anywhere behind them.
func (m *chatMessages) readResults(input []byte) error {
	m.results = make(map[string][]callResult)
	i := 0
	r := jsontext.NewRereader(input)
	if !r.Array(func() {
		if t, ok := readResult(&r); ok {
			t.item = i
			id := jsontext.StringOf(t.callID)
			m.results[id] = append(m.results[id], t)
		}
		i++
	}) {
		return hub.BadRequest("input", "Send `input` as a string or an array of items.")
	}
	return nil
}

// checkResults refuses results without a call.
func (m *chatMessages) checkResults() error {
	first := -1
	for _, left := range m.results {
		if len(left) > 0 && (first < 0 || left[0].item < first) {
			first = left[0].item
		}
	}
	if first < 0 {
		return nil
	}
	return hub.BadRequest(itemField(first)+".call_id", "Send each tool's output once, with the call that it belongs to: this one belongs to none.")
}

// itemField is the name of an item as a field.
func itemField(i int) string { return "input[" + strconv.Itoa(i) + "]" }

// droppedItems record what OpenAI's servers, or tools that only its models know, have done.
var droppedItems = map[string]bool{
	"reasoning":       true,
	"web_search_call": true, "file_search_call": true, "code_interpreter_call": true, "image_generation_call": true,
	"computer_call": true, "computer_call_output": true,
	"local_shell_call": true, "local_shell_call_output": true, "shell_call": true, "shell_call_output": true,
	"apply_patch_call": true, "apply_patch_call_output": true, "tool_search_call": true, "tool_search_output": true,
	"mcp_list_tools": true, "mcp_approval_request": true, "mcp_approval_response": true, "mcp_call": true,
	"program": true, "program_output": true, "moderation_result": true,
}

// item writes an item.
func (m *chatMessages) item(i int, t *responseItem) error {
	if !t.object {
		return hub.BadRequest(itemField(i), "Send each item of `input` as an object.")
	}
	switch kind := jsontext.StringOf(t.kind); kind {
	case "", "message":
		if jsontext.IsNone(t.role) && jsontext.IsString(t.id) {
			return errReference(i)
		}
		return m.said(i, t)
	case "function_call", "custom_tool_call":
		return m.call(i, t, kind == "custom_tool_call")
	case "function_call_output", "custom_tool_call_output": // comes with its call; calls behind it are later ones
		if len(m.calls) == 0 {
			return nil
		}
		return m.flush()
	case "item_reference":
		return errReference(i)
	default:
		if droppedItems[kind] {
			return nil
		}
		return hub.BadRequest(itemField(i)+".type", "Leave out this item of `input`: this model can be told of messages, tool calls and their outputs alone.")
	}
}

func errReference(i int) error {
	return hub.BadRequest(itemField(i), "Send the item itself in the place of an `item_reference`: no item is stored for this model.")
}

// said writes a message.
func (m *chatMessages) said(i int, t *responseItem) error {
	role := jsontext.StringOf(t.role)
	switch role {
	case "system", "developer":
		role = "system"
	case "assistant", "user":
	default:
		return hub.BadRequest(itemField(i)+".role", "Send `role` as system, developer, user or assistant.")
	}
	c, err := readContent(t.content)
	if err != nil {
		return within(itemField(i)+".content", err)
	}
	switch {
	case role != "user" && c.other:
		return hub.BadRequest(itemField(i)+".content", "Send this role's `content` as text.")
	case role != "user":
		return m.collect(role, c.text.json())
	}
	if err := m.flush(); err != nil {
		return err
	}
	switch {
	case c.other:
		m.message(role, append(c.appendParts([]byte{'['}, true), ']'))
	case !c.text.empty():
		m.message(role, c.text.json())
	}
	return nil
}

// collect adds a text, a JSON string, to the message of that role.
func (m *chatMessages) collect(role string, text []byte) error {
	if m.open != role {
		if err := m.flush(); err != nil {
			return err
		}
		m.open = role
	}
	m.text.add(text)
	return nil
}

// call adds a call to what the model says.
func (m *chatMessages) call(i int, t *responseItem, custom bool) error {
	id, name := jsontext.StringOf(t.callID), jsontext.StringOf(t.name)
	switch {
	case id == "":
		return hub.BadRequest(itemField(i)+".call_id", "Send the call's `call_id`.")
	case name == "":
		return hub.BadRequest(itemField(i)+".name", "Send the called tool's `name`.")
	case custom && !jsontext.IsString(t.input):
		return hub.BadRequest(itemField(i)+".input", "Send the call's `input` as a string.")
	case !custom && !jsontext.IsString(t.arguments):
		return hub.BadRequest(itemField(i)+".arguments", "Send the call's `arguments` as a string.")
	}
	if err := m.collect("assistant", nil); err != nil {
		return err
	}
	if known := m.tools.chats[toolID{jsontext.StringOf(t.namespace), name}]; known != "" {
		name = known
	}
	if len(m.calls) > 0 {
		m.calls = append(m.calls, ',')
	}
	m.calls = append(append(append(m.calls, `{"id":`...), t.callID...), `,"type":"function","function":{"name":`...)
	m.calls = append(jsontext.AppendString(m.calls, name), `,"arguments":`...)
	if custom {
		m.calls = jsontext.AppendString(m.calls, `{"input":`+string(t.input)+`}`)
	} else {
		m.calls = append(m.calls, t.arguments...)
	}
	m.calls = append(m.calls, "}}"...)
	m.called = append(m.called, id)
	return nil
}

// flush writes the message that has been collected, with the results of its calls.
func (m *chatMessages) flush() error {
	role := m.open
	m.open = ""
	if role == "" || m.text.empty() && len(m.calls) == 0 {
		return nil
	}
	m.message(role, m.text.json())
	m.text.reset()
	if len(m.calls) == 0 {
		return nil
	}
	m.b = append(append(m.b[:len(m.b)-1], `,"tool_calls":[`...), m.calls...)
	m.b = append(m.b, "]}"...)
	called := m.called
	m.calls, m.called = m.calls[:0], m.called[:0]
	return m.writeResults(called)
}

// message writes a message.
func (m *chatMessages) message(role string, content []byte) {
	m.begin(role)
	m.b = append(append(append(m.b, `,"content":`...), content...), '}')
}

// begin begins a message.
func (m *chatMessages) begin(role string) {
	if len(m.b) > m.start {
		m.b = append(m.b, ',')
	}
	m.b = append(append(append(m.b, `{"role":"`...), role...), '"')
}

// writeResults writes the results of calls. Images in them go into a message of the user's, since a tool's has none.
func (m *chatMessages) writeResults(called []string) error {
	var images []byte
	for _, id := range called {
		left := m.results[id]
		if len(left) == 0 {
			return hub.BadRequest("input", "Send the output of each call: there is none for "+strconv.Quote(id)+".")
		}
		m.results[id] = left[1:]
		t := &left[0]
		c, err := readContent(t.output)
		if err != nil {
			return within(itemField(t.item)+".output", err)
		}
		if c.other {
			label := jsontext.AppendString(nil, "What the call "+id+" has put out beside its text:")
			images = c.appendParts(appendTextPart(separate(images), label), false)
			if c.text.empty() {
				c.text.add([]byte(`"(See the next message.)"`))
			}
		}
		m.begin("tool")
		m.b = append(append(m.b, `,"tool_call_id":`...), t.callID...)
		m.b = append(append(append(m.b, `,"content":`...), c.text.json()...), '}')
	}
	if images != nil {
		m.begin("user")
		m.b = append(append(append(m.b, `,"content":[`...), images...), "]}"...)
	}
	return nil
}
