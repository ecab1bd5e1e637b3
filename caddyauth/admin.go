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

// Admin is a module that adds the following routes to Caddy's admin endpoint:
//
// Request | Description
// --------|--------------
// `GET /continue_auth/status` | Returns for each keystore in use how many records are in memory, and whether the keystore answers
// `GET /continue_auth/usage/{email}` | Returns what a user has used and may still use, as `GET /usage` does
// `DELETE /continue_auth/cache` | Removes all records from memory, so that the keystores are asked again
// `DELETE /continue_auth/cache/{email}` | Removes one user from memory, or a provider by its name
//
// Use the global option `admin` to configure who may access the admin endpoint.
type Admin struct{}

// CaddyModule returns the module's ID and constructor.
func (*Admin) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "admin.api.continue_auth",
		New: func() caddy.Module { return new(Admin) },
	}
}

// AdminPath is the path prefix of the routes of Admin.
const AdminPath = "/continue_auth/"

// Routes returns the routes of the admin endpoint.
func (a *Admin) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{{Pattern: AdminPath, Handler: caddy.AdminHandlerFunc(a.serve)}}
}

func (*Admin) serve(w http.ResponseWriter, r *http.Request) error {
	path := strings.TrimPrefix(r.URL.Path, AdminPath)
	email, one := strings.CutPrefix(path, "cache/")
	method, answer := http.MethodDelete, func() error { return forgetEverywhere(w, r, email) }
	of, used := strings.CutPrefix(path, "usage/")
	switch {
	case used && of != "":
		method, answer = http.MethodGet, func() error { return writeUsage(w, r, of) }
	case path == "status":
		method, answer = http.MethodGet, func() error { return writeStatus(w) }
	case path == "cache":
		email = ""
	case !one || email == "":
		return caddy.APIError{HTTPStatus: http.StatusNotFound, Err: errors.New("use " + AdminPath + "status, " + AdminPath + "usage/{email}, " + AdminPath + "cache or " + AdminPath + "cache/{email}")}
	}
	if r.Method != method {
		w.Header().Set("Allow", method)
		return caddy.APIError{HTTPStatus: http.StatusMethodNotAllowed, Err: fmt.Errorf("use %s", method)}
	}
	return answer()
}

// forgetEverywhere makes this server and its peers forget a user or a provider, or everything if name is "".
func forgetEverywhere(w http.ResponseWriter, r *http.Request, name string) error {
	used := false
	caches.Range(func(_, _ any) bool { used = true; return false })
	if !used {
		return caddy.APIError{HTTPStatus: http.StatusNotFound, Err: errors.New("this server does not use continue_auth")}
	}
	if name == "" {
		forgetAll()
	} else {
		forget(name)
	}
	tellPeers(r.Context(), name)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// forget removes a user from memory. It also removes a provider of that name: no user has the name of a
// provider.
func forget(name string) {
	caches.Range(func(_, value any) bool {
		c := value.(pooled).Cache
		c.APIKeys.Invalidate(name)
		c.APIKeys.Invalidate(strings.ToLower(name)) // the user may be stored in lower case
		c.Settings.Invalidate(name)
		c.Providers.InvalidateAll()
		return true
	})
}

// forgetAll removes everything from memory.
func forgetAll() {
	caches.Range(func(_, value any) bool {
		c := value.(pooled).Cache
		c.APIKeys.InvalidateAll()
		c.Settings.InvalidateAll()
		c.Providers.InvalidateAll()
		return true
	})
}

// writeUsage writes what a user has used, according to the first handler that knows the user.
func writeUsage(w http.ResponseWriter, r *http.Request, email string) error {
	var report *usageReport
	caches.Range(func(_, value any) bool {
		for _, h := range value.(pooled).bound.handlers() {
			key, name, _, err := h.cache.APIKeys.Either(r.Context(), email, strings.ToLower(email), h.settings.ages, cache.Stranger)
			if err == nil {
				report = new(h.usageReport(r.Context(), user{name, key}))
				return false
			}
		}
		return true
	})
	if report == nil {
		return caddy.APIError{HTTPStatus: http.StatusNotFound, Err: errors.New("there is no such user here")}
	}
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(report)
}

// adminStatus is the answer to GET /continue_auth/status. It does not contain names of users.
type adminStatus struct {
	Keystores []keystoreStatus `json:"keystores"`
}

type keystoreStatus struct {
	Keystore         string      `json:"keystore"` // the module's ID
	APIKeys          tableStatus `json:"api_keys"`
	ProviderSettings tableStatus `json:"provider_settings"`
	Budget           *float64    `json:"budget,omitempty"` // calls that are allowed at once now; missing if there is no limit
}

type tableStatus struct {
	Entries       int        `json:"entries"`        // names in memory that exist
	Absent        int        `json:"absent"`         // names in memory that do not exist
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
