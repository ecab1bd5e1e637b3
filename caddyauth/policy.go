package caddyauth

import (
	"context"
	"errors"
	"net/http"

	"go.uber.org/zap"

	"github.com/continue-auth/caddy-continue-auth/keystore"
	"github.com/continue-auth/caddy-continue-auth/keystore/cache"
	"github.com/continue-auth/caddy-continue-auth/provider"
	"github.com/continue-auth/caddy-continue-auth/provider/hub"
)

// permit splits the full name of a model, "<provider>/<model>", and checks whether the user may use it.
// Requests, the list of models and generated client configurations all use this check. The allow-list is
// checked first, so that users learn nothing about models that they may not use.
func permit(u *keystore.APIKey, providers *provider.Providers, name string) (providerName, model string, err error) {
	if providerName, model, err = provider.Split(name); err != nil {
		return "", "", err
	}
	if !u.Allows(name) {
		return "", "", &hub.Error{
			Status: http.StatusForbidden, Code: "model_not_allowed", Param: "model", Final: true,
			Message: "Choose another model: your API key does not allow this one. GET /v1/models lists those it allows.",
		}
	}
	return providerName, model, providers.For(providerName).Accepts(model)
}

// Permitted returns the full names, "<provider>/<model>", of the models that a provider's settings list and
// that the user may use. It uses the same check as requests.
func Permitted(u *keystore.APIKey, providers *provider.Providers, providerName string, settings *keystore.Settings) []string {
	var names []string
	for _, model := range settings.Models {
		name := providerName + "/" + model
		if served, _, err := permit(u, providers, name); err == nil && served == providerName {
			names = append(names, name)
		}
	}
	return names
}

// authorize checks whether the user may use the model that request.Name means, which may be an alias. It sets
// request.Provider and request.Model, and returns the provider's settings.
func (h *Handler) authorize(ctx context.Context, u user, request *hub.Request) (*keystore.Settings, error) {
	full := h.settings.names.full(request.Name)
	var err error
	if request.Provider, request.Model, err = permit(u.APIKey, h.providers, full); err != nil {
		return nil, err
	}
	if full != request.Name && request.Body != nil {
		request.SetModel(full) // request.Name is not changed, because the answer names the model as the client did
	}
	return h.providerSettings(ctx, request.Provider)
}

// providerSettings returns the settings of a provider. A provider without settings is not served.
func (h *Handler) providerSettings(ctx context.Context, name string) (*keystore.Settings, error) {
	settings, err := h.cache.Settings.Get(ctx, name, h.settings.ages, true)
	switch {
	case err == nil:
		return settings, nil
	case err == cache.ErrAbsent:
		return nil, hub.ModelNotFound("Choose another model: this provider is not served here. GET /v1/models lists those that are.")
	case errors.As(err, new(*cache.BrokenRecordError)):
		h.logger.Error("settings of a provider are broken", zap.String("provider", name), zap.Error(err))
		return nil, &hub.Error{
			Status: http.StatusInternalServerError, Code: "provider_misconfigured", Final: true,
			Message: "Tell whoever runs this server: the settings of this model's provider are broken.",
		}
	case ctx.Err() != nil:
		return nil, clientGone(ctx)
	}
	return nil, keystoreUnavailable(err)
}
