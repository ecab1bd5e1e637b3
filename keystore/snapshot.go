package keystore

import (
	"encoding/hex"
	"encoding/json"
	"time"
)

// MarshalJSON returns a record that ParseAPIKey reads as the same user. It contains hashes only.
func (k *APIKey) MarshalJSON() ([]byte, error) {
	record := struct {
		APIKeyHash string          `json:"apiKeyHash,omitempty"`
		Status     string          `json:"status,omitempty"`
		ExpiresAt  string          `json:"expiresAt,omitempty"`
		Previous   *previousRecord `json:"previous,omitempty"`
		Models     []string        `json:"models,omitzero"` // an empty list allows none
		Metadata   json.RawMessage `json:"metadata,omitempty"`
		Limits     *Limits         `json:"limits,omitempty"`
	}{Models: k.models, Limits: k.Limits}
	if k.key != (digest{}) {
		record.APIKeyHash = k.key.String()
	}
	if k.enabled {
		record.Status = "Enabled"
	}
	if !k.until.IsZero() {
		record.ExpiresAt = k.until.Format(time.RFC3339Nano)
	}
	if !k.previousUntil.IsZero() {
		record.Previous = &previousRecord{k.previous.String(), k.previousUntil.Format(time.RFC3339Nano)}
	}
	for _, entry := range k.Metadata {
		name, err := json.Marshal(entry.Name)
		if err != nil {
			return nil, err
		}
		record.Metadata = append(append(append(append(record.Metadata, ','), name...), ':'), entry.Value...)
	}
	if record.Metadata != nil {
		record.Metadata[0] = '{'
		record.Metadata = append(record.Metadata, '}')
	}
	return json.Marshal(record)
}

// String returns the digest in the form that a record has.
func (d digest) String() string { return hashPrefix + hex.EncodeToString(d[:]) }

// MarshalJSON returns a record that ParseSettings reads as the same settings. It contains the
// secrets of the settings.
func (s *Settings) MarshalJSON() ([]byte, error) {
	record := struct {
		Headers     map[string]string `json:"headers,omitempty"`
		QueryString map[string]string `json:"queryString,omitempty"`
		Body        json.RawMessage   `json:"body,omitempty"`
		Models      []string          `json:"models,omitzero"`
	}{first(s.Header), first(s.Query), s.Body, s.Models}
	return json.Marshal(record)
}

// first returns the first value of each name. A record has only one.
func first(values map[string][]string) map[string]string {
	all := make(map[string]string, len(values))
	for name := range values {
		all[name] = values[name][0]
	}
	return all
}
