// Package freeport finds ports for servers that must be told one. The system's own choice, which is made
// by listening on port 0, is as good as its neighbours are quiet: once let go of, the port may become the
// client's end of anybody's connection before the server that it was meant for has it.
package freeport

import (
	"context"
	"math/rand/v2"
	"net"
	"strconv"
	"sync/atomic"
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

// Take returns a port of 127.0.0.1 at which nobody listens, another one each time. It panics if there
// is none.
func Take() int {
	for range count {
		port := first + int(taken.Add(1)%count)
		if listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
			_ = listener.Close()
			return port
		}
	}
	panic("freeport: each port is taken")
}
