package filestore

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/continue-auth/caddy-continue-auth/keystore"
)

// rewrite returns data with changes made. data must have no fault, and written is when it was last
// written. Everything else stays as it is. New entries come last, one a line, indented like the
// entry before them.
func rewrite(data []byte, written, now time.Time, changes []keystore.Change) []byte {
	mark, data, _ := keystore.CutMark(data) // no error: a file in UTF-16 has a fault
	pending := make(map[string][]byte, len(changes))
	for _, change := range changes {
		pending[change.Name] = change.Value
	}
	text := string(data)
	array := gjson.Parse(text)
	end := array.Index + 1 // the end of what has been read
	var out bytes.Buffer
	out.Grow(len(mark) + len(text))
	out.Write(mark)
	out.WriteString(text[:end])
	indent, comma := "\n", ""
	add := func(lead, entry string) {
		out.WriteString(comma)
		out.WriteString(lead)
		out.WriteString(entry)
		comma = ","
	}
	array.ForEach(func(_, object gjson.Result) bool {
		lead := strings.Replace(text[end:object.Index], ",", "", 1)
		if strings.Contains(lead, "\n") {
			indent = lead
		}
		end = object.Index + len(object.Raw)
		if entry := rewriteEntry(object, written, now, pending); entry != "" {
			add(lead, entry)
		}
		return true
	})
	tail := text[end:]
	for _, change := range changes {
		if value := pending[change.Name]; value != nil {
			add(indent, newEntry(change.Name, value))
			if tail[0] == ']' {
				tail = "\n" + tail
			}
		}
	}
	if comma == "" { // nothing is left
		tail = strings.TrimLeft(tail, " \t\r\n")
	}
	out.WriteString(tail)
	return out.Bytes()
}

// rewriteEntry returns the new text of an entry, or "" if it is to be removed. It deletes the
// entry's change from pending.
func rewriteEntry(object gjson.Result, written, now time.Time, pending map[string][]byte) string {
	property := properties(object)
	name, ttl := property["key"].Str, property["expiration_ttl"]
	value, changed := pending[name]
	if !changed && !ttl.Exists() {
		return object.Raw
	}
	delete(pending, name)
	end, _ := expires(property, written)
	switch {
	case changed && value == nil:
		return ""
	case changed && !(entry{expires: end}).live(now):
		return newEntry(name, value) // the old entry has expired, so there is nothing to keep
	}
	out := []byte("{")
	object.ForEach(func(name, is gjson.Result) bool {
		label, content := name.Raw, is.Raw
		switch {
		case is.Index != property[name.Str].Index, // a later property of the same name counts
			changed && name.Str == "base64", // describes the old value
			ttl.Exists() && name.Str == "expiration":
			return true
		case changed && name.Str == "value":
			content = quote(string(value))
		case name.Str == "expiration_ttl" && !math.IsInf(end, 0):
			label, content = `"expiration"`, strconv.FormatFloat(math.Ceil(end), 'f', -1, 64)
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(out, label+":"+content...)
		return true
	})
	return string(append(out, '}'))
}

func newEntry(name string, value []byte) string {
	return `{"key":` + quote(name) + `,"value":` + quote(string(value)) + "}"
}

// quote returns s as a JSON string that keeps <, > and & readable.
func quote(s string) string {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(s) // Encode never fails for a string
	return strings.TrimSuffix(out.String(), "\n")
}
