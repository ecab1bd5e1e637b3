package main

import (
	"context"
	"errors"
	"time"

	"github.com/continue-auth/caddy-continue-auth/test/redisserver"
)

// hang makes Redis hang for a part of the run.
func (r *run) hang(ctx context.Context, redis *redisserver.Server) (err error) {
	for hung := false; ctx.Err() == nil; time.Sleep(200 * time.Millisecond) {
		now := r.part(6.5, 7.3)
		switch {
		case now && !hung:
			err = errors.Join(err, redis.Hang())
		case hung && !now:
			err = errors.Join(err, redis.Heal(ctx))
		}
		hung = now
	}
	return err
}
