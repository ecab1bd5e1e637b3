package caddyauth

import (
	"errors"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/usage"
)

// Ledger must be implemented by modules in the namespace `continue_auth.ledgers`.
type Ledger interface {
	caddy.Module

	// Identity returns all settings, secrets included. Handlers whose ledgers have the same identity share one
	// ledger, also across reloads.
	Identity() string

	// Open returns the ledger. It must not wait for a file or a server: the methods of the ledger do. The ledger
	// is closed when no configuration uses it any more.
	Open() usage.Ledger

	// Keep returns how long rows are kept.
	Keep() time.Duration
}

// defaultKeep is a year, and time to look at it.
const defaultKeep = 400 * 24 * time.Hour

// keep reads how long rows are kept.
func (r resolver) keep(value Duration) time.Duration {
	d := r.duration("keep", value, defaultKeep)
	if d < 24*time.Hour {
		r.fail("keep", errors.New("must be at least 24h, because whole days are deleted"))
	}
	return d
}

// ledgers holds the ledgers in use, so that a reload loses nothing.
var ledgers = caddy.NewUsagePool()

// pooledLedger is a value of a caddy.UsagePool.
type pooledLedger struct{ *usage.Recorder }

// Destruct writes what is pending and closes the ledger.
func (p pooledLedger) Destruct() error { return p.Close() }

// LoadLedger provisions the handler's ledger, for programs that do not provision the handler. It returns nil if
// the handler has none.
func (h *Handler) LoadLedger(ctx caddy.Context) (Ledger, error) {
	return loadModule[Ledger](ctx, h, "LedgerRaw", h.LedgerRaw, "ledger", "sqlite or postgres")
}

// openLedger opens the ledger, if the configuration has one.
func (h *Handler) openLedger(ctx caddy.Context) error {
	source, err := h.LoadLedger(ctx)
	if err != nil || source == nil {
		return err
	}
	key := poolKey(identityOf(source))
	value, _, err := ledgers.LoadOrNew(key, func() (caddy.Destructor, error) {
		return pooledLedger{usage.NewRecorder(source.Open(), usage.RecorderOptions{Keep: source.Keep(), Log: ledgerLog})}, nil
	})
	if err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	h.ledger, h.ledgerKey = value.(pooledLedger).Recorder, key
	return nil
}

// ledgerLog returns the logger of the current configuration.
func ledgerLog() *zap.Logger { return caddy.Log().Named("continue_auth.ledger") }

// costs reports whether a request is for an answer of a model. Lists of models and counts of tokens are free.
func (to *destination) costs() bool {
	return to.name != "" && to.endpoint != hub.MessageTokens && to.endpoint != hub.GeminiTokens
}

// enter adds a request that has ended to the ledger. The command `usage` counts the lines of an access log by
// the same rules.
func (h *Handler) enter(rec *record) {
	if h.ledger == nil || !rec.signedIn || !rec.costs {
		return
	}
	row := usage.Row{
		User: rec.email, Team: rec.team, Provider: rec.provider, Model: rec.model, Client: rec.client,
		Requests: 1, Prompt: rec.usage.Prompt, Completion: rec.usage.Completion, Cached: rec.usage.Cached,
	}
	if rec.refused != nil {
		row.Refused = 1
	}
	h.ledger.Add(time.Now(), &row)
	rec.run = h.ledger.Run()
}

// countPending counts the rows of all ledgers that wait because a ledger cannot be written.
func countPending() float64 {
	count := 0
	ledgers.Range(func(_, value any) bool {
		count += value.(pooledLedger).Stuck()
		return true
	})
	return float64(count)
}
