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

// Transport is Caddy's own `http` transport, with all its options, which puts the secrets of
// `continue_auth` on a request as it leaves: the gateway's token, and the provider's headers and
// query string. Before that, they are nowhere in the request, where a log could show them.
//
// Default of `write_buffer`: 8 KiB.
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

// A short request fits into the write buffer, its header with its body. An editor sends those most
// often, for the completion of a line with some 4 KB around it.
const (
	writeBuffer  = 8 << 10
	maxShortBody = 7 << 10
)

// Provision sets up the transport, with a buffer that a short request fits into, and connections that
// take long ones in few pieces.
func (t *Transport) Provision(ctx caddy.Context) error {
	t.WriteBufferSize = cmp.Or(t.WriteBufferSize, writeBuffer)
	if err := t.HTTPTransport.Provision(ctx); err != nil {
		return err
	}
	t.Transport.DialContext = dialing(t.Transport.DialContext)
	return nil
}

// RoundTrip sends req with the secrets. A client's request that has not come through the handler is
// refused; what has no client, a health check, passes without secrets.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	carried, ok := req.Context().Value(handoffKey{}).(*handoff)
	if !ok {
		if req.Context().Value(caddyhttp.ServerCtxKey) != nil {
			return nil, errors.New("transport continue_auth needs the handler continue_auth before reverse_proxy")
		}
		return t.HTTPTransport.RoundTrip(req)
	}
	carried.sent = true
	out := new(http.Request) // Caddy logs req once this returns
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

// outgoing is header with the secrets and what is the same for all requests, and without what
// reverse_proxy has added about the client.
func (c *handoff) outgoing(header http.Header) http.Header {
	out := make(http.Header) // not of a size: what has eight names at most, as mostly, Go keeps in less memory
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

// identity is a header's value, which nobody writes to. Without it, Go asks for gzip, and an answer that is
// compressed cannot be passed on piece by piece.
var identity = []string{"identity"}

// gather sees to how a body leaves, and that it can be had again: Go sends a request once more on a new
// connection if a kept one turns out dead.
//
// It puts a short body into memory of its own, in a type that net/http knows. Go sends the header
// ahead of any other, for the body might be long in coming, and so takes two writes and two packets. It
// is read here so that what handlers between have made of it counts. A longer one leaves behind its header, and
// so does that of a stream: what one write saves is little of what a stream takes, and the upstream that has
// the header wakes while the body is on its way.
func (c *handoff) gather(out *http.Request) error {
	if out.Body == nil || out.ContentLength == 0 {
		return nil
	}
	if out.ContentLength < 0 || out.ContentLength > maxShortBody || c.streamed {
		leaving := &leavingBody{body: out.Body}
		if out.ContentLength == int64(len(c.body.content)) { // else a handler between has put another in its place
			leaving.reader = c.reader
			out.GetBody = func() (io.ReadCloser, error) {
				again := c.body.open()
				return &leavingBody{body: again, reader: again}, nil
			}
		}
		out.Body = leaving
		return nil
	}
	if c.short == nil { // not of an attempt before, which has found no upstream
		short := newRequestBody(int(out.ContentLength) + 1)
		n, err := io.ReadFull(out.Body, short.content)
		_ = out.Body.Close()
		if err != io.ErrUnexpectedEOF || int64(n) != out.ContentLength {
			short.release()
			return errors.New("the request's body is not as long as it says")
		}
		short.content = short.content[:n]
		c.short = short
	}
	// reverse_proxy has made the trace for this attempt alone. Without it, the memory is the garbage
	// collector's in the end.
	if trace := httptrace.ContextClientTrace(out.Context()); trace != nil && trace.WroteRequest == nil {
		trace.WroteRequest = func(httptrace.WroteRequestInfo) { c.short.giveBack() }
	}
	out.GetBody = func() (io.ReadCloser, error) { return c.short.lend(), nil }
	out.Body = c.short.lend()
	return nil
}

// upstreamsOwn are headers of an answer that speak for the upstream's host, not for ours.
var upstreamsOwn = []string{"Set-Cookie", "Alt-Svc", "Nel", "Report-To", "Strict-Transport-Security"}

// incoming takes what is the upstream's own off an answer. It makes the body end where it is not wanted any
// more, and takes off a compression that nobody has asked for.
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

// wantedBody is an upstream's body that ends as soon as nothing more of it is wanted. Closing it
// then cancels the upstream.
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

// lazyGzip decompresses what it reads. It waits for the first bytes only when it is read, so that
// headers go out before them.
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
