package googleaistudio

import (
	"time"

	"github.com/maypok86/otter/v2"
)

// What is remembered of thought signatures, and for how long.
const (
	signatureBytes  = 32 << 20
	signatureExpiry = time.Hour

	signatureOverhead = 200 // what an entry takes in memory beside its texts
)

// Signatures remembers the thought signatures of tool calls for clients that send back no more
// than a call's id, as Continue's IDE does. A user gets back only what the same user was sent. It
// is safe for concurrent use; a nil *Signatures remembers nothing.
type Signatures struct {
	cache *otter.Cache[signatureKey, string]
}

type signatureKey struct{ user, id string }

// NewSignatures makes a memory that is bounded to 32 MB and one hour.
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

// recall returns the signature of a call, empty where it is not known.
func (s *Signatures) recall(user, id string) string {
	if s == nil || user == "" {
		return ""
	}
	signature, _ := s.cache.GetIfPresent(signatureKey{user, id})
	return signature
}
