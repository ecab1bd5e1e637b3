package filestore

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/tidwall/gjson"

	"github.com/continue-auth/caddy-continue-auth/keystore"
)

// entry is a value and the time when it expires, in Unix seconds. Infinity means never.
type entry struct {
	value   string
	expires float64
}

func (e entry) live(now time.Time) bool { return float64(now.Unix()) < e.expires }

// parse reads the content of a file that was last written at the time written. A byte order mark is
// ignored. Errors name the place in the file, but no content.
func parse(data []byte, written time.Time) (map[string]entry, error) {
	_, data, err := keystore.CutMark(data)
	if err != nil {
		return nil, err
	}
	if !json.Valid(data) {
		return nil, invalid(data)
	}
	array := gjson.ParseBytes(data)
	if !array.IsArray() {
		return nil, fault(data, array.Index, errors.New(`must be an array of {"key", "value"}`))
	}
	entries := make(map[string]entry)
	array.ForEach(func(_, object gjson.Result) bool {
		var name string
		var e entry
		if name, e, err = parseEntry(object, written); err == nil {
			if _, twice := entries[name]; twice {
				err = errors.New("key is in the file already")
			}
		}
		if err != nil {
			err = fault(data, object.Index, err)
		}
		entries[name] = e
		return err == nil
	})
	if err != nil {
		return nil, err
	}
	return entries, nil
}

func parseEntry(object gjson.Result, written time.Time) (name string, e entry, err error) {
	if !object.IsObject() {
		return "", e, errors.New(`must be an object with "key" and "value"`)
	}
	property := properties(object)
	key, value := property["key"], property["value"]
	switch {
	case key.Type != gjson.String:
		return "", e, errors.New("key must be a string")
	case !keystore.ValidName(key.Str):
		return "", e, errors.New("key must be 1 to 512 bytes of UTF-8 without control characters, and neither . nor .. alone")
	case value.Type != gjson.String:
		return "", e, errors.New("value must be a string; JSON goes into it as text, with its quotes escaped")
	}
	e.value = value.Str
	if encoded, ok := property["base64"]; ok && encoded.Type != gjson.False {
		decoded, err := base64.StdEncoding.DecodeString(value.Str)
		if encoded.Type != gjson.True || err != nil {
			return "", e, errors.New("base64 must be true or false, and if true, value must be in base64")
		}
		e.value = string(decoded)
	}
	e.expires, err = expires(property, written)
	return key.Str, e, err
}

// properties returns the properties of an object. If one occurs twice, the last one counts, as in
// JavaScript and so in wrangler.
func properties(object gjson.Result) map[string]gjson.Result {
	property := make(map[string]gjson.Result, 4)
	object.ForEach(func(name, value gjson.Result) bool {
		property[name.Str] = value
		return true
	})
	return property
}

// expires returns when an entry expires. As in Workers KV, expiration_ttl counts more than
// expiration.
func expires(property map[string]gjson.Result, written time.Time) (float64, error) {
	expiration, bounded := property["expiration"]
	ttl, limited := property["expiration_ttl"]
	switch {
	case bounded && expiration.Type != gjson.Number:
		return 0, errors.New("expiration must be a number, Unix seconds")
	case limited && ttl.Type != gjson.Number:
		return 0, errors.New("expiration_ttl must be a number of seconds")
	case limited:
		return float64(written.Unix()) + ttl.Num, nil
	case bounded:
		return expiration.Num, nil
	}
	return math.Inf(1), nil
}

// invalid returns the error for data that is not JSON, with the place of the fault.
func invalid(data []byte) error {
	if len(bytes.TrimSpace(data)) == 0 {
		return errors.New("the file is empty; without entries it is []")
	}
	end := len(data)
	if syntax, ok := errors.AsType[*json.SyntaxError](json.Unmarshal(data, new(json.RawMessage))); ok {
		end = int(syntax.Offset)
	}
	return fault(data, end-1, errors.New("not valid JSON"))
}

// fault adds the place to err: the line and the byte in it, both counted from 1.
func fault(data []byte, offset int, err error) error {
	before := data[:max(0, offset)]
	line := 1 + bytes.Count(before, []byte("\n"))
	column := len(before) - bytes.LastIndexByte(before, '\n')
	return fmt.Errorf("line %d, column %d: %w", line, column, err)
}
