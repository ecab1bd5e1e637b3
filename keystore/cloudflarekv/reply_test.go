package cloudflarekv

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/continue-auth/caddy-continue-auth/keystore"
	"github.com/continue-auth/caddy-continue-auth/keystore/kvtest"
)

// The SDK's own decoder returns nothing here, and no error. That is why decodeValues exists.
func TestAMissingNameHidesNoOther(t *testing.T) {
	server := kvtest.NewServer(t)
	server.Put(kvtest.APIKeys, "a", "1")
	server.Put(kvtest.APIKeys, "b", "2")
	s := open(t, config(server))
	names := []string{"a", "missing", "b"}
	values, err := s.Get(t.Context(), keystore.APIKeys, names)
	if err != nil || len(values) != 2 || string(values["a"]) != "1" || string(values["b"]) != "2" {
		t.Errorf("%q, %v", values, err)
	}
	reply, err := s.namespaces.BulkGet(t.Context(), kvtest.APIKeys, s.bulkGet(names))
	t.Logf("the SDK's decoder: %v, %v", reply.Values, err)
}

func TestDecodeValuesRefusesOddReplies(t *testing.T) {
	for name, tt := range map[string]struct {
		body string
		want map[string]string // nil means an error; "null" means nil
	}{
		"values":               {`{"result":{"values":{"a":"1","b":null,"c":""}},"success":true,"errors":[],"messages":[]}`, map[string]string{"a": "1", "b": "null", "c": ""}},
		"no name exists":       {`{"result":{"values":{"a":null}},"success":true}`, map[string]string{"a": "null"}},
		"no name is mentioned": {`{"result":{"values":{}},"success":true}`, map[string]string{}},
		"other properties":     {`{"x":1,"result":{"values":{"a":"1"},"y":[]},"success":true}`, map[string]string{"a": "1"}},
		"no success":           {`{"result":{"values":{"a":"1"}},"success":false}`, nil},
		"success is unknown":   {`{"result":{"values":{"a":"1"}}}`, nil},
		"success is text":      {`{"result":{"values":{"a":"1"}},"success":"true"}`, nil},
		"no result":            {`{"success":true}`, nil},
		"null for a result":    {`{"result":null,"success":true}`, nil},
		"a list of results":    {`{"result":[],"success":true}`, nil},
		"no values":            {`{"result":{},"success":true}`, nil},
		"null for values":      {`{"result":{"values":null},"success":true}`, nil},
		"a list of values":     {`{"result":{"values":["1"]},"success":true}`, nil},
		"a number":             {`{"result":{"values":{"a":"1","b":2}},"success":true}`, nil},
		"a boolean":            {`{"result":{"values":{"a":true}},"success":true}`, nil},
		"an array":             {`{"result":{"values":{"a":["1"]}},"success":true}`, nil},
		"with metadata":        {`{"result":{"values":{"a":{"value":"1","metadata":null}}},"success":true}`, nil},
		"nothing":              {``, nil},
		"null":                 {`null`, nil},
		"cut off":              {`{"result":{"values":{"a":"1"}},"success":true`, nil},
		"more than JSON":       {`{"result":{"values":{"a":"1"}},"success":true}}`, nil},
		"HTML":                 {`<html>`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			values, err := decodeValues([]byte(tt.body))
			if (err == nil) != (tt.want != nil) || err != nil && !errors.Is(err, keystore.ErrUnavailable) {
				t.Fatal(values, err)
			}
			got := make(map[string]string)
			for name, value := range values {
				got[name] = "null"
				if value != nil {
					got[name] = *value
				}
			}
			if !maps.Equal(got, tt.want) {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

func TestDecodeEntriesRefusesOddReplies(t *testing.T) {
	for name, tt := range map[string]struct {
		body string
		want map[string]string // value, metadata, end; nil means an error
	}{
		"entries":                {`{"result":{"values":{"a":{"value":"1","metadata":{"m": 1},"expiration":1577836800.0},"b":null}},"success":true,"errors":[],"messages":[]}`, map[string]string{"a": `1 {"m": 1} 1577836800`}},
		"no metadata":            {`{"result":{"values":{"a":{"value":"","metadata":null}}},"success":true}`, map[string]string{"a": " - 0"}},
		"nothing but value":      {`{"result":{"values":{"a":{"value":"1"}}},"success":true}`, map[string]string{"a": "1 - 0"}},
		"other properties":       {`{"x":1,"result":{"values":{"a":{"value":"1","y":[]}},"y":[]},"success":true}`, map[string]string{"a": "1 - 0"}},
		"no name exists":         {`{"result":{"values":{"a":null}},"success":true}`, map[string]string{}},
		"no success":             {`{"result":{"values":{"a":{"value":"1"}}},"success":false}`, nil},
		"no result":              {`{"success":true}`, nil},
		"null for values":        {`{"result":{"values":null},"success":true}`, nil},
		"values alone":           {`{"result":{"values":{"a":"1"}},"success":true}`, nil},
		"no value":               {`{"result":{"values":{"a":{"metadata":{}}}},"success":true}`, nil},
		"a number":               {`{"result":{"values":{"a":{"value":1}}},"success":true}`, nil},
		"an expiration in words": {`{"result":{"values":{"a":{"value":"1","expiration":"soon"}}},"success":true}`, nil},
		"nothing":                {``, nil},
	} {
		t.Run(name, func(t *testing.T) {
			entries, err := decodeEntries([]byte(tt.body))
			if (err == nil) != (tt.want != nil) || err != nil && !errors.Is(err, keystore.ErrUnavailable) {
				t.Fatal(entries, err)
			}
			got := make(map[string]string)
			for name, e := range entries {
				metadata := "-"
				if e.metadata != nil {
					metadata = string(*e.metadata)
				}
				got[name] = fmt.Sprint(e.value, " ", metadata, " ", int(e.expiration))
			}
			if !maps.Equal(got, tt.want) {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

func TestDecodeResultRefusesOddReplies(t *testing.T) {
	const nonsense = "the keystore is unavailable: the reply to a write makes no sense"
	for name, tt := range map[string]struct{ body, want string }{
		"all":                {`{"result":{"successful_key_count":2,"unsuccessful_keys":[]},"success":true,"errors":[],"messages":[]}`, ""},
		"null for none":      {`{"result":{"unsuccessful_keys":null},"success":true}`, ""},
		"nothing else":       {`{"result":null,"success":true}`, ""},
		"success alone":      {`{"success":true}`, ""},
		"some":               {`{"result":{"successful_key_count":1,"unsuccessful_keys":["secret","b"]},"success":true}`, "the keystore is unavailable: 2 of the names could not be written"},
		"no success":         {`{"result":{"unsuccessful_keys":[]},"success":false}`, nonsense},
		"a number for names": {`{"result":{"unsuccessful_keys":2},"success":true}`, nonsense},
		"an array":           {`[]`, nonsense},
		"cut off":            {`{"success":true`, nonsense},
		"nothing":            {``, nonsense},
	} {
		t.Run(name, func(t *testing.T) {
			if err := decodeResult([]byte(tt.body)); fmt.Sprint(err) != tt.want && (err != nil || tt.want != "") {
				t.Errorf("%v, want %s", err, tt.want)
			}
		})
	}
}

func TestDecodePageRefusesOddReplies(t *testing.T) {
	for name, tt := range map[string]struct {
		body   string
		want   []string
		cursor string
		broken bool
	}{
		"names":                 {`{"result":[{"name":"a","expiration":1,"metadata":{"name":1}},{"name":"b"}],"success":true,"result_info":{"count":2,"cursor":"x"}}`, []string{"a", "b"}, "x", false},
		"the last page":         {`{"result":[{"name":"a"}],"success":true,"result_info":{"count":1,"cursor":""}}`, []string{"a"}, "", false},
		"an empty page":         {`{"result":[],"success":true,"result_info":{"count":0,"cursor":"x"}}`, nil, "x", false},
		"nothing else":          {`{"result":[],"success":true}`, nil, "", false},
		"null for a cursor":     {`{"result":[],"success":true,"result_info":{"cursor":null}}`, nil, "", false},
		"no success":            {`{"result":[{"name":"a"}],"success":false}`, nil, "", true},
		"no result":             {`{"success":true}`, nil, "", true},
		"null for a result":     {`{"result":null,"success":true}`, nil, "", true},
		"an object":             {`{"result":{"name":"a"},"success":true}`, nil, "", true},
		"a key without name":    {`{"result":[{"name":"a"},{"key":"b"}],"success":true}`, nil, "", true},
		"a key that is null":    {`{"result":[null],"success":true}`, nil, "", true},
		"a number for a name":   {`{"result":[{"name":1}],"success":true}`, nil, "", true},
		"a number for a cursor": {`{"result":[],"success":true,"result_info":{"cursor":1}}`, nil, "", true},
		"nothing":               {``, nil, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			names, cursor, err := decodePage([]byte(tt.body))
			if tt.broken != errors.Is(err, keystore.ErrUnavailable) || !slices.Equal(names, tt.want) || cursor != tt.cursor {
				t.Errorf("%q, %q, %v", names, cursor, err)
			}
		})
	}
}

func FuzzDecodeValues(f *testing.F) {
	for _, seed := range []string{
		``, `null`, `{}`, `[]`, `{"success":true,"result":null}`, `{"success":true,"result":{"values":{}}}`,
		`{"result":{"values":{"a":"1","b":null}},"success":true,"errors":[],"messages":[]}`,
		`{"result":{"values":{"a":1}},"success":true}`, `{"result":{"values":{"\ud800":"\u0000"}},"success":true}`,
		`{"result":{"values":{"a":"1","a":null}},"success":true}`, `{"result":{"values":{"a":"1"}},"success":true`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		values, err := decodeValues(body)
		if err != nil {
			if err.Error() != "the keystore is unavailable: the reply to a bulk read makes no sense" || values != nil {
				t.Fatalf("%v, %v", values, err)
			}
			return
		}
		if values == nil {
			t.Fatal("neither values nor an error")
		}
		again, err := json.Marshal(map[string]any{"success": true, "result": map[string]any{"values": values}})
		if err != nil {
			t.Fatal(err)
		}
		same, err := decodeValues(again)
		if err != nil || !maps.EqualFunc(values, same, func(a, b *string) bool {
			return (a == nil) == (b == nil) && (a == nil || *a == *b)
		}) {
			t.Fatalf("%v became %v, %v", values, same, err)
		}
	})
}

func FuzzDecodePage(f *testing.F) {
	for _, seed := range []string{
		``, `null`, `{}`, `{"success":true,"result":[]}`, `{"success":true,"result":[null]}`,
		`{"result":[{"name":"a","metadata":[]},{"name":"b"}],"success":true,"result_info":{"count":2,"cursor":"x"}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		names, cursor, err := decodePage(body)
		if err != nil && (fmt.Sprint(err) != "the keystore is unavailable: the reply to a listing makes no sense" || names != nil || cursor != "") {
			t.Fatalf("%q, %q, %v", names, cursor, err)
		}
		if slices.Contains(names, "") {
			t.Fatal("a name is empty")
		}
	})
}

func FuzzDecodeEntries(f *testing.F) {
	for _, seed := range []string{
		``, `null`, `{}`, `{"success":true,"result":{"values":{}}}`, `{"result":{"values":{"a":"1"}},"success":true}`,
		`{"result":{"values":{"a":{"value":"1","metadata":{"m":1},"expiration":1800000000},"b":null}},"success":true}`,
		`{"result":{"values":{"a":{"value":null,"metadata":null}}},"success":true}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		entries, err := decodeEntries(body)
		if (err == nil) != (entries != nil) || err != nil && err.Error() != "the keystore is unavailable: the reply to a bulk read makes no sense" {
			t.Fatalf("%v, %v", entries, err)
		}
		for name, e := range entries {
			if e.metadata != nil && !json.Valid(*e.metadata) {
				t.Fatalf("%q: %s", name, *e.metadata)
			}
		}
	})
}

func FuzzDecodeResult(f *testing.F) {
	for _, seed := range []string{
		``, `null`, `{"success":true}`, `{"success":true,"result":null}`, `{"success":true,"result":{"unsuccessful_keys":["a"]}}`, `{"success":true,"x":1e999}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		err := decodeResult(body)
		if err != nil && !errors.Is(err, keystore.ErrUnavailable) || err == nil && !json.Valid(body) {
			t.Fatal(err)
		}
	})
}
