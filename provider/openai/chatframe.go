package openai

import (
	"github.com/tidwall/gjson"

	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
)

// chatFrame is one message of a chat: a chunk of a stream, or a whole answer. Values stay the JSON that
// they are, so that what is right already is looked at once and never decoded.
type chatFrame struct {
	id, object, created, model []byte
	usage, groqUsage           []byte
	choices                    []chatChoice
	answers                    bool // whether there is an array of choices
	reports                    bool // whether it may be an error
}

// chatChoice is what a frame says of one of the answers.
type chatChoice struct {
	index     []byte
	said      bool // whether there is a delta or a message
	message   bool // whether that is a whole message
	finish    []byte
	text      []byte // of a text completion
	logprobs  []byte
	role      []byte
	content   []byte
	refusal   []byte
	reasoning []byte // by the name that DeepSeek gave it: reasoning_content
	thinking  []byte // by its other name: reasoning
	calls     []byte
	function  []byte // a call in the deprecated form
}

// read reads a message in the place of the one before, whose memory it takes over, and reports whether
// it is a JSON object.
func (f *chatFrame) read(message []byte) bool {
	*f = chatFrame{choices: f.choices[:0]}
	r := jsontext.NewReader(message)
	object := r.Object(func(name []byte) {
		switch string(name) {
		case "id":
			f.id = r.Raw()
		case "object":
			f.object = r.Raw()
		case "created":
			f.created = r.Raw()
		case "model":
			f.model = r.Raw()
		case "choices":
			f.choices = f.choices[:0]
			f.answers = r.Array(func() { f.readChoice(&r) })
		case "usage":
			f.usage = r.Raw()
		case "x_groq":
			r.Object(func(name []byte) {
				if string(name) == "usage" {
					f.groqUsage = r.Raw()
				}
			})
		case "error", "errors", "success", "message", "detail", "type", "name", "code":
			f.reports = true
		}
	})
	return object && r.Close() == nil
}

func (f *chatFrame) readChoice(r *jsontext.Reader) {
	if len(f.choices) > maxChoices {
		return
	}
	if len(f.choices) < cap(f.choices) {
		f.choices = f.choices[:len(f.choices)+1]
	} else {
		f.choices = append(f.choices, chatChoice{})
	}
	c := &f.choices[len(f.choices)-1]
	*c = chatChoice{}
	r.Object(func(name []byte) {
		switch string(name) {
		case "index":
			c.index = r.Raw()
		case "delta":
			c.read(r)
		case "message":
			if !c.said {
				c.message = c.read(r)
			}
		case "finish_reason":
			c.finish = r.Raw()
		case "text":
			c.text = r.Raw()
		case "logprobs":
			c.logprobs = r.Raw()
		}
	})
}

// read reads a delta or a message, and reports whether there is one.
func (c *chatChoice) read(r *jsontext.Reader) bool {
	c.said = r.Object(func(name []byte) {
		switch string(name) {
		case "role":
			c.role = r.Raw()
		case "content":
			c.content = r.Raw()
		case "refusal":
			c.refusal = r.Raw()
		case "reasoning_content":
			c.reasoning = r.Raw()
		case "reasoning":
			c.thinking = r.Raw()
		case "tool_calls":
			c.calls = r.Raw()
		case "function_call":
			c.function = r.Raw()
		}
	})
	return c.said
}

// number is the choice's index, -1 if that is out of range.
func (c *chatChoice) number() int {
	if len(c.index) == 1 && c.index[0] >= '0' && c.index[0] <= '9' {
		return int(c.index[0] - '0')
	}
	index := gjson.ParseBytes(c.index).Int()
	if index < 0 || index >= maxChoices {
		return -1
	}
	return int(index)
}
