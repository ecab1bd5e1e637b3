package keystore

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tidwall/gjson"
)

// APIKey is a parsed record of a user. It is immutable.
//
// It holds only hashes. ParseAPIKey hashes a key that the store has in the clear, so an APIKey
// cannot give a key away.
type APIKey struct {
	key      digest
	previous digest

	// until and previousUntil say when the keys end. The zero time means never.
	until         time.Time
	previousUntil time.Time

	enabled bool

	// models is the allow-list. Nil allows every model.
	models []string

	// Metadata are the user's own entries of cf-aig-metadata in the order of the record, at most
	// four.
	Metadata []MetadataEntry

	// Limits are the user's own limits. Nil means that the record has none.
	Limits *Limits
}

// Limits are what a user's record says of limits. Each kind that is set replaces the server's limits of
// that kind.
type Limits struct {
	// Requests and Tokens are rates as the record has them, such as "120/1m". Nil means not set, and an
	// empty list means no limit.
	Requests []string `json:"requests,omitzero"`
	Tokens   []string `json:"tokens,omitzero"`

	// Parallel is how many requests may be in flight at once. Nil means not set, and 0 means no limit.
	Parallel *int64 `json:"parallel,omitempty"`
}

// MetadataEntry is a name and its value: a JSON string, number or boolean.
type MetadataEntry struct {
	Name  string
	Value json.RawMessage
}

// digest is the SHA-256 of a key. No key matches the zero digest.
type digest [sha256.Size]byte

// maxMetadata is the number of entries that the AI Gateway keeps, less the one for the user. It
// ignores the rest.
const maxMetadata = 4

// apiKeyRecord is an entry of the namespace ApiKeys. An entry may have other fields too.
type apiKeyRecord struct {
	APIKey     string          `json:"apiKey"`
	APIKeyHash string          `json:"apiKeyHash"`
	Status     string          `json:"status"`
	ExpiresAt  string          `json:"expiresAt"`
	Previous   *previousRecord `json:"previous"`
	Models     []string        `json:"models"`
	Metadata   json.RawMessage `json:"metadata"`
	Limits     *Limits         `json:"limits"`
}

type previousRecord struct {
	APIKeyHash string `json:"apiKeyHash"`
	ExpiresAt  string `json:"expiresAt"`
}

// ParseAPIKey reads a user's record. Its errors name the field at fault, but no value.
//
// If a record has both apiKeyHash and apiKey, ParseAPIKey uses the hash, which is the newer form.
// It ignores a previous key that has no end, because a rotation always sets one.
func ParseAPIKey(value []byte) (*APIKey, error) {
	var r apiKeyRecord
	if err := decode(value, &r); err != nil {
		return nil, err
	}
	k := &APIKey{enabled: strings.EqualFold(r.Status, "enabled"), models: r.Models, Limits: r.Limits}
	var err error
	if r.APIKeyHash != "" {
		if k.key, err = parseDigest(r.APIKeyHash); err != nil {
			return nil, fmt.Errorf("apiKeyHash: %w", err)
		}
	} else if r.APIKey != "" {
		k.key = sha256.Sum256([]byte(r.APIKey))
	}
	if r.ExpiresAt != "" {
		if k.until, err = parseTime(r.ExpiresAt); err != nil {
			return nil, fmt.Errorf("expiresAt: %w", err)
		}
	}
	if p := r.Previous; p != nil && p.ExpiresAt != "" {
		if k.previous, err = parseDigest(p.APIKeyHash); err != nil {
			return nil, fmt.Errorf("previous.apiKeyHash: %w", err)
		}
		if k.previousUntil, err = parseTime(p.ExpiresAt); err != nil {
			return nil, fmt.Errorf("previous.expiresAt: %w", err)
		}
	}
	k.Metadata, err = parseMetadata(r.Metadata)
	return k, err
}

var errDigest = errors.New(`must be "sha256:" and 64 hexadecimal digits`)

func parseDigest(s string) (digest, error) {
	text, ok := strings.CutPrefix(s, hashPrefix)
	sum, err := hex.DecodeString(text)
	if !ok || err != nil || len(sum) != sha256.Size {
		return digest{}, errDigest
	}
	return digest(sum), nil
}

// parseTime refuses two kinds of times. The zero time stands for "never". A time zone a day or more
// from UTC could not be written to a snapshot: time.Parse takes up to 25 hours, MarshalText does
// not.
func parseTime(s string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, s)
	_, again := t.MarshalText()
	if err != nil || again != nil || t.IsZero() {
		return time.Time{}, errors.New("must be a time such as 2026-01-31T12:00:00Z (RFC 3339)")
	}
	return t, nil
}

// parseMetadata returns the first entries that the AI Gateway accepts. It skips names that begin
// with "cf.", which are reserved, the name `user`, which the proxy sets, and values other than
// strings, numbers and booleans.
func parseMetadata(raw json.RawMessage) (entries []MetadataEntry, err error) {
	metadata := gjson.ParseBytes(raw)
	if metadata.Type == gjson.Null {
		return nil, nil
	}
	if !metadata.IsObject() {
		return nil, errors.New("metadata: must be an object")
	}
	metadata.ForEach(func(name, value gjson.Result) bool {
		reserved := name.Str == "user" || strings.HasPrefix(name.Str, "cf.")
		if !reserved && !value.IsObject() && !value.IsArray() && value.Type != gjson.Null {
			entries = append(entries, MetadataEntry{Name: name.Str, Value: json.RawMessage(value.Raw)})
		}
		return len(entries) < maxMetadata
	})
	return entries, nil
}

// unknown stands in for an unknown user, so that Check takes the same time for one.
var unknown = new(APIKey)

// Check reports whether key lets the user in at the time now. A nil k is an unknown user, whom no
// key lets in. Neither the time nor the code path of Check depends on what is stored.
func (k *APIKey) Check(key string, now time.Time) bool {
	return k.CheckSum(sha256.Sum256([]byte(key)), now)
}

// CheckSum is Check for a key of which only the SHA-256 is known, because it was checked before.
func (k *APIKey) CheckSum(presented [sha256.Size]byte, now time.Time) bool {
	if k == nil {
		k = unknown
	}
	var none digest
	current := subtle.ConstantTimeCompare(presented[:], k.key[:]) &
		before(now, k.until, k.until.IsZero())
	previous := subtle.ConstantTimeCompare(presented[:], k.previous[:]) &
		before(now, k.previousUntil, false) &
		before(now, k.until, k.until.IsZero())
	known := 1 ^ subtle.ConstantTimeCompare(presented[:], none[:])
	return (current|previous)&known&bit(k.enabled) == 1
}

// Expires returns when the user's keys end. The zero time means never.
func (k *APIKey) Expires() time.Time { return k.until }

// EndOf returns when the key with that SHA-256 ends, and whether it is the previous key. The zero time means
// never. The key must be one that Check lets in.
func (k *APIKey) EndOf(presented [sha256.Size]byte) (end time.Time, previous bool) {
	if presented == k.key || presented != k.previous {
		return k.until, false
	}
	if !k.until.IsZero() && k.until.Before(k.previousUntil) {
		return k.until, true
	}
	return k.previousUntil, true
}

// Refusal says in words for the log why Check has refused a key. A nil k is an unknown user.
func (k *APIKey) Refusal(now time.Time) string {
	switch {
	case k == nil:
		return "unknown user, or a record that is broken"
	case !k.enabled:
		return "disabled"
	case !k.until.IsZero() && !now.Before(k.until):
		return "expired"
	case k.key == digest{}:
		return "the record has no key"
	}
	return "wrong key"
}

func before(now, end time.Time, always bool) int { return bit(always || now.Before(end)) }

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Allows reports whether the user may use a model. name is "<provider>/<model>".
func (k *APIKey) Allows(name string) bool {
	if k.models == nil {
		return true
	}
	for _, pattern := range k.models {
		if match(pattern, name) {
			return true
		}
	}
	return false
}

// match reports whether name fits pattern, in which * stands for any run of characters. After a
// mismatch it goes back to the last * only, which is enough. So it takes at most len(pattern) *
// len(name) steps.
func match(pattern, name string) bool {
	p, n := 0, 0
	star, mark := -1, 0
	for n < len(name) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, n
			p++
		case p < len(pattern) && pattern[p] == name[n]:
			p++
			n++
		case star >= 0:
			mark++
			p, n = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// decode reads a JSON object into v. It does not return encoding/json's own errors, which may quote
// values.
func decode(value []byte, v any) error {
	_, value, err := CutMark(value)
	if err != nil {
		return err
	}
	if !gjson.ParseBytes(value).IsObject() {
		return errors.New("must be a JSON object")
	}
	err = json.Unmarshal(value, v)
	var wrong *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &wrong):
		return fmt.Errorf("%s: must not be a %s", wrong.Field, strings.Fields(wrong.Value)[0])
	}
	return errors.New("must be valid JSON")
}
