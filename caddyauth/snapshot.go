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

	// snapshotTimeout limits one read or write, because a storage may be remote.
	snapshotTimeout = 10 * time.Second
)

// snapshots keeps a snapshot of a cache in Caddy's storage, for a restart while the keystore cannot answer.
// It ends with the configuration, because the storage belongs to the configuration.
type snapshots struct {
	ctx    caddy.Context // the context that has the storage
	logger *zap.Logger
	cache  *cache.Cache
	keep   time.Duration // older entries are not saved

	name   string // the name in the storage
	sealed cipher.AEAD

	saved       uint64 // the cache's number of changes at the last snapshot
	forgotten   <-chan struct{}
	unsubscribe func() // ends the subscription of forgotten
	stop, done  chan struct{}
}

// newSnapshots derives the encryption key and the name from the gateway's token and the keystore's identity,
// which includes the keystore's token. Someone who has these does not need the snapshot.
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

// restore reads the last snapshot into the cache. If it cannot be read, the cache stays empty.
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

// run writes a snapshot every snapshotInterval, and at once after records were removed from memory: these
// must not come back with a restart.
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

// save writes a snapshot if the cache has changed.
func (s *snapshots) save() {
	changes := s.cache.Changes()
	if changes == s.saved {
		return
	}
	content, err := s.cache.Snapshot(time.Now().Add(-s.keep))
	if err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), snapshotTimeout)
		defer cancel()
		content = s.sealed.Seal(nil, nil, content, []byte(s.name)) //nolint:gosec // the nonce is random, see newSnapshots
		err = s.ctx.Storage().Store(ctx, s.name, content)
	}
	if err != nil {
		s.logger.Warn("snapshot cannot be written", zap.String("name", s.name), zap.Error(err))
		return
	}
	s.saved = changes
}

// close writes the last snapshot and stops run.
func (s *snapshots) close() {
	close(s.stop)
	<-s.done
}
