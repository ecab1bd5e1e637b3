package hub

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
)

// cut returns the objects in the pieces of JSON, joined by spaces.
func cut(pieces ...string) (string, error) {
	var o objects
	var all []string
	keep := func(object []byte) error {
		all = append(all, string(object))
		return nil
	}
	for _, piece := range pieces {
		if err := o.Write([]byte(piece), keep); err != nil {
			return strings.Join(all, " "), err
		}
	}
	return strings.Join(all, " "), o.Close(keep)
}

func TestJSONIsSplitIntoItsObjects(t *testing.T) {
	for name, test := range map[string]struct{ json, want string }{
		"one":                  {`{"a":1}`, `{"a":1}`},
		"one within space":     {" \r\n\t{\"a\" : 1}\n", `{"a" : 1}`},
		"a list":               {"[{\"a\":[1,{}]},\r\n{\"b\":2}\n]\n", `{"a":[1,{}]} {"b":2}`},
		"an empty list":        {`[ ]`, ``},
		"brackets in strings":  {`[{"a":"]}\"{"},{"\\":"}"}]`, `{"a":"]}\"{"} {"\\":"}"}`},
		"objects in an object": {`{"a":{"b":{}}}`, `{"a":{"b":{}}}`},
	} {
		t.Run(name, func(t *testing.T) {
			for i := range len(test.json) + 1 {
				if got, err := cut(test.json[:i], test.json[i:]); err != nil || got != test.want {
					t.Errorf("torn at %d: %s, error %v, want %s", i, got, err, test.want)
				}
			}
			if got, err := cut(strings.Split(test.json, "")...); err != nil || got != test.want {
				t.Errorf("byte by byte: %s, error %v, want %s", got, err, test.want)
			}
		})
	}
}

func TestInvalidJSONIsRefused(t *testing.T) {
	for text, want := range map[string]*Error{
		"":              ErrIncomplete,
		" ":             ErrIncomplete,
		"{":             ErrIncomplete,
		`{"a":"}`:       ErrIncomplete,
		"[":             ErrIncomplete,
		"[{}":           ErrIncomplete,
		"[{},":          ErrIncomplete,
		"<html>":        ErrUnreadable,
		"null":          ErrUnreadable,
		"{}{}":          ErrUnreadable,
		"{} x":          ErrUnreadable,
		"[1]":           ErrUnreadable,
		"[{}{}]":        ErrUnreadable,
		"[,{}]":         ErrUnreadable,
		"[{},]":         ErrUnreadable,
		"[{}],":         ErrUnreadable,
		"[[{}]]":        ErrUnreadable,
		"]":             ErrUnreadable,
		"data: {}\n\n ": ErrUnreadable,
	} {
		if _, err := cut(text); err != want {
			t.Errorf("%q: error %v, want %v", text, err, want)
		}
	}
}

func TestAnObjectThatIsTooLargeIsRefused(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector takes long over this, and there is one goroutine")
	}
	var o objects
	none := func([]byte) error { return nil }
	piece := []byte(`{"` + strings.Repeat("a", 1<<20))
	for range maxObject >> 20 {
		if err := o.Write(piece, none); err != nil {
			if !strings.Contains(err.Error(), "64 MB") {
				t.Error(err)
			}
			return
		}
	}
	t.Error("64 MB and more are kept")
}

func TestAnErrorOfTheCallbackStopsTheSplitting(t *testing.T) {
	var o objects
	enough := errors.New("enough")
	if err := o.Write([]byte(`[{},{}]`), func([]byte) error { return enough }); err != enough {
		t.Errorf("error %v", err)
	}
}

func FuzzObjects(f *testing.F) {
	f.Add([]byte(`[{"a":"\"}"},{"b":[{}]}]`), uint8(2))
	f.Fuzz(func(t *testing.T, text []byte, step uint8) {
		var pieces []string
		for piece := range slices.Chunk(text, int(step)+1) {
			pieces = append(pieces, string(piece))
		}
		got, err := cut(pieces...)
		whole, wholeErr := cut(string(text))
		if got != whole || (err == nil) != (wholeErr == nil) {
			t.Fatalf("in pieces %s (%v), whole %s (%v)", got, err, whole, wholeErr)
		}
		var list []map[string]any
		if json.Unmarshal(text, &list) == nil && list != nil && err != nil && !slices.ContainsFunc(list, func(m map[string]any) bool { return m == nil }) {
			t.Fatalf("%s is a list of objects: %v", text, err)
		}
	})
}
