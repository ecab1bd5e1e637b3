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

// APIKey is what the store knows of a user. It is immutable.
//
// A key that lies in the store in the clear is hashed as it is read: nothing here, nor anything
// that holds an APIKey, can give a key away.
type APIKey struct {
	key      digest
	previous digest

	// until and previousUntil are the zero time where there is no end.
	until         time.Time
	previousUntil time.Time

	enabled bool

	// models is the allow-list; nil allows every model.
	models []string

	// Metadata are the user's own entries of cf-aig-metadata, four at most, in their order.
	Metadata []MetadataEntry
}

// MetadataEntry is a name and a JSON string, number or boolean.
type MetadataEntry struct {
	Name  string
	Value json.RawMessage
}

// digest is the SHA-256 of a key; the zero digest matches none.
type digest [sha256.Size]byte

// maxMetadata is what the AI Gateway takes, less the user's entry; it ignores those beyond.
const maxMetadata = 4

// apiKeyRecord is an entry of the namespace ApiKeys. Fields that it does not name are allowed.
type apiKeyRecord struct {
	APIKey     string          `json:"apiKey"`
	APIKeyHash string          `json:"apiKeyHash"`
	Status     string          `json:"status"`
	ExpiresAt  string          `json:"expiresAt"`
	Previous   *previousRecord `json:"previous"`
	Models     []string        `json:"models"`
	Metadata   json.RawMessage `json:"metadata"`
}

type previousRecord struct {
	APIKeyHash string `json:"apiKeyHash"`
	ExpiresAt  string `json:"expiresAt"`
}

// ParseAPIKey reads a user's record. Its errors name the field at fault and no value.
//
// Where a record has both apiKeyHash and apiKey, the hash counts: it is the newer form. A previous
// key without an end is no key: the end is what a rotation promises.
func ParseAPIKey(value []byte) (*APIKey, error) {
	var r apiKeyRecord
	if err := decode(value, &r); err != nil {
		return nil, err
	}
	k := &APIKey{enabled: strings.EqualFold(r.Status, "enabled"), models: r.Models}
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

// parseTime refuses the zero time, which stands for no end, and a zone a day or more from UTC, which
// time.Parse takes up to 25 hours and could not read again from a snapshot.
func parseTime(s string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, s)
	_, again := t.MarshalText()
	if err != nil || again != nil || t.IsZero() {
		return time.Time{}, errors.New("must be a time such as 2026-01-31T12:00:00Z (RFC 3339)")
	}
	return t, nil
}

// parseMetadata takes the first entries that the AI Gateway would take: names beginning with "cf."
// are reserved, `user` is ours, and values are strings, numbers and booleans.
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

// unknown is what an unknown user's key is compared with, so that the answer takes the same time.
var unknown = new(APIKey)

// Check reports whether key opens the door at that time. k may be nil: an unknown user. Neither
// the time that it takes nor the code that it runs depends on what is stored.
func (k *APIKey) Check(key string, now time.Time) bool {
	if k == nil {
		k = unknown
	}
	presented := sha256.Sum256([]byte(key))
	var none digest
	current := subtle.ConstantTimeCompare(presented[:], k.key[:]) &
		before(now, k.until, k.until.IsZero())
	previous := subtle.ConstantTimeCompare(presented[:], k.previous[:]) &
		before(now, k.previousUntil, false) &
		before(now, k.until, k.until.IsZero())
	known := 1 ^ subtle.ConstantTimeCompare(presented[:], none[:])
	return (current|previous)&known&bit(k.enabled) == 1
}

// Refusal says why Check has refused a key, in words for the log. k may be nil.
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

// Allows reports whether the user may use the model of that name, "<provider>/<model>".
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

// match reports whether name fits pattern, in which * stands for any run of characters. It goes
// back to the last * alone, which is enough, so that no pattern takes more than
// len(pattern) * len(name) steps.
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

// decode reads a JSON object into v. encoding/json's own errors may quote values.
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
