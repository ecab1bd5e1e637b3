package jsontext

import "github.com/tidwall/gjson"

// Merge merges patch into body as RFC 7396 says. Both are JSON objects. Objects are merged member by member,
// null removes a member, and any other value replaces the old one. Members that patch does not name keep
// their bytes.
func Merge(body, patch []byte) []byte {
	merged := make([]byte, 0, len(body)+len(patch))
	return appendMerged(merged, gjson.ParseBytes(body), gjson.ParseBytes(patch))
}

func appendMerged(b []byte, target, patch gjson.Result) []byte {
	if !patch.IsObject() {
		return append(b, patch.Raw...)
	}
	changes := patch.Map()
	done := make(map[string]bool, len(changes))
	b = append(b, '{')
	start := len(b)
	member := func(name, old, change gjson.Result) {
		if change.Type == gjson.Null && change.Raw != "" {
			return
		}
		if len(b) > start {
			b = append(b, ',')
		}
		b = append(append(b, name.Raw...), ':')
		if change.Raw == "" {
			b = append(b, old.Raw...)
		} else {
			b = appendMerged(b, old, change)
		}
	}
	if target.IsObject() {
		target.ForEach(func(name, old gjson.Result) bool {
			change := changes[name.Str]
			if change.Raw != "" && done[name.Str] {
				return true // a second member of the same name
			}
			done[name.Str] = change.Raw != ""
			member(name, old, change)
			return true
		})
	}
	patch.ForEach(func(name, _ gjson.Result) bool {
		if !done[name.Str] {
			done[name.Str] = true
			member(name, gjson.Result{}, changes[name.Str])
		}
		return true
	})
	return append(b, '}')
}
