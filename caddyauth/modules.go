package caddyauth

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"github.com/tidwall/gjson"
)

// loadModule provisions the module that a field of the handler names. option is the name of the field in a
// configuration, and choices are the modules that fit. It returns nil if raw, the field's value, is empty.
func loadModule[M caddy.Module](ctx caddy.Context, h *Handler, field string, raw json.RawMessage, option, choices string) (M, error) {
	var none M
	if len(raw) == 0 {
		return none, nil
	}
	if gjson.GetBytes(raw, "module").Str == "" { // Caddy's own error would show all settings
		return none, fmt.Errorf("%s: lacks its module; set it to %s", option, choices)
	}
	module, err := ctx.LoadModule(h, field)
	if err != nil {
		return none, fmt.Errorf("%s: %w", option, err)
	}
	m, ok := module.(M)
	if !ok {
		return none, fmt.Errorf("%s: the module %s does not fit this option", option, module.(caddy.Module).CaddyModule().ID)
	}
	return m, nil
}

// identityOf returns what distinguishes a module's value from all others of its pool. It can contain secrets.
func identityOf(module interface{ Identity() string }) string {
	return fmt.Sprintf("%T %s", module, module.Identity())
}

// poolKey returns the key of a value in a caddy.UsagePool. The keys of a pool can be listed, so it is a hash.
func poolKey(identity string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(identity))) }

// release gives back a reference to a value of a pool. It does nothing if key is "".
func release(pool *caddy.UsagePool, key string) error {
	if key == "" {
		return nil
	}
	_, err := pool.Delete(key)
	return err
}
