package caddyauth

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/continue-auth/caddy-continue-auth/usage"
	"github.com/continue-auth/caddy-continue-auth/usage/sqlite"
)

func init() {
	caddy.RegisterModule(new(SQLite))
}

// SQLite is a ledger in a file, for a single server. Other programs can read the file while the server runs. If
// the file cannot be written, the server counts in memory and tries again every two seconds.
type SQLite struct {
	// The file. A relative path is relative to Caddy's working directory. Default:
	// `continue_auth/usage.db` in Caddy's data folder.
	Path string `json:"path,omitempty"`

	// How long usage is kept. Whole days are deleted. Default: `400d`.
	KeepFor Duration `json:"keep,omitempty"`

	path string // with placeholders replaced
	keep time.Duration
}

// CaddyModule returns the module's ID and constructor.
func (*SQLite) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "continue_auth.ledgers.sqlite",
		New: func() caddy.Module { return new(SQLite) },
	}
}

// Provision replaces the placeholders in the settings.
func (s *SQLite) Provision(caddy.Context) (err error) {
	r := resolver{caddy.NewReplacer(), &err}
	s.path = filePath(r, "path", s.Path, filepath.Join(caddy.AppDataDir(), "continue_auth", "usage.db"))
	s.keep = r.keep(s.KeepFor)
	return err
}

// Identity returns the settings.
func (s *SQLite) Identity() string { return fmt.Sprintf("%s\x00%s", s.path, s.keep) }

// Open returns the ledger in the file. The file is made when the ledger is first written.
func (s *SQLite) Open() usage.Ledger { return sqlite.New(s.path) }

// Existing returns the ledger in the file, which must exist.
func (s *SQLite) Existing() usage.Ledger { return sqlite.Existing(s.path) }

// Keep returns how long rows are kept.
func (s *SQLite) Keep() time.Duration { return s.keep }

// UnmarshalCaddyfile sets up the ledger from Caddyfile tokens. Syntax:
//
//	ledger [sqlite] {
//	    path  <file>
//	    keep  <duration>
//	}
func (s *SQLite) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the name of the module, or the option
	return block(d, func(name string) (err error) {
		switch name {
		case "path":
			err = text(d, &s.Path)
		case "keep":
			err = value(d, &s.KeepFor, parseDuration)
		default:
			err = d.Errf("unknown option %q of ledger sqlite", name)
		}
		return err
	})
}

// Interface guards
var (
	_ caddy.Provisioner     = (*SQLite)(nil)
	_ caddyfile.Unmarshaler = (*SQLite)(nil)
	_ Ledger                = (*SQLite)(nil)
)
