package caddyauth

import (
	"errors"
	"io"
	"sync"
)

// leavingBody is a body on its way upstream, with whatever handlers between have put around it.
//
// It keeps Read and Close apart, which HTTP/2 calls on goroutines of their own: what reverse_proxy wraps
// bodies in (bodyNopCloserIfNotRead) counts what is read, without a lock.
type leavingBody struct {
	mu     sync.Mutex
	body   io.ReadCloser
	reader *bodyReader // what body reads from in the end, as far as can be told; or nil
}

func (b *leavingBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.body.Read(p)
}

func (b *leavingBody) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.body.Close()
}

// A body leaves in pieces: a first one, which the upstream reads while the next is made, and then what is
// left of a conversation with an agent, mostly, at once.
const (
	firstPiece = 64 << 10
	bodyPiece  = 256 << 10
)

var bodyPieces = sync.Pool{New: func() any { return new([bodyPiece]byte) }}

var errOutOfStep = errors.New("a handler between continue_auth and reverse_proxy adds to the request's body without changing its length")

// writeTo sends the body, of which there are length bytes, in few writes.
func (b *leavingBody) writeTo(w io.Writer, length int64) (int64, error) {
	sent, err := copyPieces(w, io.LimitReader(b, min(length, firstPiece)), firstPiece)
	if err != nil || sent < firstPiece {
		return sent, err
	}
	if b.reader != nil {
		if rest := b.reader.lendRest(sent); rest != nil {
			defer b.reader.body.giveBack()
			return b.writeRest(w, sent, rest)
		}
	}
	more, err := copyPieces(w, io.LimitReader(b, length-sent), bodyPiece)
	return sent + more, err
}

// writeRest sends the rest of the body, behind what has been sent, from the memory that it is in: it is read
// into that same memory, for which its reader copies nothing. Handlers between see all of it pass, and may
// change it there. What one of them adds would lie where bytes are that nobody has read: that is an error.
func (b *leavingBody) writeRest(w io.Writer, sent int64, rest []byte) (int64, error) {
	for len(rest) > 0 {
		n, err := b.Read(rest)
		if sent+int64(n) > b.reader.position() {
			return sent, errOutOfStep
		}
		wrote, failed := w.Write(rest[:n])
		sent, rest = sent+int64(wrote), rest[n:]
		switch {
		case failed != nil:
			return sent, failed
		case err == io.EOF:
			return sent, nil
		case err != nil:
			return sent, err
		}
	}
	return sent, nil
}

// copyPieces is io.Copy in pieces of that size, from memory that serves one body after the other.
func copyPieces(w io.Writer, body io.Reader, size int) (int64, error) {
	piece := bodyPieces.Get().(*[bodyPiece]byte)
	defer bodyPieces.Put(piece)
	return io.CopyBuffer(struct{ io.Writer }{w}, body, piece[:size])
}
