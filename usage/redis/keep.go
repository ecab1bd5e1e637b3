package redis

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/continue-auth/caddy-continue-auth/usage"
)

// keep does what no request waits for: it connects, renews leases and sends the queue.
func (s *Store) keep() {
	probe, renew := time.NewTicker(s.pace.probe), time.NewTicker(renewEvery)
	defer probe.Stop()
	defer renew.Stop()
	s.probe()
	close(s.tried)
	for {
		s.report()
		select {
		case <-s.closing.Done():
			return
		case <-probe.C:
			s.probe()
		case <-renew.C:
			if conn := s.conn.Load(); conn != nil {
				s.renew(conn)
			}
		case <-s.wake:
			if conn := s.conn.Load(); conn != nil {
				s.flush(conn)
			}
		}
	}
}

// fail makes the store away, after a command on conn has failed.
func (s *Store) fail(conn *connection, failed *command, err error) {
	why := reason(err)
	s.why.Store(&why)
	if len(failed.keys) > 0 {
		s.suspect.Store(&failed.keys[0])
	}
	if errors.Is(err, errNonsense) {
		conn.spoiled.Store(true)
	}
	s.conn.CompareAndSwap(conn, nil) // if it is another one, the store was away and is back
}

// away returns the error of a store that is away.
func (s *Store) away() error {
	why := s.why.Load()
	if why == nil { // it has not been tried yet
		return usage.ErrAway
	}
	return fmt.Errorf("%w: it %s", usage.ErrAway, *why)
}

// probe tries a store that is away.
func (s *Store) probe() {
	if s.Up() {
		return
	}
	ctx := s.closing
	if s.latest != nil && !s.latest.spoiled.Load() && s.answers(ctx, s.latest) == nil {
		s.back(s.latest)
		return
	}
	conn, err := s.connect(ctx)
	if err == nil {
		if err = s.answers(ctx, conn); err != nil {
			_ = conn.Close() // it never worked
		}
	}
	if err != nil {
		why := reason(err)
		s.why.Store(&why)
		return
	}
	if s.latest != nil {
		_ = s.latest.Close() // it has failed
	}
	s.latest = conn
	s.back(conn)
}

// back ends that the store is away.
func (s *Store) back(conn *connection) {
	s.conn.Store(conn)
	s.flush(conn)
}

// answers returns nil if the store lets scripts change keys, within the time that requests would wait for it.
// It uses the slot of the key that failed last, because other slots of a Cluster may work.
func (s *Store) answers(ctx context.Context, conn *connection) error {
	key := s.key("probe", "")
	if suspect := s.suspect.Load(); suspect != nil {
		_, tag, _ := strings.Cut(*suspect, "{")
		key = s.key("probe", strings.TrimSuffix(tag, "}"))
	}
	try := func(timeout time.Duration) error {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		_, _, err := conn.run(ctx, []command{{countScript, []string{key}, []any{time.Minute.Milliseconds()}}})
		return err
	}
	if err := try(patience); err != nil { // with the time to connect
		return err
	}
	return try(s.Timeout)
}

// report logs at most one message a minute: while the store is away, and when it is back.
func (s *Store) report() {
	up := s.Up()
	if up && !s.complains || time.Since(s.logged) < time.Minute {
		return
	}
	if up {
		s.Log().Info("shared store is back")
	} else {
		s.Log().Warn("shared store is away: this server counts by itself", zap.String("reason", "it "+*s.why.Load()))
	}
	s.logged, s.complains = time.Now(), !up
}
