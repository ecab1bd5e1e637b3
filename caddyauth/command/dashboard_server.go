package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/continue-auth/caddy-continue-auth/caddyauth"
	"github.com/continue-auth/caddy-continue-auth/caddyauth/pages"
)

// providers answers with the list of providers, without their secrets.
func (v *dashboardView) providers() error {
	views, err := v.a.providers(v.r.Context())
	if err != nil && views == nil {
		return err
	}
	var page pages.Providers
	for _, view := range views {
		page.Rows = append(page.Rows, pages.ProviderRow{
			Name: view.Name, Models: view.Models, Headers: strings.Join(view.Headers, ", "), Query: strings.Join(view.Query, ", "),
		})
	}
	return v.write("Providers", page, err)
}

// server answers with the state of the running server.
func (v *dashboardView) server() error {
	status, err := v.a.status()
	page := pages.ServerPage{Admin: v.a.admin}
	if err != nil {
		page.Fault = fmt.Sprintf("No server can be asked: %v.", err)
	}
	for _, one := range status.Keystores {
		state := pages.KeystoreState{Name: one.Keystore, Tables: []pages.TableState{
			tableState("Users", one.APIKeys), tableState("Providers", one.ProviderSettings),
		}}
		if one.Budget != nil {
			state.Budget = strconv.FormatInt(int64(*one.Budget), 10)
		}
		page.Keystores = append(page.Keystores, state)
	}
	return v.write("Server", page, nil)
}

// status asks the running server for its state.
func (a *administration) status() (status caddyauth.Status, err error) {
	if a.admin == "" {
		return status, errors.New("the admin endpoint is off in this configuration")
	}
	answer, err := callAdmin(a.admin, http.MethodGet, caddyauth.AdminPath+"status")
	if err != nil {
		return status, fmt.Errorf("at %s: %w", a.admin, err)
	}
	if err := json.Unmarshal(answer, &status); err != nil {
		return status, fmt.Errorf("%s gives an answer that is not continue_auth's", a.admin)
	}
	return status, nil
}

func tableState(name string, t caddyauth.TableStatus) pages.TableState {
	state := pages.TableState{Name: name, Entries: int64(t.Entries), Absent: int64(t.Absent), LastError: t.LastError}
	if t.OldestSeconds > 0 {
		state.Oldest = time.Duration(t.OldestSeconds * float64(time.Second)).Round(time.Second).String()
	}
	if t.LastAnswer != nil {
		state.LastAnswer = t.LastAnswer.UTC().Format(time.DateTime)
	}
	if t.LastErrorAt != nil {
		state.At = t.LastErrorAt.UTC().Format(time.DateTime)
	}
	return state
}
