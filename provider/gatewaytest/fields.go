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
	variant   // an object with the names in one of field.forms
)

// field is what may be in a place of a JSON object. null may be everywhere, and means that the
// field is absent.
type field struct {
	kind      kind
	list      bool              // a list of kind
	orText    bool              // or a text
	required  bool              // must be there
	of        fields            // of a message
	by        string            // of a variant: the name whose text tells its form
	forms     map[string]fields // of a variant
	otherwise string            // of a variant: its form without that name, if there is one in forms
	tagged    bool              // of a variant: paths into it name the form, as Anthropic's do
	enum      []string          // of a text: all that it may be; nil: any
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

// lists makes fields that are lists of the same kind.
func lists(k kind, names ...string) fields {
	f := make(fields, len(names))
	for _, name := range names {
		f[name] = field{kind: k, list: true}
	}
	return f
}

// need returns f with these names required.
func (f fields) need(names ...string) fields {
	f = maps.Clone(f)
	for _, name := range names {
		one := f[name]
		one.required = true
		f[name] = one
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
	unknown bool // no such name
	missing bool // the name is required; otherwise the value is not of the field's kind
	want    field
	value   any
}

// path is where the violation is, such as "contents[0].parts[1].text".
func (v violation) path() string { return join(v.at, v.name) }

// violations returns what in o does not agree with f, in the order of the names. What is missing
// comes last.
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
	for _, name := range slices.Sorted(maps.Keys(f)) {
		if f[name].required && o[name] == nil {
			found = append(found, violation{at: at, name: name, missing: true, want: f[name]})
		}
	}
	return found
}

func (f field) violations(v any, at, name string) []violation {
	wrong := []violation{{at: at, name: name, want: f, value: v}}
	switch {
	case v == nil, f.orText && isText(v):
		return nil
	case f.list:
		items, ok := v.([]any)
		if !ok {
			return wrong
		}
		one := f
		one.list, one.orText = false, false
		var found []violation
		for i, item := range items {
			found = append(found, one.violations(item, at, name+"["+strconv.Itoa(i)+"]")...)
		}
		return found
	case !f.holds(v):
		return wrong
	case f.kind == message:
		return violations(v.(object), f.of, join(at, name))
	case f.kind == variant:
		return f.formViolations(v.(object), join(at, name))
	}
	return nil
}

// formViolations checks a variant. A form that is not known is a violation of the name that tells it.
func (f field) formViolations(o object, at string) []violation {
	tag := str(o, f.by)
	if o[f.by] == nil {
		tag = f.otherwise
	}
	form, known := f.forms[tag]
	if name := o[f.by]; !known || name != nil && !isText(name) {
		known := slices.DeleteFunc(slices.Sorted(maps.Keys(f.forms)), func(form string) bool { return form == "" })
		return []violation{{at: at, name: f.by, missing: name == nil, want: field{kind: text, enum: known}, value: name}}
	}
	if f.tagged {
		at = join(at, tag)
	}
	return violations(o, form, at)
}

func isText(v any) bool {
	_, ok := v.(string)
	return ok
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
	case structure, message, variant:
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
