package openai

import (
	"strconv"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
)

// appendPiece appends a delta's piece of a call. The first piece introduces the call.
func (w *chatWriter) appendPiece(b []byte, e *hub.Event) []byte {
	if w.form.Functions {
		return appendFunction(append(b, `"function_call":`...), &e.Call, e.First)
	}
	b = append(b, `"tool_calls":[{"index":`...)
	b = append(strconv.AppendInt(b, int64(e.Position), 10), ',')
	return append(appendCall(b, &e.Call, e.First), "}]"...)
}

// appendCalls appends a message's calls, after another member.
func (w *chatWriter) appendCalls(b []byte, calls []hub.ToolCall) []byte {
	if len(calls) == 0 {
		return b
	}
	if w.form.Functions {
		return appendFunction(append(b, `,"function_call":`...), &calls[0], true)
	}
	separator := `,"tool_calls":[`
	for i := range calls {
		b = append(append(b, separator...), '{')
		b = append(appendCall(b, &calls[i], true), '}')
		separator = ","
	}
	return append(b, ']')
}

// appendCall appends the members of a call.
func appendCall(b []byte, t *hub.ToolCall, first bool) []byte {
	if first {
		b = jsontext.AppendString(append(b, `"id":`...), t.ID)
		b = append(b, `,"type":"function",`...)
	}
	b = appendFunction(append(b, `"function":`...), t, first)
	if len(t.Extra) > 0 {
		b = append(append(b, `,"extra_content":`...), t.Extra...)
	}
	return b
}

func appendFunction(b []byte, t *hub.ToolCall, first bool) []byte {
	b = append(b, '{')
	if first {
		b = append(jsontext.AppendString(append(b, `"name":`...), t.Name), ',')
	}
	b = append(b, `"arguments":`...)
	return append(jsontext.AppendString(b, t.Arguments), '}')
}
