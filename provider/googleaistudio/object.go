package googleaistudio

import (
	"github.com/tidwall/gjson"

	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
)

// object builds a JSON object, member by member.
type object struct{ b []byte }

// objectBehind returns an object that is built in the free memory after b and then appended to b. If that
// memory is large enough, nothing is copied. Until then, nothing else may be appended to b.
func objectBehind(b []byte) object { return object{b: b[len(b):]} }

// name begins a member. The caller must append the value to o.b.
func (o *object) name(name string) {
	if len(o.b) == 0 {
		o.b = append(o.b, '{')
	} else {
		o.b = append(o.b, ',')
	}
	o.b = append(jsontext.AppendString(o.b, name), ':')
}

// raw adds a member whose value is JSON.
func (o *object) raw(name, json string) {
	o.name(name)
	o.b = append(o.b, json...)
}

// string adds a member whose value is a string.
func (o *object) string(name, value string) {
	o.name(name)
	o.b = jsontext.AppendString(o.b, value)
}

// strings adds a member whose value is an array of strings.
func (o *object) strings(name string, values []string) {
	o.name(name)
	o.b = append(o.b, '[')
	for _, value := range values {
		o.b = jsontext.AppendString(separate(o.b), value)
	}
	o.b = append(o.b, ']')
}

// end returns the object.
func (o *object) end() []byte {
	if len(o.b) == 0 {
		return []byte("{}")
	}
	return append(o.b, '}')
}

// separate appends a comma unless b is empty or at the beginning of a list.
func separate(b []byte) []byte {
	if len(b) == 0 || b[len(b)-1] == '[' {
		return b
	}
	return append(b, ',')
}

// isNone reports whether an array or an object is empty.
func isNone(list gjson.Result) bool {
	none := true
	list.ForEach(func(_, _ gjson.Result) bool {
		none = false
		return false
	})
	return none
}
