package command

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/tidwall/gjson"

	"github.com/continue-auth/caddy-continue-auth/keystore"
)

func keysImport(f *keystoreFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "import FILE.csv",
		Short: "Makes keys for many new users and prints them once",
		Long: `Makes keys for many new users and prints them once, as CSV: email,key.

The file's first line names its columns. email is required. These are optional:

  expires         when the key ends
  models          the models that the user may use, separated by spaces
  metadata.NAME   an entry for the gateway's logs and limits
  key             a key that the user already has; its hash is stored, and it is not printed

The whole file is checked before anything is written. Users who exist already are not changed. So if
an import breaks off, run it again.`,
		Example: `  caddy continue-auth keys import team.csv > keys.csv

  # team.csv
  email,expires,models,metadata.team
  dev@example.com,90d,workers-ai/* openai/*,core`,
		Args: one,
		RunE: f.run(making, func(ctx context.Context, a *administration, cmd *cobra.Command, args []string) error {
			users, err := readImport(args[0], time.Now())
			if err != nil {
				return err
			}
			return a.importUsers(ctx, users, cmd.OutOrStdout())
		}),
	}
}

// newUser is one line of an import.
type newUser struct {
	email  string
	key    string // the new key, or "" if the user already had one
	record *keystore.Record
}

// readImport reads and checks a whole file. "-" is standard input.
func readImport(path string, now time.Time) (users []newUser, err error) {
	in := os.Stdin
	if path != "-" {
		if in, err = os.Open(path); err != nil {
			return nil, err
		}
		defer func() { _ = in.Close() }()
	}
	if users, err = parseImport(in, now); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return users, nil
}

// parseImport reads and checks a whole import.
func parseImport(in io.Reader, now time.Time) ([]newUser, error) {
	reader, err := newImportReader(in)
	if err != nil {
		return nil, err
	}
	columns, err := reader.Read()
	if err != nil {
		return nil, fmt.Errorf("its first line must name the columns: %w", err)
	}
	for i, name := range columns {
		columns[i] = strings.TrimSpace(name)
		if !strings.HasPrefix(columns[i], metadataColumn) {
			columns[i] = strings.ToLower(columns[i])
		}
	}
	if err := checkColumns(columns); err != nil {
		return nil, err
	}
	var users []newUser
	lines := make(map[string]int)
	for {
		fields, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return users, nil
		}
		if err != nil {
			return nil, err
		}
		if strings.Join(fields, "") == "" {
			continue // spreadsheets write such lines
		}
		line, _ := reader.FieldPos(0)
		u, err := parseUserLine(columns, fields, now)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		if first := lines[u.email]; first != 0 {
			return nil, fmt.Errorf("line %d: %s is in line %d already", line, u.email, first)
		}
		lines[u.email] = line
		users = append(users, u)
	}
}

// newImportReader reads CSV as spreadsheets write it. It accepts a byte order mark, and semicolons,
// which are used where a comma is the decimal point.
func newImportReader(in io.Reader) (*csv.Reader, error) {
	buffered := bufio.NewReader(in)
	first, _ := buffered.Peek(buffered.Size())
	mark, first, err := keystore.CutMark(first)
	if err != nil {
		return nil, err
	}
	_, _ = buffered.Discard(len(mark))
	if end := bytes.IndexByte(first, '\n'); end >= 0 {
		first = first[:end]
	}
	reader := csv.NewReader(buffered)
	reader.TrimLeadingSpace = true
	if bytes.IndexByte(first, ';') >= 0 && bytes.IndexByte(first, ',') < 0 {
		reader.Comma = ';'
	}
	return reader, nil
}

const metadataColumn = "metadata."

func checkColumns(columns []string) error {
	for i, name := range columns {
		switch {
		case slices.Contains(columns[:i], name):
			return fmt.Errorf("there are two columns %q", name)
		case name != "email" && name != "key" && name != "expires" && name != "models" && !strings.HasPrefix(name, metadataColumn):
			return fmt.Errorf("there is no column %q: there are email, key, expires, models and metadata.NAME", name)
		}
	}
	if !slices.Contains(columns, "email") {
		return errors.New("there must be a column email")
	}
	return nil
}

func parseUserLine(columns, fields []string, now time.Time) (u newUser, err error) {
	var r restrictions
	key, limited := "", false
	for i, name := range columns {
		value := strings.TrimSpace(fields[i])
		metadata, isMetadata := strings.CutPrefix(name, metadataColumn)
		switch {
		case value == "":
		case name == "email":
			u.email = value
		case name == "key":
			key = value
		case name == "expires":
			r.expires = value
		case name == "models":
			r.models, limited = strings.FieldsFunc(value, func(c rune) bool { return c == ' ' || c == ',' || c == ';' }), true
		case isMetadata:
			r.metadata = append(r.metadata, metadata+"="+value)
		}
	}
	if err := checkEmail(u.email); err != nil {
		return u, err
	}
	if key == "" {
		u.key = keystore.NewKey()
		key = u.key
	}
	u.record = keystore.NewRecord(key, now)
	return u, r.apply(u.record, limited, false, now)
}

// importUsers writes users in batches. It prints the keys of each batch after the batch has been
// written.
func (a *administration) importUsers(ctx context.Context, users []newUser, out io.Writer) error {
	signal.Ignore(syscall.SIGPIPE) // if the output is closed early, the error must still be shown
	keys := csv.NewWriter(out)
	_ = keys.Write([]string{"email", "key"})
	if keys.Flush(); keys.Error() != nil {
		return keys.Error() // stop before keys are written that cannot be shown
	}
	var emails []string
	progress := newProgress(a.messages, "imported", len(users))
	defer progress.end()
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	made, there := 0, 0
	for some := range slices.Chunk(users, batch) {
		if ctx.Err() != nil {
			a.say("%d users were made. Run the same import again for the others. It does not change those who exist.", made)
			return errors.New("interrupted")
		}
		// A batch that has started is finished, so that every key that is written is also shown.
		written, err := a.importBatch(context.WithoutCancel(ctx), some)
		for _, u := range written {
			emails = append(emails, u.email)
			if u.key != "" {
				_ = keys.Write([]string{u.email, u.key})
			}
		}
		keys.Flush()
		if keys.Error() != nil {
			for _, u := range written {
				a.say("The key of %s may not have been shown. Make another one with `keys rotate`.", u.email)
			}
		}
		if err = errors.Join(err, keys.Error()); err != nil {
			a.say("%d users were made. Of the next %d, some may have been made too. Run the same import again. It does not change users who exist.", made, len(some))
			a.forget(a.absent, emails...)
			return err
		}
		made += len(written)
		there += len(some) - len(written)
		progress.add(len(some))
	}
	a.say("Made %d users. %d existed already and were not changed.", made, there)
	if made > 0 {
		a.forget(a.absent, emails...)
	}
	return nil
}

// importBatch writes the users who do not exist yet, and returns them. If the keystore fails,
// importBatch reads them back. It then also returns users for whom it is still not known whether
// they were written: otherwise their keys could be in the keystore without having been shown.
func (a *administration) importBatch(ctx context.Context, users []newUser) (written []newUser, err error) {
	byEmail := make(map[string]newUser, len(users))
	var emails []string
	for _, u := range users {
		byEmail[u.email] = u
		emails = append(emails, u.email)
	}
	err = a.edit(ctx, keystore.APIKeys, emails, func(email string, value []byte) ([]byte, error) {
		if value != nil {
			return value, nil
		}
		written = append(written, byEmail[email])
		return byEmail[email].record.Bytes(), nil
	})
	if err == nil || len(written) == 0 {
		return written, err
	}
	values, unknown := a.get(ctx, keystore.APIKeys, emails)
	open := 0
	written = slices.DeleteFunc(written, func(u newUser) bool {
		const hash = "apiKeyHash"
		value, there := values[u.email]
		if !there && a.mayShowLater(unknown, err) {
			open++
			return false
		}
		return gjson.GetBytes(value, hash).Str != gjson.GetBytes(u.record.Bytes(), hash).Str
	})
	if open > 0 {
		a.say("%d of the last %d keys may or may not have been written. Run the import again in a minute. They work unless it prints other keys for the same users.", open, len(written))
	}
	return written, err
}
