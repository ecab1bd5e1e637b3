package keystore

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/tidwall/gjson"
	"golang.org/x/net/http/httpguts"
)

// Settings is a parsed record of a provider. It is immutable: do not write to the values of its
// fields.
type Settings struct {
	// Header has the headers that go upstream. They are set last and usually hold the provider's
	// key.
	Header http.Header

	// Query is added to the upstream URL. It may hold a key.
	Query url.Values

	// Body is a JSON object that is merged into the bodies of chats and text completions (RFC
	// 7396). Nil means that there is nothing to merge.
	Body []byte

	// Models are the names that GET /models lists, without the provider's name. Nil means that the
	// operator has not set them.
	Models []string
}

// settingsRecord is an entry of the namespace ProviderSettings. An entry may have other fields too.
type settingsRecord struct {
	Headers     map[string]json.RawMessage `json:"headers"`
	QueryString map[string]json.RawMessage `json:"queryString"`
	Body        json.RawMessage            `json:"body"`
	Models      []string                   `json:"models"`
}

// headerSpace is the white space that ParseSettings removes around a header's value. It is Fetch's
// HTTP whitespace (https://fetch.spec.whatwg.org/#concept-header-value-normalize). The Worker's
// runtime removes it too, so a key that was pasted with a line break keeps working.
const headerSpace = "\t\n\r "

// ParseSettings reads a provider's record. Its errors name the field at fault, but no value.
func ParseSettings(value []byte) (*Settings, error) {
	var r settingsRecord
	if err := decode(value, &r); err != nil {
		return nil, err
	}
	s := &Settings{Header: make(http.Header, len(r.Headers)), Query: make(url.Values, len(r.QueryString)), Models: r.Models}
	for name, raw := range r.Headers {
		text, err := scalar(raw)
		if err != nil {
			return nil, fmt.Errorf("headers.%s: %w", name, err)
		}
		if !httpguts.ValidHeaderFieldName(name) {
			return nil, errors.New("headers: a name is not valid in HTTP")
		}
		text = strings.Trim(text, headerSpace)
		if !httpguts.ValidHeaderFieldValue(text) {
			return nil, fmt.Errorf("headers.%s: not valid in HTTP: a value must not have a line break or another control character inside", name)
		}
		s.Header.Set(name, text)
	}
	for name, raw := range r.QueryString {
		text, err := scalar(raw)
		if err != nil {
			return nil, fmt.Errorf("queryString.%s: %w", name, err)
		}
		s.Query.Set(name, text)
	}
	var err error
	s.Body, err = parseBody(r.Body)
	return s, err
}

// parseBody refuses members that would change the request after it has been checked.
func parseBody(raw json.RawMessage) ([]byte, error) {
	body := gjson.ParseBytes(raw)
	switch {
	case body.Type == gjson.Null:
		return nil, nil
	case !body.IsObject():
		return nil, errors.New("body: must be an object")
	}
	for _, name := range []string{"model", "stream"} {
		if body.Get(name).Exists() {
			return nil, fmt.Errorf("body.%s: is the client's to set", name)
		}
	}
	return []byte(raw), nil
}

// scalar returns the text of a string, a number or a boolean, as the Worker writes it.
func scalar(raw json.RawMessage) (string, error) {
	value := gjson.ParseBytes(raw)
	switch value.Type {
	case gjson.String:
		return value.Str, nil
	case gjson.Number, gjson.True, gjson.False:
		return value.Raw, nil
	}
	return "", errors.New("must be a string, a number or a boolean")
}
