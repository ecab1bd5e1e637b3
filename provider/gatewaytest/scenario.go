package gatewaytest

import (
	"net/http"
	"time"
)

// Scenario is how a request is answered. The zero Scenario is the usual answer, at once.
//
// Requests are checked whatever the scenario says: it takes the place of a good answer alone, and
// one that is refused is refused.
//
// A frame is one event of a stream, and all of the body of an answer that is no stream.
type Scenario struct {
	// Text is the text that the model answers with, in the pieces in which it is streamed. Stop
	// words and token limits of the request, a token for each piece, apply to it.
	Text []string

	// Hold keeps back all of the answer, until it is closed or something is sent on it.
	Hold <-chan struct{}

	// Step keeps back each frame, until something is sent on it. Closing it lets all go.
	Step <-chan struct{}

	// Delay is the time between frames.
	Delay time.Duration

	// Drop closes the connection without an answer.
	Drop bool

	// Cut closes the connection in the middle of the answer. nil: it does not.
	Cut *Cut

	// JSONForStream answers a request for a stream with one JSON object, as the gateway does when
	// guardrails read along.
	JSONForStream bool

	// Gzip compresses the body, whether the request accepts that or not.
	Gzip bool

	// UsageOnEveryFrame has the usage so far in all chunks of OpenAI's and Workers AI's streams, as
	// some models of Workers AI do. Gemini always does.
	UsageOnEveryFrame bool

	// NumbersAsText sends pieces of text that are numbers as JSON numbers, as some models of
	// Workers AI do. Without Text, it makes the answer contain some.
	NumbersAsText bool

	// OddToolCalls streams tool calls as some models of Workers AI do: with arguments that are an
	// object, and a delta at the end in which id, type and name are null.
	OddToolCalls bool

	// ToolCallIDsDiffer streams tool calls with another id in each delta, of which the first alone
	// counts, as some models of Workers AI do. It is for streams of chats.
	ToolCallIDsDiffer bool

	// EmptyFinishReason has the finish_reason "" where it should be null, in streams of chats.
	EmptyFinishReason bool

	// SplitCharacters cuts characters beyond 16 bits in two in streams: a piece ends with the first
	// half of the surrogate pair, and the next begins with the other. Without Text, it makes the
	// answer contain some.
	SplitCharacters bool

	// NoLastBlankLine leaves out the blank line behind the last event of a stream.
	NoLastBlankLine bool

	// ContentType is sent in place of the answer's own. NoContentType sends none.
	ContentType   string
	NoContentType bool

	reply *answer // in place of the usual answer; nil: none
}

// Cut is where a connection is closed.
type Cut struct {
	// After is how many frames are sent whole. 0 leaves the header alone; the number of frames or
	// more, all but the end of the body.
	After int

	// MidFrame sends one half of the frame that comes then.
	MidFrame bool
}

// Respond answers with a status, a body and headers, given as name, value, name, value. The body is
// taken for JSON unless there is a Content-Type.
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

// Stream answers with status 200 and a stream of these frames, byte for byte: each is what is
// written at once, such as "data: {}\n\n".
func Stream(frames ...string) Scenario {
	a := &answer{status: http.StatusOK, contentType: eventStream}
	for _, frame := range frames {
		a.frames = append(a.frames, []byte(frame))
	}
	return Scenario{reply: a}
}
