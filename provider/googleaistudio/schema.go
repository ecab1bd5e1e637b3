package googleaistudio

import (
	"strings"

	"github.com/tidwall/gjson"

	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
)

// holds is what the value of a schema's keyword is made of.
type holds int

const (
	plainValue   holds = iota // no schemas
	schemas                   // a schema, or an array of them
	namedSchemas              // an object of schemas, whose names are no keywords
)

// keywords are all that Gemini documents. It ignores some others, and refuses the request for the rest
// (https://ai.google.dev/api/generate-content#FIELDS.response_json_schema).
var keywords = map[string]holds{
	"$id": plainValue, "$ref": plainValue, "$anchor": plainValue, "$defs": namedSchemas,
	"type": plainValue, "format": plainValue, "title": plainValue, "description": plainValue, "enum": plainValue,
	"minItems": plainValue, "maxItems": plainValue, "minimum": plainValue, "maximum": plainValue,
	"items": schemas, "prefixItems": schemas, "anyOf": schemas, "oneOf": schemas, "additionalProperties": schemas,
	"properties": namedSchemas, "required": plainValue, "propertyOrdering": plainValue,
}

// schema is a JSON schema in the keywords that Gemini knows, as it came if it has no others.
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
	definitions map[string]gjson.Result // by the references to them; nil: not read yet

	// The references that are written out around what is being written, and where in open each is.
	open   []string
	openAt map[string]int

	budget int // how many bytes may still be written once more
}

// spareSchema is how many bytes of references a short schema may have written out.
const spareSchema = 16 << 10

// inKeywords reports whether a schema has keywords of Gemini's alone, and no reference, beside which nothing
// else may stand.
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

// maxSchemaDepth is how deep schemas are looked into. Each level reads all of those in it again.
const maxSchemaDepth = 32

// sense is what other keywords of a schema make of one.
type sense struct {
	refers, nullable, typed, constant bool

	beside, merges    bool // whether there are keywords that may not stand beside a reference, and schemas to be merged
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
		case "definitions": // of older drafts
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
	if !value.IsObject() || depth > maxSchemaDepth { // not an object: true or false
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
		case name == "enum" && s.constant: // of which it is one
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

// define adds the definitions of a schema, under whichever name it has them.
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

// inEnum reports whether Gemini takes a value in `enum`, which is for strings and numbers.
func inEnum(value gjson.Result) bool {
	return value.Type == gjson.String || value.Type == gjson.Number
}

// constant adds `const` as an enum of one, or else as its type, which is as near as Gemini gets.
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

// nullable adds a keyword of a schema that is `nullable`, in the words of JSON Schema.
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

// appendKeyword appends the value of a schema's member, with the schemas in it.
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
