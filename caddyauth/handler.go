// Package caddyauth provides the Caddy modules of caddy-continue-auth. They give each user of an AI client a
// personal key for Cloudflare AI Gateway.
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
	"github.com/continue-auth/caddy-continue-auth/usage"
)

func init() {
	caddy.RegisterModule(new(Handler))
}

// Handler is a middleware that checks the user's key and turns the request into a request to Cloudflare AI
// Gateway. The next handler, `reverse_proxy` with `transport continue_auth`, sends it there. Handler then
// turns the answer into the format of the client.
//
// The key is in the header `Authorization: Bearer`, `x-api-key`, `api-key` or `x-goog-api-key`. It is either
// `<key>`, with the user's email in a header of its own, or `<email>:<key>`. If a request has several of
// these headers, they must agree. A key in the URL is ignored.
//
// The handler sets these placeholders:
//
// Placeholder | Description
// ------------|---------------
// `{http.auth.user.id}` | The user's email, if the key is right
// `{http.continue_auth.client}` | The program that sent the request, by its User-Agent: claude-code, codex, opencode, continue, gemini-cli, qwen-code, cline, zed, copilot or other
// `{http.continue_auth.client_format}` | The format of the request: chat, completions, responses, embeddings, messages or gemini
// `{http.continue_auth.session_id}` | A hash of the user and the client's session
// `{http.continue_auth.provider}` | The AI provider
// `{http.continue_auth.model}` | The model, without the provider's name
// `{http.continue_auth.prompt_tokens}` | The number of tokens of the request, set when the answer has ended
// `{http.continue_auth.completion_tokens}` | The number of tokens of the answer, set when it has ended
// `{http.continue_auth.cached_tokens}` | The number of tokens of the request that the provider had cached
// `{http.continue_auth.request_id}` | The request's ID: the client's X-Request-Id, or a new one
// `{http.continue_auth.key_id}` | The first 8 digits of the hash of the user's key
// `{http.continue_auth.key_lookup}` | Where the user's record came from: fresh, refreshed, loaded, stale, absent or error
// `{http.continue_auth.limit}` | The limit that refused the request, such as `requests 120/1m`
// `{http.continue_auth.outcome}` | The outcome of the request: ok, canceled or an error code
//
// All settings accept placeholders such as `{env.*}` and `{file.*}`, which are replaced when the
// configuration loads.
type Handler struct {
	// The ID of the Cloudflare account that the AI Gateway belongs to. Required.
	AccountID string `json:"account_id,omitempty"`

	// The name of the AI Gateway. Required.
	Gateway string `json:"gateway,omitempty"`

	// A Cloudflare API token with the permission AI Gateway Run. Required.
	GatewayToken string `json:"gateway_token,omitempty"`

	// The keystore with the users' keys and the providers' settings. Required.
	KeystoreRaw json.RawMessage `json:"keystore,omitempty" caddy:"namespace=continue_auth.keystores inline_key=module"`

	// How long answers of the keystore are used.
	Cache Cache `json:"cache,omitzero"`

	// Other names for models. Exact names are tried before names that end in `*`. If several of those match,
	// the longest is used. The result is not looked up among the aliases again.
	Aliases []Alias `json:"alias,omitempty"`

	// What each user may use. A user's own record can set other limits.
	Limits Limits `json:"limits,omitzero"`

	// A store with which several servers count together. Default: each server counts by itself.
	SharedRaw json.RawMessage `json:"shared,omitempty" caddy:"namespace=continue_auth.shared inline_key=module"`

	// Where usage is kept, hour by hour. Default: it is not kept.
	LedgerRaw json.RawMessage `json:"ledger,omitempty" caddy:"namespace=continue_auth.ledgers inline_key=module"`

	// Whether users get a page at `/` that shows their usage and how to set up their agents. Default: false.
	Portal bool `json:"portal,omitempty"`

	// The request header that contains the user's email. Default: `X-User-Email`.
	EmailHeader string `json:"email_header,omitempty"`

	// The maximum size of a request body after decompression. Default: `20MB`.
	MaxBodySize Value `json:"max_body_size,omitempty"`

	// How many sign-ins from one client address may fail before it must wait.
	FailedAttempts FailedAttempts `json:"failed_attempts,omitzero"`

	// Additional request headers that clients may send upstream, besides Accept, Content-Type and User-Agent.
	// Credentials, cookies and forwarding headers are never sent, even if they are in this list. Of
	// Cloudflare's own headers (cf-*), only cf-aig-cache-ttl, cf-aig-skip-cache and cf-aig-cache-key are
	// allowed.
	ClientHeaders []string `json:"client_headers,omitempty"`

	// Whether to ask upstream for the token counts of streams even if the client does not. The counts are
	// used for the metrics and the access log and are removed from the client's answer. Old API versions of
	// Azure OpenAI refuse such requests. Default: false.
	AskUsage bool `json:"ask_usage,omitempty"`

	logger    *zap.Logger
	settings  settings
	attempts  *failedAttempts
	cache     *cache.Cache
	providers *provider.Providers
	limiter   *usage.Limiter
	shared    usage.Shared    // nil if this server counts by itself
	ledger    *usage.Recorder // nil without a ledger
	snapshots *snapshots
	portal    *portal // nil without a portal

	// These are set only while a reference to the shared value is held.
	cacheKey, sharedKey, ledgerKey string
}

// CaddyModule returns the module's ID and constructor.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.continue_auth",
		New: func() caddy.Module { return new(Handler) },
	}
}

// Provision reads the settings, and opens the keystore or takes over the cache of an earlier configuration.
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
	if err := h.openShared(ctx); err != nil {
		return err
	}
	h.attempts.shared = h.shared
	if err := h.openLedger(ctx); err != nil {
		return err
	}
	if h.Portal {
		h.portal = newPortal(ctx.Storage(), h.logger)
	}
	return h.openKeystore(ctx)
}

// Validate returns an error for settings that contradict each other.
func (h *Handler) Validate() error { return h.settings.validate() }

// Cleanup releases the cache, the ledger and the shared store. Caddy also calls it after a failed Provision.
func (h *Handler) Cleanup() error {
	if h.snapshots != nil {
		h.snapshots.close()
	}
	return errors.Join(release(ledgers, h.ledgerKey), release(sharedStores, h.sharedKey), release(caches, h.cacheKey))
}

// ServeHTTP answers requests about models itself. It checks and changes all other requests and passes them to
// next.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	rec := newRecord(r)
	defer h.end(r.Context(), rec) // also if an answer is aborted with a panic
	err := h.serve(w, r, next, rec)
	var refused *hub.Error
	if errors.As(err, &refused) {
		rec.refuse(refused)
		writeError(w, rec, refused)
		return nil
	}
	var failed caddyhttp.HandlerError
	if errors.As(err, &failed) && failed.StatusCode == statusClientGone {
		// Caddy must not handle this error, because its error log contains the headers with the key.
		w.WriteHeader(statusClientGone)
		return nil
	}
	if err == nil && rec.outcome == "" {
		rec.outcome = outcomeOK
	}
	return err
}

// end completes the record of a request.
func (h *Handler) end(ctx context.Context, rec *record) {
	rec.end(ctx)
	h.enter(rec)
}

// serve handles a request. Its errors are *hub.Error if the client gets an answer.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, rec *record) error {
	if served, err := h.servePortal(w, r, rec); served || err != nil {
		return err
	}
	to, err := route(w, r)
	rec.wire, rec.format, rec.costs = to.format, to.name, to.costs()
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
	rec.session, rec.team = sessionOf(user.email, r.Header), h.settings.limits.teamOf(user)
	if to.models {
		w.Header()["X-Request-Id"] = rec.id[:]
		return h.serveModels(w, r, user, to.model)
	}
	if to.usage {
		w.Header()["X-Request-Id"] = rec.id[:]
		return h.serveUsage(w, r, user, rec)
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
	if err := h.admit(r.Context(), user, request, rec); err != nil {
		return err
	}
	return h.proxy(w, r, next, user, request, body, settings, rec)
}

// writeError answers with e. If retrying cannot help, the answer says so, which saves work upstream and time
// for the user.
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
	rec.showLimits(header)
	body := rec.wire.AppendError(nil, e, rec.id[0])
	header.Set("Content-Length", fmt.Sprint(len(body)))
	w.WriteHeader(e.Status)
	_, _ = w.Write(body) // a client that has gone cannot be told
}

// clientGone returns the error for a client that has hung up. There is no one to answer. The access log gets
// the same status that Caddy's reverse_proxy uses.
func clientGone(ctx context.Context) error { return caddyhttp.Error(statusClientGone, ctx.Err()) }

// statusClientGone appears only in the access log.
const statusClientGone = 499

// Interface guards
var (
	_ caddy.Module                = (*Handler)(nil)
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddy.Validator             = (*Handler)(nil)
	_ caddy.CleanerUpper          = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
