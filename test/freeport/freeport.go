// Package freeport finds free ports for servers that must be given one. A port that the system
// chose, by listening on port 0, is not safe: after it is closed, the system may give it to an
// outgoing connection of any program before the server uses it.
package freeport

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
	"sync/atomic"
	"testing"
)

// The ports are below those of outgoing connections, which begin at 32768 on Linux and at 49152
// elsewhere (RFC 6335, section 6).
const (
	first = 20_000
	count = 12_768
)

// taken counts from a random place, where another process is unlikely to start.
var taken atomic.Uint32

func init() { taken.Store(rand.Uint32N(count)) }

// Take returns a port of 127.0.0.1 that no program listens on. Each call returns another port.
func Take() (int, error) { return take(first, count) }

func take(first int, count uint32) (int, error) {
	for range count {
		port := first + int(taken.Add(1)%count)
		if listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
			_ = listener.Close()
			return port, nil
		}
	}
	return 0, errors.New("no port is free")
}

// For is Take for a test. The test fails if there is no free port.
func For(t testing.TB) int {
	t.Helper()
	port, err := Take()
	if err != nil {
		t.Fatal(err)
	}
	return port
}
