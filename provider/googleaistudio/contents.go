package googleaistudio

import (
	"errors"
	"strconv"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
)

// Gemini's roles.
const (
	user  = "user"
	model = "model"
)

// conversation holds the messages of a chat in Gemini's form: the instructions are separate, and the user and
// the model take turns.
type conversation struct {
	system []byte // the parts of the system instruction
	turns  []*turn

	// The calls that wait for their results: by the client's id, by name, and by both.
	byID, byName, byBoth map[string][]*call

	ids    callIDs
	images resolutions

	scratch *scratch // the memory of system and of the turns' parts, unless they outgrow it
	free    []byte   // the memory in scratch that the turns before the last do not use

	// recall returns the thought signature of the call with that id, or "".
	recall func(id string) string
}

// turn is what one side says before the other side speaks.
type turn struct {
	role  string
	parts []byte  // JSON, separated by commas
	calls []*call // the functions that the model calls in this turn
}

// readMessages reads `messages` for a model.
func readMessages(messages []byte, model string, recall func(id string) string) (*conversation, error) {
	if kind(messages) != '[' {
		return nil, hub.BadRequest("messages", "Send `messages` as an array of messages.")
	}
	c := &conversation{byID: map[string][]*call{}, byName: map[string][]*call{}, byBoth: map[string][]*call{}, recall: recall}
	c.images.each = hasLevels(model)
	c.takeScratch(len(messages))
	err := each("messages", messages, c.message)
	if err != nil {
		return nil, err
	}
	if len(c.turns) == 0 { // Gemini refuses instructions without a message
		if len(c.system) == 0 {
			return nil, hub.BadRequest("messages", "Send at least one message that is not empty.")
		}
		c.turns = []*turn{{role: user, parts: c.system}}
		c.system = nil
	}
	return c, nil
}

// each calls visit with a Reader at each element of an array, until visit returns an error. at is the array's
// field in the request.
// visit gets "" for the element's field and begins the Param of its errors with that. each puts the element's
// field in front. Making that text for each element would take longer than reading the element.
func each(at string, array []byte, visit func(at string, r *jsontext.Reader) error) error {
	var err error
	i := 0
	r := jsontext.NewRereader(array)
	r.Array(func() {
		if err != nil {
			return
		}
		if err = visit("", &r); err == nil {
			i++
		}
	})
	var refused *hub.Error
	if errors.As(err, &refused) {
		within := *refused
		within.Param = at + "[" + strconv.Itoa(i) + "]" + within.Param
		return &within
	}
	return err
}

// kind returns the first character of a JSON value, which tells its type. For a missing value it returns 'n',
// as for null.
func kind(value []byte) byte {
	if len(value) == 0 {
		return 'n'
	}
	return value[0]
}

// message is a message of a chat. Values that may be long or have several types are kept as JSON.
type message struct {
	role, name, callID string

	content, refusal    []byte
	toolCalls, function []byte
	extra               []byte
}

func readMessage(r *jsontext.Reader) (m message, ok bool) {
	ok = r.Object(func(name []byte) {
		switch string(name) {
		case "role":
			m.role = r.String()
		case "name":
			m.name = r.String()
		case "tool_call_id":
			m.callID = r.String()
		case "content":
			m.content = r.Raw()
		case "refusal":
			m.refusal = r.Raw()
		case "tool_calls":
			m.toolCalls = r.Raw()
		case "function_call":
			m.function = r.Raw()
		case "extra_content":
			m.extra = r.Raw()
		}
	})
	return m, ok
}

func (c *conversation) message(at string, r *jsontext.Reader) error {
	m, ok := readMessage(r)
	if !ok {
		return hub.BadRequest(at, "Send each message as an object with `role` and `content`.")
	}
	switch m.role {
	case "system", "developer":
		said, err := text(at+".content", m.content)
		c.system = appendQuoted(c.system, said)
		return err
	case "user":
		t := c.turn(user)
		parts, err := c.appendParts(t.parts, at+".content", m.content)
		t.parts = parts
		c.keep(t)
		return err
	case "assistant":
		return c.assistant(at, &m)
	case "tool":
		return c.result(at, "tool_call_id", &m)
	case "function":
		return c.result(at, "name", &m)
	}
	return hub.BadRequest(at+".role", "Send `role` as system, developer, user, assistant, tool or function.")
}

func (c *conversation) assistant(at string, m *message) error {
	said, err := text(at+".content", m.content)
	if err != nil {
		return err
	}
	if blank(said) { // Continue sends " " beside tool calls
		said = nil
		if kind(m.refusal) == '"' {
			said = m.refusal
		}
	}
	t := c.turn(model)
	t.parts = appendSigned(t.parts, said, signature(m.extra))
	if err := c.assistantCalls(t, at, m); err != nil {
		return err
	}
	c.keep(t)
	return nil
}

// turn returns the turn for the next message of role: the last turn, or a new one that keep must add.
func (c *conversation) turn(role string) *turn {
	if last := c.last(); last != nil && last.role == role {
		return last
	}
	return &turn{role: role, parts: c.room()}
}

// keep adds t as the last turn unless it is empty.
func (c *conversation) keep(t *turn) {
	if len(t.parts) > 0 && t != c.last() {
		c.add(t)
	}
}

func (c *conversation) last() *turn {
	if len(c.turns) == 0 {
		return nil
	}
	return c.turns[len(c.turns)-1]
}

// Gemini accepts only conversations that begin and end with the user. These texts are sent if the user's
// message is missing there. Continue drops the oldest messages of a long conversation.
const (
	noBeginning = "(The beginning of this conversation was left out.)"
	noEnd       = "Continue."
)

// write adds the conversation to the body of a request.
func (c *conversation) write(body *object) {
	defer c.giveBack()
	if len(c.system) > 0 {
		body.name("systemInstruction")
		body.b = append(append(append(body.b, `{"parts":[`...), c.system...), "]}"...)
	}
	if c.turns[0].role == model {
		c.turns = append([]*turn{{role: user, parts: appendText(nil, noBeginning)}}, c.turns...)
	}
	if last := c.last(); last.role == model {
		next := &turn{role: user}
		if len(last.calls) == 0 {
			next.parts = appendText(nil, noEnd)
		}
		c.turns = append(c.turns, next)
	}
	body.name("contents")
	b := append(body.b, '[')
	var calls []*call
	for _, t := range c.turns {
		b = append(separate(b), `{"role":"`+t.role+`","parts":[`...)
		for _, called := range calls { // Gemini wants a result for each call, at the beginning of the next turn
			b = called.appendResult(separate(b))
		}
		if len(t.parts) > 0 {
			b = append(separate(b), t.parts...)
		}
		b = append(b, "]}"...)
		calls = t.calls
	}
	body.b = append(b, ']')
}
