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

// record collects what becomes known about a request, for the access log, the metrics and the trace. It
// contains no secrets.
type record struct {
	began time.Time
	id    [1]string // the request's ID as a header's values

	email    string           // the email in the request
	named    bool             // whether email comes from its own header; otherwise it may be a part of a key
	key      *keystore.APIKey // the record of that user, if there is one
	keyID    keystore.KeyID   // the ID of the client's key, if the key is right
	signedIn bool
	lookup   cache.Source

	team    string // the user's team, or ""
	client  string // the program, by its User-Agent
	format  string // of the request; "" if it is not for a model
	costs   bool   // the request is for an answer of a model, so it counts as use
	wire    hub.Format
	session string // a hash of the user and the client's session

	endpoint hub.Endpoint
	provider string // set when it is known to be served here
	model    string // without the provider's name
	listed   bool   // the model is in the provider's settings

	counter    counter   // counts the answer's tokens; nil if there is no answer
	usage      hub.Usage // the token counts, set when the answer has ended
	firstByte  time.Duration
	logID      string // the AI Gateway's ID of its log entry
	upstreamID string // the provider's ID of the request

	used  *consumption // what is known about the limits; nil if nothing is limited
	limit string       // the limit that refused the request

	refused *hub.Error
	outcome string
	run     string // the run of the ledger that counted the request, or ""
}

// counter returns an answer's token counts so far. ok is false if the provider has not given any.
type counter interface {
	Usage() (u hub.Usage, ok bool)
}

// The outcomes of requests, in addition to the codes of this server's own errors.
const (
	outcomeOK          = "ok"
	outcomeCanceled    = "canceled"     // by the client
	outcomeCut         = "upstream_cut" // the answer was cut off
	outcomeRateLimited = "upstream_rate_limited"
	outcomeClientError = "upstream_client_error"
	outcomeServerError = "upstream_server_error"
)

// newRecord begins the record of a request and adds its placeholders.
func newRecord(r *http.Request) *record {
	rec := &record{began: time.Now(), id: [1]string{requestID(r)}, client: clientOf(r.UserAgent())}
	r.Header["X-Request-Id"] = rec.id[:] // so that client_headers can contain it
	if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		repl.Map(rec.placeholder)
	}
	return rec
}

// maxRequestID limits the length of a client's request ID.
const maxRequestID = 128

// requestID returns the ID that the client or an earlier handler gave the request. If there is none, or if it
// could do harm in a log, it returns a new ID. A new ID must be unique, but it need not be hard to guess.
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

// wrote notes that a part of the answer is sent to the client now.
func (rec *record) wrote() {
	if rec.firstByte == 0 {
		rec.firstByte = time.Since(rec.began)
	}
}

// upstream notes the IDs in the header of the upstream's answer. It replaces the provider's request ID with
// this server's, because that one leads to the access log.
func (rec *record) upstream(header http.Header) {
	rec.logID = header.Get("Cf-Aig-Log-Id")
	if ids := header["X-Request-Id"]; len(ids) > 0 {
		rec.upstreamID = ids[len(ids)-1]
	}
	header["X-Request-Id"] = rec.id[:]
	rec.showLimits(header)
}

// refuse notes the error that the client gets.
func (rec *record) refuse(e *hub.Error) {
	rec.refused = e
	switch {
	case e.From == hub.Proxy, e.Code == "upstream_auth_failed", e.Code == "upstream_misconfigured", decided(e):
		rec.outcome = e.Code // these codes are this server's own; there are only a few
	case e.Status == http.StatusTooManyRequests:
		rec.outcome = outcomeRateLimited
	case e.Status < 500:
		rec.outcome = outcomeClientError
	default:
		rec.outcome = outcomeServerError
	}
}

// decided reports whether a rule that the operator set at the gateway refuses the request. Then nothing
// upstream is broken, and no alert about a provider should fire.
func decided(e *hub.Error) bool {
	return e.From == hub.Gateway && (e.Code == "policy_denied" || e.Code == "spending_limit_reached")
}

// end completes the record, also if the client has gone, so that all tokens are counted. Caddy writes its
// access log after that.
func (rec *record) end(ctx context.Context) {
	if rec.outcome == "" {
		rec.outcome = outcomeCanceled
	}
	if rec.counter != nil {
		rec.usage, _ = rec.counter.Usage()
	}
	rec.settle()
	rec.count()
	rec.trace(ctx)
	if extra, ok := ctx.Value(caddyhttp.ExtraLogFieldsCtxKey).(*caddyhttp.ExtraLogFields); ok {
		extra.Add(zap.Inline(rec))
	}
}

// partial reports whether the answer ended early, so that token counts may be missing.
func (rec *record) partial() bool {
	return rec.provider != "" && (rec.outcome == outcomeCanceled || rec.outcome == outcomeCut)
}
