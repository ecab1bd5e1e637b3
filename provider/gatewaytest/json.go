package gatewaytest

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
)

// object is a JSON object. Its values are objects, []any, string, json.Number, bool and nil.
type object = map[string]any

// errNoObject means that the body is JSON, but not an object.
var errNoObject = errors.New("the body is not a JSON object")

// decodeObject reads a JSON object. twice has the paths of names that occur twice in one object.
// Parsers differ in which of the two they use.
func decodeObject(body []byte) (o object, twice []string, err error) {
	// json.Valid comes first because it limits the depth.
	if !json.Valid(body) {
		return nil, nil, json.Unmarshal(body, new(any))
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	r := reader{decoder: d}
	o, ok := r.value("").(object)
	if r.err == nil && !ok {
		r.err = errNoObject
	}
	return o, r.twice, r.err
}

// reader reads JSON token by token. json.Unmarshal would hide that a name occurs twice, and names
// that differ only in case.
type reader struct {
	decoder *json.Decoder
	twice   []string
	err     error // the first error
}

func (r *reader) token() json.Token {
	if r.err != nil {
		return nil
	}
	token, err := r.decoder.Token()
	r.err = err
	return token
}

func (r *reader) value(at string) any {
	token := r.token()
	switch token {
	case json.Delim('{'):
		o := object{}
		for r.err == nil && r.decoder.More() {
			name, _ := r.token().(string)
			if _, ok := o[name]; ok {
				r.twice = append(r.twice, join(at, name))
			}
			o[name] = r.value(join(at, name))
		}
		r.token()
		return o
	case json.Delim('['):
		list := []any{}
		for r.err == nil && r.decoder.More() {
			list = append(list, r.value(at+"["+strconv.Itoa(len(list))+"]"))
		}
		r.token()
		return list
	}
	return token
}

func join(at, name string) string {
	if at == "" {
		return name
	}
	return at + "." + name
}

// names returns the names of a JSON object in order, or nil if b is not an object.
func names(b []byte) []string {
	d := json.NewDecoder(bytes.NewReader(b))
	if token, err := d.Token(); err != nil || token != json.Delim('{') {
		return nil
	}
	var all []string
	for d.More() {
		token, err := d.Token()
		name, ok := token.(string)
		var value json.RawMessage
		if err != nil || !ok || d.Decode(&value) != nil {
			return nil
		}
		all = append(all, name)
	}
	return all
}

// child returns the object named name in o, or an empty one.
func child(o object, name string) object {
	c, _ := o[name].(object)
	return c
}

// objects returns the objects in the list named name in o.
func objects(o object, name string) []object {
	list, _ := o[name].([]any)
	all := make([]object, 0, len(list))
	for _, item := range list {
		if c, ok := item.(object); ok {
			all = append(all, c)
		}
	}
	return all
}

// str returns the string named name in o, or "".
func str(o object, name string) string {
	s, _ := o[name].(string)
	return s
}

// integerOf returns the whole number named name in o, or 0.
func integerOf(o object, name string) int {
	n, _ := o[name].(json.Number)
	i, _ := strconv.Atoi(n.String())
	return i
}

// words returns the strings of a value that is a string or a list of strings.
func words(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		var all []string
		for _, item := range v {
			if s, ok := item.(string); ok {
				all = append(all, s)
			}
		}
		return all
	}
	return nil
}
