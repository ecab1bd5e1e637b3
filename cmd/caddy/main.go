// Command caddy is Caddy with its standard modules and continue_auth.
package main

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	// These packages are in the build.
	_ "github.com/caddyserver/caddy/v2/modules/standard"
	_ "github.com/continue-auth/caddy-continue-auth"
)

func main() {
	caddycmd.Main()
}
