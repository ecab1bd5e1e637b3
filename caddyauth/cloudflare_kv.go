package caddyauth

import (
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/continue-auth/caddy-continue-auth/keystore"
	"github.com/continue-auth/caddy-continue-auth/keystore/cloudflarekv"
)

func init() {
	caddy.RegisterModule(new(CloudflareKV))
}

// CloudflareKV is a keystore in two namespaces of Cloudflare Workers KV. It reads them over Cloudflare's REST
// API.
type CloudflareKV struct {
	// The ID of the account that the namespaces belong to. Default: the handler's `account_id`.
	AccountID string `json:"account_id,omitempty"`

	// A Cloudflare API token with the permission Workers KV Storage Read. Required.
	APIToken string `json:"api_token,omitempty"`

	// The ID of the namespace with the users' keys. Required.
	APIKeys string `json:"api_keys,omitempty"`

	// The ID of the namespace with the providers' settings. Required.
	ProviderSettings string `json:"provider_settings,omitempty"`

	// The base URL of the API. Default: `https://api.cloudflare.com/client/v4`.
	Endpoint string `json:"endpoint,omitempty"`

	// The maximum duration of one attempt. Default: `5s`.
	Timeout Duration `json:"timeout,omitempty"`

	config cloudflarekv.Config // with placeholders replaced
}

// CaddyModule returns the module's ID and constructor.
func (*CloudflareKV) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "continue_auth.keystores.cloudflare_kv",
		New: func() caddy.Module { return new(CloudflareKV) },
	}
}

// Provision replaces the placeholders in the settings.
func (k *CloudflareKV) Provision(ctx caddy.Context) (err error) {
	r := resolver{caddy.NewReplacer(), &err}
	account := k.AccountID
	if account == "" {
		account, _ = ctx.Value(accountIDKey{}).(string)
	}
	k.config = cloudflarekv.Config{
		AccountID:                 r.segment("account_id", account, "the id of your Cloudflare account"),
		APIToken:                  r.secret("api_token", k.APIToken, "a Cloudflare API token with the permission Workers KV Storage Read"),
		APIKeysNamespace:          r.segment("api_keys", k.APIKeys, "the id of the KV namespace with the users' keys"),
		ProviderSettingsNamespace: r.segment("provider_settings", k.ProviderSettings, "the id of the KV namespace with the providers' settings"),
		Endpoint:                  r.text("endpoint", k.Endpoint),
		Timeout:                   r.duration("timeout", k.Timeout, 5*time.Second),
	}
	return err
}

// Identity returns all settings as one string.
func (k *CloudflareKV) Identity() string {
	c := k.config
	return strings.Join([]string{
		c.AccountID, c.APIToken, c.APIKeysNamespace, c.ProviderSettingsNamespace, c.Endpoint, c.Timeout.String(),
	}, "\x00")
}

// Open returns a client for the namespaces. It does not connect.
func (k *CloudflareKV) Open() (keystore.Store, error) { return cloudflarekv.New(k.config) }

// UnmarshalCaddyfile sets up the keystore from Caddyfile tokens. Syntax:
//
//	keystore cloudflare_kv {
//	    account_id         <id>
//	    api_token          <secret>
//	    api_keys           <namespace id>
//	    provider_settings  <namespace id>
//	    endpoint           <url>
//	    timeout            <duration>
//	}
func (k *CloudflareKV) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the name of the module
	return block(d, func(name string) (err error) {
		switch name {
		case "account_id":
			err = text(d, &k.AccountID)
		case "api_token":
			err = text(d, &k.APIToken)
		case "api_keys":
			err = text(d, &k.APIKeys)
		case "provider_settings":
			err = text(d, &k.ProviderSettings)
		case "endpoint":
			err = text(d, &k.Endpoint)
		case "timeout":
			err = value(d, &k.Timeout, parseDuration)
		default:
			err = d.Errf("unknown option %q of keystore cloudflare_kv", name)
		}
		return err
	})
}

// Interface guards
var (
	_ caddy.Provisioner     = (*CloudflareKV)(nil)
	_ caddyfile.Unmarshaler = (*CloudflareKV)(nil)
	_ Keystore              = (*CloudflareKV)(nil)
)
