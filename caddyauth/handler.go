// Package caddyauth is the Caddy module of caddy-continue-auth: it gives each user of an OpenAI
// client a key of their own for Cloudflare AI Gateway.
package caddyauth

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/continue-auth/caddy-continue-auth/keystore/cache"
	"github.com/continue-auth/caddy-continue-auth/provider"
	"github.com/continue-auth/caddy-continue-auth/provider/openai"
)

func init() {
	caddy.RegisterModule(new(Handler))
}

// Handler checks the key that a user of an OpenAI client presents, and turns the request into
// one for Cloudflare AI Gateway, which the next handler, `reverse_proxy` with
// `transport continue_auth`, sends there. It turns the answer back into OpenAI's.
//
// A user presents a key as `Authorization: Bearer <key>` with the email in a header of its own, or
// as `Authorization: Bearer <email>:<key>`.
//
// It sets these placeholders:
//
// Placeholder | Description
// ------------|---------------
// `{http.auth.user.id}` | The user's email, once the key has been found right
// `{http.continue_auth.provider}` | The AI provider
// `{http.continue_auth.model}` | The model, without the provider's name
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

	// Whether to ask upstream for the token counts of streams whose clients did not, and to take
	// them out again. Default: false. So far there is nothing that counts tokens, and the setting
	// changes nothing but a warning in the log.
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
	if h.AskUsage {
		h.logger.Warn("ask_usage changes nothing yet: there is nothing that counts tokens")
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
	err := h.serve(w, r, next)
	var refused *openai.Error
	if errors.As(err, &refused) {
		writeError(w, r, refused)
		return nil
	}
	return err
}

// serve is the way of a request. Its errors are *openai.Error where the client is to be told.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	to, err := route(w, r)
	if err != nil {
		return err
	}
	user, err := h.identify(r)
	if err != nil {
		return err
	}
	if to.models {
		return h.serveModels(w, r, user, to.model)
	}
	body, err := h.readBody(w, r)
	if err != nil {
		return err
	}
	request, err := openai.ParseRequest(to.endpoint, body)
	if err != nil {
		return err
	}
	settings, err := h.authorize(r.Context(), user, request)
	if err != nil {
		return err
	}
	return h.proxy(w, r, next, user, request, settings)
}

// writeError answers with e. What a retry cannot mend says so, to spare the upstream and the user.
func writeError(w http.ResponseWriter, r *http.Request, e *openai.Error) {
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
	if header.Get("X-Request-Id") == "" {
		header.Set("X-Request-Id", requestID(r))
	}
	body := e.AppendJSON(nil)
	header.Set("Content-Length", fmt.Sprint(len(body)))
	w.WriteHeader(e.Status)
	_, _ = w.Write(body) // a client that has gone cannot be told
}

// clientGone is the error for a client that has hung up: nobody is left to answer, and Caddy's
// access log says so, with the status that its reverse_proxy uses too.
func clientGone(ctx context.Context) error { return caddyhttp.Error(499, ctx.Err()) }

// requestID is Caddy's id of the request, so that a user's report leads to the log.
func requestID(r *http.Request) string {
	if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		if id, ok := repl.GetString("http.request.uuid"); ok {
			return id
		}
	}
	return rand.Text()
}

// Interface guards
var (
	_ caddy.Module                = (*Handler)(nil)
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddy.Validator             = (*Handler)(nil)
	_ caddy.CleanerUpper          = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
