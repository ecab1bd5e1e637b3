// Package command implements `caddy continue-auth`, the operator's commands. They edit the users
// and providers in the keystore of the server's configuration, write configurations for clients,
// add up the usage, and run a demo.
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
		Short: "Manages users' API keys for Cloudflare AI Gateway",
		Long: `Commands for the operator of a server with continue_auth.

The commands find the keystore in the server's configuration: the Caddyfile in this folder, or the
file that --config names. Relative paths in it start at this folder, as they do for a server that is
started here. The commands tell a running server about changes, if they can reach it.`,
		CobraFunc: func(cmd *cobra.Command) {
			cmd.Args, cmd.RunE = cobra.NoArgs, help
			cmd.AddCommand(keysCommand(), providersCommand(), clientConfigCommand(), usageCommand(), dashboardCommand(), demoCommand())
		},
	})
}

// help prints the help of a command that has subcommands. Together with cobra.NoArgs, it refuses
// unknown subcommands.
func help(cmd *cobra.Command, _ []string) error { return cmd.Help() }

// one is the Args of a command with one argument, which its Use names.
func one(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("one argument is wanted, and there are %d: %s", len(args), cmd.UseLine())
	}
	return nil
}
