// Package keystore defines the records of users and providers, and the interface of the stores that
// keep them.
package keystore

import (
	"context"
	"errors"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Namespace is one of a store's two tables.
type Namespace int

// The two namespaces.
const (
	APIKeys          Namespace = iota // a user's email -> an APIKey
	ProviderSettings                  // a provider's name -> its Settings
)

// String returns the name of the option that locates the namespace.
func (n Namespace) String() string {
	if n == ProviderSettings {
		return "provider_settings"
	}
	return "api_keys"
}

// Store looks up records. It is safe for concurrent use.
//
// An error means that the store could not answer. A name that does not exist is no error. Each
// error matches one of this package's errors with errors.Is, and contains no secret, no record and
// no name.
type Store interface {
	// Get returns the values of names. Names that do not exist are not in the result. names has 1
	// to 100 valid names.
	Get(ctx context.Context, ns Namespace, names []string) (map[string][]byte, error)

	// List returns all names.
	List(ctx context.Context, ns Namespace) ([]string, error)
}

// These errors say why a store could not answer.
var (
	// ErrUnauthorized means that the store refuses the API token, or that the token lacks a
	// permission.
	ErrUnauthorized = errors.New("the keystore refuses the API token")

	// ErrNamespaceNotFound means that the account or the namespace does not exist.
	ErrNamespaceNotFound = errors.New("the keystore does not know the account or the namespace")

	// ErrRateLimited means that the store refuses more calls for now. The error is a
	// *RateLimitError.
	ErrRateLimited = errors.New("the keystore's rate limit is exceeded")

	// ErrTimeout means that the store did not answer in time.
	ErrTimeout = errors.New("the keystore did not answer in time")

	// ErrUnavailable means that there was no connection, a server error, or an invalid answer.
	ErrUnavailable = errors.New("the keystore is unavailable")
)

// RateLimitError is an ErrRateLimited that also says how long to wait.
type RateLimitError struct {
	// RetryAfter is the time that the store asks callers to wait, or zero if it does not say.
	RetryAfter time.Duration
}

// Error returns the text of ErrRateLimited.
func (e *RateLimitError) Error() string { return ErrRateLimited.Error() }

// Is makes the error match ErrRateLimited.
func (e *RateLimitError) Is(target error) bool { return target == ErrRateLimited }

// ValidName reports whether a store can have a name. Names that Cloudflare KV cannot hold, or would
// hold under another name, are invalid in every store: empty names, `.` and `..`, more than 512
// bytes, control characters, and text that is not UTF-8
// (https://developers.cloudflare.com/kv/api/write-key-value-pairs/).
func ValidName(name string) bool {
	return name != "" && name != "." && name != ".." && len(name) <= 512 &&
		utf8.ValidString(name) && !strings.ContainsFunc(name, unicode.IsControl)
}
