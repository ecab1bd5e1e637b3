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

// rewrite makes changes to a file without a fault, which was last written at that time. What it has
// no reason to touch stays as it is. New entries come last, one a line, as far in as the one before
// them.
func rewrite(data []byte, written, now time.Time, changes []keystore.Change) []byte {
	mark, data, _ := keystore.CutMark(data) // a file in UTF-16 has a fault
	pending := make(map[string][]byte, len(changes))
	for _, change := range changes {
		pending[change.Name] = change.Value
	}
	text := string(data)
	array := gjson.Parse(text)
	end := array.Index + 1 // of what has been read
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

// rewriteEntry returns an entry as it is to be, "" if it goes, and takes its change from pending.
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
		return newEntry(name, value) // the old one was not there any more, and so has nothing to keep
	}
	out := []byte("{")
	object.ForEach(func(name, is gjson.Result) bool {
		label, content := name.Raw, is.Raw
		switch {
		case is.Index != property[name.Str].Index, // the same property comes again, and counts then
			changed && name.Str == "base64", // says how the old value was written
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

// quote returns s as a JSON string in which <, > and & stay readable.
func quote(s string) string {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(s) // strings never fail
	return strings.TrimSuffix(out.String(), "\n")
}
