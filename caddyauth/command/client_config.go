package command

import (
	"context"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/continue-auth/caddy-continue-auth/caddyauth"
	"github.com/continue-auth/caddy-continue-auth/caddyauth/agents"
	"github.com/continue-auth/caddy-continue-auth/keystore"
	"github.com/continue-auth/caddy-continue-auth/provider"
)

func clientConfigCommand() *cobra.Command {
	f := new(keystoreFlags)
	var name, format string
	cmd := &cobra.Command{
		Use:   "client-config EMAIL",
		Short: "Prints a coding agent's configuration for a user",
		Long: `Prints a coding agent's configuration for a user: the files or the variables, where they go, and the models
that the providers' settings list and that the user may use, at the site's address. The user puts the key in.

--for env prints the variables that many other programs read.`,
		Example: `  caddy continue-auth client-config dev@example.com > config.yaml
  caddy continue-auth client-config dev@example.com --for claude-code
  caddy continue-auth client-config dev@example.com --for opencode --format json > opencode.json`,
		Args: one,
		RunE: f.run(addressing, func(ctx context.Context, a *administration, cmd *cobra.Command, args []string) error {
			agent, format, err := agents.Find(name, format)
			if err != nil {
				return err
			}
			c, err := a.clientConfig(ctx, args[0])
			if err != nil {
				return err
			}
			return c.Write(cmd.OutOrStdout(), agent, format)
		}),
	}
	f.add(cmd)
	cmd.Flags().StringVar(&name, "for", agents.Default, "the agent: "+strings.Join(agents.Names(), ", "))
	cmd.Flags().StringVar(&format, "format", "", "yaml or json: for Continue, json is the old config.json; for other agents, json is their file alone")
	return cmd
}

// clientConfig finds out which models a user may use.
func (a *administration) clientConfig(ctx context.Context, email string) (agents.Config, error) {
	header, err := a.site.handler.UserHeader()
	c := agents.Config{Email: email, APIBase: a.site.apiBase, EmailHeader: header}
	if err != nil {
		return c, err
	}
	record, err := a.user(ctx, email)
	if err != nil {
		return c, err
	}
	if status := viewOf(email, record).Status; status != "enabled" {
		a.say("%s is %s. This configuration does not work until that changes.", email, status)
	}
	user, err := keystore.ParseAPIKey(record.Bytes())
	if err != nil {
		return c, err
	}
	providers := provider.New()
	err = a.each(ctx, keystore.ProviderSettings, func(name string, value []byte) error {
		settings, err := keystore.ParseSettings(value)
		if err != nil {
			a.say("The settings of %s are broken: %v.", printable(name), err)
			return nil
		}
		c.Models = append(c.Models, caddyauth.Permitted(user, providers, name, settings)...)
		return nil
	})
	if err == nil && len(c.Models) == 0 {
		err = errors.New("there is no model that this user may use: list some with `caddy continue-auth providers set NAME --model MODEL`")
	}
	return c, err
}
