package gatewaytest

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// kind is the type of a field.
type kind int

const (
	anything kind = iota
	text
	number
	integer
	boolean
	bytes64   // a text in base64
	structure // an object with whatever names
	message   // an object with the names in field.of
)

// field is what may be in a place of a JSON object. null may be everywhere, and means that the
// field is absent.
type field struct {
	kind kind
	list bool     // a list of kind
	of   fields   // of a message
	enum []string // of a text: all that it may be; nil: any
}

// fields are the names that a JSON object may have. The name "*" stands for all others.
type fields map[string]field

// all makes fields that have the same kind.
func all(k kind, names ...string) fields {
	f := make(fields, len(names))
	for _, name := range names {
		f[name] = field{kind: k}
	}
	return f
}

// with returns f and the fields of others.
func (f fields) with(others ...fields) fields {
	f = maps.Clone(f)
	for _, other := range others {
		maps.Copy(f, other)
	}
	return f
}

// violation is something that does not agree with fields.
type violation struct {
	at      string // the path of the object that name is in, such as "contents[0].parts[1]"
	name    string
	unknown bool // no such name; otherwise the value is not of the field's kind
	want    field
	value   any
}

// violations returns what in o does not agree with f, in the order of the names.
func violations(o object, f fields, at string) []violation {
	var found []violation
	for _, name := range slices.Sorted(maps.Keys(o)) {
		want, ok := f[name]
		if !ok {
			want, ok = f["*"]
		}
		if !ok {
			found = append(found, violation{at: at, name: name, unknown: true, value: o[name]})
			continue
		}
		found = append(found, want.violations(o[name], at, name)...)
	}
	return found
}

func (f field) violations(v any, at, name string) []violation {
	wrong := []violation{{at: at, name: name, want: f, value: v}}
	switch {
	case v == nil:
		return nil
	case f.list:
		items, ok := v.([]any)
		if !ok {
			return wrong
		}
		one := f
		one.list = false
		var found []violation
		for i, item := range items {
			found = append(found, one.violations(item, at, name+"["+strconv.Itoa(i)+"]")...)
		}
		return found
	case !f.holds(v):
		return wrong
	case f.kind == message:
		return violations(v.(object), f.of, join(at, name))
	}
	return nil
}

// holds reports whether v is of the field's kind, whatever is in a message.
func (f field) holds(v any) bool {
	switch f.kind {
	case text:
		s, ok := v.(string)
		return ok && (f.enum == nil || slices.Contains(f.enum, s))
	case number:
		_, ok := v.(json.Number)
		return ok
	case integer:
		n, ok := v.(json.Number)
		return ok && whole(n.String())
	case boolean:
		_, ok := v.(bool)
		return ok
	case bytes64:
		s, ok := v.(string)
		return ok && isBase64(s)
	case structure, message:
		_, ok := v.(object)
		return ok
	}
	return true
}

// whole reports whether a JSON number is an integer of 64 bits. 1.0 and 1e3 are.
func whole(n string) bool {
	f, err := strconv.ParseFloat(n, 64)
	return err == nil && f == math.Trunc(f) && math.Abs(f) < 1<<63
}

// isBase64 takes both alphabets, padded or not, as Google does.
func isBase64(s string) bool {
	s = strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(s, "="))
	_, err := base64.RawStdEncoding.DecodeString(s)
	return err == nil
}
