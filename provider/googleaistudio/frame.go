package googleaistudio

import (
	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
)

// frame is one frame of a stream or a whole answer: both have the same form. It is read completely before any
// of it is said, because it may be invalid JSON.
type frame struct {
	id         string
	candidates []candidate
	usage      hub.Usage
	counts     bool   // whether there are token counts
	feedback   []byte // JSON
	reports    bool   // whether it may be an error
}

// candidate is a part of one of the answers.
type candidate struct {
	object          bool // whether it is a JSON object
	index           int
	reason, message string
	parts           []piece
	logprobs        []byte // JSON
	grounding       []byte // JSON
}

// piece is a part of a candidate's content.
type piece struct {
	text, signature string
	plain, thought  bool // whether there is a text, and whether it is a thought
	function        *functionCall
	data            *blob
	code, result    *code
	other           string // the name of an unknown member
}

type functionCall struct {
	id, name string
	args     []byte // JSON
}

// blob is a file in an answer.
type blob struct{ mime, base64 string }

// code is code that the model wrote and Google ran, or its output.
type code struct{ language, text, outcome string }

// read reads the next frame into f, reuses f's memory, and reports whether the frame is valid JSON. It keeps
// the first id of a stream.
func (f *frame) read(message []byte) bool {
	*f = frame{id: f.id, candidates: f.candidates[:0]}
	r := jsontext.NewReader(message)
	object := r.Object(func(name []byte) {
		switch string(name) {
		case "responseId":
			if f.id == "" {
				f.id = r.String()
			}
		case "candidates":
			f.candidates = f.candidates[:0]
			r.Array(func() { f.readCandidate(&r) })
		case "usageMetadata":
			f.usage, f.counts = readUsage(&r)
		case "promptFeedback":
			f.feedback = r.Raw()
		case "error", "errors", "success", "message", "detail":
			f.reports = true
		}
	})
	return object && r.Close() == nil
}

func (f *frame) readCandidate(r *jsontext.Reader) {
	if len(f.candidates) > maxChoices {
		return
	}
	if len(f.candidates) < cap(f.candidates) {
		f.candidates = f.candidates[:len(f.candidates)+1]
	} else {
		f.candidates = append(f.candidates, candidate{})
	}
	c := &f.candidates[len(f.candidates)-1]
	*c = candidate{parts: c.parts[:0]}
	c.object = r.Object(func(name []byte) {
		switch string(name) {
		case "index":
			c.index = int(r.Int())
		case "finishReason":
			c.reason = r.String()
		case "finishMessage":
			c.message = r.String()
		case "content":
			c.readContent(r)
		case "logprobsResult":
			c.logprobs = r.Raw()
		case "groundingMetadata":
			c.grounding = r.Raw()
		}
	})
}

func (c *candidate) readContent(r *jsontext.Reader) {
	c.parts = c.parts[:0]
	r.Object(func(name []byte) {
		if string(name) == "parts" {
			c.parts = c.parts[:0]
			r.Array(func() { c.parts = append(c.parts, readPart(r)) })
		}
	})
}

func readPart(r *jsontext.Reader) (p piece) {
	r.Object(func(name []byte) {
		switch string(name) {
		case "text":
			p.text, p.plain = r.String(), true
		case "thought":
			p.thought = r.True()
		case "thoughtSignature":
			p.signature = r.String()
		case "functionCall":
			p.function = readFunctionCall(r)
		case "inlineData":
			p.data = readBlob(r)
		case "executableCode":
			p.code = readCode(r)
		case "codeExecutionResult":
			p.result = readCode(r)
		case "toolCall", "toolResponse": // steps of Google's own search
		case "mediaResolution", "videoMetadata", "partMetadata", "mediaProcessing", "speechMetadata": // details of the part's other members
		default:
			if kind(r.Raw()) != 'n' {
				p.other = string(name)
			}
		}
	})
	return p
}

func readFunctionCall(r *jsontext.Reader) *functionCall {
	var f functionCall
	if !r.Object(func(name []byte) {
		switch string(name) {
		case "id":
			f.id = r.String()
		case "name":
			f.name = r.String()
		case "args":
			f.args = r.Raw()
		}
	}) {
		return nil
	}
	return &f
}

func readBlob(r *jsontext.Reader) *blob {
	var d blob
	if !r.Object(func(name []byte) {
		switch string(name) {
		case "mimeType":
			d.mime = r.String()
		case "data":
			d.base64 = r.String()
		}
	}) {
		return nil
	}
	return &d
}

func readCode(r *jsontext.Reader) *code {
	var c code
	if !r.Object(func(name []byte) {
		switch string(name) {
		case "language":
			c.language = r.String()
		case "code", "output":
			c.text = r.String()
		case "outcome":
			c.outcome = r.String()
		}
	}) {
		return nil
	}
	return &c
}

// ParseUsage reads Gemini's usageMetadata (https://ai.google.dev/api/generate-content#UsageMetadata).
func ParseUsage(usage []byte) hub.Usage {
	r := jsontext.NewReader(usage)
	u, _ := readUsage(&r)
	return u
}

// readUsage reads the token counts. Every frame may have them, for everything so far. Gemini does not include
// thoughts in the answer's tokens, but OpenAI does.
func readUsage(r *jsontext.Reader) (u hub.Usage, ok bool) {
	ok = r.Object(func(name []byte) {
		switch string(name) {
		case "promptTokenCount", "toolUsePromptTokenCount":
			u.Prompt += r.Int()
		case "candidatesTokenCount":
			u.Completion += r.Int()
		case "thoughtsTokenCount":
			u.Reasoning = r.Int()
			u.Completion += u.Reasoning
		case "totalTokenCount":
			u.Total = r.Int()
		case "cachedContentTokenCount":
			u.Cached = r.Int()
		}
	})
	return u, ok
}
