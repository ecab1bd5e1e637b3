package command

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/continue-auth/caddy-continue-auth/caddyauth"
	"github.com/continue-auth/caddy-continue-auth/keystore"
	"github.com/continue-auth/caddy-continue-auth/provider"
)

func clientConfigCommand() *cobra.Command {
	f := new(keystoreFlags)
	var format string
	cmd := &cobra.Command{
		Use:   "client-config EMAIL",
		Short: "Prints Continue's configuration for a user",
		Long: `Prints Continue's configuration for a user: the models that the providers' settings list and that the
user may use, at the site's address. The user puts the key in.`,
		Example: `  caddy continue-auth client-config dev@example.com > config.yaml
  caddy continue-auth client-config dev@example.com --format json`,
		Args: one,
		RunE: f.run(addressing, func(ctx context.Context, a *administration, cmd *cobra.Command, args []string) error {
			if format != "yaml" && format != "json" {
				return fmt.Errorf("--format %q: must be yaml or json", format)
			}
			c, err := a.clientConfig(ctx, args[0])
			if err != nil {
				return err
			}
			if format == "json" {
				return c.json(cmd.OutOrStdout())
			}
			return c.yaml(cmd.OutOrStdout())
		}),
	}
	f.add(cmd)
	cmd.Flags().StringVar(&format, "format", "yaml", "yaml, or json for Continue's old config.json")
	return cmd
}

// clientConfig finds out which models a user may use.
func (a *administration) clientConfig(ctx context.Context, email string) (clientConfig, error) {
	header, err := a.site.handler.UserHeader()
	c := clientConfig{email: email, apiBase: a.site.apiBase, emailHeader: header}
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
		c.models = append(c.models, caddyauth.Permitted(user, providers, name, settings)...)
		return nil
	})
	if err == nil && len(c.models) == 0 {
		err = errors.New("there is no model that this user may use: list some with `caddy continue-auth providers set NAME --model MODEL`")
	}
	return c, err
}
