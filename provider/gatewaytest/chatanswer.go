package gatewaytest

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// chatAnswer is a model's answer in OpenAI's format for chats.
type chatAnswer struct {
	*call
	reply *reply
	id    string
	model string
	azure bool // add what Azure adds
}

func (c *call) chatAnswer(q question) *chatAnswer {
	return &chatAnswer{call: c, reply: c.reply(q), model: q.model, id: fmt.Sprintf("chatcmpl-gatewaytest%08d", c.number)}
}

// answer returns the stream or the object that the request asks for.
func (a *chatAnswer) answer() *answer {
	if a.stream() {
		return a.chunks()
	}
	return jsonAnswer(http.StatusOK, a.whole())
}

func (a *chatAnswer) whole() object {
	said := object{"role": "assistant", "content": any(a.reply.text()), "refusal": nil}
	if len(a.reply.pieces) == 1 {
		said["content"] = a.pieceText(a.reply.pieces[0])
	}
	if a.reply.finish == finishTools {
		said["content"] = nil
		calls := []any{}
		for _, t := range a.reply.calls {
			calls = append(calls, object{"id": t.id, "type": "function", "function": object{"name": t.name, "arguments": string(t.arguments)}})
		}
		said["tool_calls"] = calls
	}
	choice := object{"index": 0, "message": said, "logprobs": nil, "finish_reason": a.reply.finish}
	body := object{
		"id": a.id, "object": "chat.completion", "created": a.created, "model": a.model,
		"choices": []any{choice}, "usage": a.usage(a.reply.tokens),
	}
	if a.azure {
		choice["content_filter_results"] = contentFilter()
		body["prompt_filter_results"] = promptFilter()
	}
	return body
}

func (a *chatAnswer) chunks() *answer {
	s := stream()
	if a.azure {
		s.add(object{"choices": []any{}, "created": 0, "id": "", "model": "", "object": "", "prompt_filter_results": promptFilter()})
	}
	sent := 0 // the number of tokens
	add := func(delta object, finish any) {
		if finish == nil && a.scenario.EmptyFinishReason {
			finish = ""
		}
		s.add(a.chunk(sent, object{"index": 0, "delta": delta, "logprobs": nil, "finish_reason": finish}))
	}
	add(object{"role": "assistant", "content": ""}, nil)
	for _, piece := range a.wire(a.reply.pieces) {
		sent++
		add(object{"content": piece}, nil)
	}
	for i, t := range a.reply.calls {
		for _, delta := range a.toolDeltas(i, t) {
			add(object{"tool_calls": []any{delta}}, nil)
		}
	}
	sent = a.reply.tokens
	add(object{}, a.reply.finish)
	if child(a.body, "stream_options")["include_usage"] == true {
		s.add(a.usageChunk())
	}
	return s.done()
}

// chunk returns one chunk of a stream. sent is the number of tokens so far.
func (a *chatAnswer) chunk(sent int, choice object) object {
	chunk := object{
		"id": a.id, "object": "chat.completion.chunk", "created": a.created, "model": a.model,
		"choices": []any{choice},
	}
	switch {
	case a.scenario.UsageOnEveryFrame:
		chunk["usage"] = a.usage(sent)
	case child(a.body, "stream_options")["include_usage"] == true:
		chunk["usage"] = nil
	}
	if a.azure {
		choice["content_filter_results"] = object{}
	}
	return chunk
}

func (a *chatAnswer) usageChunk() object {
	return object{
		"id": a.id, "object": "chat.completion.chunk", "created": a.created, "model": a.model,
		"choices": []any{}, "usage": a.usage(a.reply.tokens),
	}
}

// argumentBytes is the number of bytes of a call's arguments in one chunk.
const argumentBytes = 8

// toolDeltas returns how a tool call is streamed. index is its place in the message.
func (a *chatAnswer) toolDeltas(index int, t toolCall) []object {
	first := object{"index": index, "id": t.id, "type": "function", "function": object{"name": t.name, "arguments": ""}}
	if a.scenario.OddToolCalls {
		first["function"] = object{"name": t.name, "arguments": json.RawMessage(t.arguments)}
		last := object{"index": index, "id": nil, "type": nil, "function": object{"name": nil, "arguments": ""}}
		return []object{first, last}
	}
	deltas := []object{first}
	for i, piece := range pieces(string(t.arguments), argumentBytes) {
		delta := object{"index": index, "function": object{"arguments": piece}}
		if a.scenario.ToolCallIDsDiffer {
			delta["id"] = fmt.Sprintf("%s-%d", t.id, i+1)
		}
		deltas = append(deltas, delta)
	}
	return deltas
}

// usage returns the usage of an answer with the given number of tokens. Workers AI counts neurons
// too.
func (a *chatAnswer) usage(tokens int) object {
	usage := object{
		"prompt_tokens": a.reply.promptTokens, "completion_tokens": tokens, "total_tokens": a.reply.promptTokens + tokens,
		"prompt_tokens_details": object{"cached_tokens": 0},
	}
	if a.provider == "workers-ai" {
		usage["neurons"] = 0.25
	}
	return usage
}
