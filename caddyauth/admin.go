package caddyauth

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/continue-auth/caddy-continue-auth/keystore/cache"
)

func init() {
	caddy.RegisterModule(new(Admin))
}

// Admin is what Caddy's admin endpoint has of `continue_auth`:
//
// Request | What it does
// --------|--------------
// `GET /continue_auth/status` | Tells of each keystore in use: how much of it is in memory, and whether it answers
// `DELETE /continue_auth/cache` | Forgets all that is in memory, so that the keystores are asked again
// `DELETE /continue_auth/cache/{email}` | Forgets one user; a provider by its name
//
// Who may call it is Caddy's own to say, by `admin` in the global options.
type Admin struct{}

// CaddyModule returns the module's ID and constructor.
func (*Admin) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "admin.api.continue_auth",
		New: func() caddy.Module { return new(Admin) },
	}
}

// AdminPath is the path of the admin endpoint below which Admin answers.
const AdminPath = "/continue_auth/"

// Routes returns the routes.
func (a *Admin) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{{Pattern: AdminPath, Handler: caddy.AdminHandlerFunc(a.serve)}}
}

func (*Admin) serve(w http.ResponseWriter, r *http.Request) error {
	path := strings.TrimPrefix(r.URL.Path, AdminPath)
	email, one := strings.CutPrefix(path, "cache/")
	method, answer := http.MethodDelete, func() error { return forget(w, email) }
	switch {
	case path == "status":
		method, answer = http.MethodGet, func() error { return writeStatus(w) }
	case path == "cache":
		email = ""
	case !one || email == "":
		return caddy.APIError{HTTPStatus: http.StatusNotFound, Err: errors.New("there are " + AdminPath + "status, " + AdminPath + "cache and " + AdminPath + "cache/{email}")}
	}
	if r.Method != method {
		w.Header().Set("Allow", method)
		return caddy.APIError{HTTPStatus: http.StatusMethodNotAllowed, Err: fmt.Errorf("use %s", method)}
	}
	return answer()
}

// forget drops a user from memory, or with an empty email everything. Providers have names that no
// user has, and are dropped by them too.
func forget(w http.ResponseWriter, email string) error {
	used := false
	caches.Range(func(_, value any) bool {
		used = true
		c := value.(pooled).Cache
		if email != "" {
			c.APIKeys.Invalidate(email)
			c.APIKeys.Invalidate(strings.ToLower(email)) // which the user may be found by
			c.Settings.Invalidate(email)
			c.Providers.InvalidateAll()
			return true
		}
		c.APIKeys.InvalidateAll()
		c.Settings.InvalidateAll()
		c.Providers.InvalidateAll()
		return true
	})
	if !used {
		return caddy.APIError{HTTPStatus: http.StatusNotFound, Err: errors.New("this server does not use continue_auth")}
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// adminStatus is what GET /continue_auth/status answers. It names no user.
type adminStatus struct {
	Keystores []keystoreStatus `json:"keystores"`
}

type keystoreStatus struct {
	Keystore         string      `json:"keystore"` // the module's ID
	APIKeys          tableStatus `json:"api_keys"`
	ProviderSettings tableStatus `json:"provider_settings"`
	Budget           *float64    `json:"budget,omitempty"` // calls that may be made at once; absent: no bound
}

type tableStatus struct {
	Entries       int        `json:"entries"`        // in memory, of names that are there
	Absent        int        `json:"absent"`         // in memory, of names that are not
	OldestSeconds float64    `json:"oldest_seconds"` // the age of the oldest entry
	LastAnswer    *time.Time `json:"last_answer,omitempty"`
	LastError     string     `json:"last_error,omitempty"`
	LastErrorAt   *time.Time `json:"last_error_at,omitempty"`
}

func writeStatus(w http.ResponseWriter) error {
	status := adminStatus{Keystores: []keystoreStatus{}}
	caches.Range(func(_, value any) bool {
		p := value.(pooled)
		one := keystoreStatus{Keystore: p.module, APIKeys: statusOf(p.APIKeys.Stats()), ProviderSettings: statusOf(p.Settings.Stats())}
		if budget := p.Budget(); budget >= 0 {
			one.Budget = &budget
		}
		status.Keystores = append(status.Keystores, one)
		return true
	})
	slices.SortFunc(status.Keystores, func(a, b keystoreStatus) int { return strings.Compare(a.Keystore, b.Keystore) })
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(status)
}

func statusOf(s cache.Stats) tableStatus {
	status := tableStatus{Entries: s.Entries, Absent: s.Absent}
	if !s.Oldest.IsZero() {
		status.OldestSeconds = time.Since(s.Oldest).Seconds()
	}
	if !s.LastAnswer.IsZero() {
		status.LastAnswer = &s.LastAnswer
	}
	if s.LastError != nil {
		status.LastError, status.LastErrorAt = s.LastError.Error(), &s.LastErrorAt
	}
	return status
}

// Interface guards
var _ caddy.AdminRouter = (*Admin)(nil)
