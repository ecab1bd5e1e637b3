package caddyauth

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

func demoCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "Shows a server at work, without an account or a network",
		Long: `Starts a server with continue_auth and a user of its own on loopback, sends a chat and a tab
completion for each provider through it, and stays up for you to try.

The AI Gateway behind it is simulated, unless ACCOUNT_ID, GATEWAY_NAME and GATEWAY_API_KEY are set: then
it is your real one. The providers' settings then come from Workers KV, if CLOUDFLARE_API_TOKEN and
PROVIDER_SETTINGS_NAMESPACE_ID are set too; else the gateway must have the providers' keys stored.

Nothing is left behind when it ends.`,
		Example: "  caddy continue-auth demo",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cmd.SilenceUsage = true
			return demo(cmd.Context(), cmd.OutOrStdout())
		},
	}
}
