package keystore

import (
	"encoding/json"
	"strings"

	"github.com/tidwall/gjson"
)

// members are those of a JSON object, in their order and with their values byte for byte, for whoever
// edits a few of them.
type members []member

type member struct {
	name  string
	value string // JSON
}

// parseMembers reads a valid JSON object, which a byte order mark may stand before.
func parseMembers(object string) members {
	var m members
	object = strings.TrimPrefix(object, string(mark))
	gjson.Parse(object).ForEach(func(name, value gjson.Result) bool {
		m = append(m, member{name.String(), value.Raw})
		return true
	})
	return m
}

// get returns a value; empty if there is none. As in encoding/json, which reads the records, case
// does not matter, and of several the last one counts that is not null.
func (m members) get(name string) gjson.Result {
	for i := len(m) - 1; i >= 0; i-- {
		if strings.EqualFold(m[i].name, name) && m[i].value != "null" {
			return gjson.Parse(m[i].value)
		}
	}
	return gjson.Result{}
}

// set gives a member a value, in its place or at the end. Others that would be read as it go.
func (m *members) set(name, value string) {
	kept := (*m)[:0]
	done := false
	for _, old := range *m {
		switch {
		case !strings.EqualFold(old.name, name):
			kept = append(kept, old)
		case !done:
			kept = append(kept, member{name, value})
			done = true
		}
	}
	if !done {
		kept = append(kept, member{name, value})
	}
	*m = kept
}

func (m *members) setString(name, value string) { m.set(name, quote(value)) }

// remove takes out all that would be read as a member.
func (m *members) remove(name string) {
	kept := (*m)[:0]
	for _, old := range *m {
		if !strings.EqualFold(old.name, name) {
			kept = append(kept, old)
		}
	}
	*m = kept
}

// String returns the object.
func (m members) String() string {
	var b strings.Builder
	b.WriteByte('{')
	for i, one := range m {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(quote(one.name))
		b.WriteByte(':')
		b.WriteString(one.value)
	}
	b.WriteByte('}')
	return b.String()
}

// quote is a JSON string.
func quote(s string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string can be encoded
	return strings.TrimSuffix(b.String(), "\n")
}

// quoteAll is a JSON array of strings.
func quoteAll(all []string) string {
	quoted := make([]string, len(all))
	for i, s := range all {
		quoted[i] = quote(s)
	}
	return "[" + strings.Join(quoted, ",") + "]"
}
