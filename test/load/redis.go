package main

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/continue-auth/caddy-continue-auth/test/freeport"
)

// redis is a Redis server that keeps nothing on disk.
type redis struct {
	address string
	cmd     *exec.Cmd
}

// startRedis starts a Redis server and waits until it answers. It runs on the cores of the clients, as a server on
// another machine would leave the server's cores alone.
func startRedis(ctx context.Context, b *bench) (*redis, error) {
	program, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, fmt.Errorf("redis-server is needed (apt install redis-server): %w", err)
	}
	port, err := freeport.Take()
	if err != nil {
		return nil, err
	}
	r := &redis{address: net.JoinHostPort("127.0.0.1", strconv.Itoa(port))}
	r.cmd = exec.CommandContext(ctx, program, "--bind", "127.0.0.1", "--port", strconv.Itoa(port), "--save", "", "--appendonly", "no",
		"--dir", b.folder, "--logfile", filepath.Join(b.folder, "redis.log"))
	if err := r.cmd.Start(); err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(startsWithin); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial("tcp", r.address)
		if err == nil {
			return r, conn.Close()
		}
	}
	r.stop()
	return nil, fmt.Errorf("redis-server does not start: see %s", filepath.Join(b.folder, "redis.log"))
}

// option returns the option of continue_auth that shares the limits.
func (r *redis) option() string {
	if r == nil {
		return ""
	}
	return "shared redis {\naddress " + r.address + "\n}\n"
}

func (r *redis) stop() {
	_ = r.cmd.Process.Kill()
	_ = r.cmd.Wait()
}
