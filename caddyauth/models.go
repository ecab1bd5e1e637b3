package caddyauth

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"go.uber.org/zap"

	"github.com/continue-auth/caddy-continue-auth/keystore"
	"github.com/continue-auth/caddy-continue-auth/keystore/cache"
	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/openai"
)

// serveModels answers GET and HEAD requests for /models and /models/{model}. The list has the aliases and the
// models that the operator lists, as far as the user may use them. The answer has a Content-Length, so that
// HEAD gets it too.
func (h *Handler) serveModels(w http.ResponseWriter, r *http.Request, u user, name string) error {
	format := listFormatOf(r)
	var body []byte
	switch {
	case name != "":
		model, err := h.findModel(r.Context(), u, name)
		if err != nil {
			return err
		}
		body = format.appendModel(nil, model)
	case format == codexList:
		w.Header().Set("Etag", openai.CodexETag)
		body = format.appendList(nil, nil)
	default:
		models, err := h.models(r.Context(), u)
		if err != nil {
			return err
		}
		body = format.appendList(nil, models)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store") // another user of a shared cache may have other models
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, err := w.Write(body)
	return err
}

// models returns the aliases and the models that the operator lists, as far as the user may use them. A
// provider with invalid settings is left out and logged.
func (h *Handler) models(ctx context.Context, u user) ([]hub.Model, error) {
	providers, err := h.cache.Providers.Get(ctx, cache.AllProviders, h.settings.ages, true)
	switch {
	case ctx.Err() != nil:
		return nil, clientGone(ctx)
	case err != nil:
		return nil, keystoreUnavailable(err)
	}
	names := slices.Clone(h.settings.names.listed)
	served := make(map[string]*keystore.Settings)
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
		served[provider] = settings
		if strings.Contains(provider, "/") {
			continue // no name of a model leads to it
		}
		for _, model := range settings.Models {
			names = append(names, provider+"/"+model)
		}
	}
	return h.usable(u, names, served), nil
}

// usable returns the names that the user may use, without repetitions. served are the settings of the
// providers that have settings.
func (h *Handler) usable(u user, names []string, served map[string]*keystore.Settings) []hub.Model {
	var models []hub.Model
	seen := make(map[string]bool)
	for _, name := range names {
		if seen[name] {
			continue
		}
		seen[name] = true
		provider, ofProvider, err := permit(u.APIKey, h.providers, h.settings.names.full(name))
		settings := served[provider]
		if err == nil && settings != nil && h.lists(name, settings, ofProvider) {
			models = append(models, hub.Model{Name: name, Provider: provider})
		}
	}
	return models
}

// lists reports whether the operator lists a model: as an alias of that name, or in the settings of the
// model's provider. If the settings have no list, every model counts as listed.
func (h *Handler) lists(name string, settings *keystore.Settings, model string) bool {
	_, alias := h.settings.names.exact[name]
	return alias || settings.Models == nil || slices.Contains(settings.Models, model)
}

// found is the settings of a provider, or the error of the look-up.
type found struct {
	settings *keystore.Settings
	err      error
}

// allSettings looks up the settings of all these providers at once, so that the keystore can read them
// together.
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

// findModel finds one model, with the same checks as a request for it. If the operator lists a provider's
// models, its other models are not found unless they are aliases.
func (h *Handler) findModel(ctx context.Context, u user, name string) (hub.Model, error) {
	request := &hub.Request{Name: name}
	settings, err := h.authorize(ctx, u, request)
	if err != nil {
		return hub.Model{}, err
	}
	if !h.lists(name, settings, request.Model) {
		return hub.Model{}, hub.ModelNotFound("Choose another model: this one is not listed here. GET /v1/models lists those that are.")
	}
	return hub.Model{Name: name, Provider: request.Provider}, nil
}
