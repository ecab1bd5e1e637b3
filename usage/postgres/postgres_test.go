//go:build postgres

package postgres

import (
	"fmt"
	"testing"

	"github.com/continue-auth/caddy-continue-auth/usage"
	"github.com/continue-auth/caddy-continue-auth/usage/ledgertest"
	"github.com/continue-auth/caddy-continue-auth/usage/postgres/pgtest"
)

func open(t *testing.T, dsn string) *Ledger {
	t.Helper()
	l, err := New(dsn)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestContract(t *testing.T) {
	server := pgtest.Start(t)
	databases := 0
	ledgertest.TestLedger(t, func(t *testing.T) ledgertest.Open {
		databases++
		dsn := server.Database(fmt.Sprint("ledger", databases))
		return func() usage.Ledger { return open(t, dsn) }
	})
}
