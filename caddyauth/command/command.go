// Package command is `caddy continue-auth`: the commands for whoever runs the server. They add users
// and providers to the keystore that the server's configuration names, write clients' configurations,
// add up what was used, and show a server at work.
//
// Importing the package registers the commands with Caddy.
package command

import (
	"fmt"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "continue-auth",
		Usage: "<command>",
		Short: "API keys of their own for the users of Cloudflare AI Gateway",
		Long: `Commands of the continue_auth module, for whoever runs the server.

They find the keystore in the server's configuration: the Caddyfile in this folder, or the one that
--config names. Relative paths in that count from this folder, as they do for a server started here.
What they change, a running server that they can reach sees at once.`,
		CobraFunc: func(cmd *cobra.Command) {
			cmd.Args, cmd.RunE = cobra.NoArgs, help
			cmd.AddCommand(keysCommand(), providersCommand(), clientConfigCommand(), usageCommand(), demoCommand())
		},
	})
}

// help is what a command does that has others. With Args of none, it refuses those that it has not.
func help(cmd *cobra.Command, _ []string) error { return cmd.Help() }

// one is the Args of a command that takes one argument, which its Use names.
func one(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("one argument is wanted, and there are %d: %s", len(args), cmd.UseLine())
	}
	return nil
}
