// Package redisserver starts a redis-server for programs that measure or show this project.
package redisserver

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

// startsWithin is how long a server may take to listen.
const startsWithin = 30 * time.Second

// Server is a redis-server on loopback that keeps nothing on disk.
type Server struct {
	// Address is host:port.
	Address string

	program string
	folder  string
	cmd     *exec.Cmd // nil while it is stopped
}

// Start starts redis-server and waits until it listens. Its log is in folder. The server ends with ctx or Stop.
func Start(ctx context.Context, folder string) (*Server, error) {
	program, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, fmt.Errorf("redis-server is needed (apt install redis-server): %w", err)
	}
	port, err := freeport.Take()
	if err != nil {
		return nil, err
	}
	s := &Server{Address: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), program: program, folder: folder}
	return s, s.start(ctx)
}

func (s *Server) start(ctx context.Context) error {
	host, port, err := net.SplitHostPort(s.Address)
	if err != nil {
		return err
	}
	log := filepath.Join(s.folder, "redis.log")
	s.cmd = exec.CommandContext(ctx, s.program, "--bind", host, "--port", port, "--save", "", "--appendonly", "no", "--dir", s.folder, "--logfile", log)
	if err := s.cmd.Start(); err != nil {
		s.cmd = nil
		return err
	}
	for deadline := time.Now().Add(startsWithin); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if conn, err := new(net.Dialer).DialContext(ctx, "tcp", s.Address); err == nil {
			return conn.Close()
		}
	}
	s.Stop()
	return fmt.Errorf("redis-server does not start: see %s", log)
}

// Stop kills the server. It loses all data. Stop does nothing if the server is not running, or is nil.
func (s *Server) Stop() {
	if s == nil || s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
	s.cmd = nil
}

// Hang makes the server answer nothing, until Heal.
func (s *Server) Hang() error { return s.cmd.Process.Signal(syscall.SIGSTOP) }

// Heal makes the server work again, whether it was stopped or hangs. After Stop, it is empty.
func (s *Server) Heal(ctx context.Context) error {
	if s.cmd == nil {
		return s.start(ctx)
	}
	return s.cmd.Process.Signal(syscall.SIGCONT)
}
