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

// Record is a user's entry that can be edited. An edit changes only the members that it is about.
// All others stay as they are, byte for byte, even if this package does not know them.
type Record struct {
	// before is the entry as ParseRecord got it.
	before  string
	members members
}

// NewRecord makes the entry of a new user with the given key.
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

// Bytes returns the entry. If nothing was changed, the bytes are those that ParseRecord got.
func (r *Record) Bytes() []byte {
	after := r.members.String()
	if r.before != "" && after == parseMembers(r.before).String() {
		return []byte(r.before)
	}
	return []byte(after)
}

// formatTime rounds up, so that a key never ends earlier than promised.
func formatTime(t time.Time) string {
	return t.Add(time.Second - 1).UTC().Truncate(time.Second).Format(time.RFC3339)
}

// SetEnabled lets the user in, or locks the user out. It does not rewrite a status that already
// says so.
func (r *Record) SetEnabled(enabled bool) {
	status := "Disabled"
	if enabled {
		status = "Enabled"
	}
	if !strings.EqualFold(r.members.get("status").Str, status) {
		r.members.setString("status", status)
	}
}

// latest is the last time that RFC 3339 can express.
var latest = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)

// SetExpires sets the time when the user's keys end. The zero time means never. A time after the
// year 9999 becomes the last second of 9999, because RFC 3339 cannot express it.
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

// SetModels sets the allow-list. Nil allows all models, an empty list allows none.
func (r *Record) SetModels(patterns []string) {
	if patterns == nil {
		r.members.remove("models")
		return
	}
	r.members.set("models", quoteAll(patterns))
}

// SetMetadata sets an entry of cf-aig-metadata. It returns an error if the name is empty or
// reserved, or if there would be more than four entries. The AI Gateway takes no more than four
// beside the user's email.
func (r *Record) SetMetadata(name, value string) error {
	if name == "" || name == "user" || strings.HasPrefix(name, "cf.") {
		return errors.New("metadata cannot be named " + quote(name) + ": that name is empty or reserved")
	}
	// ParseAPIKey reads metadata in this way too: null is a value.
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

// setExact returns the members of an object, or of null, after setting one of them. Names that
// differ in case are different members here.
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

// SetLimits sets the user's own limits. Nil removes them all, so that only the server's apply.
func (r *Record) SetLimits(l *Limits) {
	if l == nil || l.Requests == nil && l.Tokens == nil && l.Parallel == nil {
		r.members.remove("limits")
		return
	}
	text, _ := json.Marshal(l) // strings and numbers can be encoded
	r.members.set("limits", string(text))
}

// RemoveMetadata removes an entry of cf-aig-metadata, if there is one.
func (r *Record) RemoveMetadata(name string) {
	kept := slices.DeleteFunc(parseMembers(r.members.get("metadata").Raw), func(m member) bool { return m.name == name })
	if len(kept) == 0 {
		r.members.remove("metadata")
		return
	}
	r.members.set("metadata", kept.String())
}

// currentHash returns the apiKeyHash of the current key, or "" if there is none.
func (r *Record) currentHash() string {
	k, err := ParseAPIKey(r.Bytes())
	if err != nil || k.key == (digest{}) {
		return ""
	}
	return hashPrefix + hex.EncodeToString(k.key[:])
}

// Rotate replaces the user's key. The old key still works for the time grace, which may be zero.
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

// HashPlainKey replaces a key in the clear by its hash. It reports whether there was a key in the
// clear. If the entry also has a hash, that hash stays.
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

// hasPlainKey looks at every member named apiKey. One that a later member overrides is a secret
// too.
func (r *Record) hasPlainKey() bool {
	return slices.ContainsFunc(r.members, func(m member) bool {
		return strings.EqualFold(m.name, "apiKey") && gjson.Parse(m.value).Str != ""
	})
}

// Info is the part of a Record that may be shown.
type Info struct {
	Enabled   bool
	CreatedAt string // as in the record

	// ExpiresAt is when the keys end. The zero time means never. PreviousUntil is when the previous
	// key ends. The zero time means that there is no previous key.
	ExpiresAt, PreviousUntil time.Time

	// Models is the allow-list. Nil allows all models.
	Models []string

	Metadata []MetadataEntry

	// Limits are the user's own limits. Nil means that there are none.
	Limits *Limits

	// KeyID is the first eight hexadecimal digits of the key's hash, or "" if there is no key.
	KeyID string

	// PlainKey reports whether the store has the key in the clear.
	PlainKey bool
}

// Info returns the part of the record that may be shown.
func (r *Record) Info() Info {
	k, err := ParseAPIKey(r.Bytes())
	if err != nil {
		return Info{} // impossible: ParseRecord has read it before
	}
	info := Info{
		Enabled:       k.enabled,
		CreatedAt:     r.members.get("createdAt").String(),
		ExpiresAt:     k.until,
		PreviousUntil: k.previousUntil,
		Models:        k.models,
		Metadata:      k.Metadata,
		Limits:        k.Limits,
		PlainKey:      r.hasPlainKey(),
	}
	if k.key != (digest{}) {
		info.KeyID = hex.EncodeToString(k.key[:4])
	}
	return info
}
