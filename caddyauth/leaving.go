package caddyauth

import (
	"errors"
	"io"
	"sync"
)

// leavingBody is a body on its way upstream. Other handlers may have wrapped the body.
//
// It never runs Read and Close at the same time. HTTP/2 calls them on different goroutines, but the wrapper
// that reverse_proxy puts around bodies (bodyNopCloserIfNotRead) counts what is read without a lock.
type leavingBody struct {
	mu     sync.Mutex
	body   io.ReadCloser
	reader *bodyReader // the innermost reader of body, if known, or nil
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

// A long body is sent in two steps. The upstream can read the first piece while the next one is prepared. The
// rest of a conversation with an agent is then mostly sent in one write.
const (
	firstPiece = 64 << 10
	bodyPiece  = 256 << 10
)

var bodyPieces = sync.Pool{New: func() any { return new([bodyPiece]byte) }}

var errOutOfStep = errors.New("a handler between continue_auth and reverse_proxy adds to the request's body without changing its length")

// writeTo sends the body, which has length bytes, in few writes.
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

// writeRest sends the rest of the body directly from its memory, after the first sent bytes. It reads the
// body into that same memory, so b.reader copies nothing. Handlers in between see all bytes and may change
// them in place. If a handler adds bytes, they would overwrite bytes that have not been read yet, so that is
// an error.
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

// copyPieces is io.Copy in pieces of that size. It reuses its memory.
func copyPieces(w io.Writer, body io.Reader, size int) (int64, error) {
	piece := bodyPieces.Get().(*[bodyPiece]byte)
	defer bodyPieces.Put(piece)
	return io.CopyBuffer(struct{ io.Writer }{w}, body, piece[:size])
}
