// Command caddy is Caddy with its standard modules and continue_auth.
package main

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	// The modules in this build.
	_ "github.com/caddyserver/caddy/v2/modules/standard"
	_ "github.com/continue-auth/caddy-continue-auth/caddyauth"
)

func main() {
	caddycmd.Main()
}
