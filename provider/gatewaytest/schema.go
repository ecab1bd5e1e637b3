package gatewaytest

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// maxSchemaDepth limits the depth of a value that is made for a schema. Schemas can refer to
// themselves.
const maxSchemaDepth = 8

// fill returns a value that fits a JSON schema, or Google's kind of schema. It knows type, enum,
// const, properties, required, items, minItems, minimum, anyOf, oneOf, allOf and references within
// root. Strings become value. An object has the required members, or all members if none are
// required.
func fill(schema, root object, value string) any { return fillAt(schema, root, value, 0) }

func fillAt(schema, root object, value string, depth int) any {
	if given, ok := schema["const"]; ok {
		return given
	}
	if choices, ok := schema["enum"].([]any); ok && len(choices) > 0 {
		return choices[0]
	}
	if ref := str(schema, "$ref"); ref != "" && depth < maxSchemaDepth {
		return fillAt(resolve(root, ref), root, value, depth+1)
	}
	for _, name := range []string{"anyOf", "oneOf", "allOf"} {
		if choices := objects(schema, name); len(choices) > 0 && depth < maxSchemaDepth {
			return fillAt(choices[0], root, value, depth+1)
		}
	}
	switch schemaType(schema) {
	case "integer", "number":
		if least, ok := schema["minimum"].(json.Number); ok {
			return least
		}
		return json.Number("1")
	case "boolean":
		return true
	case "null":
		return nil
	case "array":
		list := []any{}
		items, ok := schema["items"].(object)
		for range max(1, integerOf(schema, "minItems")) {
			if ok && depth < maxSchemaDepth {
				list = append(list, fillAt(items, root, value, depth+1))
			}
		}
		return list
	case "object":
		return fillObject(schema, root, value, depth)
	}
	return value
}

func fillObject(schema, root object, value string, depth int) object {
	properties, required := child(schema, "properties"), words(schema["required"])
	filled := object{}
	for name := range properties {
		if len(required) > 0 && !slices.Contains(required, name) || depth >= maxSchemaDepth {
			continue
		}
		filled[name] = fillAt(child(properties, name), root, value, depth+1)
	}
	return filled
}

// schemaType returns the type that a schema wants, in lower case. If it has several, it is the
// first that is not null.
func schemaType(schema object) string {
	for _, kind := range words(schema["type"]) {
		if kind = strings.ToLower(kind); kind != "null" {
			return kind
		}
	}
	switch {
	case schema["properties"] != nil:
		return "object"
	case schema["items"] != nil:
		return "array"
	case schema["type"] != nil:
		return "null"
	}
	return ""
}

// resolve returns the target of a reference such as #/$defs/step.
func resolve(root object, ref string) object {
	at := root
	for name := range strings.SplitSeq(strings.TrimPrefix(strings.TrimPrefix(ref, "#"), "/"), "/") {
		if name != "" {
			at = child(at, name)
		}
	}
	return at
}

var openAIName = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)

// checkFormat checks the requested format of an answer. at is its path. For an answer that may be
// any object, OpenAI wants the word JSON in the part that what names.
func checkFormat(format object, at, what, option, messages string) *answer {
	switch str(format, "type") {
	case "json_object":
		if !strings.Contains(strings.ToLower(messages), "json") {
			return invalid("Response "+what+" must contain the word 'json' in some form to use '"+option+"' of type 'json_object'.", strings.Split(what, " ")[0], "")
		}
	case "json_schema":
		if of := child(format, "json_schema"); len(of) > 0 {
			format, at = of, at+".json_schema"
		}
		if !openAIName.MatchString(str(format, "name")) {
			return badName(at + ".name")
		}
		if format["strict"] == true {
			if wrong := looseObject(child(format, "schema"), "()"); wrong != "" {
				return invalid(fmt.Sprintf("Invalid schema for response_format '%s': %s", str(format, "name"), wrong), strings.Split(at, ".json_schema")[0], "invalid_json_schema")
			}
		}
	}
	return nil
}

// checkFunction checks the name and the schema of a function. at is its path.
func checkFunction(function object, at string) *answer {
	if !openAIName.MatchString(str(function, "name")) {
		return badName(at + ".name")
	}
	if function["strict"] == true {
		if wrong := looseObject(child(function, "parameters"), "()"); wrong != "" {
			return invalid(fmt.Sprintf("Invalid schema for function '%s': %s", str(function, "name"), wrong), at+".parameters", "invalid_function_parameters")
		}
	}
	return nil
}

func badName(at string) *answer {
	return invalid("Invalid '"+at+"': string does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'.", at, "invalid_value")
}

// looseObject returns why a schema is not strict, or "". In a strict schema, each object requires
// all of its properties and allows no others
// (https://platform.openai.com/docs/guides/structured-outputs).
func looseObject(schema object, context string) string {
	properties := child(schema, "properties")
	if schemaType(schema) == "object" {
		if schema["additionalProperties"] != false {
			return "In context=" + context + ", 'additionalProperties' is required to be supplied and to be false."
		}
		required := words(schema["required"])
		for name := range properties {
			if !slices.Contains(required, name) {
				return "In context=" + context + ", 'required' is required to be supplied and to be an array including every key in properties. Missing '" + name + "'."
			}
		}
	}
	for name := range properties {
		if wrong := looseObject(child(properties, name), "('properties', '"+name+"')"); wrong != "" {
			return wrong
		}
	}
	if items, ok := schema["items"].(object); ok {
		return looseObject(items, "('items',)")
	}
	return ""
}
