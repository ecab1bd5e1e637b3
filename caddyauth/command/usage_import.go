package command

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/continue-auth/caddy-continue-auth/usage"
)

func usageImportCommand(f *usageFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "import FILE...",
		Short: "Fills the ledger from access logs",
		Long: `Fills the ledger of the configuration from Caddy's access logs in JSON. Files that end in .gz are
decompressed, and - is standard input. The server may run meanwhile.

Nothing is counted twice. The ledger remembers each line that it has imported, so a file can be imported
again, also after it has grown, was renamed or compressed. Lines of requests that this ledger counted
when they happened say so, and are left out. If several logs have the same requests, name the files of
one log.

Only requests of known users are imported, and none that are older than the ledger's "keep".`,
		Example: `  caddy continue-auth usage import access.log access-*.log.gz`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("name the files, or - for standard input")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, files []string) error {
			cmd.SilenceUsage = true
			opened, err := f.openLedger(cmd.Context())
			if err != nil {
				return err
			}
			if opened == nil {
				return errors.New("the configuration has no ledger: put `ledger` into the block of continue_auth, and start the server")
			}
			defer opened.close()
			return (&importer{to: opened, now: time.Now()}).run(files, cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
}

// importer imports logs.
type importer struct {
	to  *openedLedger
	now time.Time

	lines []usage.Line // not imported yet

	added, already, old, unknown int64
}

const (
	// linesAtOnce is how many lines are imported in one transaction. The server waits for it.
	linesAtOnce = 1000

	importTimeout = 30 * time.Second
)

func (i *importer) run(files []string, stdin io.Reader, out, messages io.Writer) error {
	log, err := newUsageLog(byUser, "", i.now)
	if err != nil {
		return err
	}
	log.each = i.line
	if err = log.readAll(files, stdin, messages); err == nil {
		err = i.flush()
	}
	if err != nil {
		return fmt.Errorf("%w (%d requests were added before; run the command again, and nothing is counted twice)", hint(err), i.added)
	}
	log.sayWhatIsMissing(messages)
	fmt.Fprintf(out, "%d requests were added to the ledger. %d were in it already, %d were older than it keeps, and %d had no known user.\n", i.added, i.already, i.old, i.unknown)
	return nil
}

// line takes a line of a log.
func (i *importer) line(line []byte, entry *logLine, at time.Time) error {
	switch {
	case entry.user == "":
		i.unknown++
		return nil
	case at.Before(i.now.Add(-i.to.keep)):
		i.old++
		return nil
	}
	hash := sha256.Sum256(line)
	row := usage.Row{
		Hour: at.Truncate(time.Hour), User: entry.user, Team: entry.team, Provider: entry.provider, Model: entry.model, Client: entry.client,
		Requests: 1, Refused: entry.usage.Refused, Prompt: entry.usage.PromptTokens, Completion: entry.usage.CompletionTokens, Cached: entry.usage.CachedTokens,
	}
	row.Clean()
	i.lines = append(i.lines, usage.Line{Hash: binary.BigEndian.Uint64(hash[:]), Run: strings.Clone(entry.run), Row: row})
	if len(i.lines) < linesAtOnce {
		return nil
	}
	return i.flush()
}

// flush imports the lines that are left.
func (i *importer) flush() error {
	if len(i.lines) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(i.to.ctx, importTimeout)
	defer cancel()
	added, err := i.to.Import(ctx, i.lines)
	if err != nil {
		return err
	}
	i.added += int64(added)
	i.already += int64(len(i.lines) - added)
	i.lines = i.lines[:0]
	return nil
}
