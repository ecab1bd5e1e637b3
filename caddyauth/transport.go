package caddyauth

import (
	"cmp"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

func init() {
	caddy.RegisterModule(new(Transport))
}

// Transport is Caddy's `http` transport with all its options. It adds the secrets of `continue_auth` to a
// request when the request is sent: the gateway's token, and the headers and the query string from the
// provider's settings. Until then the request does not contain them, so no log can show them.
//
// The default of `write_buffer` is 8 KiB.
type Transport struct {
	reverseproxy.HTTPTransport
}

// CaddyModule returns the module's ID and constructor.
func (*Transport) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.reverse_proxy.transport.continue_auth",
		New: func() caddy.Module { return new(Transport) },
	}
}

// The header and the body of a short request fit into the write buffer together. Editors send short requests
// most often, to complete a line with about 4 KB of text around it.
const (
	writeBuffer  = 8 << 10
	maxShortBody = 7 << 10
)

// Provision sets up the transport. It sets the default of the write buffer, and makes connections that send
// long bodies in few writes.
func (t *Transport) Provision(ctx caddy.Context) error {
	t.WriteBufferSize = cmp.Or(t.WriteBufferSize, writeBuffer)
	if err := t.HTTPTransport.Provision(ctx); err != nil {
		return err
	}
	t.Transport.DialContext = dialing(t.Transport.DialContext)
	return nil
}

// RoundTrip sends req with the secrets. It refuses a client's request that has not passed the handler. A
// request without a client, such as a health check, is sent without secrets.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	carried, ok := req.Context().Value(handoffKey{}).(*handoff)
	if !ok {
		if req.Context().Value(caddyhttp.ServerCtxKey) != nil {
			return nil, errors.New("transport continue_auth needs the handler continue_auth before reverse_proxy")
		}
		return t.HTTPTransport.RoundTrip(req)
	}
	carried.sent = true
	out := new(http.Request) // Caddy logs req after RoundTrip has returned
	*out = *req
	out.Header = carried.outgoing(req.Header)
	if query := carried.query.Encode(); query != "" {
		out.URL = new(url.URL)
		*out.URL = *req.URL
		out.URL.RawQuery = strings.TrimPrefix(req.URL.RawQuery+"&"+query, "&")
	}
	if err := carried.gather(out); err != nil {
		return nil, err
	}
	res, err := t.HTTPTransport.RoundTrip(out)
	if err != nil {
		return nil, err
	}
	carried.incoming(res)
	return res, nil
}

// outgoing returns header with the secrets and the headers that all requests have, and without the headers
// that reverse_proxy has added about the client.
func (c *handoff) outgoing(header http.Header) http.Header {
	// Without a size, Go uses less memory for a map of up to eight names, which is the usual case.
	out := make(http.Header)
	for name, values := range header {
		if name != "Via" && name != "Early-Data" && !strings.HasPrefix(name, "X-Forwarded-") {
			out[name] = values
		}
	}
	out["Cf-Aig-Authorization"], out["Cf-Aig-Metadata"] = c.authorization, []string{c.metadata}
	if c.session != "" {
		out["Cf-Aig-Session-Id"] = []string{c.session}
	}
	out["Accept-Encoding"] = identity
	for name, values := range c.header {
		out[name] = values
	}
	return out
}

// identity is a header's value and must not be changed. Without it, Go asks for gzip, and a compressed answer
// cannot be passed on piece by piece.
var identity = []string{"identity"}

// gather prepares the body for sending. It also makes it possible to send the body again: Go repeats a
// request on a new connection if a kept connection turns out to be dead.
//
// A short body is copied into memory of its own, with a type that net/http knows to be in memory. For other
// types, Go sends the header first, because the body might take long, and so needs two writes and two
// packets. The copy is made here because handlers in between may have changed the body.
//
// A longer body, and the body of a request for a stream, follows its header. One write less would save little
// there, and the upstream can start with the header while the body is on its way.
func (c *handoff) gather(out *http.Request) error {
	if out.Body == nil || out.ContentLength == 0 {
		return nil
	}
	if out.ContentLength < 0 || out.ContentLength > maxShortBody || c.streamed {
		leaving := &leavingBody{body: out.Body}
		if out.ContentLength == int64(len(c.body.content)) { // otherwise a handler in between has replaced the body
			leaving.reader = c.reader
			out.GetBody = func() (io.ReadCloser, error) {
				again := c.body.open()
				return &leavingBody{body: again, reader: again}, nil
			}
		}
		out.Body = leaving
		return nil
	}
	if c.short == nil { // it is set if an earlier attempt has found no upstream
		short := newRequestBody(int(out.ContentLength) + 1)
		n, err := io.ReadFull(out.Body, short.content)
		_ = out.Body.Close()
		if err != io.ErrUnexpectedEOF || int64(n) != out.ContentLength {
			short.release()
			return errors.New("the request's body does not have the length in Content-Length")
		}
		short.content = short.content[:n]
		c.short = short
	}
	// reverse_proxy makes a trace for each attempt. If there is none, the memory is not reused.
	if trace := httptrace.ContextClientTrace(out.Context()); trace != nil && trace.WroteRequest == nil {
		trace.WroteRequest = func(httptrace.WroteRequestInfo) { c.short.giveBack() }
	}
	out.GetBody = func() (io.ReadCloser, error) { return c.short.lend(), nil }
	out.Body = c.short.lend()
	return nil
}

// upstreamsOwn are headers of an answer that are about the upstream's host, not this server.
var upstreamsOwn = []string{"Set-Cookie", "Alt-Svc", "Nel", "Report-To", "Strict-Transport-Security"}

// incoming removes headers that are about the upstream's host. It ends the body when the rest is not needed,
// and decompresses an answer that is compressed although the request did not allow that.
func (c *handoff) incoming(res *http.Response) {
	for _, name := range upstreamsOwn {
		delete(res.Header, name)
	}
	body := &wantedBody{body: res.Body, reader: res.Body, carried: c}
	if strings.EqualFold(res.Header.Get("Content-Encoding"), "gzip") {
		body.reader = &lazyGzip{compressed: res.Body}
		res.Header.Del("Content-Encoding")
		res.Header.Del("Content-Length")
		res.ContentLength = -1
	}
	res.Body = body
}

// wantedBody is an upstream's body that ends as soon as the rest is not needed. Closing it then cancels the
// request upstream.
type wantedBody struct {
	body    io.ReadCloser
	reader  io.Reader
	carried *handoff
}

func (b *wantedBody) Read(p []byte) (int, error) {
	if b.carried.done {
		return 0, io.EOF
	}
	return b.reader.Read(p)
}

func (b *wantedBody) Close() error { return b.body.Close() }

// lazyGzip decompresses what it reads. It does not wait for the first bytes before it is read, so that the
// header can be sent before they arrive.
type lazyGzip struct {
	compressed io.Reader
	reader     *gzip.Reader
}

func (g *lazyGzip) Read(p []byte) (n int, err error) {
	if g.reader == nil {
		if g.reader, err = gzip.NewReader(g.compressed); err != nil {
			return 0, err
		}
	}
	return g.reader.Read(p)
}

// Interface guards
var (
	_ caddy.Provisioner                      = (*Transport)(nil)
	_ caddy.CleanerUpper                     = (*Transport)(nil)
	_ caddyfile.Unmarshaler                  = (*Transport)(nil)
	_ http.RoundTripper                      = (*Transport)(nil)
	_ reverseproxy.TLSTransport              = (*Transport)(nil)
	_ reverseproxy.H2CTransport              = (*Transport)(nil)
	_ reverseproxy.RequestHeaderOpsTransport = (*Transport)(nil)
)
