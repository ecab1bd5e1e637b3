package gatewaytest

import (
	"fmt"
	"strings"
)

// anthropicAnswer is a model's answer in Anthropic's format.
type anthropicAnswer struct {
	*call
	reply *reply
	model string
}

// thought is the text of a thinking block.
const thought = "The user wants an answer."

// blocks returns the content, in order.
func (a *anthropicAnswer) blocks() []object {
	var blocks []object
	if kind := str(child(a.body, "thinking"), "type"); kind == "enabled" || kind == "adaptive" {
		blocks = append(blocks, object{"type": "thinking", "thinking": thought, "signature": thoughtSignature("", object{"text": thought})})
	}
	if a.reply.calls == nil {
		return append(blocks, object{"type": "text", "text": a.reply.text()})
	}
	for _, t := range a.reply.calls {
		input, _, _ := decodeObject(t.arguments)
		blocks = append(blocks, object{"type": "tool_use", "id": "toolu_" + strings.TrimPrefix(t.id, "call_"), "name": t.name, "input": input})
	}
	return blocks
}

func (a *anthropicAnswer) stopReason() string {
	switch {
	case a.reply.stopped != "":
		return "stop_sequence"
	case a.reply.finish == finishTools:
		return "tool_use"
	case a.reply.finish == finishLength:
		return "max_tokens"
	}
	return "end_turn"
}

func (a *anthropicAnswer) usage(tokens int) object {
	return object{
		"input_tokens": a.reply.promptTokens, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
		"output_tokens": tokens, "service_tier": "standard",
	}
}

// message returns the answer as it is at the beginning of a stream.
func (a *anthropicAnswer) message() object {
	return object{
		"id": fmt.Sprintf("msg_gatewaytest%08d", a.number), "type": "message", "role": "assistant", "model": a.model,
		"content": []any{}, "stop_reason": nil, "stop_sequence": nil, "usage": a.usage(1),
	}
}

func (a *anthropicAnswer) whole() object {
	whole := a.message()
	whole["content"], whole["stop_reason"], whole["stop_sequence"] = a.blocks(), a.stopReason(), orNull(a.reply.stopped)
	whole["usage"] = a.usage(a.reply.tokens)
	return whole
}

// events returns the stream (https://platform.claude.com/docs/en/build-with-claude/streaming).
func (a *anthropicAnswer) events() *answer {
	s := stream()
	add := func(kind string, event object) {
		event["type"] = kind
		s.addNamed(kind, event)
	}
	add("message_start", object{"message": a.message()})
	for i, block := range a.blocks() {
		begin, deltas := a.deltas(block)
		add("content_block_start", object{"index": i, "content_block": begin})
		if i == 0 {
			add("ping", object{})
		}
		for _, delta := range deltas {
			add("content_block_delta", object{"index": i, "delta": delta})
		}
		add("content_block_stop", object{"index": i})
	}
	add("message_delta", object{
		"delta": object{"stop_reason": a.stopReason(), "stop_sequence": orNull(a.reply.stopped)},
		"usage": a.usage(a.reply.tokens),
	})
	add("message_stop", object{})
	return s
}

// deltas returns how a block is streamed: its beginning, and what is added to it.
func (a *anthropicAnswer) deltas(block object) (begin object, deltas []object) {
	switch str(block, "type") {
	case "thinking":
		for _, piece := range tokens(thought) {
			deltas = append(deltas, object{"type": "thinking_delta", "thinking": piece})
		}
		deltas = append(deltas, object{"type": "signature_delta", "signature": block["signature"]})
		return object{"type": "thinking", "thinking": "", "signature": ""}, deltas
	case "tool_use":
		for _, piece := range pieces(string(encode(block["input"])), argumentBytes) {
			deltas = append(deltas, object{"type": "input_json_delta", "partial_json": piece})
		}
		return object{"type": "tool_use", "id": block["id"], "name": block["name"], "input": object{}}, deltas
	}
	for _, piece := range a.wire(a.reply.pieces) {
		deltas = append(deltas, object{"type": "text_delta", "text": piece})
	}
	return object{"type": "text", "text": ""}, deltas
}
