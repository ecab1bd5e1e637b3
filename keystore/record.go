package keystore

import (
	"encoding/hex"
	"errors"
	"strings"
	"time"

	"github.com/tidwall/gjson"
)

// Record is a user's entry as it lies in the store, for whoever edits it. What an edit does not
// name stays as it is, byte for byte, also where nobody here knows what it means.
type Record struct {
	members members
}

// NewRecord makes the entry of a user who has that key from now on.
func NewRecord(key string, now time.Time) *Record {
	r := new(Record)
	r.members.setString("apiKeyHash", HashKey(key))
	r.members.setString("createdAt", now.UTC().Format(time.RFC3339))
	r.members.setString("status", "Enabled")
	return r
}

// ParseRecord reads an entry. It refuses what ParseAPIKey refuses.
func ParseRecord(value []byte) (*Record, error) {
	if _, err := ParseAPIKey(value); err != nil {
		return nil, err
	}
	return &Record{parseMembers(string(value))}, nil
}

// Bytes returns the entry.
func (r *Record) Bytes() []byte { return []byte(r.members.String()) }

// formatTime rounds up: an end is never earlier than was promised.
func formatTime(t time.Time) string {
	return t.Add(time.Second - 1).UTC().Truncate(time.Second).Format(time.RFC3339)
}

// SetEnabled lets the user in or keeps the user out.
func (r *Record) SetEnabled(enabled bool) {
	status := "Disabled"
	if enabled {
		status = "Enabled"
	}
	r.members.setString("status", status)
}

// SetExpires sets when the user's keys end; the zero time removes the end.
func (r *Record) SetExpires(at time.Time) {
	if at.IsZero() {
		r.members.remove("expiresAt")
		return
	}
	r.members.setString("expiresAt", formatTime(at))
}

// SetModels sets the allow-list: nil allows all models, an empty list none.
func (r *Record) SetModels(patterns []string) {
	if patterns == nil {
		r.members.remove("models")
		return
	}
	r.members.set("models", quoteAll(patterns))
}

// SetMetadata sets an entry of cf-aig-metadata. The AI Gateway takes four beside the user's, and
// keeps some names for itself.
func (r *Record) SetMetadata(name, value string) error {
	if name == "" || name == "user" || strings.HasPrefix(name, "cf.") {
		return errors.New("metadata cannot be named " + quote(name) + ": that name is empty or reserved")
	}
	all := parseMembers(r.members.get("metadata").Raw)
	at := len(all)
	for i, old := range all {
		if old.name == name { // here, case does matter
			at = i
		}
	}
	if at == len(all) {
		all = append(all, member{name: name})
	}
	if len(all) > maxMetadata {
		return errors.New("there can be four entries of metadata, and there would be more")
	}
	all[at].value = quote(value)
	r.members.set("metadata", all.String())
	return nil
}

// currentHash is the apiKeyHash of the key in force, empty if there is none.
func (r *Record) currentHash() string {
	if hash := r.members.get("apiKeyHash").Str; hash != "" {
		return hash
	}
	if key := r.members.get("apiKey").Str; key != "" {
		return HashKey(key)
	}
	return ""
}

// Rotate puts a new key in the place of the user's, which works on for a grace that may be none.
func (r *Record) Rotate(key string, now time.Time, grace time.Duration) {
	old := r.currentHash()
	r.members.remove("previous")
	r.members.remove("apiKey")
	r.members.setString("apiKeyHash", HashKey(key))
	if grace > 0 && old != "" {
		var previous members
		previous.setString("apiKeyHash", old)
		previous.setString("expiresAt", formatTime(now.Add(grace)))
		r.members.set("previous", previous.String())
	}
}

// HashPlainKey puts its hash in the place of a key that lies there in the clear, and reports
// whether one did. A hash that is there already is the one that counts.
func (r *Record) HashPlainKey() bool {
	key := r.members.get("apiKey")
	if key.Str == "" {
		return false
	}
	hash := r.currentHash()
	r.members.remove("apiKey")
	r.members.setString("apiKeyHash", hash)
	return true
}

// Info is what may be shown of a Record.
type Info struct {
	Enabled   bool
	CreatedAt string // as it was written

	// ExpiresAt is when the keys end, PreviousUntil when the key before the current one does;
	// zero means never, and that there is none.
	ExpiresAt, PreviousUntil time.Time

	// Models is the allow-list; nil allows all.
	Models []string

	Metadata []MetadataEntry

	// KeyID is the first eight hexadecimal digits of the key's hash, empty where there is no key.
	KeyID string

	// PlainKey says that the key lies in the store in the clear.
	PlainKey bool
}

// Info returns what may be shown.
func (r *Record) Info() Info {
	k, err := ParseAPIKey(r.Bytes())
	if err != nil {
		return Info{} // cannot be: it was parsed before
	}
	info := Info{
		Enabled:       k.enabled,
		CreatedAt:     r.members.get("createdAt").String(),
		ExpiresAt:     k.until,
		PreviousUntil: k.previousUntil,
		Models:        k.models,
		Metadata:      k.Metadata,
		PlainKey:      r.members.get("apiKey").Type == gjson.String && r.members.get("apiKey").Str != "",
	}
	if k.key != (digest{}) {
		info.KeyID = hex.EncodeToString(k.key[:4])
	}
	return info
}
