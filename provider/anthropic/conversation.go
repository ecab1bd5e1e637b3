package anthropic

import (
	"bytes"
	"strconv"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
)

// conversation turns messages of Anthropic's into those of a chat. Anthropic puts the results of tools into
// the user's messages. In a chat they are messages of their own, which must follow the one with the calls at
// once: all else that the user's side says waits until the assistant's next message.
type conversation struct {
	b       []byte // the chat's messages, each with a comma behind it
	waiting []byte // those that wait

	parts []byte // of the content that is read: a user's parts, or an assistant's calls
	texts int    // how many of parts are text
	count int    // how many parts there are

	at   place
	file string // the field of the first file that is no image
	err  error
}

// place is where in the request the reading is. block and inner are -1 where it is not within one.
type place struct{ message, block, inner int }

// field is a field at the place of the reading.
func (c *conversation) field(name string) string {
	at := "system"
	if c.at.message >= 0 {
		at = "messages[" + strconv.Itoa(c.at.message) + "]"
		if c.at.block >= 0 {
			at += ".content"
		}
	}
	if c.at.block >= 0 {
		at += "[" + strconv.Itoa(c.at.block) + "]"
	}
	if c.at.inner >= 0 {
		at += ".content[" + strconv.Itoa(c.at.inner) + "]"
	}
	return at + name
}

// refuse ends the reading with an error that names a field at the place of the reading.
func (c *conversation) refuse(field, message string) {
	if c.err == nil {
		c.err = hub.BadRequest(c.field(field), message)
	}
}

// appendMessages appends the chat's messages, with the system's first.
func (m *members) appendMessages(b []byte) ([]byte, error) {
	if len(m.messages) == 0 || m.messages[0] != '[' {
		return nil, hub.BadRequest("messages", "Send `messages` as an array of messages.")
	}
	c := conversation{b: append(b, `,"messages":[`...), at: place{-1, -1, -1}}
	start := len(c.b)
	c.system(m.system)
	r := jsontext.NewRereader(m.messages)
	r.Array(func() {
		c.at = place{c.at.message + 1, -1, -1}
		if c.err == nil {
			c.message(r.Raw())
		}
	})
	switch c.flush(); {
	case c.err != nil:
		return nil, c.err
	case len(c.b) == start:
		return nil, hub.BadRequest("messages", "Send at least one message that is not empty.")
	}
	m.file = c.file
	c.b[len(c.b)-1] = ']' // in the place of the last comma
	return c.b, nil
}

// flush adds the messages that wait.
func (c *conversation) flush() {
	c.b = append(c.b, c.waiting...)
	c.waiting = c.waiting[:0]
}

func (c *conversation) message(raw []byte) {
	var role, content []byte
	r := jsontext.NewRereader(raw)
	r.Object(func(name []byte) {
		switch string(name) {
		case "role":
			role = r.Raw()
		case "content":
			content = r.Raw()
		}
	})
	switch jsontext.StringOf(role) {
	case "user":
		c.user(content)
	case "assistant":
		c.assistant(content)
	case "system":
		c.system(content)
	default:
		c.refuse(".role", "Send `role` as user, assistant or system.")
	}
}

// eachBlock calls visit with each block of a content that is an array. It refuses what is none.
func (c *conversation) eachBlock(content []byte, visit func(k *block)) {
	if len(content) == 0 || content[0] != '[' {
		if c.at.message < 0 {
			c.refuse("", "Send `system` as a string or an array of blocks.")
		}
		c.refuse(".content", "Send `content` as a string or an array of blocks.")
		return
	}
	at := c.at
	r := jsontext.NewRereader(content)
	r.Array(func() {
		if c.at.block++; c.err == nil {
			k := readBlock(&r)
			visit(&k)
		}
	})
	c.at = at
}

// billingHeader begins a text that Claude Code has for Anthropic's servers alone.
var billingHeader = []byte("x-anthropic-billing-header:")

// system adds a system's message. Its blocks become paragraphs of one text, which every model takes.
func (c *conversation) system(content []byte) {
	if jsontext.IsNone(content) {
		return
	}
	start := len(c.waiting)
	c.waiting = append(c.waiting, `{"role":"system","content":"`...)
	begun := len(c.waiting)
	if jsontext.IsString(content) {
		c.waiting = append(c.waiting, inner(content)...)
	} else {
		c.eachBlock(content, func(k *block) {
			text := c.text(k)
			if k.kind != "text" {
				c.refuse(".type", "Send the system's blocks as text.")
			}
			if len(text) == 0 || bytes.HasPrefix(text, billingHeader) {
				return
			}
			if len(c.waiting) > begun {
				c.waiting = append(c.waiting, `\n\n`...)
			}
			c.waiting = append(c.waiting, text...)
		})
	}
	if len(c.waiting) == begun {
		c.waiting = c.waiting[:start]
		return
	}
	c.waiting = append(c.waiting, `"},`...)
}

// assistant adds a message of the assistant's. What it thought is left out: it means nothing to another
// model, and Gemini's thought signatures are known by the ids of the calls. So are the steps that Anthropic's
// servers took on their own.
func (c *conversation) assistant(content []byte) {
	c.flush()
	start := len(c.b)
	c.b = append(c.b, `{"role":"assistant","content":"`...)
	begun := len(c.b)
	c.parts = c.parts[:0]
	if jsontext.IsString(content) {
		c.b = append(c.b, inner(content)...)
	} else {
		c.eachBlock(content, c.assistantBlock)
	}
	if len(c.b) == begun && len(c.parts) == 0 {
		c.b = c.b[:start]
		return
	}
	c.b = append(c.b, '"')
	if len(c.parts) > 0 {
		c.b = append(append(append(c.b, `,"tool_calls":[`...), c.parts...), ']')
	}
	c.b = append(c.b, "},"...)
}

func (c *conversation) assistantBlock(k *block) {
	switch k.kind {
	case "text":
		c.b = append(c.b, c.text(k)...)
	case "compaction": // a summary of the conversation before
		if jsontext.IsString(k.content) {
			c.b = append(c.b, inner(k.content)...)
		}
	case "tool_use":
		c.call(k)
	default:
		if !leftOut(k.kind) {
			c.refuse(".type", "Send the assistant's blocks as text, thinking or tool_use: other models take no others.")
		}
	}
}

// call adds a call of a tool to those of the message.
func (c *conversation) call(k *block) {
	switch {
	case !jsontext.IsSaid(k.id):
		c.refuse(".id", "Send the `id` of the tool's call.")
	case !jsontext.IsSaid(k.name):
		c.refuse(".name", "Send the `name` of the tool.")
	case len(k.input) == 0 || k.input[0] != '{':
		c.refuse(".input", "Send `input` as an object.")
	}
	if c.err != nil {
		return
	}
	if len(c.parts) > 0 {
		c.parts = append(c.parts, ',')
	}
	c.parts = appendProviderID(append(c.parts, `{"id":`...), k.id)
	c.parts = append(append(c.parts, `,"type":"function","function":{"name":`...), k.name...)
	c.parts = append(c.parts, `,"arguments":`...)
	c.parts = append(jsontext.AppendString(c.parts, string(k.input)), "}}"...)
}

// appendProviderID appends the id that the provider of a call knows it by. raw is JSON.
func appendProviderID(b, raw []byte) []byte {
	if !bytes.HasPrefix(raw[1:], []byte(encodedID)) {
		return append(b, raw...)
	}
	return jsontext.AppendString(b, providerID(jsontext.StringOf(raw)))
}
