package caddyauth

import (
	"context"
	"io"
	"net"
	"sync"
)

// conn is a connection to an upstream, below TLS if there is any. A long body over plain HTTP/1.1 leaves
// in few writes, from memory that serves one after the other: io.Copy makes 32 KB anew for each, which
// is more than all else that a request takes, and writes no more at once.
type conn struct{ net.Conn }

// A body leaves in pieces: a first one, which the upstream reads while the next is made, and then what is
// left of a conversation with an agent, mostly, at once.
const (
	firstPiece = 64 << 10
	bodyPiece  = 256 << 10
)

var bodyPieces = sync.Pool{New: func() any { return new([bodyPiece]byte) }}

// ReadFrom sends a body. Go's HTTP/1.1 client has io.Copy call it.
func (c conn) ReadFrom(body io.Reader) (int64, error) {
	piece := bodyPieces.Get().(*[bodyPiece]byte)
	defer bodyPieces.Put(piece)
	to := struct{ io.Writer }{c.Conn}
	first, err := io.CopyBuffer(to, io.LimitReader(body, firstPiece), piece[:firstPiece])
	if err != nil || first < firstPiece {
		return first, err
	}
	rest, err := io.CopyBuffer(to, body, piece[:])
	return first + rest, err
}

type dialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

// dialing returns dial with its connections as conn.
func dialing(dial dialFunc) dialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return conn{c}, nil
	}
}
