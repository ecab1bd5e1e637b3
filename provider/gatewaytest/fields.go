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
	structure // an object with any names
	message   // an object with the names in field.of
	variant   // an object with the names in one of field.forms
)

// field says what a member of a JSON object may be. Every member may also be null, which means that
// it is absent.
type field struct {
	kind      kind
	list      bool              // a list of kind
	orText    bool              // or a string
	required  bool              // must be there
	of        fields            // the fields of a message
	by        string            // for a variant: the member that names its form
	forms     map[string]fields // the forms of a variant
	otherwise string            // for a variant: the form if that member is missing
	tagged    bool              // for a variant: paths into it name the form, as Anthropic's do
	enum      []string          // the allowed values of a string; nil means any
}

// fields are the members that a JSON object may have. The name "*" stands for all others.
type fields map[string]field

// all returns fields of one kind.
func all(k kind, names ...string) fields {
	f := make(fields, len(names))
	for _, name := range names {
		f[name] = field{kind: k}
	}
	return f
}

// lists returns fields that are lists of one kind.
func lists(k kind, names ...string) fields {
	f := make(fields, len(names))
	for _, name := range names {
		f[name] = field{kind: k, list: true}
	}
	return f
}

// need returns f with the given names required.
func (f fields) need(names ...string) fields {
	f = maps.Clone(f)
	for _, name := range names {
		one := f[name]
		one.required = true
		f[name] = one
	}
	return f
}

// with returns f together with the fields of others.
func (f fields) with(others ...fields) fields {
	f = maps.Clone(f)
	for _, other := range others {
		maps.Copy(f, other)
	}
	return f
}

// violation is a difference between an object and its fields.
type violation struct {
	at      string // the path of the object, such as "contents[0].parts[1]"
	name    string
	unknown bool // the name is not allowed
	missing bool // the name is required, but missing; if neither is set, the value is of the wrong kind
	want    field
	value   any
}

// path returns the path of the violation, such as "contents[0].parts[1].text".
func (v violation) path() string { return join(v.at, v.name) }

// violations returns the differences between o and f, sorted by name. Missing members come last.
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

// formViolations checks a variant. An unknown form is a violation of the member that names the
// form.
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

// holds reports whether v is of the field's kind. It does not look into messages.
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

// whole reports whether a JSON number is an integer of 64 bits, such as 1, 1.0 or 1e3.
func whole(n string) bool {
	f, err := strconv.ParseFloat(n, 64)
	return err == nil && f == math.Trunc(f) && math.Abs(f) < 1<<63
}

// isBase64 accepts both alphabets, with or without padding, as Google does.
func isBase64(s string) bool {
	s = strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(s, "="))
	_, err := base64.RawStdEncoding.DecodeString(s)
	return err == nil
}
