package command

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"text/tabwriter"

	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"

	"github.com/continue-auth/caddy-continue-auth/keystore"
	"github.com/continue-auth/caddy-continue-auth/provider"
)

func providersCommand() *cobra.Command {
	f := new(keystoreFlags)
	cmd := &cobra.Command{
		Use:   "providers",
		Short: "Manages the AI providers and their credentials",
		Example: `  caddy continue-auth providers list
  caddy continue-auth providers set azure-openai --header 'api-key={env.AZURE_KEY}' --query api-version=2024-10-21 --model myinstance/gpt-4o`,
		Args: cobra.NoArgs,
		RunE: help,
	}
	f.add(cmd)
	cmd.AddCommand(providersList(f), providersSet(f), providersRemove(f))
	return cmd
}

// providerView is what the commands show of a provider. It has the names of headers and parameters,
// but not the values, which are secrets.
type providerView struct {
	Name    string          `json:"name"`
	Models  []string        `json:"models"` // null means that none are listed
	Headers []string        `json:"headers"`
	Query   []string        `json:"query"`
	Body    json.RawMessage `json:"body,omitempty"`
}

func providersList(f *keystoreFlags) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "Lists the providers without their secrets",
		Example: "  caddy continue-auth providers list --json",
		Args:    cobra.NoArgs,
		RunE: f.run(existing, func(ctx context.Context, a *administration, cmd *cobra.Command, _ []string) error {
			views, err := a.providers(ctx)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), views)
			}
			if len(views) == 0 {
				_, err := fmt.Fprintln(cmd.OutOrStdout(), "There are no providers yet.")
				return err
			}
			table := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(table, "PROVIDER\tHEADERS\tQUERY\tMODELS")
			for _, v := range views {
				fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", printable(v.Name), printable(strings.Join(v.Headers, ", ")), printable(strings.Join(v.Query, ", ")), printable(strings.Join(v.Models, ", ")))
			}
			return table.Flush()
		}),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (a *administration) providers(ctx context.Context) ([]providerView, error) {
	views := []providerView{}
	broken := 0
	err := a.each(ctx, keystore.ProviderSettings, func(name string, value []byte) error {
		settings, err := keystore.ParseSettings(value)
		if err != nil {
			broken++
			a.say("The settings of %s are broken: %v.", printable(name), err)
			return nil
		}
		record, err := keystore.ParseSettingsRecord(value)
		if err != nil {
			return err
		}
		headers, query := record.Names()
		views = append(views, providerView{name, settings.Models, headers, query, settings.Body})
		return nil
	})
	if err == nil && broken > 0 {
		err = fmt.Errorf("the settings of %d providers are broken; they are not served", broken)
	}
	return views, err
}

func providersSet(f *keystoreFlags) *cobra.Command {
	var headers, query, models []string
	cmd := &cobra.Command{
		Use:   "set NAME",
		Short: "Adds a provider, or changes its settings",
		Long: `Adds a provider, or changes its settings. An empty value removes a header or parameter. Those that are
not named stay as they are. --model can be repeated, and replaces the whole list of models.

A value may have placeholders such as {env.AZURE_KEY} or {file./run/secrets/azure}. The command
replaces them by their values, so no secret has to be on the command line.`,
		Example: `  caddy continue-auth providers set workers-ai --header 'Authorization=Bearer {env.WORKERS_AI_TOKEN}' --model @cf/meta/llama-3.1-8b-instruct
  caddy continue-auth providers set azure-openai --header 'api-key={env.AZURE_KEY}' --query api-version=2024-10-21
  caddy continue-auth providers set groq`,
		Args: one,
		RunE: f.run(making, func(ctx context.Context, a *administration, cmd *cobra.Command, args []string) error {
			if err := checkProvider(args[0], models); err != nil {
				return err
			}
			change, err := settingsChange(headers, query, models, cmd.Flags().Changed("model"))
			if err != nil {
				return err
			}
			err = a.edit(ctx, keystore.ProviderSettings, args, change)
			if err != nil {
				return err
			}
			a.say("Set %s.", args[0])
			a.forget(a.maxAge, args[0])
			return nil
		}),
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&headers, "header", nil, "a header that goes upstream, as NAME=VALUE")
	flags.StringArrayVar(&query, "query", nil, "a parameter of the query string, as NAME=VALUE")
	flags.StringArrayVar(&models, "model", nil, "a model to list, without the provider's name")
	return cmd
}

// placeholder matches what is replaced in the values of settings. Other braces are JSON.
var placeholder = regexp.MustCompile(`\{(env|file)\.[^{}]*\}`)

// checkProvider refuses names that a request could not have.
func checkProvider(name string, models []string) error {
	if served, _, err := provider.Split(name + "/model"); err != nil || served != name {
		return fmt.Errorf("%q: a provider's name is one of the AI Gateway's, in lower case, such as workers-ai or openai", name)
	}
	for _, model := range models {
		_, _, err := provider.Split(name + "/" + model)
		if err == nil {
			err = provider.New().For(name).Accepts(model)
		}
		if err != nil {
			return fmt.Errorf("--model %q: %w", model, err)
		}
	}
	return nil
}

// settingsChange returns the edit that the flags describe.
func settingsChange(headers, query, models []string, setModels bool) (func(string, []byte) ([]byte, error), error) {
	pairs := func(flag string, all []string) ([][2]string, error) {
		var parsed [][2]string
		for _, one := range all {
			name, value, ok := strings.Cut(one, "=")
			if !ok || name == "" {
				return nil, fmt.Errorf("--%s: must be NAME=VALUE", flag) // the argument may be a secret
			}
			if placeholder.MatchString(value) {
				var err error
				if value, err = caddy.NewReplacer().ReplaceOrErr(value, true, true); err != nil {
					return nil, fmt.Errorf("--%s %s: %w", flag, name, err)
				}
			}
			parsed = append(parsed, [2]string{name, strings.TrimSpace(value)})
		}
		return parsed, nil
	}
	headerPairs, err := pairs("header", headers)
	if err != nil {
		return nil, err
	}
	queryPairs, err := pairs("query", query)
	if err != nil {
		return nil, err
	}
	return func(name string, value []byte) ([]byte, error) {
		record, err := keystore.ParseSettingsRecord(value)
		if err != nil {
			return nil, fmt.Errorf("the settings of %s are broken and were not changed: %w", name, err)
		}
		for _, pair := range headerPairs {
			record.SetHeader(pair[0], pair[1])
		}
		for _, pair := range queryPairs {
			record.SetQuery(pair[0], pair[1])
		}
		if setModels {
			record.SetModels(models)
		}
		if _, err := keystore.ParseSettings(record.Bytes()); err != nil {
			return nil, err
		}
		return record.Bytes(), nil
	}, nil
}

func providersRemove(f *keystoreFlags) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "remove NAME",
		Short: "Removes a provider and its settings",
		Long: `Serves a provider no longer, and removes its settings. On a terminal it asks first; a script is not
asked.`,
		Example: `  caddy continue-auth providers remove groq
  caddy continue-auth providers remove groq --yes`,
		Args: one,
		RunE: f.run(existing, func(ctx context.Context, a *administration, cmd *cobra.Command, args []string) error {
			if !yes {
				if err := confirm(isTerminal(cmd.InOrStdin()), cmd.InOrStdin(), cmd.ErrOrStderr(), "Remove "+args[0]+" and its credentials?"); err != nil {
					return err
				}
			}
			err := a.edit(ctx, keystore.ProviderSettings, args, func(name string, value []byte) ([]byte, error) {
				if value == nil {
					return nil, fmt.Errorf("there is no provider %s", name)
				}
				return nil, nil
			})
			if err != nil {
				return err
			}
			a.say("Removed %s.", args[0])
			a.forget(a.maxAge, args[0])
			return nil
		}),
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask, even on a terminal")
	return cmd
}
