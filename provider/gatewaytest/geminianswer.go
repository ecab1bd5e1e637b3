package gatewaytest

import (
	"fmt"
	"net/http"
	"strings"
)

// generateContent answers with candidates, in one object or in a stream of deltas.
func (c *call) generateContent(model string, streamed bool) *answer {
	if refused := checkGemini(c.body, model); refused != nil {
		return refused
	}
	a := &geminiAnswer{
		call:       c,
		model:      model,
		reply:      c.reply(c.geminiQuestion(model)),
		candidates: max(1, integerOf(child(c.body, "generationConfig"), "candidateCount")),
	}
	if !streamed {
		return jsonAnswer(http.StatusOK, a.whole())
	}
	if c.query.Get("alt") == "sse" {
		return a.events()
	}
	return a.array()
}

// countTokens answers with one token for every four bytes.
func (c *call) countTokens() *answer {
	if refused := geminiCheck(c.body, geminiCount); refused != nil {
		return refused
	}
	counted := c.body
	if whole, ok := c.body["generateContentRequest"].(object); ok {
		counted = whole
	}
	if refused := checkContents(counted, ""); refused != nil {
		return refused
	}
	tokens := (len(encode(counted)) + 3) / 4
	return jsonAnswer(http.StatusOK, object{"totalTokens": tokens, "promptTokensDetails": []any{object{"modality": "TEXT", "tokenCount": tokens}}})
}

// geminiQuestion reads a request.
func (c *call) geminiQuestion(model string) question {
	contents := objects(c.body, "contents")
	last := contents[len(contents)-1]
	config := child(c.body, "generationConfig")
	q := question{
		model:     model,
		size:      len(encode(c.body["contents"])) + len(encode(c.body["systemInstruction"])),
		maxTokens: integerOf(config, "maxOutputTokens"),
		stop:      words(config["stopSequences"]),
		json:      str(config, "responseMimeType") == "application/json",
		schema:    child(config, "responseJsonSchema"),
	}
	if len(q.schema) == 0 {
		q.schema = child(config, "responseSchema")
	}
	for _, part := range objects(last, "parts") {
		q.prompt += str(part, "text")
		if response, ok := part["functionResponse"].(object); ok {
			q.result = string(encode(response["response"]))
		}
	}
	if q.prompt != "" {
		q.result = ""
	}
	calling := child(child(c.body, "toolConfig"), "functionCallingConfig")
	if str(calling, "mode") == "NONE" {
		return q
	}
	for _, t := range objects(c.body, "tools") {
		for _, function := range objects(t, "functionDeclarations") {
			schema := child(function, "parametersJsonSchema")
			if len(schema) == 0 {
				schema = child(function, "parameters")
			}
			q.tools = append(q.tools, tool{name: str(function, "name"), schema: schema})
		}
	}
	if str(calling, "mode") == "ANY" {
		q.forced = append(words(calling["allowedFunctionNames"]), q.tools[0].name)[0]
	}
	return q
}

// geminiAnswer is a model's answer in Gemini's format.
type geminiAnswer struct {
	*call
	reply      *reply
	model      string
	candidates int
}

// callParts returns the function calls. Only the first one is signed, and only newer models set
// ids.
func (a *geminiAnswer) callParts() []any {
	var parts []any
	for i, t := range a.reply.calls {
		args, _, _ := decodeObject(t.arguments)
		call := object{"name": t.name, "args": args}
		if a.newer() {
			call["id"] = strings.TrimPrefix(t.id, "call_")
		}
		part := object{"functionCall": call}
		if i == 0 {
			part["thoughtSignature"] = thoughtSignature(t.name, args)
		}
		parts = append(parts, part)
	}
	return parts
}

func (a *geminiAnswer) newer() bool { return strings.HasPrefix(a.model, "gemini-3") }

// response returns a message with a delta. tokens is the number of tokens so far. Numbers that are
// 0 are left out.
func (a *geminiAnswer) response(index, tokens int, finish string, parts ...any) object {
	candidate := object{"content": object{"role": "model", "parts": parts}}
	if index > 0 {
		candidate["index"] = index
	}
	if finish != "" {
		candidate["finishReason"] = finish
	}
	usage := object{"promptTokenCount": a.reply.promptTokens, "totalTokenCount": a.reply.promptTokens + tokens + a.thoughts()}
	if tokens > 0 {
		usage["candidatesTokenCount"] = tokens
	}
	if a.thoughts() > 0 {
		usage["thoughtsTokenCount"] = a.thoughts()
	}
	return object{
		"candidates": []any{candidate}, "usageMetadata": usage, "modelVersion": a.model,
		"responseId": fmt.Sprintf("gatewaytest%08d", a.number),
	}
}

// thoughts returns the number of tokens for thinking. Older models do not think in this simulation.
func (a *geminiAnswer) thoughts() int {
	if a.newer() {
		return 16
	}
	return 0
}

func (a *geminiAnswer) finish() string {
	if a.reply.finish == finishLength {
		return "MAX_TOKENS"
	}
	return "STOP"
}

func (a *geminiAnswer) whole() object {
	parts := a.callParts()
	if parts == nil {
		part := object{"text": a.reply.text()}
		if a.newer() {
			part["thoughtSignature"] = thoughtSignature("", object{"text": a.reply.text()})
		}
		parts = []any{part}
	}
	whole := a.response(0, a.reply.tokens*a.candidates, a.finish(), parts...)
	all := whole["candidates"].([]any)
	for i := 1; i < a.candidates; i++ {
		all = append(all, a.response(i, 0, a.finish(), parts...)["candidates"].([]any)...)
	}
	whole["candidates"] = all
	return whole
}

// deltas returns the messages of a stream. As with newer models, the last one has no text, only the
// finish reason.
func (a *geminiAnswer) deltas() []object {
	var all []object
	sent := 0
	each := func(finish string, part any) {
		for i := range a.candidates {
			all = append(all, a.response(i, sent, finish, part))
		}
	}
	for _, piece := range a.wire(a.reply.pieces) {
		sent += a.candidates
		each("", object{"text": piece})
	}
	for _, part := range a.callParts() {
		each("", part)
	}
	sent = a.reply.tokens * a.candidates
	last := object{"text": ""}
	if a.newer() && a.reply.calls == nil {
		last["thoughtSignature"] = thoughtSignature("", object{"text": a.reply.text()})
	}
	each(a.finish(), last)
	return all
}

// events returns the stream as server-sent events. Like Google's, its lines end in CRLF, and the
// stream ends without a last event such as [DONE].
func (a *geminiAnswer) events() *answer {
	s := stream()
	for _, delta := range a.deltas() {
		s.frames = append(s.frames, append(append([]byte("data: "), encode(delta)...), "\r\n\r\n"...))
	}
	return s
}

// array returns the stream as one JSON array, sent in pieces.
func (a *geminiAnswer) array() *answer {
	s := &answer{status: http.StatusOK, contentType: "application/json; charset=UTF-8"}
	before := "["
	for _, delta := range a.deltas() {
		s.frames = append(s.frames, append([]byte(before), encode(delta)...))
		before = ",\r\n"
	}
	s.frames = append(s.frames, []byte("]"))
	return s
}
