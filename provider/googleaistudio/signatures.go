package googleaistudio

import (
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
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

// remember keeps the signature of a call, also for other servers.
func (s *Signatures) remember(user, id, signature string, peers hub.Peers) {
	if s == nil || user == "" {
		return
	}
	s.cache.Set(signatureKey{user, id}, signature)
	if peers != nil {
		peers.Put(peersKey(user, id), signature, signatureExpiry)
	}
}

// recall returns the signature of a call, or "" if it is not known here or to other servers.
func (s *Signatures) recall(user, id string, peers hub.Peers) string {
	if s == nil || user == "" {
		return ""
	}
	key := signatureKey{user, id}
	signature, ok := s.cache.GetIfPresent(key)
	if ok || peers == nil {
		return signature
	}
	if signature = peers.Get(peersKey(user, id)); signature != "" {
		s.cache.Set(key, signature)
	}
	return signature
}

func peersKey(user, id string) string { return "signature\x00" + user + "\x00" + id }
