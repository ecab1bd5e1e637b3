package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"
	"github.com/tidwall/gjson"
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
			if err := checkEmail(args[0]); err != nil {
				return err
			}
			now := time.Now()
			key := keystore.NewKey()
			record := keystore.NewRecord(key, now)
			if err := r.apply(record, cmd.Flags().Changed("models"), cmd.Flags().Changed("expires"), now); err != nil {
				return err
			}
			written := false
			err := a.edit(ctx, keystore.APIKeys, args, func(email string, value []byte) ([]byte, error) {
				if value != nil {
					return nil, fmt.Errorf("%s has a key already: use `keys rotate` for another one, or `keys remove` first", email)
				}
				written = true
				return record.Bytes(), nil
			})
			if err = a.settle(ctx, args[0], key, written, err); err != nil {
				return err
			}
			a.say("Made a key for %s. It is shown this once.", args[0])
			a.forget(a.absent, args[0])
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

// warnIfKeptOut prints a warning if the user's key does not work.
func (a *administration) warnIfKeptOut(email string, record *keystore.Record) {
	if status := viewOf(email, record).Status; status != "enabled" {
		a.say("%s is %s, and cannot sign in until that changes.", email, status)
	}
}

func printJSON(out io.Writer, v any) error {
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// settle finds out whether the keystore has written a new key although it reported an error. The
// caller shows the key only then.
func (a *administration) settle(ctx context.Context, email, key string, written bool, err error) error {
	if !written || !uncertain(err) {
		return err
	}
	values, unknown := a.get(ctx, keystore.APIKeys, []string{email})
	switch {
	case gjson.GetBytes(values[email], "apiKeyHash").Str == keystore.HashKey(key):
		return nil
	case a.mayShowLater(unknown, err):
		return fmt.Errorf("%w; whether the key was written is not known: look in a minute with `keys show %s`; make another key with `keys rotate` if the user exists, and with `keys add` if not", err, email)
	}
	return err
}

// mayShowLater reports whether a write that failed with err may still become visible. unknown is
// the error of a read after it. Workers KV can show the old value for a minute
// (https://developers.cloudflare.com/kv/concepts/how-kv-works/).
func (a *administration) mayShowLater(unknown, err error) bool {
	return uncertain(err) && (unknown != nil || a.remote)
}

// uncertain reports whether a write may have been made although it failed.
func uncertain(err error) bool {
	return errors.Is(err, keystore.ErrUnavailable) || errors.Is(err, keystore.ErrTimeout)
}

// editUser changes the record of an existing user.
func (a *administration) editUser(ctx context.Context, email string, change func(*keystore.Record) error) (record *keystore.Record, err error) {
	err = a.edit(ctx, keystore.APIKeys, []string{email}, func(email string, value []byte) ([]byte, error) {
		if record, err = parseUser(email, value); err != nil {
			return nil, err
		}
		if err := change(record); err != nil {
			return nil, err
		}
		return record.Bytes(), nil
	})
	return record, err
}

func parseUser(email string, value []byte) (*keystore.Record, error) {
	if value == nil {
		return nil, fmt.Errorf("there is no user %s", email)
	}
	record, err := keystore.ParseRecord(value)
	if err != nil {
		return nil, fmt.Errorf("the entry of %s is broken and was not changed: %w", email, err)
	}
	return record, nil
}

// keysStatus makes the commands `keys enable` and `keys disable`.
func keysStatus(f *keystoreFlags, enabled bool) *cobra.Command {
	verb, done, short := "disable", "Disabled", "Locks a user out, until `keys enable`"
	if enabled {
		verb, done, short = "enable", "Enabled", "Lets a disabled user in again"
	}
	return &cobra.Command{
		Use:     verb + " EMAIL",
		Short:   short,
		Example: "  caddy continue-auth keys " + verb + " dev@example.com",
		Args:    one,
		RunE: f.run(existing, func(ctx context.Context, a *administration, _ *cobra.Command, args []string) error {
			record, err := a.editUser(ctx, args[0], func(r *keystore.Record) error {
				r.SetEnabled(enabled)
				return nil
			})
			if err == nil {
				a.say("%s %s.", done, args[0])
			}
			if err == nil || uncertain(err) {
				a.forget(a.maxAge, args[0])
			}
			if err == nil && enabled {
				a.warnIfKeptOut(args[0], record)
			}
			return err
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
			d, err := caddy.ParseDuration(grace)
			if err != nil || d < 0 {
				return fmt.Errorf("--grace %q: must be a duration such as 24h, not negative", grace)
			}
			key := keystore.NewKey()
			record, err := a.editUser(ctx, args[0], func(r *keystore.Record) error {
				r.Rotate(key, time.Now(), d)
				return nil
			})
			if err = a.settle(ctx, args[0], key, record != nil, err); err != nil {
				return err
			}
			ends := "at once"
			if until := record.Info().PreviousUntil; !until.IsZero() {
				ends = "at " + until.Format(time.RFC3339)
			}
			a.say("Made another key for %s. It is shown this once. The previous key ends %s.", args[0], ends)
			a.warnIfKeptOut(args[0], record)
			a.forget(a.maxAge, args[0])
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
			there := false
			err := a.edit(ctx, keystore.APIKeys, args, func(_ string, value []byte) ([]byte, error) {
				there = value != nil
				return nil, nil
			})
			if err == nil && !there {
				err = fmt.Errorf("there is no user %s", args[0])
			}
			if err == nil {
				a.say("Removed %s.", args[0])
			}
			a.forget(a.maxAge, args[0]) // the user may be gone even after an error
			return err
		}),
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask, even on a terminal")
	return cmd
}
