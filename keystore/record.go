package keystore

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/tidwall/gjson"
)

// Record is a user's entry as it lies in the store, for whoever edits it. What an edit does not
// name stays as it is, byte for byte, also where nobody here knows what it means.
type Record struct {
	// before is the entry as it was parsed.
	before  string
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
	return &Record{string(value), parseMembers(string(value))}, nil
}

// Bytes returns the entry: where nothing was changed, as it came.
func (r *Record) Bytes() []byte {
	after := r.members.String()
	if r.before != "" && after == parseMembers(r.before).String() {
		return []byte(r.before)
	}
	return []byte(after)
}

// formatTime rounds up: an end is never earlier than was promised.
func formatTime(t time.Time) string {
	return t.Add(time.Second - 1).UTC().Truncate(time.Second).Format(time.RFC3339)
}

// SetEnabled lets the user in or keeps the user out. A status that says so already stays as it is.
func (r *Record) SetEnabled(enabled bool) {
	status := "Disabled"
	if enabled {
		status = "Enabled"
	}
	if !strings.EqualFold(r.members.get("status").Str, status) {
		r.members.setString("status", status)
	}
}

// latest is the last time that RFC 3339 can write.
var latest = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)

// SetExpires sets when the user's keys end; the zero time removes the end. A time after the year
// 9999, which RFC 3339 cannot write, becomes the last one that it can.
func (r *Record) SetExpires(at time.Time) {
	if at.IsZero() {
		r.members.remove("expiresAt")
		return
	}
	if at.After(latest) {
		at = latest
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
	// Read as ParseAPIKey does, for which null is a value too.
	var read struct {
		Metadata json.RawMessage `json:"metadata"`
	}
	if err := decode(r.Bytes(), &read); err != nil {
		return err
	}
	all := setExact(read.Metadata, name, quote(value)).String()
	entries, err := parseMetadata([]byte(all))
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(entries, func(e MetadataEntry) bool { return e.Name == name }) {
		return errors.New("there can be four entries of metadata, and there would be more")
	}
	r.members.set("metadata", all)
	return nil
}

// setExact returns the members of an object, or of null, with one set. Here, case does matter.
func setExact(object []byte, name, value string) (all members) {
	done := false
	if gjson.ParseBytes(object).IsObject() {
		for _, old := range parseMembers(string(object)) {
			switch {
			case old.name != name:
				all = append(all, old)
			case !done:
				all = append(all, member{name, value})
				done = true
			}
		}
	}
	if !done {
		all = append(all, member{name, value})
	}
	return all
}

// currentHash is the apiKeyHash of the key in force, empty if there is none.
func (r *Record) currentHash() string {
	k, err := ParseAPIKey(r.Bytes())
	if err != nil || k.key == (digest{}) {
		return ""
	}
	return hashPrefix + hex.EncodeToString(k.key[:])
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
	if !r.hasPlainKey() {
		return false
	}
	hash := r.currentHash()
	r.members.remove("apiKey")
	if hash != "" {
		r.members.setString("apiKeyHash", hash)
	}
	return true
}

// hasPlainKey looks at every apiKey: one that is not read, since another follows, is a secret too.
func (r *Record) hasPlainKey() bool {
	return slices.ContainsFunc(r.members, func(m member) bool {
		return strings.EqualFold(m.name, "apiKey") && gjson.Parse(m.value).Str != ""
	})
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
		PlainKey:      r.hasPlainKey(),
	}
	if k.key != (digest{}) {
		info.KeyID = hex.EncodeToString(k.key[:4])
	}
	return info
}
