// Package keystore holds what the proxy knows of its users and providers: the records, and the
// interface of the stores that keep them.
package keystore

import (
	"context"
	"errors"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Namespace is one of the two tables of a store.
type Namespace int

// The namespaces, named as their settings are.
const (
	APIKeys          Namespace = iota // a user's email -> an APIKey
	ProviderSettings                  // a provider's name -> its Settings
)

// String returns the name of the setting that says where the namespace is.
func (n Namespace) String() string {
	if n == ProviderSettings {
		return "provider_settings"
	}
	return "api_keys"
}

// Store answers look-ups. It is safe for concurrent use.
//
// An error means that the store could not answer, never that a name is not there. It matches one
// of the errors of this package with errors.Is and holds no secret, no record and no name.
type Store interface {
	// Get returns the values of those of names that are there. There are 1 to 100 names, all
	// of them valid.
	Get(ctx context.Context, ns Namespace, names []string) (map[string][]byte, error)

	// List returns all names.
	List(ctx context.Context, ns Namespace) ([]string, error)
}

// Why a store could not answer.
var (
	// ErrUnauthorized: the store refuses our token, or it lacks a permission.
	ErrUnauthorized = errors.New("the keystore refuses the API token")

	// ErrNamespaceNotFound: there is no such account or namespace.
	ErrNamespaceNotFound = errors.New("the keystore does not know the account or the namespace")

	// ErrRateLimited: too many calls; the error is a *RateLimitError.
	ErrRateLimited = errors.New("the keystore's rate limit is exceeded")

	// ErrTimeout: no answer in time.
	ErrTimeout = errors.New("the keystore did not answer in time")

	// ErrUnavailable: no connection, a server error, or an answer that makes no sense.
	ErrUnavailable = errors.New("the keystore is unavailable")
)

// RateLimitError is ErrRateLimited with the time that the store asks to be left alone.
type RateLimitError struct {
	// RetryAfter is zero where the store did not say.
	RetryAfter time.Duration
}

// Error returns ErrRateLimited's text.
func (e *RateLimitError) Error() string { return ErrRateLimited.Error() }

// Is makes the error match ErrRateLimited.
func (e *RateLimitError) Is(target error) bool { return target == ErrRateLimited }

// ValidName reports whether name can be in a store. What Cloudflare KV cannot hold, or would hold
// under another name, no store does: empty names, `.` and `..`, more than 512 bytes, control
// characters, and text that is not UTF-8
// (https://developers.cloudflare.com/kv/api/write-key-value-pairs/).
func ValidName(name string) bool {
	return name != "" && name != "." && name != ".." && len(name) <= 512 &&
		utf8.ValidString(name) && !strings.ContainsFunc(name, unicode.IsControl)
}
