package command

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/continue-auth/caddy-continue-auth/caddyauth"
	"github.com/continue-auth/caddy-continue-auth/keystore"
)

// keyView is what the commands show of a user.
type keyView struct {
	Email         string                     `json:"email"`
	Status        string                     `json:"status"` // enabled, disabled or expired
	KeyID         string                     `json:"key_id,omitempty"`
	CreatedAt     string                     `json:"created_at,omitempty"`
	ExpiresAt     *time.Time                 `json:"expires_at,omitempty"`
	PreviousUntil *time.Time                 `json:"previous_until,omitempty"`
	Models        []string                   `json:"models"` // null means all
	Metadata      map[string]json.RawMessage `json:"metadata,omitempty"`
	Limits        *keystore.Limits           `json:"limits,omitempty"`    // the user's own
	Usage         []caddyauth.LimitReport    `json:"usage,omitempty"`     // what is used of all limits; only the running server knows
	PlainKey      bool                       `json:"plain_key,omitempty"` // the keystore has the key in the clear
}

func viewOf(email string, record *keystore.Record) keyView {
	info := record.Info()
	v := keyView{
		Email: email, Status: "disabled", KeyID: info.KeyID, CreatedAt: info.CreatedAt, Models: info.Models, Limits: info.Limits, PlainKey: info.PlainKey,
	}
	now := time.Now()
	if info.Enabled {
		v.Status = "enabled"
		if !info.ExpiresAt.IsZero() && !now.Before(info.ExpiresAt) {
			v.Status = "expired"
		}
	}
	if !info.ExpiresAt.IsZero() {
		v.ExpiresAt = &info.ExpiresAt
	}
	if now.Before(info.PreviousUntil) {
		v.PreviousUntil = &info.PreviousUntil
	}
	for _, entry := range info.Metadata {
		if v.Metadata == nil {
			v.Metadata = make(map[string]json.RawMessage)
		}
		v.Metadata[entry.Name] = entry.Value
	}
	return v
}

func (v keyView) expires() string {
	if v.ExpiresAt == nil {
		return "never"
	}
	return v.ExpiresAt.UTC().Format(time.DateTime)
}

// created returns the creation time in the same form as the other times. If it cannot be read, it
// is returned as written.
func (v keyView) created() string {
	at, err := time.Parse(time.RFC3339, v.CreatedAt)
	if err != nil {
		return v.CreatedAt
	}
	return at.UTC().Format(time.DateTime)
}

func (v keyView) models() string {
	switch {
	case v.Models == nil:
		return "all"
	case len(v.Models) == 0:
		return "none"
	}
	return strings.Join(v.Models, ", ")
}

func keysList(f *keystoreFlags) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Lists all users",
		Example: `  caddy continue-auth keys list
  caddy continue-auth keys list --json | jq -r '.[] | select(.status == "expired") | .email'`,
		Args: cobra.NoArgs,
		RunE: f.run(existing, func(ctx context.Context, a *administration, cmd *cobra.Command, _ []string) error {
			return a.list(ctx, newKeyWriter(cmd.OutOrStdout(), asJSON))
		}),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (a *administration) list(ctx context.Context, out *keyWriter) error {
	broken, plain := 0, 0
	err := a.each(ctx, keystore.APIKeys, func(email string, value []byte) error {
		record, err := keystore.ParseRecord(value)
		if err != nil {
			broken++
			a.say("The entry of %s is broken: %v.", printable(email), err)
			return nil
		}
		view := viewOf(email, record)
		if view.PlainKey {
			plain++
		}
		return out.write(view)
	})
	if err != nil {
		return err
	}
	if out.count > 0 || broken == 0 {
		if err := out.end(); err != nil {
			return err
		}
	}
	if plain > 0 {
		a.say("The keystore has %d keys in the clear. Hash them with `caddy continue-auth keys migrate`.", plain)
	}
	if broken > 0 {
		return fmt.Errorf("%d entries are broken; those users are refused", broken)
	}
	return nil
}

// keyWriter prints users one by one, as a table or as a JSON array.
type keyWriter struct {
	out   io.Writer
	table *tabwriter.Writer // nil if it writes JSON
	count int
}

func newKeyWriter(out io.Writer, asJSON bool) *keyWriter {
	w := &keyWriter{out: out}
	if !asJSON {
		w.table = tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	}
	return w
}

func (w *keyWriter) write(v keyView) error {
	w.count++
	if w.table != nil {
		if w.count == 1 {
			fmt.Fprintln(w.table, "EMAIL\tSTATUS\tEXPIRES\tMODELS\tCREATED\tKEY")
		}
		_, err := fmt.Fprintf(w.table, "%s\t%s\t%s\t%s\t%s\t%s\n", printable(v.Email), v.Status, v.expires(), printable(v.models()), printable(v.created()), v.key())
		return err
	}
	before := "[\n"
	if w.count > 1 {
		before = ",\n"
	}
	text, err := json.Marshal(v)
	if err == nil {
		_, err = fmt.Fprintf(w.out, "%s%s", before, text)
	}
	return err
}

// key returns what identifies the key.
func (v keyView) key() string {
	switch {
	case v.KeyID == "":
		return "none"
	case v.PlainKey:
		return v.KeyID + " in the clear"
	}
	return v.KeyID
}

func (w *keyWriter) end() error {
	var err error
	switch {
	case w.table != nil && w.count == 0:
		_, err = fmt.Fprintln(w.out, "There are no users yet.")
	case w.table != nil:
		err = w.table.Flush()
	case w.count == 0:
		_, err = fmt.Fprintln(w.out, "[]")
	default:
		_, err = fmt.Fprintln(w.out, "\n]")
	}
	return err
}

func keysShow(f *keystoreFlags) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "show EMAIL",
		Short:   "Shows a user, but not the key",
		Example: "  caddy continue-auth keys show dev@example.com --json",
		Args:    one,
		RunE: f.run(existing, func(ctx context.Context, a *administration, cmd *cobra.Command, args []string) error {
			record, err := a.user(ctx, args[0])
			if err != nil {
				return err
			}
			view := viewOf(args[0], record)
			view.Usage = a.usageOf(args[0])
			if asJSON {
				return printJSON(cmd.OutOrStdout(), view)
			}
			return view.print(cmd.OutOrStdout())
		}),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// usageOf asks the running server what a user has used of the limits. It returns nil if there are no limits, or
// if the server cannot be asked.
func (a *administration) usageOf(email string) []caddyauth.LimitReport {
	if a.admin == "" {
		return nil
	}
	answer, err := callAdmin(a.admin, http.MethodGet, caddyauth.AdminPath+"usage/"+url.PathEscape(email))
	if err != nil {
		return nil
	}
	var report struct{ Limits []caddyauth.LimitReport }
	if json.Unmarshal(answer, &report) != nil {
		return nil
	}
	return report.Limits
}

// describeUse says how much of a limit is used.
func describeUse(l *caddyauth.LimitReport) string {
	text := fmt.Sprintf("%d of %d %s", l.Used, l.Limit, l.Kind)
	if l.Window != nil {
		text += "/" + *l.Window
	}
	if l.Team != nil {
		text += " of team " + *l.Team
	}
	if l.ResetsAt != nil {
		text += ", resets at " + l.ResetsAt.Format(time.DateTime)
	}
	return text
}

// user reads the record of an existing user.
func (a *administration) user(ctx context.Context, email string) (*keystore.Record, error) {
	if err := checkEmail(email); err != nil {
		return nil, err
	}
	values, err := a.get(ctx, keystore.APIKeys, []string{email})
	if err != nil {
		return nil, err
	}
	return parseUser(email, values[email])
}

// print prints the user as a table of two columns.
func (v keyView) print(out io.Writer) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(table, "%s\t%s\n", name, printable(value))
		}
	}
	line("email", v.Email)
	line("status", v.Status)
	line("key", v.key())
	line("created", v.created())
	line("expires", v.expires())
	if v.PreviousUntil != nil {
		line("previous key", "works until "+v.PreviousUntil.UTC().Format(time.DateTime))
	}
	line("models", v.models())
	if len(v.Metadata) > 0 {
		metadata, err := json.Marshal(v.Metadata)
		if err != nil {
			return err
		}
		line("metadata", string(metadata))
	}
	line("own limits", describeLimits(v.Limits))
	for _, limit := range v.Usage {
		line("used", describeUse(&limit))
	}
	return table.Flush()
}
