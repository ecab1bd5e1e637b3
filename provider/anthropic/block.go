package anthropic

import (
	"strings"

	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
)

// block is one of a message's content. Values that may be long, or of several types, stay JSON.
type block struct {
	kind                              string
	text                              []byte
	source, title, context            []byte // of an image or a document; of a search's result, source is its address
	id, name, input                   []byte // of a tool's call
	toolUseID, content, isError, tool []byte // of a tool's result; tool is a tool that it refers to
}

func readBlock(r *jsontext.Reader) (k block) {
	r.Object(func(name []byte) {
		switch string(name) {
		case "type":
			k.kind = r.String()
		case "text":
			k.text = r.Raw()
		case "source":
			k.source = r.Raw()
		case "title":
			k.title = r.Raw()
		case "context":
			k.context = r.Raw()
		case "id":
			k.id = r.Raw()
		case "name":
			k.name = r.Raw()
		case "input":
			k.input = r.Raw()
		case "tool_use_id":
			k.toolUseID = r.Raw()
		case "content":
			k.content = r.Raw()
		case "is_error":
			k.isError = r.Raw()
		case "tool_name":
			k.tool = r.Raw()
		}
	})
	return k
}

// inner is a JSON string without its quotes.
func inner(raw []byte) []byte { return raw[1 : len(raw)-1] }

// text is the text of a block that should have one, as it stands in JSON without quotes.
func (c *conversation) text(k *block) []byte {
	if k.kind != "text" {
		return nil
	}
	if !jsontext.IsString(k.text) {
		c.refuse(".text", "Send `text` as a string.")
		return nil
	}
	return inner(k.text)
}

// leftOut reports whether blocks of a kind are left out of the assistant's messages: thoughts, and steps that
// Anthropic's servers took on their own. What came of those is in the text.
func leftOut(kind string) bool {
	switch kind {
	case "thinking", "redacted_thinking", "fallback", "server_tool_use", "mcp_tool_use", "mcp_tool_result", "mcp_tool_listing":
		return true
	}
	return kind != "tool_result" && strings.HasSuffix(kind, "_tool_result")
}
