package redis

import (
	"io"
	"net"
	"sync"
	"testing"
)

// relay is a server between the store and Redis. It can do what a broken Redis or network does.
type relay struct {
	testing.TB
	address string
	to      string

	mu     sync.Mutex
	mode   func(client net.Conn) // nil to pass
	broken int                   // how often the mode was changed to another
	conns  map[net.Conn]bool

	stalled sync.RWMutex // locked while nothing passes
}

func startRelay(t testing.TB, to string) *relay {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{TB: t, address: listener.Addr().String(), to: to, conns: make(map[net.Conn]bool)}
	t.Cleanup(func() {
		_ = listener.Close()
		r.cut()
	})
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go r.serve(client)
		}
	}()
	return r
}

// set changes what happens with what comes from clients, on connections that are open too.
func (r *relay) set(mode func(client net.Conn)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mode = mode
	if mode != nil {
		r.broken++
	}
}

// pass makes the relay pass everything again. Connections that are open stay broken.
func (r *relay) pass() { r.set(nil) }

// hang makes the relay swallow everything.
func (r *relay) hang() { r.set(func(net.Conn) {}) }

// answer makes the relay answer everything with the same text.
func (r *relay) answer(text string) { r.echo(func(string) string { return text }) }

// echo makes the relay answer what it is sent.
func (r *relay) echo(answer func(sent string) string) {
	r.set(func(client net.Conn) {
		b := make([]byte, 64<<10)
		for {
			n, err := client.Read(b)
			if err != nil {
				return
			}
			if _, err := io.WriteString(client, answer(string(b[:n]))); err != nil {
				return
			}
		}
	})
}

// stall holds back what is sent, until resume passes it.
func (r *relay) stall() { r.stalled.Lock() }

func (r *relay) resume() { r.stalled.Unlock() }

// cut closes all connections.
func (r *relay) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for conn := range r.conns {
		_ = conn.Close()
	}
}

func (r *relay) current() (mode func(client net.Conn), broken int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.mode, r.broken
}

func (r *relay) open(conn net.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conns[conn] = true
}

func (r *relay) serve(client net.Conn) {
	defer client.Close()
	r.open(client)
	mode, broken := r.current()
	if mode != nil {
		mode(client)
		_, _ = io.Copy(io.Discard, client)
		return
	}
	server, err := net.Dial("tcp", r.to)
	if err != nil {
		return
	}
	defer server.Close()
	r.open(server)
	go r.forward(server, client, broken)
	r.forward(client, server, broken)
}

// forward passes what comes from one side to the other, until the relay breaks.
func (r *relay) forward(from, to net.Conn, broken int) {
	defer to.Close()
	b := make([]byte, 64<<10)
	for {
		n, err := from.Read(b)
		if err != nil {
			return
		}
		mode, now := r.current()
		if now != broken {
			if mode != nil && to.RemoteAddr().String() == r.to {
				mode(&prepended{from, b[:n]})
			}
			_, _ = io.Copy(io.Discard, from)
			return
		}
		r.stalled.RLock()
		_, err = to.Write(b[:n])
		r.stalled.RUnlock()
		if err != nil {
			return
		}
	}
}

// prepended is a connection that has read something already.
type prepended struct {
	net.Conn
	first []byte
}

func (p *prepended) Read(b []byte) (int, error) {
	if len(p.first) > 0 {
		n := copy(b, p.first)
		p.first = nil
		return n, nil
	}
	return p.Conn.Read(b)
}
