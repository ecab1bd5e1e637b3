package googleaistudio

import (
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
)

// together returns one value of a keyword that means the same as all values. If the values contradict each
// other, it returns one of them.
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

// named returns an object with the members of all objects. one combines the members that have the same name.
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

// allOf returns a schema that means the same as all schemas. false allows nothing and true everything.
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

// union returns an array of all elements of the arrays, without repetitions.
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

// common returns an array of the elements that all arrays contain. If an array has no element in common with
// those so far, the shorter of the two is kept.
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

// commonTypes returns the type, or an array of the types, that all values allow. An integer is a number.
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

// choices returns an array with a schema for each combination of one element per array. Each schema requires
// all elements of the combination. There may be very many, so arrays that exceed the budget are left out.
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

// lines returns the texts as one text, each on a line of its own, without repetitions.
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

// elements returns the elements of an array as JSON. Any other value is returned as the only element.
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
