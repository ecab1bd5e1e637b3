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
		Short: "Makes keys for many new users and prints them, once",
		Long: `Makes keys for many new users and prints them, once, as CSV: email,key.

The file's first line names its columns: email, and if wanted expires, models (separated by spaces),
metadata.NAME, and key, for keys that users have already: of those only the hash is stored, and
nothing is printed. All of the file is checked before anything is written. Users who are there
already are left alone, so that an import that broke off is finished by running it again.`,
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

// newUser is a line of an import.
type newUser struct {
	email  string
	key    string // that was made; empty where the user has one
	record *keystore.Record
}

// readImport reads and checks all of a file; "-" is standard input.
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

// parseImport reads and checks all of an import.
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
			continue // spreadsheets leave such lines
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

// newImportReader reads CSV as spreadsheets write it: behind a byte order mark, and with semicolons
// where the comma is a decimal's.
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

// importUsers writes users a batch at a time, and prints the keys of each batch once they are there.
func (a *administration) importUsers(ctx context.Context, users []newUser, out io.Writer) error {
	signal.Ignore(syscall.SIGPIPE) // who closes the output early is to read that keys were lost
	keys := csv.NewWriter(out)
	_ = keys.Write([]string{"email", "key"})
	if keys.Flush(); keys.Error() != nil {
		return keys.Error() // before anything is written that nobody could read
	}
	var emails []string
	progress := newProgress(a.messages, "imported", len(users))
	defer progress.end()
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	made, there := 0, 0
	for some := range slices.Chunk(users, batch) {
		if ctx.Err() != nil {
			a.say("%d users were made. Run the same import again for the others: they will be left alone.", made)
			return errors.New("interrupted")
		}
		// A batch that has begun is finished, so that no key is written and not shown.
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
				a.say("The key of %s may not have been shown: make another with `keys rotate`.", u.email)
			}
		}
		if err = errors.Join(err, keys.Error()); err != nil {
			a.say("%d users were made before the last %d, and some of these may have been. Run the same import again: who is there will be left alone.", made, len(some))
			a.forget(a.absent, emails...)
			return err
		}
		made += len(written)
		there += len(some) - len(written)
		progress.add(len(some))
	}
	a.say("Made %d users; %d were there already and were left alone.", made, there)
	if made > 0 {
		a.forget(a.absent, emails...)
	}
	return nil
}

// importBatch writes those of users who are not there yet, and returns them. If the keystore does
// not say whether it wrote them, it is asked again, and those of whom it still does not are returned
// as well: a key that was written and not shown would be nobody's.
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
		a.say("%d of the last %d keys may or may not have been written. In a minute, run the import again: they hold unless it prints others for the same users.", open, len(written))
	}
	return written, err
}
