package jsontext

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

// readAll reads the value at r like encoding/json.
func readAll(r *Reader) any {
	object := map[string]any{}
	if r.Object(func(name []byte) { object[wellFormed(string(name))] = readAll(r) }) {
		return object
	}
	array := []any{}
	if r.Array(func() { array = append(array, readAll(r)) }) {
		return array
	}
	if r.unread && r.at('"') {
		return whole(r.String())
	}
	var value any
	_ = json.Unmarshal(r.Raw(), &value) // value stays nil if r has failed
	return value
}

// whole replaces half a surrogate pair with one U+FFFD. Reader.String returns three bytes for it.
func whole(s string) string {
	var text string
	_ = json.Unmarshal(AppendString(nil, s), &text)
	return text
}

// wellFormed replaces invalid UTF-8 with U+FFFD, as encoding/json does.
func wellFormed(s string) string { return string([]rune(s)) }

func TestAReaderReadsTheSameAsEncodingJSON(t *testing.T) {
	for name, value := range map[string]string{
		"a string":                  ` "a" `,
		"a number":                  `-5`,
		"an array":                  `[[],{}]`,
		"nothing":                   `{}`,
		"every kind of value":       `{"a":"x","b":-1.5e3,"c":true,"d":false,"e":null,"f":{},"g":[]}`,
		"white space":               " {\n\"a\" :\t[ 1 , {\r} ] , \"b\" : { } } \n",
		"objects in arrays":         `{"a":[[{"b":[{"c":"d"}]}],"e"]}`,
		"a name that comes twice":   `{"a":1,"a":{"b":2}}`,
		"escapes":                   `{"a\n\"":"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00"}`,
		"half a pair of surrogates": `{"a":"\ud83d","b":"\ude00\ud83d\ud83d\ude00","c":"\ud83d\n","d":"\ud83d\u00e9"}`,
		"invalid UTF-8":             "{\"a\xff\":\"\xc3(é\"}",
		"strings of all lengths":    `{"":"","1234567":"12345678","123456789012345678901234567890123":"` + strings.Repeat("x", 100) + `"}`,
		"an escape after much text": `{"a":"` + strings.Repeat("x", 200) + `\u00e9"}`,
	} {
		t.Run(name, func(t *testing.T) {
			var want any
			if err := json.Unmarshal([]byte(value), &want); err != nil {
				t.Fatal(err)
			}
			r := NewReader([]byte(value))
			if got := readAll(&r); r.Close() != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("reads %#v (%v), want %#v", got, r.Close(), want)
			}
		})
	}
}

func TestCloseReportsInvalidJSON(t *testing.T) {
	for name, broken := range map[string]string{
		"nothing":                      ``,
		"white space":                  " \n",
		"half an object":               `{"a":1`,
		"half a name":                  `{"a`,
		"half a value":                 `{"a":"b`,
		"an open array":                `{"a":[1}`,
		"a bracket too many":           `{"a":[1}]}`,
		"two objects":                  `{}{}`,
		"text after the end":           `{"a":1}x`,
		"a comma too many":             `{"a":1,}`,
		"a comma too many in an array": `{"a":[1,]}`,
		"a comma too few":              `{"a":1 "b":2}`,
		"no colon":                     `{"a" 1}`,
		"a name that is a number":      `{1:2}`,
		"a name without quotes":        `{a:1}`,
		"no value":                     `{"a":}`,
		"an unknown escape":            `{"a":"\x"}`,
		"an invalid escape in a name":  `{"\u12":1}`,
		"a control character":          "{\"a\":\"\n\"}",
		"an invalid number":            `{"a":01}`,
		"nesting too deep":             strings.Repeat(`{"a":`, maxDepth) + "{}" + strings.Repeat("}", maxDepth),
	} {
		t.Run(name, func(t *testing.T) {
			r := NewReader([]byte(broken))
			readAll(&r)
			if r.Close() == nil {
				t.Error("Close reports no error after everything has been read")
			}
			if r = NewReader([]byte(broken)); r.Close() == nil {
				t.Error("Close reports no error after everything has been skipped")
			}
		})
	}
}

func TestValuesOfAnotherTypeAreSkipped(t *testing.T) {
	for _, value := range []string{`"x"`, `""`, `"1.5"`, `7`, `-7.5`, `900719925474099267`, `true`, `false`, `null`, `{"a":"b"}`, `["a"]`} {
		want := gjson.Parse(value)
		for name, read := range map[string]func(r *Reader) bool{
			"a string":  func(r *Reader) bool { return r.String() == want.Str },
			"a number":  func(r *Reader) bool { return r.Int() == want.Int() },
			"true":      func(r *Reader) bool { return r.True() == (want.Type == gjson.True) },
			"an object": func(r *Reader) bool { return r.Object(func([]byte) {}) == want.IsObject() },
			"an array":  func(r *Reader) bool { return r.Array(func() {}) == want.IsArray() },
			"any":       func(r *Reader) bool { return string(r.Raw()) == value },
			"nothing":   func(*Reader) bool { return true },
		} {
			r := NewReader([]byte(`{"first": ` + value + ` ,"second":5}`))
			right, second := false, int64(0)
			r.Object(func(name []byte) {
				if string(name) == "first" {
					right = read(&r)
					return
				}
				second = r.Int()
				if r.Int() != 0 || r.String() != "" || r.True() || r.Raw() != nil || r.Object(nil) || r.Array(nil) {
					t.Error("a value is read twice")
				}
			})
			if err := r.Close(); err != nil || !right || second != 5 {
				t.Errorf("%s read as %s: right %v, error %v, the next value %d", value, name, right, err, second)
			}
		}
	}
}

// FuzzReader compares the reader with encoding/json. It reads all values the first time and skips them the
// second time.
func FuzzReader(f *testing.F) {
	f.Add([]byte(`{"a":[1,2.5e10,"x\n",{"b":"\ud83d\ude00\ud800"}],"a":{"c":null}}`))
	f.Add([]byte("{\"a\xff\":\"\xc3(\"}"))
	f.Add([]byte(`{"a":01}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		valid := json.Valid(b)
		var want any
		r := NewReader(b)
		got := readAll(&r)
		if (r.Close() == nil) != valid {
			t.Fatalf("%q: error %v, encoding/json says %v", b, r.Close(), valid)
		}
		half := false // whether b has raw bytes that a Reader takes for half a surrogate pair
		for i := range b {
			half = half || isSurrogate(string(b[i:min(i+surrogateLength, len(b))]))
		}
		if !half && json.Unmarshal(b, &want) == nil && !reflect.DeepEqual(got, want) { // 1e999 is valid JSON, but not a number in Go
			t.Fatalf("%q: reads %#v, want %#v", b, got, want)
		}
		r = NewReader(b)
		r.Object(func(name []byte) {
			if len(name)%2 == 0 {
				r.Int()
			}
		})
		if (r.Close() == nil) != valid {
			t.Fatalf("%q skipped: error %v, encoding/json says %v", b, r.Close(), valid)
		}
	})
}
