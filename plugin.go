// Package continueauth adds the whole of continue_auth to a Caddy that imports it: the modules and
// the commands. It is what xcaddy imports:
//
//	xcaddy build --with github.com/continue-auth/caddy-continue-auth
//
// The package has nothing else. The modules are in caddyauth, the commands in caddyauth/command.
package continueauth

import (
	// The parts of the plugin. Each registers itself with Caddy.
	_ "github.com/continue-auth/caddy-continue-auth/caddyauth"
	_ "github.com/continue-auth/caddy-continue-auth/caddyauth/command"
)
