package caddyauth

import (
	"context"
	"io"
	"net"
)

// conn is a connection to an upstream, below TLS if there is any. Over plain HTTP/1.1, a long body leaves it
// from the memory that it is in: io.Copy does not see that behind the limit which Go's client sets, and copies
// it through memory that it makes anew.
type conn struct{ net.Conn }

// ReadFrom sends a body. Go's HTTP/1.1 client has io.Copy call it.
func (c conn) ReadFrom(body io.Reader) (int64, error) {
	if limited, ok := body.(*io.LimitedReader); ok {
		if memory, ok := limited.R.(io.WriterTo); ok {
			return memory.WriteTo(&limitedWriter{c.Conn, limited})
		}
	}
	return io.Copy(c.Conn, body)
}

// limitedWriter takes no more than its limit, as the reader would have given.
type limitedWriter struct {
	to    io.Writer
	limit *io.LimitedReader
}

func (w *limitedWriter) Write(p []byte) (int, error) {
	n, err := w.to.Write(p[:min(int64(len(p)), w.limit.N)])
	w.limit.N -= int64(n)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	return n, err
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
