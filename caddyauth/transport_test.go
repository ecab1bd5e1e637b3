package caddyauth

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// countedConn counts the writes to a connection.
type countedConn struct {
	net.Conn
	writes *atomic.Int64
}

func (c countedConn) Write(p []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(p)
}

// transportOf provisions the transport and counts its writes.
func transportOf(t *testing.T) (transport *Transport, writes *atomic.Int64) {
	t.Helper()
	ctx, cancel := caddy.NewContext(caddy.Context{Context: t.Context()})
	t.Cleanup(cancel)
	transport, writes = new(Transport), new(atomic.Int64)
	if err := transport.Provision(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = transport.Cleanup() })
	dial := transport.Transport.DialContext
	transport.Transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return conn{countedConn{c.(conn).Conn, writes}}, nil
	}
	return transport, writes
}

// carrying returns a request as it comes from the handler through reverse_proxy.
func carrying(t *testing.T, url, body string) *http.Request {
	t.Helper()
	carried := &handoff{authorization: []string{"Bearer " + testToken}, body: newRequestBody(0)}
	ctx := context.WithValue(t.Context(), handoffKey{}, carried)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, io.NopCloser(struct{ io.Reader }{strings.NewReader(body)}))
	if err != nil {
		t.Fatal(err)
	}
	r.ContentLength = int64(len(body))
	return r
}

// holding makes the handler hold body, and returns the body's reader.
func (c *handoff) holding(body string) io.ReadCloser {
	c.body = newRequestBody(len(body))
	copy(c.body.content, body)
	c.reader = c.body.open()
	return c.reader
}

func TestARequestIsSentInAsFewWritesAsItsSizeAllows(t *testing.T) {
	u := newUpstream(t, answerChat)
	for _, test := range []struct {
		size     int
		streamed bool // the header is sent first
		ours     bool // no other handler has replaced the body
		want     int64
	}{
		{size: maxShortBody, ours: true, want: 1},
		{size: maxShortBody + 1, ours: true, want: 2},
		{size: firstPiece, ours: true, want: 2},
		{size: firstPiece + 1, ours: true, want: 3},
		{size: 1 << 20, ours: true, want: 3},
		{size: 1 << 20, ours: true, streamed: true, want: 3},
		{size: 1, want: 1},
		{size: 4 << 10, want: 1},
		{size: maxShortBody, want: 1},
		{size: maxShortBody + 1, want: 2},
		{size: firstPiece, want: 2},
		{size: firstPiece + 1, want: 3},
		{size: firstPiece + bodyPiece, want: 3},
		{size: firstPiece + bodyPiece + 1, want: 4},
		{size: 4 << 10, streamed: true, want: 2},
		{size: firstPiece, streamed: true, want: 2},
		{size: firstPiece + 1, streamed: true, want: 3},
	} {
		transport, writes := transportOf(t)
		body := strings.Repeat("x", test.size)
		r := carrying(t, u.URL, body)
		carried := r.Context().Value(handoffKey{}).(*handoff)
		carried.streamed = test.streamed
		if test.ours {
			r.Body = carried.holding(body)
		}
		res, err := transport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if got := writes.Load(); got != test.want {
			t.Errorf("a request of %d bytes, streamed %t, was sent in %d writes, want %d", test.size, test.streamed, got, test.want)
		}
		if _, seen := u.seen(); seen != body {
			t.Errorf("of %d bytes, %d have arrived", test.size, len(seen))
		}
	}
}

func TestAShortBodyOfAnotherLengthThanAnnouncedIsNotSent(t *testing.T) {
	u := newUpstream(t, answerChat)
	transport, _ := transportOf(t)
	for _, more := range []int64{-1, 1} {
		r := carrying(t, u.URL, "short")
		r.ContentLength += more
		if res, err := transport.RoundTrip(r); err == nil {
			t.Errorf("%d bytes more: status %d", more, res.StatusCode)
		}
	}
	if seen, _ := u.seen(); seen != nil {
		t.Error("the request reached the upstream")
	}
}

func TestAShortBodyIsSentAsAnotherHandlerChangesIt(t *testing.T) {
	u := newUpstream(t, answerChat)
	p := start(t, setup{upstream: u.URL, global: "order request_body after continue_auth", before: "request_body {\nset `{\"another\":1}`\n}"})
	if res := p.do(request{path: "/v1/chat/completions", body: chatBody(groq)}); res.StatusCode != 200 {
		t.Errorf("status %d: %s", res.StatusCode, read(t, res))
	}
	if _, body := u.seen(); body != `{"another":1}` {
		t.Errorf("the upstream got %s", body)
	}
}

func TestAnotherUpstreamGetsTheBodyIfTheFirstCannotBeReached(t *testing.T) {
	for name, size := range map[string]int{"short": 10, "long": 100 << 10} {
		t.Run(name, func(t *testing.T) {
			u := newUpstream(t, answerChat)
			p := start(t, setup{
				upstream: "127.0.0.1:1 " + strings.TrimPrefix(u.URL, "http://"),
				proxy:    "lb_policy first\nlb_retries 1\nlb_try_interval 1ms\nfail_duration 1m\ntransport continue_auth",
			})
			body := `{"model":"` + groq + `","messages":[{"role":"user","content":"` + strings.Repeat("x", size) + `"}]}`
			if res := p.do(request{path: "/v1/chat/completions", body: body}); res.StatusCode != 200 {
				t.Errorf("status %d: %s", res.StatusCode, read(t, res))
			}
			if _, seen := u.seen(); seen != body {
				t.Errorf("of a body of %d bytes, %d have arrived", len(body), len(seen))
			}
			p.log.WaitFor(t, "connection refused")
		})
	}
}
