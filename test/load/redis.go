package main

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/continue-auth/caddy-continue-auth/test/freeport"
)

// redis is a Redis server that keeps nothing on disk.
type redis struct {
	program string
	folder  string
	port    int
	cmd     *exec.Cmd // nil while it is stopped
}

// startRedis starts a Redis server and waits until it answers. It may use all cores: a server on another machine
// would leave the Caddy's cores alone.
func (b *bench) startRedis(ctx context.Context) (*redis, error) {
	program, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, fmt.Errorf("redis-server is needed (apt install redis-server): %w", err)
	}
	port, err := freeport.Take()
	if err != nil {
		return nil, err
	}
	r := &redis{program: program, folder: b.folder, port: port}
	return r, r.start(ctx)
}

func (r *redis) address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(r.port)) }

// start starts the server, which is empty.
func (r *redis) start(ctx context.Context) error {
	log := filepath.Join(r.folder, "redis.log")
	r.cmd = exec.CommandContext(ctx, r.program, "--bind", "127.0.0.1", "--port", strconv.Itoa(r.port), "--save", "", "--appendonly", "no",
		"--dir", r.folder, "--logfile", log)
	if err := r.cmd.Start(); err != nil {
		return err
	}
	for deadline := time.Now().Add(startsWithin); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if conn, err := new(net.Dialer).DialContext(ctx, "tcp", r.address()); err == nil {
			return conn.Close()
		}
	}
	r.stop()
	return fmt.Errorf("redis-server does not start: see %s", log)
}

// stop kills the server.
func (r *redis) stop() {
	if r == nil || r.cmd == nil {
		return
	}
	_ = r.cmd.Process.Kill()
	_ = r.cmd.Wait()
	r.cmd = nil
}

// What happens to Redis at a tick of a soak.
type redisEvent int

const (
	nothing redisEvent = iota
	hangs
	goesOn
	ends
	begins // empty
)

// redisEventAt says what happens at a tick. Redis hangs for three ticks, is down for three, and works in between. So
// each fault meets a reload, which is every fourth tick.
func redisEventAt(tick int) redisEvent {
	return map[int]redisEvent{2: hangs, 5: goesOn, 6: ends, 1: begins}[tick%8]
}

// disturb does what is due at a tick.
func (r *redis) disturb(ctx context.Context, tick int) error {
	switch redisEventAt(tick) {
	case hangs:
		return r.cmd.Process.Signal(syscall.SIGSTOP)
	case goesOn:
		return r.cmd.Process.Signal(syscall.SIGCONT)
	case ends:
		r.stop()
	case begins:
		return r.heal(ctx)
	}
	return nil
}

// heal ends a fault.
func (r *redis) heal(ctx context.Context) error {
	if r.cmd == nil {
		return r.start(ctx)
	}
	return r.cmd.Process.Signal(syscall.SIGCONT)
}

// option returns the option of continue_auth that shares the limits.
func (r *redis) option() string {
	if r == nil {
		return ""
	}
	return "shared redis {\naddress " + r.address() + "\n}\n"
}
