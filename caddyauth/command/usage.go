package command

import (
	"cmp"
	"compress/gzip"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"
)

func usageCommand() *cobra.Command {
	f := new(configFlags)
	var since, by string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "usage [FILE...]",
		Short: "Shows who used what, from the access log",
		Long: `Shows who used what, and how often they were refused. It reads Caddy's access logs in JSON.

Without FILE, it reads the access logs of the configuration, including rolled files. Files that end in
.gz are decompressed, and - is standard input. If several logs have the same requests, name the files
of one log. Times are in UTC. Requests of unknown users are under "-".`,
		Example: `  caddy continue-auth usage --since 30d
  caddy continue-auth usage --by model --since 2026-11-01
  caddy continue-auth usage access.log access-*.log.gz --json | jq -r '.[] | select(.refused > 100) | .name'
  ssh server cat /var/log/caddy/access.log | caddy continue-auth usage -`,
		RunE: func(cmd *cobra.Command, files []string) error {
			cmd.SilenceUsage = true
			log, err := newUsageLog(by, since, time.Now())
			if err == nil && len(files) == 0 {
				files, err = f.logFiles()
			}
			if err == nil {
				err = log.readAll(files, cmd.InOrStdin(), cmd.ErrOrStderr())
			}
			if err != nil {
				return err
			}
			log.sayWhatIsMissing(cmd.ErrOrStderr())
			if asJSON {
				return printJSON(cmd.OutOrStdout(), log.sorted())
			}
			return log.print(cmd.OutOrStdout())
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&since, "since", "", "count requests from this time: a duration back such as 24h or 30d, a day, or a time in RFC 3339")
	cmd.Flags().StringVar(&by, "by", byUser, "add up by user, model or provider")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
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
	if by != byUser && by != byModel && by != byProvider {
		return nil, fmt.Errorf("--by %q: must be user, model or provider", by)
	}
	l := &usageLog{by: by, byName: make(map[string]*usage)}
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

// readAll reads files. On a terminal it shows the progress.
func (l *usageLog) readAll(files []string, stdin io.Reader, messages io.Writer) error {
	var total int64
	for _, path := range files {
		if path == "-" {
			continue
		}
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		total += info.Size()
	}
	if !isTerminal(messages) {
		messages = io.Discard
	}
	progress := newProgress(messages, "read", int(total/megabyte))
	progress.unit, progress.step = " MB", 100
	defer progress.end()
	for _, path := range files {
		if err := l.readFile(path, stdin, progress); err != nil {
			return err
		}
	}
	return nil
}

func (l *usageLog) readFile(path string, stdin io.Reader, progress *progress) error {
	if path == "-" {
		return l.read("standard input", stdin)
	}
	if strings.HasSuffix(path, ".zst") {
		return fmt.Errorf("%s: zstd files are not supported: use `zstd -dc` and name - for its output", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	counted := &countedReader{in: file, progress: progress}
	if !strings.HasSuffix(path, ".gz") {
		return l.read(path, counted)
	}
	plain, err := gzip.NewReader(counted)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return l.read(path, plain)
}

const megabyte = 1_000_000

// countedReader adds the megabytes that are read to a progress.
type countedReader struct {
	in       io.Reader
	progress *progress
	rest     int
}

func (r *countedReader) Read(p []byte) (int, error) {
	n, err := r.in.Read(p)
	if r.rest += n; r.rest >= megabyte {
		r.progress.add(r.rest / megabyte)
		r.rest %= megabyte
	}
	return n, err
}

// sayWhatIsMissing prints what the figures do not include.
func (l *usageLog) sayWhatIsMissing(messages io.Writer) {
	say := func(n int64, one, many, what string) {
		if n == 1 {
			many = one
		}
		if n > 0 {
			fmt.Fprintf(messages, "%d %s %s\n", n, many, what)
		}
	}
	say(l.notJSON, "line was", "lines were", "not JSON, and left out.")
	say(l.tooLong, "line was", "lines were", "longer than 1 MB, and left out.")
	say(l.total().TokensPartial, "request", "requests", "ended before the provider had counted all tokens: it may have used more.")
}

func (l *usageLog) total() usage {
	total := usage{Name: "TOTAL"}
	for _, u := range l.byName {
		total.add(*u)
	}
	return total
}

// sorted returns the usage, most tokens first.
func (l *usageLog) sorted() []*usage {
	all := slices.AppendSeq([]*usage{}, maps.Values(l.byName)) // an empty slice is [] in JSON, not null
	slices.SortFunc(all, func(a, b *usage) int {
		return cmp.Or(
			cmp.Compare(b.PromptTokens+b.CompletionTokens, a.PromptTokens+a.CompletionTokens),
			cmp.Compare(b.Requests, a.Requests),
			cmp.Compare(a.Name, b.Name),
		)
	})
	return all
}

func (l *usageLog) print(out io.Writer) error {
	if len(l.byName) == 0 {
		_, err := fmt.Fprintln(out, "There are no requests to continue_auth in the log.")
		return err
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "%s\tREQUESTS\tREFUSED\tPROMPT\tCACHED\tCOMPLETION\tLAST\n", strings.ToUpper(l.by))
	for _, u := range l.sorted() {
		u.print(table)
	}
	total := l.total()
	total.print(table)
	return table.Flush()
}

func (u *usage) print(table io.Writer) {
	name, last := printable(u.Name), ""
	if name == "" {
		name = "-"
	}
	if !u.Last.IsZero() {
		last = u.Last.Format(time.DateTime)
	}
	fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\t%d\t%s\n", name, u.Requests, u.Refused, u.PromptTokens, u.CachedTokens, u.CompletionTokens, last)
}
