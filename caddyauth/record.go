package caddyauth

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/continue-auth/caddy-continue-auth/keystore"
	"github.com/continue-auth/caddy-continue-auth/keystore/cache"
	"github.com/continue-auth/caddy-continue-auth/provider/hub"
)

// record is what becomes known of a request. It ends up in the access log, the metrics and the trace;
// nothing in it is secret.
type record struct {
	began time.Time
	id    [1]string // of the request, as a header's values

	email    string           // whose the request claims to be
	named    bool             // in the header for it, and not in what may be a part of a key
	key      *keystore.APIKey // of that user, if there is one
	keyID    keystore.KeyID   // of the key that was presented, once it has been found right
	signedIn bool
	lookup   cache.Source

	client  string // the program, by its User-Agent
	format  string // of the request; "" where it is not for a model
	wire    hub.Format
	session string // a hash of the user and the client's session

	endpoint hub.Endpoint
	provider string // once it is known to be served here
	model    string // without the provider's name
	listed   bool   // the model is in the provider's settings

	counter    counter   // of the answer's tokens; nil: there is no answer
	usage      hub.Usage // what has been counted, once the answer has ended
	firstByte  time.Duration
	logID      string // the AI Gateway's
	upstreamID string // the provider's id of the request

	refused *hub.Error
	outcome string
}

// counter knows how many tokens an answer has taken so far; ok is false where the provider has not said.
type counter interface {
	Usage() (u hub.Usage, ok bool)
}

// Outcomes of requests beside the codes of our own errors.
const (
	outcomeOK          = "ok"
	outcomeCanceled    = "canceled"     // by the client
	outcomeCut         = "upstream_cut" // an answer that broke off
	outcomeRateLimited = "upstream_rate_limited"
	outcomeClientError = "upstream_client_error"
	outcomeServerError = "upstream_server_error"
)

// newRecord begins the record of a request, where Caddy's placeholders find it.
func newRecord(r *http.Request) *record {
	rec := &record{began: time.Now(), id: [1]string{requestID(r)}, client: clientOf(r.UserAgent())}
	r.Header["X-Request-Id"] = rec.id[:] // so that client_headers can name it
	if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		repl.Map(rec.placeholder)
	}
	return rec
}

// maxRequestID bounds an id that is taken over.
const maxRequestID = 128

// requestID is the id that the client, or a handler before this one, has given the request, or a new
// one. An id that could do harm where it is written is not taken over. Nothing hangs on a new one's being
// hard to guess, but that no other is the same.
func requestID(r *http.Request) string {
	id := r.Header.Get("X-Request-Id")
	harmful := func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("-_.:/+=", c))
	}
	if id == "" || len(id) > maxRequestID || strings.ContainsFunc(id, harmful) {
		return newRequestID()
	}
	return id
}

func newRequestID() string {
	var id [16]byte
	binary.NativeEndian.PutUint64(id[:8], rand.Uint64())
	binary.NativeEndian.PutUint64(id[8:], rand.Uint64())
	return hex.EncodeToString(id[:])
}

// wrote notes that a part of the answer goes to the client now.
func (rec *record) wrote() {
	if rec.firstByte == 0 {
		rec.firstByte = time.Since(rec.began)
	}
}

// upstream notes what the header of the upstream's answer says of the request, and puts our id into
// the place of the provider's: it is ours that leads to the access log.
func (rec *record) upstream(header http.Header) {
	rec.logID = header.Get("Cf-Aig-Log-Id")
	if ids := header["X-Request-Id"]; len(ids) > 0 {
		rec.upstreamID = ids[len(ids)-1]
	}
	header["X-Request-Id"] = rec.id[:]
}

// refuse notes the error that the client is told.
func (rec *record) refuse(e *hub.Error) {
	rec.refused = e
	switch {
	case e.From == hub.Proxy, e.Code == "upstream_auth_failed", e.Code == "upstream_misconfigured", decided(e):
		rec.outcome = e.Code // one of ours, of which there are few
	case e.Status == http.StatusTooManyRequests:
		rec.outcome = outcomeRateLimited
	case e.Status < 500:
		rec.outcome = outcomeClientError
	default:
		rec.outcome = outcomeServerError
	}
}

// decided reports whether a rule of the operator's at the gateway refuses the request. Nothing upstream is out of
// order then, and no alert about a provider has to ring.
func decided(e *hub.Error) bool {
	return e.From == hub.Gateway && (e.Code == "policy_denied" || e.Code == "spending_limit_reached")
}

// end completes the record, also of a request whose client has gone: nothing that was used is
// forgotten. Caddy writes its access log after it.
func (rec *record) end(ctx context.Context) {
	if rec.outcome == "" {
		rec.outcome = outcomeCanceled
	}
	if rec.counter != nil {
		rec.usage, _ = rec.counter.Usage()
	}
	rec.count()
	rec.trace(ctx)
	if extra, ok := ctx.Value(caddyhttp.ExtraLogFieldsCtxKey).(*caddyhttp.ExtraLogFields); ok {
		extra.Add(zap.Inline(rec))
	}
}

// partial says that the answer did not come to its end, and so perhaps not to its token counts.
func (rec *record) partial() bool {
	return rec.provider != "" && (rec.outcome == outcomeCanceled || rec.outcome == outcomeCut)
}
