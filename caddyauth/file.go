package caddyauth

import (
	"path/filepath"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/continue-auth/caddy-continue-auth/keystore"
	"github.com/continue-auth/caddy-continue-auth/keystore/filestore"
)

func init() {
	caddy.RegisterModule(new(File))
}

// File is a keystore in two JSON files, for a single server. The files have the format of `wrangler kv bulk
// put`: an array of `{"key":"<name>","value":"<JSON, as a string>"}`. Changes take effect without a reload.
// If a file is invalid or half written, its last valid content stays in use. If the server is not allowed to
// read a file, the users in memory can still sign in, for the time in `stale_if_error`.
//
// Relative paths are relative to Caddy's working directory.
type File struct {
	// The file with the users' keys. Default: `keys.json`.
	APIKeys string `json:"api_keys,omitempty"`

	// The file with the providers' settings. Default: `providers.json`.
	ProviderSettings string `json:"provider_settings,omitempty"`

	apiKeys, providerSettings string // with placeholders replaced
}

// CaddyModule returns the module's ID and constructor.
func (*File) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "continue_auth.keystores.file",
		New: func() caddy.Module { return new(File) },
	}
}

// Provision replaces the placeholders in the settings.
func (f *File) Provision(caddy.Context) (err error) {
	r := resolver{caddy.NewReplacer(), &err}
	f.apiKeys = filePath(r, "api_keys", f.APIKeys, "keys.json")
	f.providerSettings = filePath(r, "provider_settings", f.ProviderSettings, "providers.json")
	return err
}

// filePath returns the absolute path of a file. A relative path is relative to the working directory of the
// server or the command.
func filePath(r resolver, name, value, otherwise string) string {
	if value == "" {
		value = otherwise
	}
	path, err := filepath.Abs(r.text(name, value))
	if err != nil {
		r.fail(name, err)
	}
	return path
}

// Paths returns the absolute paths of the two files. The module must be provisioned.
func (f *File) Paths() (apiKeys, providerSettings string) {
	return f.apiKeys, f.providerSettings
}

// Identity returns the two paths as one string.
func (f *File) Identity() string {
	return strings.Join([]string{f.apiKeys, f.providerSettings}, "\x00")
}

// Open reads the files. Both must exist.
func (f *File) Open() (keystore.Store, error) {
	return filestore.Open(f.apiKeys, f.providerSettings, keystoreLog)
}

// UnmarshalCaddyfile sets up the keystore from Caddyfile tokens. Syntax:
//
//	keystore file {
//	    api_keys           <path>
//	    provider_settings  <path>
//	}
func (f *File) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the name of the module
	return block(d, func(name string) (err error) {
		switch name {
		case "api_keys":
			err = text(d, &f.APIKeys)
		case "provider_settings":
			err = text(d, &f.ProviderSettings)
		default:
			err = d.Errf("unknown option %q of keystore file", name)
		}
		return err
	})
}

// Interface guards
var (
	_ caddy.Provisioner     = (*File)(nil)
	_ caddyfile.Unmarshaler = (*File)(nil)
	_ Keystore              = (*File)(nil)
)
