package gatewaytest

import (
	"net/http"
	"time"
)

// Scenario says how a request is answered. The zero Scenario gives the usual answer at once.
//
// Every request is checked first. If a request is refused, the refusal is the answer, and the
// scenario has no effect on it.
//
// A frame is one event of a stream, or the whole body of any other answer.
type Scenario struct {
	// Text is the model's answer, in the pieces in which it is streamed. The request's stop words
	// and token limit apply to it. Each piece is one token.
	Text []string

	// Hold holds back the whole answer until the channel receives or is closed.
	Hold <-chan struct{}

	// Step holds back each frame until the channel receives. When it is closed, all frames are
	// sent.
	Step <-chan struct{}

	// Delay is the time between frames.
	Delay time.Duration

	// Drop closes the connection without an answer.
	Drop bool

	// Cut closes the connection in the middle of the answer, if it is not nil.
	Cut *Cut

	// JSONForStream answers a request for a stream with one JSON object. The gateway does that if
	// guardrails check the answer.
	JSONForStream bool

	// Gzip compresses the body, even if the request does not accept that.
	Gzip bool

	// UsageOnEveryFrame puts the usage so far on all chunks of the streams of OpenAI and Workers
	// AI, as some models of Workers AI do. Gemini always does that.
	UsageOnEveryFrame bool

	// NumbersAsText sends pieces of text that are numbers as JSON numbers, as some models of
	// Workers AI do. If Text is empty, the answer contains some numbers.
	NumbersAsText bool

	// OddToolCalls streams tool calls as some models of Workers AI do: the arguments are an object,
	// and in the last delta the id, type and name are null.
	OddToolCalls bool

	// ToolCallIDsDiffer streams tool calls with a different id in each delta of a chat, as some
	// models of Workers AI do. Only the first id counts.
	ToolCallIDsDiffer bool

	// EmptyFinishReason sends the finish_reason "" instead of null in streams of chats.
	EmptyFinishReason bool

	// SplitCharacters splits characters beyond 16 bits in streams: a piece ends with the first half
	// of the surrogate pair, and the next piece begins with the second half. If Text is empty, the
	// answer contains such characters.
	SplitCharacters bool

	// NoLastBlankLine leaves out the blank line after the last event of a stream.
	NoLastBlankLine bool

	// ContentType replaces the answer's own Content-Type. With NoContentType there is none.
	ContentType   string
	NoContentType bool

	reply *answer // replaces the usual answer if it is not nil
}

// Cut says where the connection is closed.
type Cut struct {
	// After is the number of complete frames. With 0, only the header is sent. With all frames or
	// more, everything is sent except the end of the body.
	After int

	// MidFrame also sends one half of the next frame.
	MidFrame bool
}

// Respond answers with a status, a body and headers. The headers are given as name, value, name,
// value. Without a Content-Type among them, the body is JSON.
func Respond(status int, body string, header ...string) Scenario {
	a := &answer{status: status, contentType: "application/json", header: make(http.Header), frames: [][]byte{[]byte(body)}}
	for i := 0; i+1 < len(header); i += 2 {
		if name := http.CanonicalHeaderKey(header[i]); name == "Content-Type" {
			a.contentType = header[i+1]
		} else {
			a.header.Add(name, header[i+1])
		}
	}
	return Scenario{reply: a}
}

// Stream answers with status 200 and a stream of these frames, byte for byte. Each frame is sent in
// one write. An example is "data: {}
// ".
func Stream(frames ...string) Scenario {
	a := &answer{status: http.StatusOK, contentType: eventStream}
	for _, frame := range frames {
		a.frames = append(a.frames, []byte(frame))
	}
	return Scenario{reply: a}
}
