package gatewaytest

import "net/http"

// eventStream is the Content-Type of a stream.
const eventStream = "text/event-stream"

// answer is an answer that has not been sent. Answers are small: all of one is made before the
// first frame of it goes out.
type answer struct {
	status      int
	contentType string
	header      http.Header // more of it; may be nil
	frames      [][]byte
}

// jsonAnswer is an answer that is one JSON object.
func jsonAnswer(status int, v any) *answer {
	return &answer{status: status, contentType: "application/json", frames: [][]byte{encode(v)}}
}

// stream is an answer of events, to which add appends.
func stream() *answer {
	return &answer{status: http.StatusOK, contentType: eventStream}
}

func (a *answer) add(v any) {
	a.frames = append(a.frames, append(append([]byte("data: "), encode(v)...), "\n\n"...))
}

// addNamed appends an event with a name, as OpenAI's /responses has them.
func (a *answer) addNamed(name string, v any) {
	a.frames = append(a.frames, append(append([]byte("event: "+name+"\ndata: "), encode(v)...), "\n\n"...))
}

// done appends the last event of OpenAI's and Workers AI's streams.
func (a *answer) done() *answer {
	a.frames = append(a.frames, []byte("data: [DONE]\n\n"))
	return a
}
