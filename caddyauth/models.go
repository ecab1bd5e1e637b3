package caddyauth

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"sync"

	"go.uber.org/zap"

	"github.com/continue-auth/caddy-continue-auth/keystore"
	"github.com/continue-auth/caddy-continue-auth/keystore/cache"
	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/openai"
)

// serveModels answers GET and HEAD of /models with the models that the operator lists and the user may use, and
// of /models/{model} with one of them. The length is in the header so that HEAD tells it too.
func (h *Handler) serveModels(w http.ResponseWriter, r *http.Request, u user, name string) error {
	var body []byte
	if name == "" {
		names, err := h.models(r.Context(), u)
		if err != nil {
			return err
		}
		body = openai.AppendModels(nil, names)
	} else {
		if err := h.findModel(r.Context(), u, name); err != nil {
			return err
		}
		body = openai.AppendModel(nil, name)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store") // the next user of a shared cache may have other models
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, err := w.Write(body)
	return err
}

// models lists the names of all models that the operator lists and the user may use. A provider
// whose settings are broken has none; that it is broken is in the log.
func (h *Handler) models(ctx context.Context, u user) ([]string, error) {
	providers, err := h.cache.Providers.Get(ctx, cache.AllProviders, h.settings.ages, true)
	switch {
	case ctx.Err() != nil:
		return nil, clientGone(ctx)
	case err != nil:
		return nil, keystoreUnavailable(err)
	}
	var names []string
	providers = slices.Sorted(slices.Values(providers))
	for i, found := range h.allSettings(ctx, providers) {
		provider, settings, err := providers[i], found.settings, found.err
		switch {
		case err == cache.ErrAbsent:
			continue
		case errors.As(err, new(*cache.BrokenRecordError)):
			h.logger.Error("settings of a provider are broken", zap.String("provider", provider), zap.Error(err))
			continue
		case ctx.Err() != nil:
			return nil, clientGone(ctx)
		case err != nil:
			return nil, keystoreUnavailable(err)
		}
		names = append(names, Permitted(u.APIKey, h.providers, provider, settings)...)
	}
	return names, nil
}

// found is the settings of a provider, or why there are none.
type found struct {
	settings *keystore.Settings
	err      error
}

// allSettings looks up the settings of all these providers at once, so that they travel together.
func (h *Handler) allSettings(ctx context.Context, providers []string) []found {
	all := make([]found, len(providers))
	var lookups sync.WaitGroup
	for i, provider := range providers {
		lookups.Go(func() {
			all[i].settings, all[i].err = h.cache.Settings.Get(ctx, provider, h.settings.ages, true)
		})
	}
	lookups.Wait()
	return all
}

// findModel decides about one model as inference would. Where the operator lists a provider's
// models, others are not found.
func (h *Handler) findModel(ctx context.Context, u user, name string) error {
	request := &hub.Request{Name: name}
	settings, err := h.authorize(ctx, u, request)
	if err != nil {
		return err
	}
	if settings.Models != nil && !slices.Contains(settings.Models, request.Model) {
		return hub.ModelNotFound("Choose another model: this one is not listed here. GET /v1/models lists those that are.")
	}
	return nil
}
