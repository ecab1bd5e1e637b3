package keystore

import (
	"encoding/json"
	"strings"

	"github.com/tidwall/gjson"
)

// members are the members of a JSON object, in order. An edit keeps the values that it does not
// change byte for byte.
type members []member

type member struct {
	name  string
	value string // JSON
}

// parseMembers reads a valid JSON object. A byte order mark may precede it.
func parseMembers(object string) members {
	var m members
	object = strings.TrimPrefix(object, string(mark))
	gjson.Parse(object).ForEach(func(name, value gjson.Result) bool {
		m = append(m, member{name.String(), value.Raw})
		return true
	})
	return m
}

// get returns the value of a member, or an empty result if there is none. It finds the member as
// encoding/json does, which reads the records: case does not matter, and the last value that is not
// null counts.
func (m members) get(name string) gjson.Result {
	for i := len(m) - 1; i >= 0; i-- {
		if strings.EqualFold(m[i].name, name) && m[i].value != "null" {
			return gjson.Parse(m[i].value)
		}
	}
	return gjson.Result{}
}

// set changes a member in its place, or adds it at the end. It removes all other members that
// encoding/json would read under this name.
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

// remove removes all members that encoding/json would read under this name.
func (m *members) remove(name string) {
	kept := (*m)[:0]
	for _, old := range *m {
		if !strings.EqualFold(old.name, name) {
			kept = append(kept, old)
		}
	}
	*m = kept
}

// String returns the object as JSON.
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

// quote returns s as a JSON string.
func quote(s string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string can be encoded
	return strings.TrimSuffix(b.String(), "\n")
}

// quoteAll returns a JSON array of strings.
func quoteAll(all []string) string {
	quoted := make([]string, len(all))
	for i, s := range all {
		quoted[i] = quote(s)
	}
	return "[" + strings.Join(quoted, ",") + "]"
}
