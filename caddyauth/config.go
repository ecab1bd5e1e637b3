package caddyauth

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/dustin/go-humanize"
	"golang.org/x/net/http/httpguts"

	"github.com/continue-auth/caddy-continue-auth/keystore/cache"
)

// Value is a size or a number as it is written, so that it can be a placeholder. In JSON it may be a
// number too.
type Value string

// UnmarshalJSON takes a string or a number.
func (v *Value) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, (*string)(v))
	}
	var n json.Number
	if err := json.Unmarshal(b, &n); err != nil {
		return errors.New("must be a string or a number")
	}
	*v = Value(n)
	return nil
}

// Duration is a time as it is written, with its unit, so that it can be a placeholder. In JSON it may
// be a number too, of nanoseconds, as elsewhere in Caddy.
type Duration string

// UnmarshalJSON takes a string or a number.
func (d *Duration) UnmarshalJSON(b []byte) error {
	err := (*Value)(d).UnmarshalJSON(b)
	if err == nil && *d != "" && b[0] != '"' {
		*d += "ns"
	}
	return err
}

// Cache says how long what the keystore says is believed. Ages count from when it was asked.
type Cache struct {
	// The age from which an answer is renewed in the background while it is used. Default: `30s`, or
	// half of `max_age` where that is shorter.
	RefreshAfter Duration `json:"refresh_after,omitempty"`

	// The age from which the keystore is asked again before an answer is used: a key that was
	// disabled is refused that long after the keystore shows it, at the latest. Default: `60s`.
	MaxAge Duration `json:"max_age,omitempty"`

	// The age up to which an answer is used if the keystore cannot be asked; `0` for none that is older
	// than `max_age`. Default: `1h`, or `max_age` where that is longer.
	StaleIfError Duration `json:"stale_if_error,omitempty"`

	// How long the answer that there is no such user or provider is believed. Default: `10s`.
	Absent Duration `json:"absent,omitempty"`

	// How many users are kept. Those who do not exist are counted apart, so that made-up names
	// never push out known users. Default: 100000.
	MaxEntries Value `json:"max_entries,omitempty"`

	// Whether to keep an encrypted copy of what is known in Caddy's storage, written once a minute,
	// so that a restart while the keystore cannot be asked still knows its users, for as long as
	// `stale_if_error` says. It holds hashes of users' keys, and the providers' settings.
	// Default: false.
	Snapshot bool `json:"snapshot,omitempty"`
}

// FailedAttempts limits guessing, with status 429. An address past the limit gets it wherever the
// keystore would have to be asked for it, and for every wrong key; the right keys of users who are known
// go on. An address past the limit for one name gets it for that name, whatever the key; other addresses
// go on. The same sign-in that fails again within ten seconds counts once. IPv6 addresses count by
// their /64.
type FailedAttempts struct {
	// How many sign-ins may fail within the window. Default: 100.
	Count Value `json:"count,omitempty"`

	// The window. Default: `1m`.
	Window Duration `json:"window,omitempty"`
}

// settings are the settings of a Handler, resolved.
type settings struct {
	accountID, gateway, gatewayToken string

	authorization []string // of requests to the gateway, as a header's values

	names         modelNames
	emailHeader   string
	clientHeaders []string
	maxBodySize   int64

	ages       cache.Ages
	maxEntries int

	failedCount  int
	failedWindow time.Duration
}

// resolve replaces the placeholders and applies the defaults.
func (h *Handler) resolve() (s settings, err error) {
	r := resolver{caddy.NewReplacer(), &err}
	s = settings{
		accountID:    r.segment("account_id", h.AccountID, "the id of your Cloudflare account"),
		gateway:      r.segment("gateway", h.Gateway, "the name of your AI Gateway"),
		gatewayToken: r.secret("gateway_token", h.GatewayToken, "a Cloudflare API token with the permission AI Gateway Run"),
		names:        h.aliases(r),
		emailHeader:  h.userHeader(r),
		maxBodySize:  r.size("max_body_size", h.MaxBodySize, 20_000_000),
		ages:         h.Cache.ages(r),
		maxEntries:   r.count("cache.max_entries", h.Cache.MaxEntries, 100_000),
		failedCount:  r.count("failed_attempts", h.FailedAttempts.Count, 100),
		failedWindow: r.duration("failed_attempts", h.FailedAttempts.Window, time.Minute),
	}
	s.authorization = []string{"Bearer " + s.gatewayToken}
	for _, name := range h.ClientHeaders {
		s.clientHeaders = append(s.clientHeaders, r.header("client_headers", name, ""))
	}
	return s, err
}

// Ages returns how long answers of the keystore are used, with the placeholders replaced and the
// defaults applied. The error names the setting that is wrong.
func (c *Cache) Ages() (ages cache.Ages, err error) {
	ages = c.ages(resolver{caddy.NewReplacer(), &err})
	return ages, err
}

// UserHeader returns the canonical name of the request header that names the user: `email_header`
// with the placeholders replaced, by default X-User-Email. The error is of a value that is no name of
// a header.
func (h *Handler) UserHeader() (name string, err error) {
	name = h.userHeader(resolver{caddy.NewReplacer(), &err})
	return name, err
}

func (h *Handler) userHeader(r resolver) string {
	return r.header("email_header", h.EmailHeader, "X-User-Email")
}

// ages fits what was left out to what was set, except for max_age: nothing else says how long a key
// that was disabled may be used.
func (c *Cache) ages(r resolver) cache.Ages {
	maxAge := r.duration("cache.max_age", c.MaxAge, time.Minute)
	return cache.Ages{
		RefreshAfter: r.duration("cache.refresh_after", c.RefreshAfter, min(30*time.Second, maxAge/2)),
		MaxAge:       maxAge,
		StaleIfError: r.duration("cache.stale_if_error", c.StaleIfError, max(time.Hour, maxAge)),
		Absent:       r.duration("cache.absent", c.Absent, 10*time.Second),
	}
}

// validate refuses what is well-formed but contradicts itself. A stale_if_error that is shorter than
// max_age does not: what is older than max_age is then not used at all.
func (s *settings) validate() error {
	switch {
	case s.ages.RefreshAfter > s.ages.MaxAge:
		return fmt.Errorf("cache.refresh_after: %s is longer than max_age, which is %s: no answer would be renewed in the background; set a shorter one, or a longer max_age", s.ages.RefreshAfter, s.ages.MaxAge)
	case slices.Contains(keyHeaders, s.emailHeader):
		return fmt.Errorf("email_header: must not be %s, where the key is", s.emailHeader)
	case s.failedWindow == 0:
		return errors.New("failed_attempts: the duration must be longer than 0")
	}
	return nil
}

// resolver reads settings and keeps the first error.
type resolver struct {
	repl *caddy.Replacer
	err  *error
}

func (r resolver) fail(name string, err error) {
	if *r.err == nil {
		*r.err = fmt.Errorf("%s: %w", name, err)
	}
}

// text replaces the placeholders. An unset one fails: it would become an empty secret.
func (r resolver) text(name, value string) string {
	resolved, err := r.repl.ReplaceOrErr(value, true, true)
	if err != nil {
		r.fail(name, err) // names the placeholder, not its value
	}
	return strings.TrimSpace(resolved) // files end with a line feed
}

// required is text that must not be empty; what says what belongs there.
func (r resolver) required(name, value, what string) string {
	if value == "" {
		r.fail(name, errors.New("is missing; set it to "+what))
		return ""
	}
	return r.text(name, value)
}

// segment is a required part of a URL's path.
func (r resolver) segment(name, value, what string) string {
	resolved := r.required(name, value, what)
	for _, c := range []byte(resolved) {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
			r.fail(name, errors.New("must consist of letters, digits, - and _; set it to "+what))
		}
	}
	return resolved
}

// secret is a required part of a header.
func (r resolver) secret(name, value, what string) string {
	resolved := r.required(name, value, what)
	if !httpguts.ValidHeaderFieldValue(resolved) || strings.ContainsAny(resolved, " \t") {
		r.fail(name, errors.New("has white space or control characters; set it to "+what))
	}
	return resolved
}

// maxHeaderName is far beyond any name. As a key of YAML, in users' configurations, one of more than 1,024
// bytes could not be read.
const maxHeaderName = 256

func (r resolver) header(name, value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	resolved := r.text(name, value)
	if !httpguts.ValidHeaderFieldName(resolved) || len(resolved) > maxHeaderName {
		r.fail(name, errors.New("must be the name of a header"))
	}
	return http.CanonicalHeaderKey(resolved)
}

func (r resolver) duration(name string, value Duration, otherwise time.Duration) time.Duration {
	if value == "" {
		return otherwise
	}
	d, err := parseDuration(r.text(name, string(value)))
	if err != nil {
		r.fail(name, err)
	}
	return d
}

func (r resolver) size(name string, value Value, otherwise int64) int64 {
	if value == "" {
		return otherwise
	}
	n, err := parseSize(r.text(name, string(value)))
	if err != nil {
		r.fail(name, err)
	}
	return n
}

func (r resolver) count(name string, value Value, otherwise int) int {
	if value == "" {
		return otherwise
	}
	n, err := parseCount(r.text(name, string(value)))
	if err != nil {
		r.fail(name, err)
	}
	return n
}

func parseDuration(s string) (time.Duration, error) {
	d, err := caddy.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, errors.New("must be a duration with its unit, such as 30s, not negative")
	}
	return d, nil
}

func parseSize(s string) (int64, error) {
	n, err := humanize.ParseBytes(s)
	if err != nil || n == 0 || n > math.MaxInt64-1 {
		return 0, errors.New("must be a size such as 20MB, larger than 0")
	}
	return int64(n), nil
}

func parseCount(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n <= 0 {
		return 0, errors.New("must be a whole number larger than 0")
	}
	return n, nil
}
