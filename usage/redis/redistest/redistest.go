//go:build redis

// Package redistest starts redis-servers for tests.
package redistest

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"slices"
	"syscall"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/continue-auth/caddy-continue-auth/test/freeport"
)

// Server is a redis-server on loopback. It ends with the test.
type Server struct {
	// Address is host:port.
	Address string

	// Folder is the server's own.
	Folder string

	t       testing.TB
	options []string
	process *exec.Cmd
	client  *goredis.Client
}

// New returns a server that has not been started. options are those of redis-server's command line.
func New(t testing.TB, options ...string) *Server {
	t.Helper()
	return &Server{Address: fmt.Sprint("127.0.0.1:", freeport.For(t)), Folder: t.TempDir(), t: t, options: options}
}

// Start starts a new server.
func Start(t testing.TB, options ...string) *Server {
	t.Helper()
	s := New(t, options...)
	s.Start()
	return s
}

// Port returns the server's port.
func (s *Server) Port() string {
	_, port, _ := net.SplitHostPort(s.Address)
	return port
}

// Start starts the server, empty, and waits until it answers.
func (s *Server) Start() {
	s.t.Helper()
	s.Run(append([]string{"--bind", "127.0.0.1", "--port", s.Port(), "--save", "", "--appendonly", "no", "--dir", s.Folder}, s.options...)...)
	options := &goredis.Options{Addr: s.Address, Protocol: 2, DisableIdentity: true}
	if i := slices.Index(s.options, "--requirepass"); i >= 0 {
		options.Password = s.options[i+1]
	}
	s.client = goredis.NewClient(options)
	s.t.Cleanup(func() { _ = s.client.Close() })
	for end := time.Now().Add(20 * time.Second); s.client.Ping(context.Background()).Err() != nil; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatal("redis-server does not answer")
		}
	}
}

// Run runs redis-server with only these arguments, and does not wait for it.
func (s *Server) Run(args ...string) {
	s.t.Helper()
	process := exec.Command("redis-server", args...) //nolint:noctx // the test ends it
	if err := process.Start(); err != nil {
		s.t.Fatalf("redis-server must be installed: %v", err)
	}
	s.process = process
	s.t.Cleanup(func() {
		_ = process.Process.Signal(syscall.SIGCONT)
		_ = process.Process.Kill()
		_ = process.Wait()
	})
}

// Kill ends the server at once.
func (s *Server) Kill() {
	s.t.Helper()
	if err := s.process.Process.Kill(); err != nil {
		s.t.Fatal(err)
	}
	_ = s.process.Wait()
}

// Signal sends the server a signal.
func (s *Server) Signal(signal syscall.Signal) {
	s.t.Helper()
	if err := s.process.Process.Signal(signal); err != nil {
		s.t.Fatal(err)
	}
}

// Do sends the server a command that must succeed.
func (s *Server) Do(args ...any) any {
	s.t.Helper()
	got, err := s.client.Do(context.Background(), args...).Result()
	if err != nil {
		s.t.Fatalf("%v: %v", args, err)
	}
	return got
}
