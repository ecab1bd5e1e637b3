package googleaistudio

import (
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
)

// together is the value of a schema's keyword that says what all of the values do. Where they contradict each
// other, no value can; the schema is then that of one of them.
func (w *schemaWriter) together(name string, values []string) string {
	if len(values) == 1 {
		return values[0]
	}
	switch name {
	case "properties":
		return named(values, allOf)
	case "$defs", "definitions":
		return named(values, func(schemas []string) string { return schemas[0] })
	case "required", "propertyOrdering":
		return union(values)
	case "type":
		return commonTypes(values)
	case "enum":
		return common(values)
	case "description":
		return lines(values)
	case "minimum", "minItems":
		return slices.MaxFunc(values, byNumber)
	case "maximum", "maxItems":
		return slices.MinFunc(values, byNumber)
	case "items", "additionalProperties":
		return allOf(values)
	case "anyOf", "oneOf":
		return w.choices(values)
	case "nullable":
		if slices.Contains(values, "true") {
			return "true"
		}
	}
	return values[0]
}

// named is an object with the members of all objects, of which those of one name are made one.
func named(objects []string, one func(schemas []string) string) string {
	var names []string
	members := map[string][]string{}
	for _, object := range objects {
		gjson.Parse(object).ForEach(func(name, member gjson.Result) bool {
			if members[name.Str] == nil {
				names = append(names, name.Str)
			}
			members[name.Str] = append(members[name.Str], member.Raw)
			return true
		})
	}
	var o object
	for _, name := range names {
		o.raw(name, one(members[name]))
	}
	return string(o.end())
}

// allOf is a schema of several that all apply. False allows nothing, true everything.
func allOf(schemas []string) string {
	var some []string
	seen := map[string]bool{"true": true}
	for _, schema := range schemas {
		if schema == "false" {
			return schema
		}
		if !seen[schema] {
			some = append(some, schema)
		}
		seen[schema] = true
	}
	switch len(some) {
	case 0:
		return schemas[0]
	case 1:
		return some[0]
	}
	return `{"allOf":[` + strings.Join(some, ",") + `]}`
}

// union is an array of all elements of arrays, each once.
func union(arrays []string) string {
	var all []string
	seen := map[string]bool{}
	for _, array := range arrays {
		for _, element := range elements(array) {
			if !seen[element] {
				all = append(all, element)
			}
			seen[element] = true
		}
	}
	return list(all)
}

// common is an array of the elements that are in all arrays, or the shorter of two that have none.
func common(arrays []string) string {
	all := elements(arrays[0])
	for _, array := range arrays[1:] {
		others := elements(array)
		in := map[string]bool{}
		for _, element := range others {
			in[element] = true
		}
		both := slices.DeleteFunc(slices.Clone(all), func(element string) bool { return !in[element] })
		switch {
		case len(both) > 0:
			all = both
		case len(others) < len(all):
			all = others
		}
	}
	return list(all)
}

// commonTypes is the type, or an array of those, that all values allow. An integer is a number.
func commonTypes(values []string) string {
	var all []string
	for i, value := range values {
		types := elements(value)
		if i == 0 {
			all = types
			continue
		}
		var both []string
		for _, of := range all {
			switch {
			case slices.Contains(types, of):
				both = append(both, of)
			case of == `"number"` && slices.Contains(types, `"integer"`):
				both = append(both, `"integer"`)
			case of == `"integer"` && slices.Contains(types, `"number"`):
				both = append(both, of)
			}
		}
		if len(both) > 0 {
			all = both
		}
	}
	if len(all) == 1 {
		return all[0]
	}
	return list(all)
}

// choices is an array with a schema for each way to choose one of each array: those that all apply then. There may
// be very many; what the budget has no room for is left out.
func (w *schemaWriter) choices(arrays []string) string {
	all, length := elements(arrays[0]), len(arrays[0])
	for _, array := range arrays[1:] {
		others := elements(array)
		size := len(all)*(len(array)+len(`{"allOf":[,]}`)) + len(others)*length
		if len(others) == 0 || size > w.budget {
			continue
		}
		w.budget -= size
		var pairs []string
		for _, one := range all {
			for _, other := range others {
				pairs = append(pairs, allOf([]string{one, other}))
			}
		}
		all, length = pairs, size
	}
	return list(all)
}

// lines is a text of several, each once, in lines of their own.
func lines(texts []string) string {
	var all []string
	seen := map[string]bool{"": true}
	for _, text := range texts {
		line := gjson.Parse(text).Str
		if !seen[line] {
			all = append(all, line)
		}
		seen[line] = true
	}
	return string(jsontext.AppendString(nil, strings.Join(all, "\n")))
}

func byNumber(a, b string) int {
	switch difference := gjson.Parse(a).Num - gjson.Parse(b).Num; {
	case difference < 0:
		return -1
	case difference > 0:
		return 1
	}
	return 0
}

// elements are those of an array, as JSON, or the one value that is none.
func elements(array string) []string {
	value := gjson.Parse(array)
	if !value.IsArray() {
		return []string{array}
	}
	var all []string
	value.ForEach(func(_, element gjson.Result) bool {
		all = append(all, element.Raw)
		return true
	})
	return all
}

func list(elements []string) string { return "[" + strings.Join(elements, ",") + "]" }
