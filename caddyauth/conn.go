package caddyauth

import (
	"context"
	"io"
	"net"
)

// conn is a connection to an upstream, below TLS if there is any. A long body over plain HTTP/1.1 leaves
// in few writes: io.Copy makes 32 KB anew for each, which is more than all else that a request takes, and
// writes no more at once.
type conn struct{ net.Conn }

// ReadFrom sends a body. Go's HTTP/1.1 client has io.Copy call it, with a limit that is the body's length.
func (c conn) ReadFrom(body io.Reader) (int64, error) {
	if limited, ok := body.(*io.LimitedReader); ok {
		if leaving, ok := limited.R.(*leavingBody); ok {
			return leaving.writeTo(c.Conn, limited.N)
		}
	}
	return copyPieces(c.Conn, body, bodyPiece)
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
