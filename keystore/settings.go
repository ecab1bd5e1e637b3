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

// Settings is what the store knows of a provider. It is immutable: nobody may write to what its
// fields hold.
type Settings struct {
	// Header are the headers that go upstream, set last. They usually hold the provider's key.
	Header http.Header

	// Query is added to the upstream's URL. It may hold a key.
	Query url.Values

	// Body is a JSON object to be merged into the bodies of requests for chats and text completions
	// (RFC 7396), nil where there is nothing to merge.
	Body []byte

	// Models are the names, without the provider's, that GET /models lists; nil where the
	// operator has not said.
	Models []string
}

// settingsRecord is an entry of the namespace ProviderSettings. Fields that it does not name are
// allowed.
type settingsRecord struct {
	Headers     map[string]json.RawMessage `json:"headers"`
	QueryString map[string]json.RawMessage `json:"queryString"`
	Body        json.RawMessage            `json:"body"`
	Models      []string                   `json:"models"`
}

// headerSpace is what may stand around a header's value without being a part of it: Fetch's HTTP
// whitespace (https://fetch.spec.whatwg.org/#concept-header-value-normalize). The Worker's runtime takes
// it away, so that a key which was pasted with its line break works.
const headerSpace = "\t\n\r "

// ParseSettings reads a provider's record. Its errors name the field at fault and no value.
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

// parseBody refuses what would make the request another than the one that was checked.
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

// scalar is a value as the Worker would have written it: numbers and booleans as their text.
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
