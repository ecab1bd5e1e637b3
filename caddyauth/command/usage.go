package command

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"

	"github.com/continue-auth/caddy-continue-auth/usage"
)

// Usage can be added up by these.
const (
	byUser     = string(usage.ByUser)
	byTeam     = string(usage.ByTeam)
	byProvider = string(usage.ByProvider)
	byModel    = string(usage.ByModel)
	byClient   = string(usage.ByClient)
	byDay      = string(usage.ByDay)
)

// usageFlags are the flags of the command usage.
type usageFlags struct {
	configFlags
	site, since, by, user string
	log, asJSON, asCSV    bool
}

func usageCommand() *cobra.Command {
	f := new(usageFlags)
	cmd := &cobra.Command{
		Use:   "usage [FILE...]",
		Short: "Shows who used what",
		Long: `Shows who used what, and how often they were refused.

It reads the ledger of the configuration. If there is none, or with --log, it reads Caddy's access logs
in JSON: the FILEs, or the access logs of the configuration, including rolled files. Files that end in
.gz are decompressed, and - is standard input. If several logs have the same requests, name the files
of one log.

Times are in UTC. The ledger counts whole hours. Requests of unknown users are only in the log, under
"-". Lists of models, and counts of a prompt's tokens, are not counted.`,
		Example: `  caddy continue-auth usage --since 30d
  caddy continue-auth usage --by model --since 2026-11-01
  caddy continue-auth usage --by day --user dev@example.com --csv
  caddy continue-auth usage access.log access-*.log.gz --json | jq -r '.[] | select(.refused > 100) | .name'
  ssh server cat /var/log/caddy/access.log | caddy continue-auth usage -`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, files []string) error {
			cmd.SilenceUsage = true
			r, err := f.report(cmd, files)
			if err != nil {
				return err
			}
			return f.print(r, cmd.OutOrStdout())
		},
	}
	f.add(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.since, "since", "", "count requests from this time: a duration back such as 24h or 30d, a day, or a time in RFC 3339")
	flags.StringVar(&f.by, "by", byUser, "add up by user, team, provider, model, client or day")
	flags.StringVar(&f.user, "user", "", "count only this user's requests")
	flags.BoolVar(&f.log, "log", false, "read the access log, although there is a ledger")
	flags.BoolVar(&f.asJSON, "json", false, "print JSON")
	flags.BoolVar(&f.asCSV, "csv", false, "print CSV")
	cmd.PersistentFlags().StringVar(&f.site, "site", "", "the host of the site, if several have ledgers")
	cmd.MarkFlagsMutuallyExclusive("json", "csv")
	cmd.AddCommand(usageImportCommand(f))
	return cmd
}

// report adds up the usage.
func (f *usageFlags) report(cmd *cobra.Command, files []string) (*report, error) {
	log, err := newUsageLog(f.by, f.since, time.Now())
	if err != nil {
		return nil, err
	}
	log.user = f.user
	if len(files) == 0 && !f.log {
		opened, err := f.openLedger(cmd.Context())
		if err != nil {
			return nil, err
		}
		if opened != nil {
			defer opened.close()
			return opened.report(f.by, usage.Query{Since: log.since, User: f.user})
		}
	}
	if len(files) == 0 {
		if files, err = f.logFiles(); err != nil {
			return nil, err
		}
	}
	messages := cmd.ErrOrStderr()
	progress := messages
	if !isTerminal(progress) {
		progress = io.Discard
	}
	if err := log.readAll(files, cmd.InOrStdin(), progress); err != nil {
		return nil, err
	}
	log.sayWhatIsMissing(messages)
	return log.report(), nil
}

// logFiles finds the access logs of the server.
func (f *configFlags) logFiles() ([]string, error) {
	config, err := readConfig(f.config, f.adapter)
	if err != nil {
		return nil, err
	}
	return logFiles(config)
}

func newUsageLog(by, since string, now time.Time) (*usageLog, error) {
	all := []string{byUser, byTeam, byProvider, byModel, byClient, byDay}
	if !slices.Contains(all, by) {
		return nil, fmt.Errorf("--by %q: must be %s or %s", by, strings.Join(all[:len(all)-1], ", "), all[len(all)-1])
	}
	l := &usageLog{by: by, byName: make(map[string]*tally)}
	if since == "" {
		return l, nil
	}
	var err error
	l.since, err = parseBeginning(since, now)
	return l, err
}

// parseBeginning reads a time in the past: a duration before now, a day, whose beginning counts in
// UTC, or a time.
func parseBeginning(text string, now time.Time) (time.Time, error) {
	at, err := time.Parse(time.RFC3339, text)
	if day, dayErr := time.Parse(time.DateOnly, text); dayErr == nil {
		at, err = day, nil
	} else if d, durationErr := caddy.ParseDuration(text); durationErr == nil {
		at, err = now.Add(-d), nil
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("--since %q: must be a duration such as 24h or 30d, a day such as 2026-11-01, or a time such as 2026-11-01T12:00:00Z", text)
	}
	if at.After(now) {
		return time.Time{}, fmt.Errorf("--since %q: is yet to come", text)
	}
	return at, nil
}
