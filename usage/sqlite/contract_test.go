package sqlite

import (
	"path/filepath"
	"testing"

	"github.com/continue-auth/caddy-continue-auth/usage"
	"github.com/continue-auth/caddy-continue-auth/usage/ledgertest"
)

func TestContract(t *testing.T) {
	ledgertest.TestLedger(t, func(t *testing.T) ledgertest.Open {
		path := filepath.Join(t.TempDir(), "a folder with ?%#", "usage.db")
		return func() usage.Ledger { return New(path) }
	})
}
