package caddyauth

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io/fs"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
)

const (
	// sealingKeyRenewed is the age from which a key seals no more sessions.
	sealingKeyRenewed = 24 * time.Hour

	// sealingKeyKept is the age up to which a key opens sessions. The last session that it sealed has then
	// ended. An hour more allows for servers whose clocks differ.
	sealingKeyKept = sealingKeyRenewed + sessionLength + time.Hour

	// sealingKeysPath is where the keys are in Caddy's storage.
	sealingKeysPath = "continue_auth/portal_keys.json"

	// storageTimeout limits one use of the storage, which may be remote.
	storageTimeout = 10 * time.Second

	// storageRetried is how long a storage that has failed is left alone, and storageAsked how long it is not
	// read again for a key that is not known.
	storageRetried = time.Minute
	storageAsked   = 5 * time.Second
)

// sealingKey is a key that seals sessions. Servers with the same storage have the same keys.
type sealingKey struct {
	Secret []byte    `json:"secret"`
	Made   time.Time `json:"made"`

	id   [4]byte // names the key in cookies
	aead cipher.AEAD
	own  bool // known to this server alone
}

// prepare derives the encryption key and its name.
func (k *sealingKey) prepare() error {
	if len(k.Secret) < 32 {
		return errors.New("a secret is too short")
	}
	derived, err := hkdf.Key(sha256.New, k.Secret, nil, "continue_auth portal session", 32+4)
	if err != nil {
		return err
	}
	block, err := aes.NewCipher(derived[:32])
	if err != nil {
		return err
	}
	k.id = [4]byte(derived[32:])
	k.aead, err = cipher.NewGCMWithRandomNonce(block)
	return err
}

func newSealingKey() (*sealingKey, error) {
	k := &sealingKey{Secret: make([]byte, 32), Made: time.Now().UTC().Truncate(time.Second)}
	_, _ = rand.Read(k.Secret) // Read never returns an error: it ends the process instead
	return k, k.prepare()
}

// young reports whether the key may still seal sessions.
func (k *sealingKey) young() bool { return time.Since(k.Made) < sealingKeyRenewed }

// sealingKeys are the keys of this server. They are those in the storage. While the storage fails, a key is made
// that is good for this server alone.
type sealingKeys struct {
	storage certmagic.Storage
	logger  *zap.Logger
	known   atomic.Pointer[keyring]
	asking  sync.Mutex // held while the storage is used
}

// keyring is what is known of the keys. It is never changed.
type keyring struct {
	keys  []*sealingKey // those in the storage first
	asked time.Time     // when the storage was used last
}

func newSealingKeys(storage certmagic.Storage, logger *zap.Logger) *sealingKeys {
	s := &sealingKeys{storage: storage, logger: logger}
	s.known.Store(new(keyring))
	return s
}

// sealer returns the first key that may seal sessions, or nil.
func (r *keyring) sealer() *sealingKey {
	if i := slices.IndexFunc(r.keys, (*sealingKey).young); i >= 0 {
		return r.keys[i]
	}
	return nil
}

// usable returns the sealer, or nil if the storage must be asked first. A key that only this server knows is used
// for a while. Then the storage is tried again.
func (r *keyring) usable() *sealingKey {
	k := r.sealer()
	if k != nil && k.own && time.Since(r.asked) >= storageRetried {
		return nil
	}
	return k
}

func (r *keyring) find(id [4]byte) *sealingKey {
	i := slices.IndexFunc(r.keys, func(k *sealingKey) bool { return k.id == id })
	if i < 0 || time.Since(r.keys[i].Made) >= sealingKeyKept {
		return nil
	}
	return r.keys[i]
}

// current returns the key that seals sessions now.
func (s *sealingKeys) current() (*sealingKey, error) {
	if k := s.known.Load().usable(); k != nil {
		return k, nil
	}
	s.asking.Lock()
	defer s.asking.Unlock()
	if k := s.known.Load().usable(); k != nil { // another request was faster
		return k, nil
	}
	ring := s.learn(s.renew())
	if k := ring.sealer(); k != nil {
		return k, nil
	}
	own, err := newSealingKey()
	if err != nil {
		return nil, err
	}
	own.own = true
	s.known.Store(&keyring{append(slices.Clone(ring.keys), own), ring.asked})
	return own, nil
}

// find returns the key of that name, or nil. Another server may have made it just now, so the storage is asked,
// but not more often than once in storageAsked: anyone can make up names.
func (s *sealingKeys) find(id [4]byte) *sealingKey {
	if k := s.known.Load().find(id); k != nil || time.Since(s.known.Load().asked) < storageAsked {
		return k
	}
	s.asking.Lock()
	defer s.asking.Unlock()
	if k := s.known.Load().find(id); k != nil || time.Since(s.known.Load().asked) < storageAsked {
		return k
	}
	return s.learn(s.renew()).find(id)
}

// learn remembers the keys in the storage, or that it has failed. Keys that are not there stay until they are too
// old. s.asking must be held.
func (s *sealingKeys) learn(stored []*sealingKey, err error) *keyring {
	if err != nil {
		s.logger.Warn("the portal's keys in the storage cannot be used, so sessions are good for this server alone, until it stops", zap.Error(err))
	}
	keys := stored
	for _, old := range s.known.Load().keys {
		there := slices.ContainsFunc(stored, func(k *sealingKey) bool { return k.id == old.id })
		if !there && time.Since(old.Made) < sealingKeyKept {
			keys = append(keys, old)
		}
	}
	ring := &keyring{keys, time.Now()}
	s.known.Store(ring)
	return ring
}

// renew returns the keys in the storage. If none of them may seal sessions, it adds one. Only one server at a
// time does so. With an error, it returns those that it has read before.
func (s *sealingKeys) renew() ([]*sealingKey, error) {
	ctx, cancel := context.WithTimeout(context.Background(), storageTimeout)
	defer cancel()
	stored, err := s.load(ctx)
	if err != nil || len(stored) > 0 && stored[0].young() {
		return stored, err
	}
	if err := s.storage.Lock(ctx, sealingKeysPath); err != nil {
		return stored, err
	}
	defer func() { _ = s.storage.Unlock(context.WithoutCancel(ctx), sealingKeysPath) }() // a lock that stays ends by itself
	stored, err = s.load(ctx)
	if err != nil || len(stored) > 0 && stored[0].young() {
		return stored, err
	}
	added, err := newSealingKey()
	if err != nil {
		return stored, err
	}
	renewed := append([]*sealingKey{added}, stored...)
	content, err := json.Marshal(renewed) //nolint:gosec // the storage is where the secrets belong
	if err != nil {
		return stored, err
	}
	if err := s.storage.Store(ctx, sealingKeysPath, content); err != nil {
		return stored, err
	}
	return renewed, nil
}

// load reads the keys in the storage, the newest first, without those that are too old. A file that cannot be
// read counts as empty, so that it is written anew.
func (s *sealingKeys) load(ctx context.Context) ([]*sealingKey, error) {
	content, err := s.storage.Load(ctx, sealingKeysPath)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	keys, err := parseSealingKeys(content)
	if err != nil {
		s.logger.Warn("the portal's keys in the storage are broken, and are made anew", zap.String("path", sealingKeysPath))
	}
	return slices.DeleteFunc(keys, func(k *sealingKey) bool { return time.Since(k.Made) >= sealingKeyKept }), nil
}

// parseSealingKeys reads the file with the keys, and sorts them. Its errors have none of the content.
func parseSealingKeys(content []byte) ([]*sealingKey, error) {
	var keys []*sealingKey
	if err := json.Unmarshal(content, &keys); err != nil {
		return nil, errors.New("must be an array of keys")
	}
	for _, k := range keys {
		if k == nil {
			return nil, errors.New("a key is null")
		}
		if err := k.prepare(); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(keys, func(a, b *sealingKey) int { return b.Made.Compare(a.Made) })
	return keys, nil
}
