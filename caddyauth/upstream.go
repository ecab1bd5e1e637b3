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

// handoff is what the handler gives to the transport in the context of a request. It must not be in the
// headers or in the URL, because Caddy logs these at level DEBUG.
type handoff struct {
	// header and query are added to the request when it is sent. Requests share them, so they must not be
	// changed.
	header http.Header
	query  url.Values

	// authorization is the gateway's token as a header's values. It must not be changed.
	authorization []string

	// metadata tells the gateway who the user is. It is not secret. It is here because only the transport
	// needs it, and because each header in the request makes reverse_proxy slower.
	metadata string

	// session tells the gateway which requests belong together. It is "" if the client names no session.
	session string

	// body is the request's body. It is not needed any more when upstream has answered.
	body *requestBody

	// reader is the reader of body that next gets. Handlers in between may wrap it.
	reader *bodyReader

	// short is a copy of the body, if the body is short and an attempt to send it has been made.
	short *requestBody

	// streamed says that the client wants a stream, whose beginning must arrive soon.
	streamed bool

	// sent says that the request has gone through our transport. Otherwise the answer is not from the
	// gateway.
	sent bool

	// done says that the rest of the upstream's body is not needed.
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

// end is release, for when next has returned. If no upstream has answered, end also closes the reader: an
// attempt that found no upstream leaves it open.
func (c *handoff) end(answered bool) {
	c.release()
	if !answered {
		_ = c.reader.Close()
	}
}

// redact removes the secrets from a text from upstream, because providers quote keys that they refuse.
func (c *handoff) redact(text string) string {
	for _, secret := range c.secrets() {
		text = strings.ReplaceAll(text, secret, "[redacted]")
	}
	return text
}

// mask is redact for an answer that passes, so it keeps the length. It does not change piece, but makes a
// copy if necessary.
func (c *handoff) mask(piece []byte) []byte {
	for _, secret := range c.secrets() {
		if bytes.Contains(piece, []byte(secret)) {
			piece = bytes.ReplaceAll(piece, []byte(secret), bytes.Repeat([]byte("*"), len(secret)))
		}
	}
	return piece
}

// secrets returns the secrets that go upstream with the request.
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

// minSecret is the minimum length of a secret. Removing shorter texts would damage the answers of models.
const minSecret = 4

// harmless reports whether a header or parameter of a provider's settings is known not to be secret. Its
// value may occur in an answer by chance and must not be removed.
func harmless(name string) bool {
	name = strings.ToLower(name)
	return strings.HasSuffix(name, "version") || strings.HasSuffix(name, "-beta") || slices.Contains([]string{"accept", "alt", "content-type", "user-agent"}, name)
}

// proxy sends the request to the AI Gateway through next, and translates the answer.
func (h *Handler) proxy(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, u user, request *hub.Request, body *requestBody, s *keystore.Settings, rec *record) error {
	request.User, request.AskUsage, request.Query = u.email, h.AskUsage, clientQuery(r)
	request.Peers = h.peersOf(r.Context())
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
	request.Body, call.Body = nil, nil // their memory may belong to another request before this one ends
	out := h.upstreamRequest(r, carried, call)
	return h.relay(w, out, next, carried, call, rec)
}

// clientQuery returns the query of a request. Most requests have none.
func clientQuery(r *http.Request) url.Values {
	if r.URL.RawQuery == "" {
		return nil
	}
	return r.URL.Query()
}

// upstreamRequest returns r in the form in which it goes upstream, without what carried contains.
func (h *Handler) upstreamRequest(r *http.Request, carried *handoff, call *hub.Call) *http.Request {
	out := r.WithContext(context.WithValue(r.Context(), handoffKey{}, carried))
	out.URL = &url.URL{
		Path:     "/v1/" + h.settings.accountID + "/" + h.settings.gateway + "/" + call.Path,
		RawQuery: call.Query,
	}
	out.RequestURI = out.URL.Path // reverse_proxy logs it, and the client's query may contain a key
	out.Header = h.upstreamHeader(r.Header, call)
	out.Trailer = nil
	out.TransferEncoding = nil
	out.ContentLength = int64(len(carried.body.content))
	carried.reader = carried.body.open()
	out.Body = carried.reader
	return out
}

// upstreamHeader returns the headers that go upstream, without the secrets.
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
		header["Content-Type"] = jsonType // the body is JSON, whatever the client calls it
	}
	return header
}

// jsonType is a header's value and must not be changed.
var jsonType = []string{"application/json"}

// passedHeaders are the headers that every client may send upstream.
var passedHeaders = []string{"Accept", "Content-Type", "User-Agent"}

// neverPassed are headers that no client may send upstream: credentials, headers that identify a user, and
// headers of a single connection. Continue sends the user's key in several of them.
var neverPassed = []string{
	"Authorization", "Proxy-Authorization", "X-User-Email", "Api-Key", "X-Api-Key", "X-Goog-Api-Key", "Cookie",
	"Forwarded", "X-Real-Ip", "True-Client-Ip", "Via",
	"Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
	"Host", "Content-Length", "Content-Encoding", "Accept-Encoding", "Expect",
}

// cloudflareHeaders are the gateway's headers that an operator may allow. With the others, clients could
// forge metadata, choose another stored key, or avoid the log.
var cloudflareHeaders = []string{"Cf-Aig-Cache-Ttl", "Cf-Aig-Skip-Cache", "Cf-Aig-Cache-Key"}

// mayPass reports whether the operator may allow clients to send a header of that name upstream.
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

// metadata returns the value of cf-aig-metadata. The user is first, because the gateway uses only the first
// five entries (https://developers.cloudflare.com/ai-gateway/observability/custom-metadata/).
func metadata(u user) string {
	b := jsontext.AppendString(append(make([]byte, 0, 128), `{"user":`...), u.email)
	for _, entry := range u.Metadata {
		b = jsontext.AppendString(append(b, ','), entry.Name)
		b = append(append(b, ':'), entry.Value...)
	}
	return ascii(string(append(b, '}')))
}

// ascii escapes the characters beyond ASCII in JSON, so that a header can contain it.
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
