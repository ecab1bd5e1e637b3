package caddyauth

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/continue-auth/caddy-continue-auth/keystore/cache"
)

const (
	// snapshotInterval is how much a crash may lose.
	snapshotInterval = time.Minute

	// snapshotTimeout bounds one reading or writing: a storage may be far away.
	snapshotTimeout = 10 * time.Second
)

// snapshots keeps a cache's snapshot in Caddy's storage, for a restart while the keystore cannot be
// asked. It ends with the configuration: the storage is that one's.
type snapshots struct {
	ctx    caddy.Context // the storage's
	logger *zap.Logger
	cache  *cache.Cache
	keep   time.Duration // entries that are older are of no use

	name   string // in the storage
	sealed cipher.AEAD

	saved       uint64 // the cache's changes that the last snapshot has
	forgotten   <-chan struct{}
	unsubscribe func() // from forgotten
	stop, done  chan struct{}
}

// newSnapshots makes the key of the encryption, and the name, out of the gateway's token and all that
// makes the keystore, its token included: whoever has those needs no snapshot.
func newSnapshots(ctx caddy.Context, h *Handler, identity string) (*snapshots, error) {
	derived, err := hkdf.Key(sha256.New, []byte(h.settings.gatewayToken+"\x00"+identity), nil, "continue_auth snapshot", 32+8)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(derived[:32])
	if err != nil {
		return nil, err
	}
	sealed, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	forgotten, unsubscribe := h.cache.Forgotten()
	return &snapshots{
		ctx: ctx, logger: h.logger, cache: h.cache, keep: h.settings.ages.StaleIfError,
		name: "continue_auth/" + hex.EncodeToString(derived[32:]) + ".snapshot", sealed: sealed,
		forgotten: forgotten, unsubscribe: unsubscribe,
		stop: make(chan struct{}), done: make(chan struct{}),
	}, nil
}

// restore reads the last snapshot into the cache. One that cannot be read is as good as none.
func (s *snapshots) restore() {
	ctx, cancel := context.WithTimeout(context.Background(), snapshotTimeout)
	defer cancel()
	content, err := s.ctx.Storage().Load(ctx, s.name)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err == nil {
		content, err = s.sealed.Open(nil, nil, content, []byte(s.name))
	}
	if err == nil {
		err = s.cache.Restore(content)
	}
	if err != nil {
		s.logger.Warn("snapshot cannot be read", zap.String("name", s.name), zap.Error(err))
		return
	}
	s.logger.Info("snapshot restored", zap.Int("users", s.cache.APIKeys.Stats().Entries))
}

// run writes a snapshot now and then, and after an invalidation at once: nobody who has been
// forgotten may come back with a restart.
func (s *snapshots) run() {
	defer close(s.done)
	defer s.unsubscribe()
	ticker := time.NewTicker(snapshotInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-s.forgotten:
		case <-s.stop:
			s.save()
			return
		}
		s.save()
	}
}

// save writes a snapshot if there is something new.
func (s *snapshots) save() {
	changes := s.cache.Changes()
	if changes == s.saved {
		return
	}
	content, err := s.cache.Snapshot(time.Now().Add(-s.keep))
	if err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), snapshotTimeout)
		defer cancel()
		content = s.sealed.Seal(nil, nil, content, []byte(s.name)) //nolint:gosec // with a random nonce, as it was made
		err = s.ctx.Storage().Store(ctx, s.name, content)
	}
	if err != nil {
		s.logger.Warn("snapshot cannot be written", zap.String("name", s.name), zap.Error(err))
		return
	}
	s.saved = changes
}

// close writes the last snapshot.
func (s *snapshots) close() {
	close(s.stop)
	<-s.done
}
