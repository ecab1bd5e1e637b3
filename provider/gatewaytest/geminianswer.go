package gatewaytest

import (
	"fmt"
	"net/http"
	"strings"
)

// generateContent answers with candidates, in one object or a stream of deltas.
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

// countTokens answers with a token for every four bytes.
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

// callParts are the function calls. The first alone is signed, and only newer models give ids.
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

// response is a message with a delta, after so many tokens. A number that is 0 is not sent.
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

// thoughts is how many tokens the model has thought. Older models do not think here.
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

// deltas are the messages of a stream. The last has no text, but the reason for the end, as newer
// models have it.
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

// events is the stream as server-sent events. Google ends lines with CRLF, and the stream without
// a word.
func (a *geminiAnswer) events() *answer {
	s := stream()
	for _, delta := range a.deltas() {
		s.frames = append(s.frames, append(append([]byte("data: "), encode(delta)...), "\r\n\r\n"...))
	}
	return s
}

// array is the stream as one array, which grows.
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
