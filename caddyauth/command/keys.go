package command

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"
	"golang.org/x/net/http/httpguts"

	"github.com/continue-auth/caddy-continue-auth/keystore"
)

func keysCommand() *cobra.Command {
	f := new(keystoreFlags)
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "Manages users and their keys",
		Long: `Manages users and their keys.

A new key is printed once, on standard output. The keystore has only its hash. All messages go to
standard error, so a script can use the output as the key.`,
		Example: `  caddy continue-auth keys add dev@example.com --expires 90d --models 'workers-ai/*'
  caddy continue-auth keys list
  caddy continue-auth keys rotate dev@example.com --grace 24h`,
		Args: cobra.NoArgs,
		RunE: help,
	}
	f.add(cmd)
	cmd.AddCommand(keysAdd(f), keysList(f), keysShow(f), keysSet(f), keysStatus(f, true), keysStatus(f, false), keysRotate(f), keysRemove(f), keysImport(f), keysMigrate(f))
	return cmd
}

// restrictions are the limits of a key.
type restrictions struct {
	expires  string
	models   []string
	metadata []string
	limits   []string

	// removing says that "never" as the end, and an empty value of a metadata entry, remove what was there.
	removing bool
}

func (r *restrictions) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&r.expires, "expires", "", "when the key ends: a duration such as 90d, a day, or a time in RFC 3339")
	flags.StringSliceVar(&r.models, "models", nil, "the models that the user may use, such as 'workers-ai/*' (default: all; '' for none)")
	flags.StringArrayVar(&r.metadata, "metadata", nil, "an entry for the gateway's logs and limits, as name=value; up to four")
	flags.StringArrayVar(&r.limits, "limit", nil, limitHelp)
}

// apply writes the restrictions to a record. If mustEnd is set, an empty end is an error: the flag
// was given, perhaps with a variable that is not set.
func (r *restrictions) apply(to *keystore.Record, limited, mustEnd bool, now time.Time) error {
	if r.removing && r.expires == "never" {
		to.SetExpires(time.Time{})
	} else if r.expires != "" || mustEnd {
		at, err := parseEnd(r.expires, now)
		if err != nil {
			return err
		}
		to.SetExpires(at)
	}
	if limited {
		patterns := []string{}
		for _, pattern := range r.models {
			if pattern = strings.TrimSpace(pattern); pattern == "" {
				continue
			}
			if strings.ContainsAny(pattern, " \t") {
				return fmt.Errorf("--models %q: a model's name has no spaces: put a comma between two names", pattern)
			}
			patterns = append(patterns, pattern)
		}
		to.SetModels(patterns)
	}
	for _, entry := range r.metadata {
		name, value, ok := strings.Cut(entry, "=")
		if !ok {
			return fmt.Errorf("--metadata %q: must be name=value", entry)
		}
		if r.removing && value == "" {
			to.RemoveMetadata(name)
			continue
		}
		if err := to.SetMetadata(name, value); err != nil {
			return err
		}
	}
	if err := setLimits(to, r.limits); err != nil {
		return err
	}
	if _, err := keystore.ParseAPIKey(to.Bytes()); err != nil {
		return fmt.Errorf("the server would refuse this key: %w", err)
	}
	return nil
}

// parseEnd reads the end of a key: a duration from now, a day, whose end counts in UTC, or a time.
func parseEnd(text string, now time.Time) (time.Time, error) {
	at, err := time.Parse(time.RFC3339, text)
	if day, dayErr := time.Parse(time.DateOnly, text); dayErr == nil {
		at, err = day.AddDate(0, 0, 1), nil
	} else if d, durationErr := caddy.ParseDuration(text); durationErr == nil {
		at, err = now.Add(d), nil
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("--expires %q: must be a duration such as 90d, a day such as 2026-12-31, or a time such as 2026-12-31T12:00:00Z", text)
	}
	if !at.After(now) {
		return time.Time{}, fmt.Errorf("--expires %q: is over already", text)
	}
	return at, nil
}

// checkEmail refuses emails that a client could not send.
func checkEmail(email string) error {
	if !keystore.ValidName(email) || !httpguts.ValidHeaderFieldValue(email) || strings.ContainsAny(email, ": \t") {
		return fmt.Errorf("%q: an email must not be empty, and has no spaces, colons or control characters", email)
	}
	return nil
}

func keysAdd(f *keystoreFlags) *cobra.Command {
	r := new(restrictions)
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "add EMAIL",
		Short: "Makes a key for a new user and prints it once",
		Example: `  caddy continue-auth keys add dev@example.com
  caddy continue-auth keys add dev@example.com --expires 90d --models 'workers-ai/*,openai/gpt-4o-mini' --metadata team=core
  caddy continue-auth keys add dev@example.com --limit requests=120/1m --limit parallel=8
  key=$(caddy continue-auth keys add dev@example.com)`,
		Args: one,
		RunE: f.run(making, func(ctx context.Context, a *administration, cmd *cobra.Command, args []string) error {
			key, record, err := a.addUser(ctx, args[0], r, cmd.Flags().Changed("models"), cmd.Flags().Changed("expires"))
			if err != nil {
				return err
			}
			return printKey(cmd.OutOrStdout(), args[0], key, record, asJSON)
		}),
	}
	r.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// printKey prints a new key. It cannot be printed again later.
func printKey(out io.Writer, email, key string, record *keystore.Record, asJSON bool) (err error) {
	signal.Ignore(syscall.SIGPIPE) // if the output is closed early, the error must still be shown
	if asJSON {
		err = printJSON(out, struct {
			Email string `json:"email"`
			Key   string `json:"key"`
			keyView
		}{email, key, viewOf(email, record)})
	} else {
		_, err = fmt.Fprintln(out, key)
	}
	if err != nil {
		return fmt.Errorf("the key could not be shown and is lost: make another with `keys rotate %s`: %w", email, err)
	}
	return nil
}

func printJSON(out io.Writer, v any) error {
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// keysStatus makes the commands `keys enable` and `keys disable`.
func keysStatus(f *keystoreFlags, enabled bool) *cobra.Command {
	verb, short := "disable", "Locks a user out, until `keys enable`"
	if enabled {
		verb, short = "enable", "Lets a disabled user in again"
	}
	return &cobra.Command{
		Use:     verb + " EMAIL",
		Short:   short,
		Example: "  caddy continue-auth keys " + verb + " dev@example.com",
		Args:    one,
		RunE: f.run(existing, func(ctx context.Context, a *administration, _ *cobra.Command, args []string) error {
			return a.setEnabled(ctx, args[0], enabled)
		}),
	}
}

func keysRotate(f *keystoreFlags) *cobra.Command {
	var grace string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "rotate EMAIL",
		Short: "Makes another key for a user and prints it once",
		Long: `Makes another key for a user and prints it once. The previous key still works for the time that
--grace says. Without --grace it ends at once.`,
		Example: "  caddy continue-auth keys rotate dev@example.com --grace 24h",
		Args:    one,
		RunE: f.run(existing, func(ctx context.Context, a *administration, cmd *cobra.Command, args []string) error {
			key, record, err := a.rotateUser(ctx, args[0], "", grace)
			if err != nil {
				return err
			}
			return printKey(cmd.OutOrStdout(), args[0], key, record, asJSON)
		}),
	}
	cmd.Flags().StringVar(&grace, "grace", "0s", "how long the previous key still works, such as 24h")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func keysRemove(f *keystoreFlags) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "remove EMAIL",
		Short: "Removes a user and the user's key",
		Long:  `Removes a user and the user's key. It asks first if it runs on a terminal.`,
		Example: `  caddy continue-auth keys remove dev@example.com
  caddy continue-auth keys remove dev@example.com --yes`,
		Args: one,
		RunE: f.run(existing, func(ctx context.Context, a *administration, cmd *cobra.Command, args []string) error {
			if !yes {
				if err := confirm(isTerminal(cmd.InOrStdin()), cmd.InOrStdin(), cmd.ErrOrStderr(), "Remove "+args[0]+"?"); err != nil {
					return err
				}
			}
			return a.removeUser(ctx, args[0])
		}),
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask, even on a terminal")
	return cmd
}
