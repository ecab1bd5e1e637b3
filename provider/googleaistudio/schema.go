package googleaistudio

import (
	"strings"

	"github.com/tidwall/gjson"

	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
)

// holds is what the value of a keyword contains.
type holds int

const (
	plainValue   holds = iota // no schemas
	schemas                   // a schema, or an array of them
	namedSchemas              // an object of schemas; its names are not keywords
)

// keywords are all keywords that Gemini documents. It ignores some others, and refuses requests with the rest
// (https://ai.google.dev/api/generate-content#FIELDS.response_json_schema).
var keywords = map[string]holds{
	"$id": plainValue, "$ref": plainValue, "$anchor": plainValue, "$defs": namedSchemas,
	"type": plainValue, "format": plainValue, "title": plainValue, "description": plainValue, "enum": plainValue,
	"minItems": plainValue, "maxItems": plainValue, "minimum": plainValue, "maximum": plainValue,
	"items": schemas, "prefixItems": schemas, "anyOf": schemas, "oneOf": schemas, "additionalProperties": schemas,
	"properties": namedSchemas, "required": plainValue, "propertyOrdering": plainValue,
}

// schema returns a JSON schema with only the keywords that Gemini knows. If it has no others, it is returned
// unchanged.
func schema(value gjson.Result) string {
	r := jsontext.NewRereader([]byte(value.Raw))
	if inKeywords(&r) {
		return value.Raw
	}
	w := schemaWriter{root: value, budget: len(value.Raw) + spareSchema}
	return string(w.append(make([]byte, 0, len(value.Raw)), value, 0))
}

// schemaWriter writes a schema in Gemini's keywords.
type schemaWriter struct {
	root        gjson.Result
	definitions map[string]gjson.Result // by the references to them; nil until they are read

	// The references that are expanded around the current place, and the index of each in open.
	open   []string
	openAt map[string]int

	budget int // how many bytes may still be written by expanding references and choices
}

// spareSchema is how many bytes the references of a short schema may expand to.
const spareSchema = 16 << 10

// inKeywords reports whether a schema has only keywords that Gemini knows, and no reference. Keywords beside
// a reference must be changed.
func inKeywords(r *jsontext.Reader) bool {
	all := true
	r.Object(func(name []byte) {
		of, ok := keywords[string(name)]
		switch {
		case !ok || string(name) == "$ref":
			all = false
		case of == namedSchemas:
			r.Object(func([]byte) { all = inKeywords(r) && all })
		case of == schemas && !r.Array(func() { all = inKeywords(r) && all }):
			all = inKeywords(r) && all
		}
	})
	return all
}

// maxSchemaDepth limits how deep schemas are converted, since each level reads everything in it again.
const maxSchemaDepth = 32

// sense holds what the keywords of a schema mean for each other.
type sense struct {
	refers, nullable, typed, constant bool

	beside, merges    bool // whether there are keywords that must not stand beside a reference, and schemas to merge
	defs, definitions gjson.Result
}

func readSense(value gjson.Result) (s sense) {
	value.ForEach(func(key, member gjson.Result) bool {
		switch key.Str {
		case "$ref":
			s.refers = true
		case "nullable":
			s.nullable = member.Type == gjson.True
		case "type":
			s.typed = true
		case "const":
			s.constant = inEnum(member)
		case "$defs":
			s.defs = member
		case "definitions": // the name in older drafts
			s.definitions = member
		case "allOf":
			s.merges = s.merges || member.IsArray()
		case "then", "else", "dependentSchemas":
			s.merges = s.merges || member.IsObject()
		}
		if _, known := keywords[key.Str]; known && !strings.HasPrefix(key.Str, "$") {
			s.beside = true
		}
		return true
	})
	s.merges = s.merges || s.refers && (s.beside || s.nullable || s.constant)
	return s
}

func (w *schemaWriter) append(b []byte, value gjson.Result, depth int) []byte {
	if !value.IsObject() || depth > maxSchemaDepth { // true or false are schemas too
		return append(b, value.Raw...)
	}
	o := objectBehind(b)
	s := readSense(value)
	if s.merges {
		defer w.forget(len(w.open))
		value = w.merge(value, depth)
		s = readSense(value)
	}
	defined := false
	value.ForEach(func(key, member gjson.Result) bool {
		of, ok := keywords[key.Str]
		switch name := key.Str; {
		case name == "$defs" || name == "definitions":
			if !defined {
				w.define(&o, s, depth+1)
			}
			defined = true
		case s.refers && !strings.HasPrefix(name, "$"):
		case name == "$ref":
			o.string(name, strings.ReplaceAll(member.Str, "/definitions/", "/$defs/"))
		case name == "const":
			o.constant(member, s)
		case name == "enum" && s.constant: // the constant is one of the enum's values and is written instead
		case s.nullable && (name == "type" || name == "enum" || name == "anyOf"):
			w.nullable(&o, name, member, depth+1)
		case ok:
			o.name(name)
			o.b = w.appendKeyword(o.b, of, member, depth+1)
		}
		return true
	})
	return append(b, o.end()...)
}

// define adds the definitions of a schema, which may have either of two names.
func (w *schemaWriter) define(o *object, s sense, depth int) {
	var all object
	for _, some := range []gjson.Result{s.defs, s.definitions} {
		if some.IsObject() {
			w.schemas(&all, some, depth)
		}
	}
	o.name("$defs")
	o.b = append(o.b, all.end()...)
}

// schemas adds the schemas that are the members of an object.
func (w *schemaWriter) schemas(o *object, named gjson.Result, depth int) {
	named.ForEach(func(key, member gjson.Result) bool {
		o.name(key.Str)
		o.b = w.append(o.b, member, depth)
		return true
	})
}

// inEnum reports whether Gemini accepts a value in `enum`. It accepts strings and numbers.
func inEnum(value gjson.Result) bool {
	return value.Type == gjson.String || value.Type == gjson.Number
}

// constant adds `const` as an enum of one value. For other values it adds their type, which is the closest
// that Gemini accepts.
func (o *object) constant(value gjson.Result, s sense) {
	switch {
	case inEnum(value):
		o.raw("enum", "["+value.Raw+"]")
	case s.typed:
	case value.IsBool():
		o.raw("type", nullableType(`"boolean"`, s.nullable))
	case value.Type == gjson.Null:
		o.string("type", "null")
	}
}

// nullable adds a keyword of a schema that is `nullable`, in the form of JSON Schema.
func (w *schemaWriter) nullable(o *object, name string, value gjson.Result, depth int) {
	o.name(name)
	switch {
	case name == "type" && value.Type == gjson.String:
		o.b = append(o.b, nullableType(value.Raw, true)...)
	case name == "enum" && value.IsArray() && !value.Get(`#(==null)`).Exists():
		o.b = append(o.b, withNull(value.Raw, "null")...)
	case name == "anyOf" && value.IsArray():
		o.b = append(o.b, withNull(string(w.appendKeyword(nil, schemas, value, depth)), `{"type":"null"}`)...)
	default:
		o.b = w.appendKeyword(o.b, keywords[name], value, depth)
	}
}

func nullableType(of string, nullable bool) string {
	if !nullable {
		return of
	}
	return "[" + of + `,"null"]`
}

// withNull adds an element to a JSON array.
func withNull(array, element string) string {
	array = strings.TrimRight(strings.TrimSuffix(strings.TrimSpace(array), "]"), " \t\r\n")
	if !strings.HasSuffix(array, "[") {
		array += ","
	}
	return array + element + "]"
}

// appendKeyword appends the value of a schema's member and converts the schemas in it.
func (w *schemaWriter) appendKeyword(b []byte, of holds, value gjson.Result, depth int) []byte {
	switch {
	case of == namedSchemas && value.IsObject():
		all := objectBehind(b)
		w.schemas(&all, value, depth)
		return append(b, all.end()...)
	case of == schemas && value.IsArray():
		b = append(b, '[')
		value.ForEach(func(_, element gjson.Result) bool {
			b = w.append(separate(b), element, depth)
			return true
		})
		return append(b, ']')
	case of == schemas:
		return w.append(b, value, depth)
	}
	return append(b, value.Raw...)
}
