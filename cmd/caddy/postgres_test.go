//go:build postgres

package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/continue-auth/caddy-continue-auth/test/freeport"
	"github.com/continue-auth/caddy-continue-auth/usage/postgres/pgtest"
)

// Two servers write to one database. It is away for a while, and one server is started meanwhile.
func TestServersShareALedgerInPostgres(t *testing.T) {
	postgres := pgtest.Start(t)
	o := counting(t, "ledger postgres {\n\t\t\tdsn {env.POSTGRES_DSN}\n\t\t}")
	o.env = append(o.env, "POSTGRES_DSN="+postgres.DSN)
	key := o.newKey("keys", "add", "dev@example.com", "--metadata", "team=core")
	first := o.launch()
	want := o.work("dev@example.com", key)
	o.counted(want)
	postgres.Stop()
	want += o.work("dev@example.com", key)
	first.log.WaitFor(t, "ledger cannot be written; requests are counted in memory")
	o.refused("PostgreSQL cannot be reached: connection refused", "usage")

	site := o.site
	o.site = fmt.Sprintf("http://localhost:%d", freeport.For(t))
	o.edit(site, o.site)
	second := o.launch() // writes to the same access log
	want += o.work("dev@example.com", key)
	postgres.Start()
	o.counted(want)
	first.end()
	second.end()
	if got := o.requests(); got != want {
		t.Errorf("%d requests, want %d", got, want)
	}
	o.agree("dev@example.com")
	if out := o.run("usage", "import", "access.log"); !strings.HasPrefix(out, "0 requests were added") {
		t.Errorf("the command says %q", out)
	}
	for _, log := range []string{first.log.String(), second.log.String()} {
		if strings.Contains(log, pgtest.Password) {
			t.Error("the log at level DEBUG has the password of the database")
		}
	}
}
