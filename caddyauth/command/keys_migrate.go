package command

import (
	"context"
	"slices"

	"github.com/spf13/cobra"

	"github.com/continue-auth/caddy-continue-auth/keystore"
)

func keysMigrate(f *keystoreFlags) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Replaces keys in the clear by their hashes",
		Long: `Replaces keys in the clear, as the Worker stored them, by their hashes. The users' keys still work.

The command first says how many keys it would hash. It hashes them only if you agree, or with --yes.`,
		Example: `  caddy continue-auth keys migrate
  caddy continue-auth keys migrate --yes`,
		Args: cobra.NoArgs,
		RunE: f.run(existing, func(ctx context.Context, a *administration, cmd *cobra.Command, _ []string) error {
			emails, err := a.plainKeys(ctx)
			if err != nil || len(emails) == 0 {
				return err
			}
			terminal := isTerminal(cmd.InOrStdin())
			switch {
			case yes:
			case terminal:
				if err := confirm(terminal, cmd.InOrStdin(), cmd.ErrOrStderr(), "Hash them now?"); err != nil {
					return err
				}
			default:
				a.say("Nothing was changed. To change them, say --yes.")
				return nil
			}
			return a.hashKeys(ctx, emails)
		}),
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}

// plainKeys returns the users whose keys are stored in the clear, and prints how many there are.
func (a *administration) plainKeys(ctx context.Context) ([]string, error) {
	var emails []string
	all, broken := 0, 0
	err := a.each(ctx, keystore.APIKeys, func(email string, value []byte) error {
		all++
		record, err := keystore.ParseRecord(value)
		switch {
		case err != nil:
			broken++
			a.say("The entry of %s is broken and is not changed: %v.", email, err)
		case record.Info().PlainKey:
			emails = append(emails, email)
		}
		return nil
	})
	if err == nil {
		a.say("%d of %d keys lie in the keystore in the clear; %d entries are broken.", len(emails), all, broken)
	}
	return emails, err
}

func (a *administration) hashKeys(ctx context.Context, emails []string) error {
	progress := newProgress(a.messages, "hashed", len(emails))
	defer progress.end()
	hashed := 0
	for some := range slices.Chunk(emails, batch) {
		count := 0
		err := a.edit(ctx, keystore.APIKeys, some, func(_ string, value []byte) ([]byte, error) {
			if record, err := keystore.ParseRecord(value); err == nil && record.HashPlainKey() {
				count++
				return record.Bytes(), nil
			}
			return value, nil // the key has been changed meanwhile
		})
		if err != nil {
			a.say("%d keys were hashed before this error. Run the command again for the others.", hashed)
			return err
		}
		hashed += count
		progress.add(len(some))
	}
	a.say("Hashed %d keys. They still work.", hashed)
	return nil
}
