package googleaistudio

import (
	"bytes"
	"unicode/utf8"

	"github.com/tidwall/gjson"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
)

// text returns the text of a content, a string or an array of text parts, as a JSON string. Most texts are
// sent on as the client wrote them, so they are not decoded. at is the content's field in the request.
func text(at string, content []byte) ([]byte, error) {
	switch kind(content) {
	case 'n':
		return nil, nil
	case '"':
		return content, nil
	case '[':
	default:
		return nil, errContent(at)
	}
	var first, all []byte
	err := each(at, content, func(at string, r *jsontext.Reader) error {
		part := readContentPart(r)
		value := part.text
		if part.kind == "refusal" {
			value = part.refusal
		} else if part.kind != "text" {
			return hub.BadRequest(at+".type", "Send this role's content as text: Gemini accepts other parts only from the user.")
		}
		if kind(value) != '"' {
			return hub.BadRequest(at+"."+part.kind, "Send `"+part.kind+"` as a string.")
		}
		switch {
		case first == nil:
			first = value
		case all == nil:
			all = join(join(nil, first), value)
		default:
			all = join(all, value)
		}
		return nil
	})
	if all == nil { // there is mostly one part, which needs no copy
		return first, err
	}
	return all, err
}

// join appends a JSON string to another, which may be nil.
func join(all, more []byte) []byte {
	if all == nil {
		return append(all, more...)
	}
	return append(all[:len(all)-1], more[1:]...)
}

// blank reports whether a JSON string is empty or only white space.
func blank(quoted []byte) bool {
	if isEmpty(quoted) {
		return true
	}
	rest := bytes.TrimLeft(quoted[1:], " ")
	if c := rest[0]; c < utf8.RuneSelf && c != '\\' && c != '"' {
		return false
	}
	return len(bytes.TrimSpace(jsontext.AppendUnquoted(nil, quoted))) == 0
}

func isEmpty(quoted []byte) bool { return len(quoted) <= len(`""`) }

func errContent(at string) error {
	return hub.BadRequest(at, "Send `content` as a string or an array of parts.")
}

// contentPart is a part of a message's content. Its values are kept as JSON.
type contentPart struct {
	kind               string
	text, refusal      []byte
	image, audio, file []byte
}

func readContentPart(r *jsontext.Reader) (p contentPart) {
	r.Object(func(name []byte) {
		switch string(name) {
		case "type":
			p.kind = r.String()
		case "text":
			p.text = r.Raw()
		case "refusal":
			p.refusal = r.Raw()
		case "image_url":
			p.image = r.Raw()
		case "input_audio":
			p.audio = r.Raw()
		case "file":
			p.file = r.Raw()
		}
	})
	return p
}

// appendParts appends the content of a user's message to Gemini's parts.
func (c *conversation) appendParts(b []byte, at string, content []byte) ([]byte, error) {
	switch kind(content) {
	case 'n':
		return b, nil
	case '"':
		return appendQuoted(b, content), nil
	case '[':
	default:
		return b, errContent(at)
	}
	err := each(at, content, func(at string, r *jsontext.Reader) (err error) {
		b, err = c.appendPart(b, at, readContentPart(r))
		return err
	})
	return b, err
}

// appendText appends a text part unless text is empty, because Gemini refuses empty ones.
func appendText(b []byte, text string) []byte {
	if text == "" {
		return b
	}
	b = append(separate(b), `{"text":`...)
	return append(jsontext.AppendString(b, text), '}')
}

// appendQuoted is appendText for a text that is a JSON string.
func appendQuoted(b, text []byte) []byte {
	if isEmpty(text) {
		return b
	}
	b = append(separate(b), `{"text":`...)
	return append(append(b, text...), '}')
}

// appendSigned appends a text of the model with its thought signature.
func appendSigned(b, text []byte, signature string) []byte {
	if isEmpty(text) {
		return b
	}
	b = appendQuoted(b, text)
	if signature == "" {
		return b
	}
	b = jsontext.AppendString(append(b[:len(b)-1], `,"thoughtSignature":`...), signature)
	return append(b, '}')
}

func (c *conversation) appendPart(b []byte, at string, part contentPart) ([]byte, error) {
	switch part.kind {
	case "text":
		if kind(part.text) != '"' {
			return b, hub.BadRequest(at+".text", "Send `text` as a string.")
		}
		return appendQuoted(b, part.text), nil
	case "image_url":
		data, err := c.images.image(at+".image_url", part.image)
		if err != nil {
			return b, err
		}
		return data.append(b), nil
	case "input_audio":
		return appendAudio(b, at+".input_audio", gjson.ParseBytes(part.audio))
	case "file":
		if data, ok := parseData(gjson.GetBytes(part.file, "file_data").Str); ok {
			return data.append(b), nil
		}
		return b, hub.BadRequest(at+".file.file_data", "Send a file as `file_data` with a URL of the form data:<type>;base64,<data>: Gemini cannot read files that were uploaded to OpenAI.")
	}
	return b, hub.BadRequest(at+".type", "Send parts of the types text, image_url, input_audio and file.")
}
