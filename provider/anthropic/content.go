package anthropic

import (
	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
)

// user adds the results of tools that a message of the user's has, and then what else is in it. Images and
// documents in results belong to the latter, because a chat's results are text.
func (c *conversation) user(content []byte) {
	if jsontext.IsString(content) {
		if jsontext.IsSaid(content) {
			c.waiting = append(append(append(c.waiting, `{"role":"user","content":`...), content...), "},"...)
		}
		return
	}
	c.parts, c.texts, c.count = c.parts[:0], 0, 0
	c.eachBlock(content, func(k *block) {
		if k.kind == "tool_result" {
			c.result(k)
			return
		}
		c.part(k)
	})
	const textPart = `{"type":"text","text":`
	switch {
	case c.count == 0:
		return
	case c.count == 1 && c.texts == 1: // as a string, which every model takes
		text := c.parts[len(textPart) : len(c.parts)-1]
		c.waiting = append(append(append(c.waiting, `{"role":"user","content":`...), text...), "},"...)
	default:
		c.waiting = append(append(append(c.waiting, `{"role":"user","content":[`...), c.parts...), "]},"...)
	}
}

// result adds the result of a tool as a message of its own. Its text says that the tool failed where it did.
func (c *conversation) result(k *block) {
	if !jsontext.IsSaid(k.toolUseID) {
		c.refuse(".tool_use_id", "Send the `tool_use_id` of the call whose result this is.")
		return
	}
	c.b = appendProviderID(append(c.b, `{"role":"tool","tool_call_id":`...), k.toolUseID)
	c.b = append(c.b, `,"content":"`...)
	if string(k.isError) == "true" {
		c.b = append(c.b, "Error: "...)
	}
	switch {
	case jsontext.IsNone(k.content):
	case jsontext.IsString(k.content):
		c.b = append(c.b, inner(k.content)...)
	default:
		c.resultBlocks(k)
	}
	c.b = append(c.b, `"},`...)
}

// resultBlocks adds the blocks of a result: text to the result itself, and all else, behind a line that says
// where it is from, to what the user says.
func (c *conversation) resultBlocks(k *block) {
	if k.content[0] != '[' {
		c.refuse(".content", "Send the `content` of a result as a string or an array of blocks.")
		return
	}
	begun, moved := len(c.b), false
	r := jsontext.NewRereader(k.content)
	r.Array(func() {
		if c.at.inner++; c.err != nil {
			return
		}
		part := readBlock(&r)
		switch part.kind {
		case "text":
			c.line(begun, c.text(&part))
		case "tool_reference":
			if jsontext.IsString(part.tool) {
				c.line(begun, inner(part.tool))
			}
		default:
			if !moved {
				moved = true
				c.line(begun, []byte("(The next message has more of this result.)"))
				c.textPart([]byte("More of the result of the call "), inner(appendProviderID(nil, k.toolUseID)), []byte(":"))
			}
			c.part(&part)
		}
	})
	c.at.inner = -1
}

// line adds a line to the text of a result, which began at that place of c.b.
func (c *conversation) line(begun int, text []byte) {
	if len(text) == 0 {
		return
	}
	if len(c.b) > begun {
		c.b = append(c.b, `\n`...)
	}
	c.b = append(c.b, text...)
}

// part adds a block to the parts of a user's message.
func (c *conversation) part(k *block) {
	switch k.kind {
	case "text":
		c.textPart(c.text(k))
	case "image":
		c.image(k)
	case "document":
		c.document(k)
	case "search_result":
		c.searchResult(k)
	default:
		c.refuse(".type", "Send blocks of the types text, image, document, search_result and tool_result: other models take no others.")
	}
}

// begin begins a part.
func (c *conversation) begin() {
	if c.count++; len(c.parts) > 0 {
		c.parts = append(c.parts, ',')
	}
}

// textPart adds a text, which is in pieces, as it stands in JSON without quotes.
func (c *conversation) textPart(pieces ...[]byte) {
	empty := true
	for _, piece := range pieces {
		empty = empty && len(piece) == 0
	}
	if empty {
		return
	}
	c.begin()
	c.texts++
	c.parts = append(c.parts, `{"type":"text","text":"`...)
	for _, piece := range pieces {
		c.parts = append(c.parts, piece...)
	}
	c.parts = append(c.parts, `"}`...)
}

// source is where an image or a document is from. Its values are JSON.
type source struct {
	kind                         string
	mediaType, data, url, blocks []byte
}

func readSource(raw []byte) (s source) {
	r := jsontext.NewRereader(raw)
	r.Object(func(name []byte) {
		switch string(name) {
		case "type":
			s.kind = r.String()
		case "media_type":
			s.mediaType = r.Raw()
		case "data":
			s.data = r.Raw()
		case "url":
			s.url = r.Raw()
		case "content":
			s.blocks = r.Raw()
		}
	})
	return s
}

// isFile reports whether a source holds a file in base64. It refuses one that should but does not.
func (c *conversation) isFile(s *source) bool {
	switch {
	case !jsontext.IsSaid(s.mediaType):
		c.refuse(".source.media_type", "Send the `media_type` of the file.")
	case !jsontext.IsSaid(s.data):
		c.refuse(".source.data", "Send the file's `data` in base64.")
	default:
		return true
	}
	return false
}

// appendDataURL appends the URL of a file that is within the request, without quotes
// (https://www.rfc-editor.org/rfc/rfc2397).
func appendDataURL(b []byte, s *source) []byte {
	b = append(append(b, "data:"...), inner(s.mediaType)...)
	return append(append(b, ";base64,"...), inner(s.data)...)
}

func (c *conversation) image(k *block) {
	s := readSource(k.source)
	switch s.kind {
	case "base64":
		if !c.isFile(&s) {
			return
		}
		c.begin()
		c.parts = appendDataURL(append(c.parts, `{"type":"image_url","image_url":{"url":"`...), &s)
	case "url":
		if !jsontext.IsSaid(s.url) {
			c.refuse(".source.url", "Send the `url` of the image.")
			return
		}
		c.begin()
		c.parts = append(append(c.parts, `{"type":"image_url","image_url":{"url":"`...), inner(s.url)...)
	default:
		c.refuse(".source.type", "Send the image's `source` as base64 or url: other models cannot read Anthropic's files.")
		return
	}
	c.parts = append(c.parts, `"}}`...)
}

// document adds a document: its text where it is one, else a file, which not every model reads.
func (c *conversation) document(k *block) {
	s := readSource(k.source)
	switch s.kind {
	case "text", "content":
		c.heading(k.title, k.context)
	}
	switch s.kind {
	case "text":
		if !jsontext.IsString(s.data) {
			c.refuse(".source.data", "Send the `data` of a text as a string.")
			return
		}
		c.textPart(inner(s.data))
	case "content":
		if jsontext.IsString(s.blocks) {
			c.textPart(inner(s.blocks))
			return
		}
		c.nested(".source.content", s.blocks)
	case "base64":
		if c.isFile(&s) {
			c.addFile(k, &s)
		}
	default:
		c.refuse(".source.type", "Send the document's `source` as text, content or base64: other models cannot read Anthropic's files, nor fetch documents.")
	}
}

// addFile adds a file, for which OpenAI wants a name
// (https://platform.openai.com/docs/guides/pdf-files).
func (c *conversation) addFile(k *block, s *source) {
	if c.file == "" {
		c.file = c.field(".source")
	}
	c.begin()
	c.parts = append(c.parts, `{"type":"file","file":{"filename":`...)
	if jsontext.IsSaid(k.title) {
		c.parts = append(c.parts, k.title...)
	} else {
		c.parts = append(c.parts, `"document.pdf"`...)
	}
	c.parts = appendDataURL(append(c.parts, `,"file_data":"`...), s)
	c.parts = append(c.parts, `"}}`...)
}

// searchResult adds what a search of the client's has found.
func (c *conversation) searchResult(k *block) {
	c.heading(k.title, k.source)
	c.nested(".content", k.content)
}

// heading adds those of the texts that there are. They are JSON.
func (c *conversation) heading(texts ...[]byte) {
	for _, text := range texts {
		if jsontext.IsSaid(text) {
			c.textPart(inner(text))
		}
	}
}

// nested adds the texts and images of which a block at a field consists.
func (c *conversation) nested(field string, blocks []byte) {
	if len(blocks) == 0 || blocks[0] != '[' {
		c.refuse(field, "Send `content` as an array of blocks.")
		return
	}
	r := jsontext.NewRereader(blocks)
	r.Array(func() {
		k := readBlock(&r)
		switch {
		case c.err != nil:
		case k.kind == "text":
			c.textPart(c.text(&k))
		case k.kind == "image":
			c.image(&k)
		default:
			c.refuse(field, "Send `content` as blocks of the types text and image.")
		}
	})
}
