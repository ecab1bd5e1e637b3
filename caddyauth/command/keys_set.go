package command

import (
	"context"
	"errors"

	"github.com/spf13/cobra"
)

func keysSet(f *keystoreFlags) *cobra.Command {
	r := new(restrictions)
	cmd := &cobra.Command{
		Use:   "set EMAIL",
		Short: "Changes what a user may do, and keeps the key",
		Long: `Changes what a user may do, and keeps the key. It changes only what a flag names. --expires never
removes the end, --models '*' allows all models, and --metadata name= removes an entry.`,
		Example: `  caddy continue-auth keys set dev@example.com --limit requests=120/1m --limit tokens=2000000/day
  caddy continue-auth keys set dev@example.com --expires never --metadata team=core`,
		Args: one,
		RunE: f.run(existing, func(ctx context.Context, a *administration, cmd *cobra.Command, args []string) error {
			flags := cmd.Flags()
			models, expires := flags.Changed("models"), flags.Changed("expires")
			if !models && !expires && len(r.metadata) == 0 && len(r.limits) == 0 {
				return errors.New("nothing is named that should change: use --expires, --models, --metadata or --limit")
			}
			return a.setUser(ctx, args[0], r, models, expires)
		}),
	}
	r.add(cmd)
	return cmd
}
