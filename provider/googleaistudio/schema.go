package googleaistudio

import (
	"regexp"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/continue-auth/caddy-continue-auth/provider/openai"
)

// schema is a JSON schema in the words that Gemini knows. It takes whole schemas, ignores much of
// them, and refuses others: `$schema`, and what stands beside a `$ref`
// (https://ai.google.dev/api/generate-content#FIELDS.response_json_schema).
func schema(value gjson.Result) string {
	if !oddWords.MatchString(value.Raw) {
		return value.Raw
	}
	return string(appendSchema(nil, value, 0))
}

// maxSchemaDepth is how deep schemas are looked into. Each level reads all of those in it again.
const maxSchemaDepth = 32

// oddWords are the members that appendSchema changes. A name that is escaped is nobody's.
var oddWords = regexp.MustCompile(`"(\$schema|\$ref|definitions|nullable|const)"`)

func appendSchema(b []byte, value gjson.Result, depth int) []byte {
	if !value.IsObject() || depth > maxSchemaDepth { // not an object: true or false
		return append(b, value.Raw...)
	}
	o := object{}
	refers := value.Get(`\$ref`).Exists()
	older := value.Get("definitions") // of older drafts
	nullable := value.Get("nullable").Type == gjson.True
	hasEnum := value.Get("enum").Exists()
	value.ForEach(func(key, member gjson.Result) bool {
		name := key.Str
		if name == "definitions" && !value.Get(`\$defs`).Exists() {
			name = "$defs"
		}
		switch {
		case name == "definitions": // they go to the others
		case name == "$schema" || name == "nullable" || refers && !strings.HasPrefix(name, "$"):
		case name == "$ref":
			o.string(name, strings.ReplaceAll(member.Str, "/definitions/", "/$defs/"))
		case name == "type" && nullable && member.Type == gjson.String:
			o.raw(name, `[`+member.Raw+`,"null"]`)
		case name == "enum" && nullable && member.IsArray() && !member.Get(`#(==null)`).Exists():
			o.raw(name, withNull(member.Raw, "null"))
		case name == "anyOf" && nullable && member.IsArray():
			o.name(name)
			o.b = append(o.b, withNull(string(appendKeyword(nil, name, member, depth+1)), `{"type":"null"}`)...)
		case name == "$defs" && key.Str == name && older.IsObject():
			o.name(name)
			o.b = appendKeyword(o.b, name, gjson.ParseBytes(openai.Merge([]byte(member.Raw), []byte(older.Raw))), depth+1)
		case name == "const" && !hasEnum && (member.Type == gjson.String || member.Type == gjson.Number):
			o.raw("enum", "["+member.Raw+"]")
		default:
			o.name(name)
			o.b = appendKeyword(o.b, name, member, depth+1)
		}
		return true
	})
	return append(b, o.end()...)
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
func appendKeyword(b []byte, name string, value gjson.Result, depth int) []byte {
	switch name {
	case "properties", "patternProperties", "$defs", "dependentSchemas":
		if !value.IsObject() {
			break
		}
		b = append(b, '{')
		start := len(b)
		value.ForEach(func(key, member gjson.Result) bool {
			if len(b) > start {
				b = append(b, ',')
			}
			b = append(openai.AppendString(b, key.Str), ':')
			b = appendSchema(b, member, depth)
			return true
		})
		return append(b, '}')
	case "items", "prefixItems", "anyOf", "oneOf", "allOf":
		if !value.IsArray() {
			return appendSchema(b, value, depth)
		}
		b = append(b, '[')
		value.ForEach(func(_, element gjson.Result) bool {
			b = appendSchema(separate(b), element, depth)
			return true
		})
		return append(b, ']')
	case "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames", "unevaluatedProperties", "unevaluatedItems":
		return appendSchema(b, value, depth)
	}
	return append(b, value.Raw...)
}
