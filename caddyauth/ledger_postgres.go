package caddyauth

import (
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/continue-auth/caddy-continue-auth/usage"
	"github.com/continue-auth/caddy-continue-auth/usage/postgres"
)

func init() {
	caddy.RegisterModule(new(Postgres))
}

// Postgres is a ledger in PostgreSQL, for any number of servers. If the database does not answer, the servers
// count in memory and try again every two seconds.
type Postgres struct {
	// The connection string: a URL, such as `postgres://user:password@host/database`, or keywords and values.
	// Required.
	DSN string `json:"dsn,omitempty"`

	// How long usage is kept. Whole days are deleted. Default: `400d`.
	KeepFor Duration `json:"keep,omitempty"`

	dsn    string // with placeholders replaced
	keep   time.Duration
	ledger *postgres.Ledger
}

// CaddyModule returns the module's ID and constructor.
func (*Postgres) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "continue_auth.ledgers.postgres",
		New: func() caddy.Module { return new(Postgres) },
	}
}

// Provision replaces the placeholders in the settings.
func (p *Postgres) Provision(caddy.Context) (err error) {
	r := resolver{caddy.NewReplacer(), &err}
	p.dsn = r.required("dsn", p.DSN, "the connection string of PostgreSQL, such as {env.POSTGRES_DSN}")
	p.keep = r.keep(p.KeepFor)
	if err != nil {
		return err
	}
	if p.ledger, err = postgres.New(p.dsn); err != nil {
		return fmt.Errorf("dsn: %w", err)
	}
	return nil
}

// Identity returns the settings.
func (p *Postgres) Identity() string { return fmt.Sprintf("%s\x00%s", p.dsn, p.keep) }

// Open returns the ledger in the database.
func (p *Postgres) Open() usage.Ledger { return p.ledger }

// Keep returns how long rows are kept.
func (p *Postgres) Keep() time.Duration { return p.keep }

// UnmarshalCaddyfile sets up the ledger from Caddyfile tokens. Syntax:
//
//	ledger postgres {
//	    dsn   <secret>
//	    keep  <duration>
//	}
func (p *Postgres) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the name of the module
	return block(d, func(name string) (err error) {
		switch name {
		case "dsn":
			err = text(d, &p.DSN)
		case "keep":
			err = value(d, &p.KeepFor, parseDuration)
		default:
			err = d.Errf("unknown option %q of ledger postgres", name)
		}
		return err
	})
}

// Interface guards
var (
	_ caddy.Provisioner     = (*Postgres)(nil)
	_ caddyfile.Unmarshaler = (*Postgres)(nil)
	_ Ledger                = (*Postgres)(nil)
)
