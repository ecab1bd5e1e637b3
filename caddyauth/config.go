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

// Value is a size or a number in the form in which it is written, which may be a placeholder. In JSON, it may
// be a string or a number.
type Value string

// UnmarshalJSON accepts a string or a number.
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

// Duration is a duration with its unit in the form in which it is written, which may be a placeholder. In
// JSON, it may also be a number of nanoseconds, like Caddy's own durations.
type Duration string

// UnmarshalJSON accepts a string or a number of nanoseconds.
func (d *Duration) UnmarshalJSON(b []byte) error {
	err := (*Value)(d).UnmarshalJSON(b)
	if err == nil && *d != "" && b[0] != '"' {
		*d += "ns"
	}
	return err
}

// Cache configures how long answers of the keystore are used. The age of an answer counts from the time of
// the request to the keystore.
type Cache struct {
	// The age from which an answer is renewed in the background while it is still used. Default: `30s`, or
	// half of `max_age` if that is shorter.
	RefreshAfter Duration `json:"refresh_after,omitempty"`

	// The age from which an answer is used only after the keystore has been asked again. When a key is
	// disabled in the keystore, it is refused after this time at the latest. Default: `60s`.
	MaxAge Duration `json:"max_age,omitempty"`

	// The maximum age of an answer that is used because the keystore cannot answer. `0` means that no answer
	// older than `max_age` is used. Default: `1h`, or `max_age` if that is longer.
	StaleIfError Duration `json:"stale_if_error,omitempty"`

	// How long the answer that a user or a provider does not exist is used. Default: `10s`.
	Absent Duration `json:"absent,omitempty"`

	// The maximum number of users in memory. Names that do not exist are counted separately, so made-up names
	// never displace known users. Default: 100000.
	MaxEntries Value `json:"max_entries,omitempty"`

	// Whether to store an encrypted copy of the cache in Caddy's storage. It is written once a minute. After
	// a restart while the keystore cannot answer, the users in the copy are still known, for the time in
	// `stale_if_error`. The copy contains hashes of users' keys and the providers' settings. Default: false.
	Snapshot bool `json:"snapshot,omitempty"`
}

// FailedAttempts limits how often a client address may guess keys. Requests beyond the limit get status 429.
//
// Once an address has reached the limit, it gets 429 for every wrong key, and for every user who is not in
// memory. Users who are in memory can still sign in from it with the right key. Once an address has reached
// the limit for one name, it gets 429 for that name with any key. Other addresses are not affected.
//
// The same failed sign-in counts once if it is repeated within ten seconds. IPv6 addresses are counted by
// their /64.
type FailedAttempts struct {
	// The number of sign-ins that may fail within the window. Default: 100.
	Count Value `json:"count,omitempty"`

	// The length of the window. Default: `1m`.
	Window Duration `json:"window,omitempty"`
}

// settings are the settings of a Handler with placeholders replaced and defaults applied.
type settings struct {
	accountID, gateway, gatewayToken string

	authorization []string // the header's values for requests to the gateway

	names         modelNames
	emailHeader   string
	clientHeaders []string
	maxBodySize   int64

	ages       cache.Ages
	maxEntries int

	limits quotas

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
		limits:       h.Limits.resolve(r),
	}
	s.authorization = []string{"Bearer " + s.gatewayToken}
	for _, name := range h.ClientHeaders {
		s.clientHeaders = append(s.clientHeaders, r.header("client_headers", name, ""))
	}
	return s, err
}

// Ages returns the settings with placeholders replaced and defaults applied. The error names the invalid
// setting.
func (c *Cache) Ages() (ages cache.Ages, err error) {
	ages = c.ages(resolver{caddy.NewReplacer(), &err})
	return ages, err
}

// UserHeader returns the canonical name of the request header that contains the user's email. That is
// `email_header` with placeholders replaced, or X-User-Email by default. It returns an error if the value is
// not the name of a header.
func (h *Handler) UserHeader() (name string, err error) {
	name = h.userHeader(resolver{caddy.NewReplacer(), &err})
	return name, err
}

func (h *Handler) userHeader(r resolver) string {
	return r.header("email_header", h.EmailHeader, "X-User-Email")
}

// ages derives the defaults of some settings from the others. max_age has a fixed default, because no other
// setting says how long a disabled key may be used.
func (c *Cache) ages(r resolver) cache.Ages {
	maxAge := r.duration("cache.max_age", c.MaxAge, time.Minute)
	return cache.Ages{
		RefreshAfter: r.duration("cache.refresh_after", c.RefreshAfter, min(30*time.Second, maxAge/2)),
		MaxAge:       maxAge,
		StaleIfError: r.duration("cache.stale_if_error", c.StaleIfError, max(time.Hour, maxAge)),
		Absent:       r.duration("cache.absent", c.Absent, 10*time.Second),
	}
}

// validate returns an error for settings that contradict each other. A stale_if_error that is shorter than
// max_age is allowed: then no answer older than max_age is used.
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

// text replaces the placeholders. A placeholder without a value is an error, because it would become an empty
// secret.
func (r resolver) text(name, value string) string {
	resolved, err := r.repl.ReplaceOrErr(value, true, true)
	if err != nil {
		r.fail(name, err) // the error names the placeholder, but not its value
	}
	return strings.TrimSpace(resolved) // the content of a file ends with a line feed
}

// required is like text, but the value must not be empty. what tells the user what to set it to.
func (r resolver) required(name, value, what string) string {
	if value == "" {
		r.fail(name, errors.New("is missing; set it to "+what))
		return ""
	}
	return r.text(name, value)
}

// segment is like required, for a segment of a URL's path.
func (r resolver) segment(name, value, what string) string {
	resolved := r.required(name, value, what)
	for _, c := range []byte(resolved) {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
			r.fail(name, errors.New("must consist of letters, digits, - and _; set it to "+what))
		}
	}
	return resolved
}

// secret is like required, for a secret that becomes a part of a header.
func (r resolver) secret(name, value, what string) string {
	resolved := r.required(name, value, what)
	if !httpguts.ValidHeaderFieldValue(resolved) || strings.ContainsAny(resolved, " \t") {
		r.fail(name, errors.New("has white space or control characters; set it to "+what))
	}
	return resolved
}

// maxHeaderName is far longer than any real name. The name becomes a key in users' YAML files, where a key of
// more than 1,024 bytes would be invalid.
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
