package kvtest

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
)

func (s *Server) bulkRead(w http.ResponseWriter, r *http.Request, c call) {
	var body struct {
		Keys         []string `json:"keys"`
		Type         string   `json:"type"`
		WithMetadata bool     `json:"withMetadata"`
	}
	err := json.NewDecoder(r.Body).Decode(&body)
	unnamed := slices.ContainsFunc(body.Keys, func(key string) bool { return !validKey(key) })
	if err != nil || len(body.Keys) < 1 || len(body.Keys) > 100 || unnamed {
		invalid(w, "there must be 1 to 100 keys")
		return
	}
	values, size := make(map[string]any, len(body.Keys)), 0
	for _, key := range body.Keys {
		values[key] = nil
		e := s.get(c.namespace, key)
		if e == nil {
			continue
		}
		if size += len(e.value); size > 25<<20 {
			fail(w, http.StatusRequestEntityTooLarge, message{codeInvalid, "Total size of request exceeds the limit of 25MB"})
			return
		}
		var value any = string(e.value)
		if body.Type == "json" {
			if !json.Valid(e.value) {
				invalid(w, "a value is not JSON")
				return
			}
			value = json.RawMessage(e.value)
		}
		if body.WithMetadata {
			value = withMetadata{value, e.metadata, e.expiration}
		}
		values[key] = value
	}
	succeed(w, map[string]any{"values": values}, nil)
}

type withMetadata struct {
	Value      any             `json:"value"`
	Metadata   json.RawMessage `json:"metadata"`
	Expiration int64           `json:"expiration,omitempty"`
}

// pair is one element of a bulk write.
type pair struct {
	Key           string          `json:"key"`
	Value         *string         `json:"value"`
	Metadata      json.RawMessage `json:"metadata"`
	Expiration    float64         `json:"expiration"`
	ExpirationTTL float64         `json:"expiration_ttl"`
	Base64        bool            `json:"base64"`
}

func (p pair) entry() (*entry, error) {
	if !validKey(p.Key) || p.Value == nil {
		return nil, errors.New("a pair must have a key and a value")
	}
	expiration, err := expires(p.Expiration, p.ExpirationTTL)
	if err != nil {
		return nil, err
	}
	e := &entry{value: []byte(*p.Value), metadata: p.Metadata, expiration: expiration}
	if p.Base64 {
		if e.value, err = base64.StdEncoding.DecodeString(*p.Value); err != nil {
			return nil, errors.New("a value is not base64")
		}
	}
	return e, e.validate()
}

// validate checks Cloudflare's limits (https://developers.cloudflare.com/kv/platform/limits/).
func (e *entry) validate() error {
	switch {
	case len(e.value) > 25<<20:
		return errors.New("a value must not be larger than 25 MiB")
	case len(e.metadata) > 1024:
		return errors.New("metadata must not be larger than 1024 bytes")
	}
	return nil
}

func (s *Server) bulkWrite(w http.ResponseWriter, r *http.Request, c call) {
	var pairs []pair
	if err := json.NewDecoder(r.Body).Decode(&pairs); err != nil || len(pairs) > 10_000 {
		invalid(w, "the body must be an array of up to 10,000 pairs")
		return
	}
	entries := make([]*entry, len(pairs))
	for i, p := range pairs {
		var err error
		if entries[i], err = p.entry(); err != nil {
			invalid(w, err.Error())
			return
		}
	}
	for i, p := range pairs {
		s.put(c.namespace, p.Key, entries[i])
	}
	succeed(w, bulkResult{len(pairs), []string{}}, nil)
}

func (s *Server) bulkDelete(w http.ResponseWriter, r *http.Request, c call) {
	var keys []string
	if err := json.NewDecoder(r.Body).Decode(&keys); err != nil || len(keys) > 10_000 {
		invalid(w, "the body must be an array of up to 10,000 keys")
		return
	}
	s.Delete(c.namespace, keys...)
	succeed(w, bulkResult{len(keys), []string{}}, nil)
}

type bulkResult struct {
	Successful   int      `json:"successful_key_count"`
	Unsuccessful []string `json:"unsuccessful_keys"`
}

// readEntry reads the body of a single write: the value alone, or a form with a value and metadata.
func readEntry(r *http.Request) (*entry, error) {
	e := new(entry)
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind == "multipart/form-data" {
		if err := r.ParseMultipartForm(32 << 20); err != nil || !r.PostForm.Has("value") {
			return nil, errors.New("the form must have a value")
		}
		e.value = []byte(r.PostForm.Get("value"))
		if r.PostForm.Has("metadata") {
			e.metadata = json.RawMessage(r.PostForm.Get("metadata"))
		}
	} else {
		var err error
		if e.value, err = io.ReadAll(r.Body); err != nil {
			return nil, errors.New("the body cannot be read")
		}
	}
	expiration, err := number(r.URL.Query(), "expiration")
	if err != nil {
		return nil, err
	}
	ttl, err := number(r.URL.Query(), "expiration_ttl")
	if err != nil {
		return nil, err
	}
	if e.expiration, err = expires(expiration, ttl); err != nil {
		return nil, err
	}
	if e.metadata != nil && !json.Valid(e.metadata) {
		return nil, errors.New("metadata must be JSON")
	}
	return e, e.validate()
}

func number(query url.Values, name string) (float64, error) {
	if !query.Has(name) {
		return 0, nil
	}
	n, err := strconv.ParseFloat(query.Get(name), 64)
	if err != nil {
		return 0, fmt.Errorf("%s must be a number", name)
	}
	return n, nil
}
