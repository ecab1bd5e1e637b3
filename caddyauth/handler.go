// Package caddyauth is the Caddy module of caddy-continue-auth: it gives each user of an OpenAI
// client a key of their own for Cloudflare AI Gateway.
package caddyauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/continue-auth/caddy-continue-auth/keystore/cache"
	"github.com/continue-auth/caddy-continue-auth/provider"
	"github.com/continue-auth/caddy-continue-auth/provider/hub"
)

func init() {
	caddy.RegisterModule(new(Handler))
}

// Handler checks the key that a user of an OpenAI client presents, and turns the request into
// one for Cloudflare AI Gateway, which the next handler, `reverse_proxy` with
// `transport continue_auth`, sends there. It turns the answer back into OpenAI's.
//
// A user presents a key in `Authorization: Bearer`, `x-api-key`, `api-key` or `x-goog-api-key`: as `<key>` with
// the email in a header of its own, or as `<email>:<key>`. Where several of them are present, they must
// agree. A key in the URL is not looked at.
//
// It sets these placeholders:
//
// Placeholder | Description
// ------------|---------------
// `{http.auth.user.id}` | The user's email, once the key has been found right
// `{http.continue_auth.client}` | The program that sent the request, by its User-Agent: claude-code, codex, opencode, continue, gemini-cli, qwen-code, cline, zed, copilot or other
// `{http.continue_auth.client_format}` | The format of the request: chat, completions, responses or embeddings
// `{http.continue_auth.session_id}` | A hash of the user and the session that the client has named
// `{http.continue_auth.provider}` | The AI provider
// `{http.continue_auth.model}` | The model, without the provider's name
// `{http.continue_auth.prompt_tokens}` | How many tokens the request took, once the answer has ended
// `{http.continue_auth.completion_tokens}` | How many tokens the answer took
// `{http.continue_auth.cached_tokens}` | How many of the request's tokens the provider had cached
// `{http.continue_auth.request_id}` | The request's id: X-Request-Id as it came, or a new one
// `{http.continue_auth.key_id}` | The first 8 digits of the hash of the user's key
// `{http.continue_auth.key_lookup}` | Where the user's record was from: fresh, refreshed, loaded, stale, absent or error
// `{http.continue_auth.outcome}` | What became of the request: ok, canceled or the code of an error
//
// All settings take placeholders such as `{env.*}` and `{file.*}`, which are resolved when the
// configuration loads.
type Handler struct {
	// The Cloudflare account that the AI Gateway belongs to. Required.
	AccountID string `json:"account_id,omitempty"`

	// The name of the AI Gateway. Required.
	Gateway string `json:"gateway,omitempty"`

	// A Cloudflare API token with the permission AI Gateway Run. Required.
	GatewayToken string `json:"gateway_token,omitempty"`

	// Where the users' keys and the providers' settings are. Required.
	KeystoreRaw json.RawMessage `json:"keystore,omitempty" caddy:"namespace=continue_auth.keystores inline_key=module"`

	// How long what the keystore says is believed.
	Cache Cache `json:"cache,omitzero"`

	// Other names for models. A name is looked for among the exact ones first, then among those that
	// end in `*`, of which the longest counts. What an alias leads to is not looked for again.
	Aliases []Alias `json:"alias,omitempty"`

	// The request header that holds the user's email. Default: `X-User-Email`.
	EmailHeader string `json:"email_header,omitempty"`

	// The largest request body that is taken, such as `20MB`. Default: `20MB`.
	MaxBodySize Value `json:"max_body_size,omitempty"`

	// How many sign-ins of one client address may fail before it has to wait.
	FailedAttempts FailedAttempts `json:"failed_attempts,omitzero"`

	// Further request headers that clients may send upstream, beside Accept, Content-Type and
	// User-Agent. Credentials, cookies and forwarding headers are never sent, even if they are
	// listed here; of Cloudflare's own (cf-*), only cf-aig-cache-ttl, cf-aig-skip-cache and
	// cf-aig-cache-key may be.
	ClientHeaders []string `json:"client_headers,omitempty"`

	// Whether to ask upstream for the token counts of streams whose clients did not, and to take them
	// out again, so that the metrics and the access log have them. Old API versions of Azure OpenAI
	// refuse that. Default: false.
	AskUsage bool `json:"ask_usage,omitempty"`

	logger    *zap.Logger
	settings  settings
	attempts  *failedAttempts
	cache     *cache.Cache
	providers *provider.Providers
	cacheKey  string // set only once a reference to the cache is held
	snapshots *snapshots
}

// CaddyModule returns the module's ID and constructor.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.continue_auth",
		New: func() caddy.Module { return new(Handler) },
	}
}

// Provision resolves the settings and opens the keystore, or takes over the cache of a
// configuration before this one.
func (h *Handler) Provision(ctx caddy.Context) (err error) {
	h.logger = ctx.Logger()
	if h.settings, err = h.resolve(); err != nil {
		return err
	}
	for _, name := range h.ClientHeaders {
		if !mayPass(name, h.settings.emailHeader) {
			h.logger.Warn("header in client_headers is never sent upstream", zap.String("header", name))
		}
	}
	if err := registerMetrics(ctx.GetMetricsRegistry()); err != nil {
		return err
	}
	h.attempts = newFailedAttempts(h.settings.failedCount, h.settings.failedWindow)
	return h.openKeystore(ctx) // last, so that nothing can fail while the reference is held
}

// Validate refuses settings that contradict each other.
func (h *Handler) Validate() error { return h.settings.validate() }

// Cleanup gives the cache back. Caddy calls it after a failed Provision too.
func (h *Handler) Cleanup() error {
	if h.snapshots != nil {
		h.snapshots.close()
	}
	if h.cacheKey == "" {
		return nil
	}
	_, err := caches.Delete(h.cacheKey)
	return err
}

// ServeHTTP answers requests for models itself and hands all others on to next.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	rec := newRecord(r)
	defer rec.end(r.Context()) // also of an answer that breaks off in a panic
	err := h.serve(w, r, next, rec)
	var refused *hub.Error
	if errors.As(err, &refused) {
		rec.refuse(refused)
		writeError(w, rec, refused)
		return nil
	}
	var failed caddyhttp.HandlerError
	if errors.As(err, &failed) && failed.StatusCode == statusClientGone {
		w.WriteHeader(statusClientGone) // rather than Caddy, whose log of errors has the headers with the key
		return nil
	}
	if err == nil && rec.outcome == "" {
		rec.outcome = outcomeOK
	}
	return err
}

// serve is the way of a request. Its errors are *hub.Error where the client is to be told.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, rec *record) error {
	to, err := route(w, r)
	rec.wire, rec.format = to.format, to.name
	if err != nil {
		return err
	}
	if to.probe {
		w.Header()["X-Request-Id"] = rec.id[:]
		w.WriteHeader(http.StatusOK)
		return nil
	}
	user, err := h.identify(r, rec)
	if err != nil {
		return err
	}
	rec.session = sessionOf(user.email, r.Header)
	if to.models {
		w.Header()["X-Request-Id"] = rec.id[:]
		return h.serveModels(w, r, user, to.model)
	}
	body, err := h.readBody(w, r)
	if err != nil {
		return err
	}
	defer body.release()
	request, err := to.parse(body.content)
	if err != nil {
		return err
	}
	settings, err := h.authorize(r.Context(), user, request)
	if err != nil {
		return err
	}
	rec.endpoint, rec.provider, rec.model = to.endpoint, request.Provider, request.Model
	rec.listed = slices.Contains(settings.Models, request.Model)
	return h.proxy(w, r, next, user, request, body, settings, rec)
}

// writeError answers with e. What a retry cannot mend says so, to spare the upstream and the user.
func writeError(w http.ResponseWriter, rec *record, e *hub.Error) {
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Cache-Control", "no-store")
	if e.Status == http.StatusUnauthorized {
		header.Set("WWW-Authenticate", "Bearer")
	}
	if e.RetryAfter != "" {
		header.Set("Retry-After", e.RetryAfter)
	}
	if e.Final {
		header.Set("X-Should-Retry", "false")
	}
	header["X-Request-Id"] = rec.id[:]
	body := rec.wire.AppendError(nil, e, rec.id[0])
	header.Set("Content-Length", fmt.Sprint(len(body)))
	w.WriteHeader(e.Status)
	_, _ = w.Write(body) // a client that has gone cannot be told
}

// clientGone is the error for a client that has hung up: nobody is left to answer, and Caddy's
// access log says so, with the status that its reverse_proxy uses too.
func clientGone(ctx context.Context) error { return caddyhttp.Error(statusClientGone, ctx.Err()) }

// statusClientGone is the status in the access log that nobody gets to see elsewhere.
const statusClientGone = 499

// Interface guards
var (
	_ caddy.Module                = (*Handler)(nil)
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddy.Validator             = (*Handler)(nil)
	_ caddy.CleanerUpper          = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
