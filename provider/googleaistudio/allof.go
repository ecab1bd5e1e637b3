package googleaistudio

import (
	"strings"

	"github.com/tidwall/gjson"
)

// merged collects all schemas that apply to the same value, to make one schema of them. Gemini does not know
// `allOf` and accepts nothing beside a `$ref`. For each keyword, merged holds the values of all the schemas
// as JSON, in order.
type merged struct {
	names  []string
	values map[string][]string

	sometimes []gjson.Result // schemas that apply only under a condition
	ref       string         // a reference that cannot be expanded
	mark      int            // the length of schemaWriter.open when this schema was begun
}

func (m *merged) add(name, value string) {
	said := m.values[name]
	if said == nil {
		m.names = append(m.names, name)
	}
	m.values[name] = append(said, value)
}

// merge returns a schema that means the same as value, without `allOf`, conditions, and keywords beside a
// `$ref`. The schemas in it are unchanged, except where several schemas were in the same place: these become
// one with an `allOf`. The references that merge has expanded stay open until forget is called.
func (w *schemaWriter) merge(value gjson.Result, depth int) gjson.Result {
	m := &merged{values: map[string][]string{}, mark: len(w.open)}
	w.collect(m, value, depth)
	m.addConditional()
	if m.ref != "" && len(m.values["properties"])+len(m.values["anyOf"])+len(m.values["oneOf"]) == 0 {
		return m.reference()
	}
	var o object
	for _, name := range m.names {
		o.raw(name, w.together(name, m.values[name]))
	}
	return gjson.ParseBytes(o.end())
}

// collect adds a schema to m: its own keywords first, then the schemas that it refers to.
func (w *schemaWriter) collect(m *merged, value gjson.Result, depth int) {
	value.ForEach(func(key, member gjson.Result) bool {
		switch name := key.Str; name {
		case "allOf", "$ref", "if", "then", "else", "dependentSchemas":
		default:
			m.add(name, member.Raw)
		}
		return true
	})
	value.ForEach(func(key, member gjson.Result) bool {
		switch key.Str {
		case "allOf":
			if member.IsArray() && depth < maxSchemaDepth {
				member.ForEach(func(_, schema gjson.Result) bool {
					w.collect(m, schema, depth+1)
					return true
				})
			}
		case "$ref":
			w.refer(m, member.Str, depth)
		case "then", "else":
			m.sometimes = append(m.sometimes, member)
		case "dependentSchemas":
			member.ForEach(func(_, schema gjson.Result) bool {
				m.sometimes = append(m.sometimes, schema)
				return true
			})
		}
		return true
	})
}

// refer adds the schema that a reference names. It keeps the reference instead if the reference is within
// that schema itself, or if too much has been expanded already.
func (w *schemaWriter) refer(m *merged, ref string, depth int) {
	at, open := w.openAt[ref]
	if open && at >= m.mark { // m has it already
		return
	}
	target, ok := w.definition(ref)
	if open || !ok || len(target.Raw) > w.budget || depth >= maxSchemaDepth {
		m.ref = ref
		return
	}
	w.budget -= len(target.Raw)
	w.openAt[ref] = len(w.open)
	w.open = append(w.open, ref)
	w.collect(m, target, depth+1)
}

// forget closes the references that were opened after the first n.
func (w *schemaWriter) forget(n int) {
	for _, ref := range w.open[n:] {
		delete(w.openAt, ref)
	}
	w.open = w.open[:n]
}

// definition returns the schema that a reference names. It knows only references to the definitions at the
// top of the whole schema.
func (w *schemaWriter) definition(ref string) (gjson.Result, bool) {
	if w.definitions == nil {
		w.definitions, w.openAt = map[string]gjson.Result{}, map[string]int{}
		w.root.ForEach(func(key, defs gjson.Result) bool {
			if (key.Str == "$defs" || key.Str == "definitions") && defs.IsObject() {
				defs.ForEach(func(name, schema gjson.Result) bool {
					w.definitions["#/"+key.Str+"/"+name.Str] = schema
					return true
				})
			}
			return true
		})
	}
	found, ok := w.definitions[ref]
	if !ok && strings.ContainsAny(ref, "~%") {
		found, ok = w.definitions[unescapePointer(ref)]
	}
	return found, ok && found.IsObject()
}

// unescapePointer decodes the escapes of a JSON pointer (https://www.rfc-editor.org/rfc/rfc6901#section-3).
func unescapePointer(pointer string) string {
	return strings.ReplaceAll(strings.ReplaceAll(pointer, "~1", "/"), "~0", "~")
}

// addConditional adds the properties that are defined only under a condition, without the condition.
func (m *merged) addConditional() {
	if len(m.sometimes) == 0 {
		return
	}
	known := map[string]bool{}
	for _, properties := range m.values["properties"] {
		gjson.Parse(properties).ForEach(func(name, _ gjson.Result) bool {
			known[name.Str] = true
			return true
		})
	}
	var o object
	for _, schema := range m.sometimes {
		schema.Get("properties").ForEach(func(name, property gjson.Result) bool {
			if !known[name.Str] {
				o.raw(name.Str, property.Raw)
			}
			known[name.Str] = true
			return true
		})
	}
	if len(o.b) > 0 {
		m.add("properties", string(o.end()))
	}
}

// reference returns a schema that has only m's reference and definitions, since nothing else may stand beside
// a reference.
func (m *merged) reference() gjson.Result {
	var o object
	for _, name := range m.names {
		if strings.HasPrefix(name, "$") || name == "definitions" {
			o.raw(name, m.values[name][0])
		}
	}
	o.string("$ref", m.ref)
	return gjson.ParseBytes(o.end())
}
