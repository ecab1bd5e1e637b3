package caddyauth

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/continue-auth/caddy-continue-auth/keystore"
	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
)

// handoff is what a request carries from the handler to the transport, in its context: neither in
// its headers nor in its URL, both of which Caddy logs at level DEBUG.
type handoff struct {
	// header and query are put on the request as it leaves. They are shared by requests and never
	// written to.
	header http.Header
	query  url.Values

	// authorization is the gateway's token as a header's values, which nobody writes to.
	authorization []string

	// metadata tells the gateway who the user is. It is no secret, but nobody has to see it before the
	// transport, and each header costs reverse_proxy more than all that we do with it.
	metadata string

	// session tells the gateway which requests belong together; "" where the client does not say.
	session string

	// body is the request's, which nobody needs any more once upstream has answered.
	body *requestBody

	// reader is the reader of body that next gets, whatever handlers between put around it.
	reader *bodyReader

	// short is a copy of it, if it is short and an attempt to send it has been made.
	short *requestBody

	// streamed says that the client wants the answer in pieces, the first of them soon.
	streamed bool

	// sent says that the request has come by our transport. An answer without is no answer of the
	// gateway's to this request.
	sent bool

	// done says that nothing more of the upstream's body is wanted.
	done bool
}

type handoffKey struct{}

// release ends the handler's hold on the request's body.
func (c *handoff) release() {
	c.body.release()
	if c.short != nil {
		c.short.release()
	}
}

// end is release, once next has returned. Where no upstream has answered, nobody reads the body any more
// either: an attempt that found no upstream has left it open.
func (c *handoff) end(answered bool) {
	c.release()
	if !answered {
		_ = c.reader.Close()
	}
}

// redact takes the secrets out of a text from upstream. Providers quote keys they refuse.
func (c *handoff) redact(text string) string {
	for _, secret := range c.secrets() {
		text = strings.ReplaceAll(text, secret, "[redacted]")
	}
	return text
}

// mask is redact for what passes through, which must not change its length. It writes to a copy.
func (c *handoff) mask(piece []byte) []byte {
	for _, secret := range c.secrets() {
		if bytes.Contains(piece, []byte(secret)) {
			piece = bytes.ReplaceAll(piece, []byte(secret), bytes.Repeat([]byte("*"), len(secret)))
		}
	}
	return piece
}

// secrets are those that go upstream with the request.
func (c *handoff) secrets() []string {
	all := []string{strings.TrimPrefix(c.authorization[0], "Bearer ")}
	for name, values := range c.header {
		for _, value := range values {
			if !harmless(name) {
				all = append(all, value, strings.TrimPrefix(value, "Bearer "))
			}
		}
	}
	for name, values := range c.query {
		if !harmless(name) {
			all = append(all, values...)
		}
	}
	return slices.DeleteFunc(all, func(secret string) bool { return len(secret) < minSecret })
}

// minSecret is the length of the shortest text that is taken for a secret: of shorter ones, nothing is
// left of what a model says.
const minSecret = 4

// harmless reports whether what a provider's settings have under that name is known to be no secret: it
// may stand in an answer by chance, and passes then.
func harmless(name string) bool {
	name = strings.ToLower(name)
	return strings.HasSuffix(name, "version") || strings.HasSuffix(name, "-beta") || slices.Contains([]string{"accept", "alt", "content-type", "user-agent"}, name)
}

// proxy sends the request on to the AI Gateway, by way of next, and translates the answer.
func (h *Handler) proxy(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, u user, request *hub.Request, body *requestBody, s *keystore.Settings, rec *record) error {
	request.User, request.AskUsage, request.Query = u.email, h.AskUsage, clientQuery(r)
	var anew rewritten
	request.Memory = anew.memory
	call, err := h.providers.Call(request)
	if err != nil {
		return err
	}
	if s.Body != nil && call.Chat {
		call.Body = jsontext.Merge(call.Body, s.Body)
	}
	body = anew.instead(body, call.Body)
	query := s.Query
	if query.Has(call.WithoutQuery) {
		query = maps.Clone(query)
		query.Del(call.WithoutQuery)
	}
	header := s.Header
	if call.Settings != nil {
		header = call.Settings(header)
	}
	carried := &handoff{
		header:        header,
		query:         query,
		authorization: h.settings.authorization,
		metadata:      metadata(u),
		session:       rec.session,
		body:          body,
		streamed:      request.Stream,
	}
	body.content = call.Body
	request.Body, call.Body = nil, nil // what they are in may be another request's before this one ends
	out := h.upstreamRequest(r, carried, call)
	return h.relay(w, out, next, carried, call, rec)
}

// clientQuery is the query of a request, which few have.
func clientQuery(r *http.Request) url.Values {
	if r.URL.RawQuery == "" {
		return nil
	}
	return r.URL.Query()
}

// upstreamRequest is r as it leaves, but for what carried holds.
func (h *Handler) upstreamRequest(r *http.Request, carried *handoff, call *hub.Call) *http.Request {
	out := r.WithContext(context.WithValue(r.Context(), handoffKey{}, carried))
	out.URL = &url.URL{
		Path:     "/v1/" + h.settings.accountID + "/" + h.settings.gateway + "/" + call.Path,
		RawQuery: call.Query,
	}
	out.RequestURI = out.URL.Path // reverse_proxy logs it: the client's may have a key in its query
	out.Header = h.upstreamHeader(r.Header, call)
	out.Trailer = nil
	out.TransferEncoding = nil
	out.ContentLength = int64(len(carried.body.content))
	carried.reader = carried.body.open()
	out.Body = carried.reader
	return out
}

// upstreamHeader is what of the client's headers goes upstream.
func (h *Handler) upstreamHeader(client http.Header, call *hub.Call) http.Header {
	header := make(http.Header, 8)
	for _, name := range passedHeaders {
		if values, ok := client[name]; ok {
			header[name] = values
		}
	}
	for _, name := range h.settings.clientHeaders {
		if values, ok := client[name]; ok && mayPass(name, h.settings.emailHeader) {
			header[name] = values
		}
	}
	if call.MayPass != nil {
		for name, values := range client {
			if call.MayPass(name) {
				header[name] = values
			}
		}
	}
	for name, values := range call.Header {
		if _, sent := header[name]; !sent {
			header[name] = values
		}
	}
	if !strings.HasPrefix(client.Get("Content-Type"), jsonType[0]) {
		header["Content-Type"] = jsonType // the body has been found to be JSON, whatever curl says of it
	}
	return header
}

// jsonType is a header's value, which nobody writes to.
var jsonType = []string{"application/json"}

// passedHeaders are the headers that every client may send upstream.
var passedHeaders = []string{"Accept", "Content-Type", "User-Agent"}

// neverPassed are headers that no client may send upstream: credentials, of which Continue sends
// the user's key in several, what tells users apart, and those of a single connection.
var neverPassed = []string{
	"Authorization", "Proxy-Authorization", "X-User-Email", "Api-Key", "X-Api-Key", "X-Goog-Api-Key", "Cookie",
	"Forwarded", "X-Real-Ip", "True-Client-Ip", "Via",
	"Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
	"Host", "Content-Length", "Content-Encoding", "Accept-Encoding", "Expect",
}

// cloudflareHeaders are the gateway's own that an operator may let clients send. All others would
// let them forge metadata, choose another stored key, or leave no log.
var cloudflareHeaders = []string{"Cf-Aig-Cache-Ttl", "Cf-Aig-Skip-Cache", "Cf-Aig-Cache-Key"}

// mayPass reports whether the operator may let clients send a header of that name upstream.
func mayPass(name, emailHeader string) bool {
	name = http.CanonicalHeaderKey(name)
	switch {
	case strings.HasPrefix(name, "Cf-"):
		return slices.Contains(cloudflareHeaders, name)
	case strings.HasPrefix(name, "X-Forwarded-"):
		return false
	}
	return name != emailHeader && !slices.Contains(neverPassed, name)
}

// metadata is the value of cf-aig-metadata: the user first, since the gateway takes five entries
// and ignores those beyond (https://developers.cloudflare.com/ai-gateway/observability/custom-metadata/).
func metadata(u user) string {
	b := jsontext.AppendString(append(make([]byte, 0, 128), `{"user":`...), u.email)
	for _, entry := range u.Metadata {
		b = jsontext.AppendString(append(b, ','), entry.Name)
		b = append(append(b, ':'), entry.Value...)
	}
	return ascii(string(append(b, '}')))
}

// ascii is JSON with the characters beyond ASCII escaped, as a header needs it.
func ascii(json string) string {
	if !strings.ContainsFunc(json, func(c rune) bool { return c >= utf8.RuneSelf }) {
		return json
	}
	var b strings.Builder
	for _, c := range json {
		if c < utf8.RuneSelf {
			b.WriteRune(c)
			continue
		}
		for _, unit := range utf16.AppendRune(nil, c) {
			fmt.Fprintf(&b, `\u%04x`, unit)
		}
	}
	return b.String()
}
