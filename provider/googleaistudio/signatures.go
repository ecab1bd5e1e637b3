package googleaistudio

import (
	"time"

	"github.com/maypok86/otter/v2"
)

// The limits of what is remembered of thought signatures.
const (
	signatureBytes  = 32 << 20
	signatureExpiry = time.Hour

	signatureOverhead = 200 // the memory of an entry in addition to its texts
)

// Signatures remembers the thought signatures of tool calls, for clients that send back only a call's id,
// like Continue's IDE. A user gets only signatures that were sent to the same user. It is safe for concurrent
// use. A nil *Signatures remembers nothing.
type Signatures struct {
	cache *otter.Cache[signatureKey, string]
}

type signatureKey struct{ user, id string }

// NewSignatures returns a memory for signatures that holds up to 32 MB, each signature for one hour.
func NewSignatures() *Signatures {
	return &Signatures{otter.Must(&otter.Options[signatureKey, string]{
		MaximumWeight: signatureBytes,
		Weigher: func(key signatureKey, signature string) uint32 {
			return uint32(len(key.user) + len(key.id) + len(signature) + signatureOverhead)
		},
		ExpiryCalculator: otter.ExpiryWriting[signatureKey, string](signatureExpiry),
	})}
}

func (s *Signatures) remember(user, id, signature string) {
	if s != nil && user != "" {
		s.cache.Set(signatureKey{user, id}, signature)
	}
}

// recall returns the signature of a call, or "" if it is not known.
func (s *Signatures) recall(user, id string) string {
	if s == nil || user == "" {
		return ""
	}
	signature, _ := s.cache.GetIfPresent(signatureKey{user, id})
	return signature
}
