package caddyauth

import (
	"context"
	"io"
	"net"
)

// conn is a connection to an upstream, below TLS. It sends a long body over plain HTTP/1.1 in few writes.
// io.Copy would allocate 32 KB for each body, more than everything else that a request needs, and write no
// more than that at once.
type conn struct{ net.Conn }

// ReadFrom sends a body. Go's HTTP/1.1 client calls it through io.Copy, with a limit of the body's length.
func (c conn) ReadFrom(body io.Reader) (int64, error) {
	if limited, ok := body.(*io.LimitedReader); ok {
		if leaving, ok := limited.R.(*leavingBody); ok {
			return leaving.writeTo(c.Conn, limited.N)
		}
	}
	return copyPieces(c.Conn, body, bodyPiece)
}

type dialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

// dialing returns a function that dials like dial and wraps the connection in conn.
func dialing(dial dialFunc) dialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return conn{c}, nil
	}
}
