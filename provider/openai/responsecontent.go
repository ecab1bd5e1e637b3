package openai

import (
	"errors"
	"strconv"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
)

// joinedText is text of several JSON strings, with a blank line between them. Empty ones do not count. One alone
// is not copied.
type joinedText struct{ first, all []byte }

func (t *joinedText) add(text []byte) {
	switch {
	case len(text) <= len(`""`):
	case t.first == nil:
		t.first = text
	case len(t.all) == 0:
		t.all = append(t.all, t.first...)
		fallthrough
	default:
		t.all = append(append(t.all[:len(t.all)-1], `\n\n`...), text[1:]...)
	}
}

// json is the text as a JSON string.
func (t *joinedText) json() []byte {
	switch {
	case len(t.all) > 0:
		return t.all
	case t.first != nil:
		return t.first
	}
	return []byte(`""`)
}

func (t *joinedText) empty() bool { return t.first == nil }

// reset empties the text, and keeps its memory.
func (t *joinedText) reset() { t.first, t.all = nil, t.all[:0] }

// contentPart is a part of a content. Its values stay JSON.
type contentPart struct {
	kind, text, refusal []byte
	image, detail       []byte
	audio               []byte
	file, fileName      []byte
}

func readContentPart(r *jsontext.Reader) (p contentPart) {
	r.Object(func(name []byte) {
		switch string(name) {
		case "type":
			p.kind = r.Raw()
		case "text":
			p.text = r.Raw()
		case "refusal":
			p.refusal = r.Raw()
		case "image_url":
			p.image = r.Raw()
		case "detail":
			p.detail = r.Raw()
		case "input_audio":
			p.audio = r.Raw()
		case "file_data":
			p.file = r.Raw()
		case "filename":
			p.fileName = r.Raw()
		}
	})
	return p
}

// content is the content of a message, or the output of a tool: what it says, and the parts that are no text.
type content struct {
	raw   []byte // JSON
	text  joinedText
	other bool // whether a part is no text
}

// readContent reads a string or an array of parts. The field of an error is that behind the content's.
func readContent(raw []byte) (c content, err error) {
	c.raw = raw
	switch {
	case jsontext.IsNone(raw):
		return c, nil
	case jsontext.IsString(raw):
		c.text.add(raw)
		return c, nil
	}
	i := 0
	r := jsontext.NewRereader(raw)
	if !r.Array(func() {
		p := readContentPart(&r)
		if err == nil {
			if err = c.add(&p); err != nil {
				err = within("["+strconv.Itoa(i)+"]", err)
			}
		}
		i++
	}) {
		err = hub.BadRequest("", "Send a string or an array of parts.")
	}
	return c, err
}

// add checks a part, and adds it to the text if it is one.
func (c *content) add(p *contentPart) error {
	if text, field := p.said(); field != "" {
		if !jsontext.IsString(text) {
			return hub.BadRequest("."+field, "Send `"+field+"` as a string.")
		}
		c.text.add(text)
		return nil
	}
	c.other = true
	switch jsontext.StringOf(p.kind) {
	case "input_image":
		if !jsontext.IsString(p.image) {
			return hub.BadRequest(".image_url", "Send an image as `image_url`: files of OpenAI's are out of this model's reach.")
		}
	case "input_audio":
		if jsontext.IsNone(p.audio) {
			return hub.BadRequest(".input_audio", "Send the audio as `input_audio`.")
		}
	case "input_file":
		if !jsontext.IsString(p.file) {
			return hub.BadRequest(".file_data", "Send a file as `file_data`: files of OpenAI's and at other addresses are out of this model's reach.")
		}
	default:
		return hub.BadRequest(".type", "Send parts of the types input_text, input_image, input_audio, input_file, output_text and refusal.")
	}
	return nil
}

// said is the text of a part, and the field that it is in; no field: the part is no text.
func (p *contentPart) said() (text []byte, field string) {
	switch jsontext.StringOf(p.kind) {
	case "input_text", "output_text", "text", "summary_text", "reasoning_text":
		return p.text, "text"
	case "refusal":
		return p.refusal, "refusal"
	}
	return nil, ""
}

// appendParts appends the parts of a chat's content, separated by commas; all: texts too.
func (c *content) appendParts(b []byte, all bool) []byte {
	r := jsontext.NewRereader(c.raw)
	r.Array(func() {
		p := readContentPart(&r)
		text, field := p.said()
		switch {
		case field == "":
			b = p.append(separate(b))
		case all && len(text) > len(`""`):
			b = appendTextPart(separate(b), text)
		}
	})
	return b
}

// separate appends the comma before another part.
func separate(b []byte) []byte {
	if n := len(b); n > 0 && b[n-1] != '[' {
		return append(b, ',')
	}
	return b
}

// appendTextPart appends a text, a JSON string, as a part of a chat's content.
func appendTextPart(b, text []byte) []byte {
	return append(append(append(b, `{"type":"text","text":`...), text...), '}')
}

// append appends a part that is no text to a chat's content.
func (p *contentPart) append(b []byte) []byte {
	switch jsontext.StringOf(p.kind) {
	case "input_image":
		b = append(append(b, `{"type":"image_url","image_url":{"url":`...), p.image...)
		if !jsontext.IsNone(p.detail) {
			b = append(append(b, `,"detail":`...), p.detail...)
		}
		return append(b, "}}"...)
	case "input_audio":
		return append(append(append(b, `{"type":"input_audio","input_audio":`...), p.audio...), '}')
	}
	b = append(append(b, `{"type":"file","file":{"file_data":`...), p.file...)
	if !jsontext.IsNone(p.fileName) {
		b = append(append(b, `,"filename":`...), p.fileName...)
	}
	return append(b, "}}"...)
}

// within is an error about a field within another.
func within(field string, err error) error {
	var refused *hub.Error
	if !errors.As(err, &refused) {
		return err
	}
	inner := *refused
	inner.Param = field + inner.Param
	return &inner
}
