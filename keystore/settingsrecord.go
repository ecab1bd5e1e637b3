package keystore

import "strings"

// SettingsRecord is a provider's entry that can be edited. An edit changes only the members that it
// is about.
type SettingsRecord struct {
	members members
}

// ParseSettingsRecord reads an entry. Nil makes an empty one. It refuses what ParseSettings
// refuses.
func ParseSettingsRecord(value []byte) (*SettingsRecord, error) {
	if value == nil {
		return new(SettingsRecord), nil
	}
	if _, err := ParseSettings(value); err != nil {
		return nil, err
	}
	return &SettingsRecord{parseMembers(string(value))}, nil
}

// Bytes returns the entry.
func (r *SettingsRecord) Bytes() []byte { return []byte(r.members.String()) }

// object returns the members of an object within the entry. It reads the entry as encoding/json
// does: it joins objects of the same name, and null empties the object.
func (r *SettingsRecord) object(name string) (all members) {
	for _, m := range r.members {
		switch {
		case !strings.EqualFold(m.name, name):
		case m.value == "null":
			all = nil
		default:
			all = append(all, parseMembers(m.value)...)
		}
	}
	return all
}

// SetHeader sets a header. The case of name does not matter. An empty value removes the header.
func (r *SettingsRecord) SetHeader(name, value string) {
	headers := r.object("headers")
	if value == "" {
		headers.remove(name)
	} else {
		headers.setString(name, value)
	}
	r.members.set("headers", headers.String())
}

// SetQuery sets a parameter of the query string. An empty value removes it.
func (r *SettingsRecord) SetQuery(name, value string) {
	query := r.object("queryString")
	kept := query[:0]
	for _, old := range query {
		if old.name != name { // case matters here
			kept = append(kept, old)
		}
	}
	if value != "" {
		kept = append(kept, member{name, quote(value)})
	}
	r.members.set("queryString", kept.String())
}

// SetModels sets the list of models.
func (r *SettingsRecord) SetModels(models []string) {
	r.members.set("models", quoteAll(models))
}

// Names returns the names of the headers and of the query's parameters. Their values are secrets.
func (r *SettingsRecord) Names() (headers, query []string) {
	headers, query = []string{}, []string{}
	for _, one := range r.object("headers") {
		headers = append(headers, strings.ToLower(one.name))
	}
	for _, one := range r.object("queryString") {
		query = append(query, one.name)
	}
	return headers, query
}
