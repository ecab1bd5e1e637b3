package gatewaytest

import "net/http"

// eventStream is the Content-Type of a stream.
const eventStream = "text/event-stream"

// answer is an answer that has not been sent yet. Answers are small, so a whole answer is made
// before its first frame is sent.
type answer struct {
	status      int
	contentType string
	header      http.Header // additional headers; may be nil
	frames      [][]byte
}

// jsonAnswer returns an answer of one JSON object.
func jsonAnswer(status int, v any) *answer {
	return &answer{status: status, contentType: "application/json", frames: [][]byte{encode(v)}}
}

// stream returns an empty answer of events. add appends an event.
func stream() *answer {
	return &answer{status: http.StatusOK, contentType: eventStream}
}

func (a *answer) add(v any) {
	a.frames = append(a.frames, append(append([]byte("data: "), encode(v)...), "\n\n"...))
}

// addNamed appends an event with a name. OpenAI's /responses has such events.
func (a *answer) addNamed(name string, v any) {
	a.frames = append(a.frames, append(append([]byte("event: "+name+"\ndata: "), encode(v)...), "\n\n"...))
}

// done appends the last event of a stream of OpenAI's or Workers AI's.
func (a *answer) done() *answer {
	a.frames = append(a.frames, []byte("data: [DONE]\n\n"))
	return a
}
