// Package continueauth adds all modules and commands of continue_auth to Caddy. It is the package
// that xcaddy imports:
//
//	xcaddy build --with github.com/continue-auth/caddy-continue-auth
//
// The modules are in caddyauth, the commands in caddyauth/command.
package continueauth

import (
	// These are the parts of the plugin. Each registers itself with Caddy.
	_ "github.com/continue-auth/caddy-continue-auth/caddyauth"
	_ "github.com/continue-auth/caddy-continue-auth/caddyauth/command"
)
