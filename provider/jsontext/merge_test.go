package jsontext

import "testing"

func TestMerge(t *testing.T) {
	for name, test := range map[string]struct{ body, patch, want string }{
		"nothing":                    {`{"a":1.50}`, `{}`, `{"a":1.50}`},
		"a new member":               {`{"a":1}`, `{"b":[1, 2]}`, `{"a":1,"b":[1, 2]}`},
		"into nothing":               {`{}`, `{"b":2}`, `{"b":2}`},
		"in the place of another":    {`{"a":1,"b":{"c":1},"d":3}`, `{"b":2}`, `{"a":1,"b":2,"d":3}`},
		"within an object":           {`{"a":{"b":1,"c":2}}`, `{"a":{"c":3,"d":4}}`, `{"a":{"b":1,"c":3,"d":4}}`},
		"an object over a string":    {`{"a":"x"}`, `{"a":{"b":1,"c":null}}`, `{"a":{"b":1}}`},
		"an array as a whole":        {`{"a":[1,2]}`, `{"a":[3]}`, `{"a":[3]}`},
		"null removes":               {`{"a":1,"b":2,"c":3}`, `{"a":null,"c":null}`, `{"b":2}`},
		"null for a missing member":  {`{"a":1}`, `{"b":null}`, `{"a":1}`},
		"a member that occurs twice": {`{"a":1,"b":2,"a":3}`, `{"a":4}`, `{"a":4,"b":2}`},
		"a name that is escaped":     {`{"\u0061":1}`, `{"a":4}`, `{"\u0061":4}`},
	} {
		t.Run(name, func(t *testing.T) {
			if got := string(Merge([]byte(test.body), []byte(test.patch))); got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}

func FuzzMerge(f *testing.F) {
	f.Add([]byte(`{"a":{"b":1}}`), []byte(`{"a":{"b":null,"c":{}}}`))
	f.Fuzz(func(t *testing.T, body, patch []byte) {
		if !ValidObject(body) || !ValidObject(patch) {
			return
		}
		merged := Merge(body, patch)
		if !ValidObject(merged) {
			t.Fatalf("%s and %s became %s", body, patch, merged)
		}
		if again := Merge(merged, patch); string(again) != string(merged) {
			t.Fatalf("%s merged twice became %s, once %s", patch, again, merged)
		}
	})
}
