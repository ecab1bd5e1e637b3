// Package freeport finds ports for servers that must be told one. The system's own choice, which is made
// by listening on port 0, is as good as its neighbours are quiet: once let go of, the port may become the
// client's end of anybody's connection before the server that it was meant for has it.
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

// The ports to choose from. Outgoing connections get theirs from 32768 up on Linux, and from 49152 up
// elsewhere (RFC 6335, section 6).
const (
	first = 20_000
	count = 12_768
)

// taken counts from where no other process is likely to begin.
var taken atomic.Uint32

func init() { taken.Store(rand.Uint32N(count)) }

// Take returns a port of 127.0.0.1 at which nobody listens, another one each time.
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

// For is Take for a test, which fails if there is none.
func For(t testing.TB) int {
	t.Helper()
	port, err := Take()
	if err != nil {
		t.Fatal(err)
	}
	return port
}
