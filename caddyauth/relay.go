package caddyauth

import (
	"errors"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	"go.uber.org/zap"

	"github.com/continue-auth/caddy-continue-auth/provider"
	"github.com/continue-auth/caddy-continue-auth/provider/hub"
)

// relay calls next and turns the upstream's answer into an answer in the client's format. Its errors are
// *hub.Error if the client must be told.
func (h *Handler) relay(w http.ResponseWriter, out *http.Request, next caddyhttp.Handler, carried *handoff, call *hub.Call, rec *record) error {
	answer := &response{
		ResponseWriter: w, carried: carried, call: call, rec: rec,
		scanner: provider.UsageScanner{Messages: rec.endpoint == hub.Messages},
		passage: hub.Passage{Format: rec.wire},
		object:  hub.ObjectPassage{List: rec.endpoint == hub.Gemini && carried.streamed},
	}
	defer func() { carried.end(answer.status != 0) }()
	cut, err := serveNext(answer, out, next)
	var failed caddyhttp.HandlerError
	switch {
	case out.Context().Err() != nil:
		if answer.begun {
			panic(http.ErrAbortHandler)
		}
		return clientGone(out.Context())
	case err != nil && answer.status != 0:
		return err
	case errors.As(err, &failed) && !carried.sent && attempted(failed):
		err = answer.close() // it finds out that the request did not go through our transport
	case errors.As(err, &failed):
		h.logger.Error("no answer from upstream", zap.String("request_id", rec.id[0]), zap.Int("status", failed.StatusCode), zap.Error(failed.Err))
		return unreachable(failed.StatusCode)
	case err != nil:
		return err
	case cut && !answer.complete():
		h.logger.Warn("answer from upstream was cut off", zap.String("request_id", rec.id[0]))
		rec.outcome = outcomeCut
		err = answer.abort()
	default:
		err = answer.close()
	}
	if answer.mode == misconfigured {
		h.logger.Error("reverse_proxy sends requests without the gateway's token: add `transport continue_auth` to its block")
	}
	return err
}

// serveNext calls next. cut says that the upstream's answer was incomplete: reverse_proxy panics then.
func serveNext(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) (cut bool, err error) {
	defer func() {
		switch p := recover(); p {
		case nil:
		case http.ErrAbortHandler:
			cut = true
		default:
			panic(p)
		}
	}()
	return false, next.ServeHTTP(w, r)
}

// attempted reports whether a transport failed, as opposed to the selection of an upstream.
func attempted(failed caddyhttp.HandlerError) bool {
	return errors.As(failed.Err, new(reverseproxy.DialError)) || failed.StatusCode == http.StatusGatewayTimeout
}

// unreachable returns the error for a status with which reverse_proxy reports that there is no answer.
func unreachable(status int) *hub.Error {
	if status == http.StatusGatewayTimeout {
		return &hub.Error{
			Status: http.StatusGatewayTimeout, Code: "upstream_timeout",
			Message: "Try again: the AI gateway did not answer in time.",
		}
	}
	return &hub.Error{
		Status: http.StatusBadGateway, Code: "upstream_unreachable",
		Message: "Try again in a moment: the AI gateway cannot be reached.",
	}
}
