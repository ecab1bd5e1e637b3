package command

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/continue-auth/caddy-continue-auth/caddyauth"
	"github.com/continue-auth/caddy-continue-auth/usage"
)

// openedLedger is a ledger that a command works on.
type openedLedger struct {
	usage.Ledger
	ctx   context.Context
	keep  time.Duration
	close func()
}

// openLedger opens the ledger of the configuration. It returns nil if there is none.
func (f *usageFlags) openLedger(ctx context.Context) (*openedLedger, error) {
	if ctx == nil {
		ctx = context.Background()
	}
	config, err := readConfig(f.config, f.adapter)
	if err != nil {
		return nil, err
	}
	sites, err := findSites(config)
	if err != nil { // the configuration may still name a log
		return nil, nil //nolint:nilerr // without a site there is no ledger
	}
	h, err := siteWithLedger(sites, f.site)
	if h == nil || err != nil {
		return nil, err
	}
	provisioned, cancel := caddy.NewContext(caddy.Context{Context: ctx})
	module, err := h.LoadLedger(provisioned)
	if err != nil {
		cancel()
		return nil, err
	}
	opened := module.Open()
	if file, ok := module.(interface{ Existing() usage.Ledger }); ok {
		opened = file.Existing() // a command could make a file that the server may not write
	}
	return &openedLedger{opened, ctx, module.Keep(), func() { _ = opened.Close(); cancel() }}, nil
}

// siteWithLedger returns the handler that has a ledger, or nil if none has. name is the site's, or "" for
// any. Several sites may share one ledger.
func siteWithLedger(sites []site, name string) (*caddyauth.Handler, error) {
	var found *caddyauth.Handler
	named := false
	for _, s := range sites {
		if name != "" && !slices.Contains(s.hosts, name) && name != s.apiBase {
			continue
		}
		named = true
		if len(s.handler.LedgerRaw) == 0 {
			continue
		}
		if found != nil && string(found.LedgerRaw) != string(s.handler.LedgerRaw) {
			return nil, errors.New("several sites have ledgers of their own: choose one with --site")
		}
		found = s.handler
	}
	if !named {
		return nil, fmt.Errorf("there is no site %q with continue_auth", name)
	}
	return found, nil
}

// hint says what to do if the file of a ledger does not exist.
func hint(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: run this as the user that the server runs as, or name the file with `path` in the ledger's block; a server that has just started makes it within seconds; --log reads the access log", err)
	}
	return err
}

// queryTimeout is far longer than any query takes whose answer somebody waits for.
const queryTimeout = 5 * time.Minute

// report adds up the ledger.
func (l *openedLedger) report(by string, query usage.Query) (*report, error) {
	query.By = []usage.Dimension{usage.Dimension(by)}
	ctx, cancel := context.WithTimeout(l.ctx, queryTimeout)
	defer cancel()
	rows, err := l.Sum(ctx, query)
	if err != nil {
		return nil, hint(err)
	}
	r := &report{by: by, where: inLedger}
	for i := range rows {
		row := &rows[i]
		name := ""
		switch query.By[0] {
		case usage.ByDay:
			name = row.Hour.Format(time.DateOnly)
		case usage.ByModel:
			name = modelName(row.Provider, row.Model)
		default:
			name = row.User + row.Team + row.Provider + row.Client // only one of them is set
		}
		r.rows = append(r.rows, &tally{sum: sum{name, row.Requests, row.Refused, row.Prompt, row.Cached, row.Completion}})
	}
	r.rows = sortUsage(r.rows, by)
	return r, nil
}
