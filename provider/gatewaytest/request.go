package gatewaytest

import "net/http"

// Request is a request that has arrived. Its fields must not be changed.
type Request struct {
	Method string

	// Path is the path as it was sent, escapes included.
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

// Ended is closed when the server has done with the request: the answer is written, or cut as the
// scenario wanted, or the client has gone.
func (r *Request) Ended() <-chan struct{} { return r.ended }

// ClientGone waits for the end, and reports whether the client went away before all of the answer
// was written. What is written may not have been read: a test that wants to see a client go holds
// the answer back with Scenario.Hold or Scenario.Step.
func (r *Request) ClientGone() bool {
	<-r.ended
	return r.clientGone
}
