package jsontext

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/tidwall/gjson"
)

// Compact returns valid JSON without the white space between its tokens.
func Compact(raw string) string {
	var compact bytes.Buffer
	_ = json.Compact(&compact, []byte(raw)) // always valid
	return compact.String()
}

// Text returns the text of a JSON value: a string's text, or the texts of all parts of a message's content.
// The text of null is empty. The text of any other value is its JSON. Workers AI needs that: it sends every
// text that looks like JSON as JSON, from single digits to a whole answer in JSON mode.
func Text(v gjson.Result) string {
	switch {
	case v.Type == gjson.Null:
		return ""
	case v.Type == gjson.String:
		return v.Str
	case v.IsArray() && (v.Raw == "[]" || v.Get("0.type").Exists()):
		var all strings.Builder
		v.ForEach(func(_, part gjson.Result) bool {
			all.WriteString(StringOf([]byte(part.Get("text").Raw)))
			return true
		})
		return all.String()
	case v.Type == gjson.JSON:
		return Compact(v.Raw)
	}
	return v.Raw
}

// RawText is Text for the JSON of a value. A string may be a piece of a text.
func RawText(raw []byte) string {
	switch {
	case IsNone(raw):
		return ""
	case raw[0] == '"':
		return PieceOf(raw)
	}
	return Text(gjson.ParseBytes(raw))
}

// StringOf returns the text of a valid JSON string, or "" for any other value.
func StringOf(raw []byte) string {
	if !IsString(raw) {
		return ""
	}
	return PieceOf(raw)
}

// IsString reports whether a valid JSON value is a string.
func IsString(raw []byte) bool { return len(raw) > 1 && raw[0] == '"' }

// IsSaid reports whether a valid JSON value is a string that is not empty.
func IsSaid(raw []byte) bool { return len(raw) > len(`""`) && raw[0] == '"' }

// IsNone reports whether a JSON value is missing or null. A value that is there must be valid.
func IsNone(raw []byte) bool { return len(raw) == 0 || raw[0] == 'n' }

// IsNumber reports whether a valid JSON value is a number.
func IsNumber(raw []byte) bool {
	return len(raw) > 0 && (raw[0] == '-' || raw[0] >= '0' && raw[0] <= '9')
}

// EndsInHalf reports whether the text of a valid JSON string ends within a character.
func EndsInHalf(raw []byte) bool {
	text := raw[:len(raw)-1]
	const escape = len(`\ud800`)
	if last := text[len(text)-1]; last >= 0x80 {
		return unfinished(string(text[max(0, len(text)-3):])) > 0
	}
	if len(text) <= escape {
		return false
	}
	end := text[len(text)-escape:]
	return bytes.HasPrefix(end, []byte(`\u`)) && (end[2] == 'd' || end[2] == 'D') && bytes.IndexByte([]byte("89abAB"), end[3]) >= 0
}
