package googleaistudio

import "github.com/continue-auth/caddy-continue-auth/provider/openai"

// frame is one frame of a stream, or the whole answer, which are alike. It is read to its end before
// anything of it is said: it may turn out to be no JSON.
type frame struct {
	id         string
	candidates []candidate
	usage      openai.Usage
	counts     bool   // whether there is a usage
	feedback   []byte // JSON
	reports    bool   // whether it may be an error
}

// candidate is what a frame says of one of the answers.
type candidate struct {
	object          bool // whether it is one
	index           int
	reason, message string
	parts           []piece
	logprobs        []byte // JSON
}

// piece is a part of a candidate's content.
type piece struct {
	text, signature string
	thought         bool
	function        []byte // JSON
}

// read reads a frame in the place of the one before, whose memory it takes over, and reports whether it
// is JSON. Only the first id of a stream is wanted.
func (f *frame) read(message []byte) bool {
	*f = frame{id: f.id, candidates: f.candidates[:0]}
	r := openai.NewReader(message)
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
		case "error", "errors", "success", "message":
			f.reports = true
		}
	})
	return object && r.Close() == nil
}

func (f *frame) readCandidate(r *openai.Reader) {
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
		}
	})
}

func (c *candidate) readContent(r *openai.Reader) {
	c.parts = c.parts[:0]
	r.Object(func(name []byte) {
		if string(name) == "parts" {
			c.parts = c.parts[:0]
			r.Array(func() { c.parts = append(c.parts, readPart(r)) })
		}
	})
}

func readPart(r *openai.Reader) (p piece) {
	r.Object(func(name []byte) {
		switch string(name) {
		case "text":
			p.text = r.String()
		case "thought":
			p.thought = r.True()
		case "thoughtSignature":
			p.signature = r.String()
		case "functionCall":
			p.function = r.Raw()
		}
	})
	return p
}

// ParseUsage reads Gemini's usageMetadata
// (https://ai.google.dev/api/generate-content#UsageMetadata).
func ParseUsage(usage []byte) openai.Usage {
	r := openai.NewReader(usage)
	u, _ := readUsage(&r)
	return u
}

// readUsage reads the token counts, which every frame may have, for all that came so far. Gemini
// counts thoughts apart from the answer; OpenAI counts them in.
func readUsage(r *openai.Reader) (u openai.Usage, ok bool) {
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
