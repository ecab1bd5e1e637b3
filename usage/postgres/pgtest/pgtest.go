//go:build postgres

// Package pgtest starts PostgreSQL for tests.
package pgtest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/continue-auth/caddy-continue-auth/test/freeport"
)

// Password is the password of the user postgres.
const Password = "a-secret-of-postgres"

// Server is a PostgreSQL on loopback, with an empty database.
type Server struct {
	// DSN is the connection string.
	DSN string

	t      testing.TB
	bin    string
	folder string
	port   string
	cmd    *exec.Cmd
	ready  chan struct{}
	ended  chan struct{}
}

// Start starts a server, which ends with the test.
func Start(t testing.TB) *Server {
	t.Helper()
	bin := os.Getenv("POSTGRES_BIN")
	if bin == "" {
		found, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
		if len(found) == 0 {
			t.Fatal("PostgreSQL is not installed: set POSTGRES_BIN to the folder of its programs")
		}
		bin = found[len(found)-1]
	}
	folder, err := os.MkdirTemp("", "postgres")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{t: t, bin: bin, folder: folder, port: strconv.Itoa(freeport.For(t))}
	s.DSN = "postgres://postgres:" + Password + "@127.0.0.1:" + s.port + "/postgres?sslmode=disable"
	t.Cleanup(func() {
		s.Stop()
		_ = os.RemoveAll(folder)
	})
	passwords := filepath.Join(folder, "password")
	if err := os.WriteFile(passwords, []byte(Password), 0o600); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 { // PostgreSQL refuses to run as root
		account, err := user.Lookup("postgres")
		if err != nil {
			t.Fatal(err)
		}
		id, _ := strconv.Atoi(account.Uid)
		if err := errors.Join(os.Chown(folder, id, -1), os.Chown(passwords, id, -1)); err != nil {
			t.Fatal(err)
		}
	}
	initdb := s.command("initdb", "-D", s.data(), "-U", "postgres", "--auth=scram-sha-256", "--pwfile="+passwords, "--encoding=UTF8", "--locale=C", "--no-sync")
	if out, err := initdb.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	s.Start()
	return s
}

func (s *Server) data() string { return filepath.Join(s.folder, "data") }

func (s *Server) command(name string, args ...string) *exec.Cmd {
	path := filepath.Join(s.bin, name)
	cmd := exec.CommandContext(context.Background(), path, args...)
	if os.Geteuid() == 0 {
		cmd = exec.CommandContext(context.Background(), "setpriv", append([]string{"--reuid=postgres", "--regid=postgres", "--clear-groups", path}, args...)...)
	}
	cmd.Dir = s.folder
	return cmd
}

// Start starts the server again after Stop or Kill, on the same port.
func (s *Server) Start() {
	s.t.Helper()
	s.cmd = s.command("postgres", "-D", s.data(), "-h", "127.0.0.1", "-p", s.port, "-c", "unix_socket_directories=")
	log, err := s.cmd.StderrPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.ready, s.ended = make(chan struct{}), make(chan struct{})
	go s.watch(log, s.ready, s.ended)
	select {
	case <-s.ready:
	case <-s.ended:
		s.t.Fatal("PostgreSQL did not start")
	case <-time.After(time.Minute):
		s.t.Fatal("PostgreSQL is not ready after a minute")
	}
}

func (s *Server) watch(log io.Reader, ready, ended chan struct{}) {
	defer close(ended)
	said := false
	for lines := bufio.NewScanner(log); lines.Scan(); {
		if !said && strings.Contains(lines.Text(), "ready to accept connections") {
			said = true
			close(ready)
		}
	}
}

// Stop ends the server. It disconnects its clients.
func (s *Server) Stop() { s.signal(syscall.SIGINT) }

// Kill ends the server at once, as a power cut does.
func (s *Server) Kill() { s.signal(syscall.SIGQUIT) }

func (s *Server) signal(signal os.Signal) {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Signal(signal)
	<-s.ended // all processes of the server have ended
	_ = s.cmd.Wait()
	s.cmd = nil
}

// Database makes a new database and returns its connection string.
func (s *Server) Database(name string) string {
	s.t.Helper()
	psql := s.command("psql", s.DSN, "-c", fmt.Sprintf("CREATE DATABASE %s", name))
	if out, err := psql.CombinedOutput(); err != nil {
		s.t.Fatalf("psql: %v\n%s", err, out)
	}
	return strings.Replace(s.DSN, "/postgres?", "/"+name+"?", 1)
}
