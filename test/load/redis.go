package main

import (
	"context"

	"github.com/continue-auth/caddy-continue-auth/test/redisserver"
)

// sharedIn returns the option of continue_auth that shares the limits in a Redis, or "" without one. The Redis may use
// all cores: a server on another machine would leave the Caddy's cores alone.
func sharedIn(redis *redisserver.Server) string {
	if redis == nil {
		return ""
	}
	return "shared redis {\naddress " + redis.Address + "\n}\n"
}

// What happens to Redis at a tick of a soak.
type redisEvent int

const (
	nothing redisEvent = iota
	hangs
	ends
	heals
)

// redisEventAt says what happens at a tick. Redis hangs for three ticks, is down for three, and works in between. So
// each fault meets a reload, which is every fourth tick.
func redisEventAt(tick int) redisEvent {
	return map[int]redisEvent{2: hangs, 5: heals, 6: ends, 1: heals}[tick%8]
}

// disturbRedis does what is due at a tick.
func disturbRedis(ctx context.Context, redis *redisserver.Server, tick int) error {
	switch redisEventAt(tick) {
	case hangs:
		return redis.Hang()
	case ends:
		redis.Stop()
	case heals:
		return redis.Heal(ctx)
	}
	return nil
}
