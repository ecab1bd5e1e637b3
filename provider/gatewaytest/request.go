package gatewaytest

import "net/http"

// Request is a request that the server has received. Do not change its fields.
type Request struct {
	Method string

	// Path is the path as it was sent, with its escapes.
	Path string

	RawQuery string
	Host     string
	Header   http.Header
	Body     []byte

	ended      chan struct{}
	clientGone bool
}

func newRequest(r *http.Request, body []byte) *Request {
	return &Request{
		Method:   r.Method,
		Path:     r.URL.EscapedPath(),
		RawQuery: r.URL.RawQuery,
		Host:     r.Host,
		Header:   r.Header.Clone(),
		Body:     body,
		ended:    make(chan struct{}),
	}
}

// Ended returns a channel that is closed when the server has finished with the request: it has
// written the answer, the scenario has cut the answer, or the client has gone.
func (r *Request) Ended() <-chan struct{} { return r.ended }

// ClientGone waits until the server has finished with the request. It reports whether the client
// went away before the whole answer was written. A client may not have read all that was written.
// To see a client go, a test must hold the answer back with Scenario.Hold or Scenario.Step.
func (r *Request) ClientGone() bool {
	<-r.ended
	return r.clientGone
}
