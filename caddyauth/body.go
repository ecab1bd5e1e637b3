package caddyauth

import (
	"bytes"
	"io"
	"math/bits"
	"net/http"
	"sync"
)

// requestBody is a request's body: as the client has sent it, and then as it goes upstream. What is
// read into is used for one request after the other, since making 200 KB anew for each costs more than
// to check that they are JSON.
//
// The handler holds it until upstream answers, and each reader until it is closed.
type requestBody struct {
	mu      sync.Mutex
	content []byte
	memory  *[]byte // what content is in, if that is of a pool
	held    bool    // by the handler
	readers int     // that are open
}

// release ends the handler's hold. It may be called again.
func (b *requestBody) release() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held = false
	b.free()
}

// free lets other requests have the memory, once nobody holds it.
func (b *requestBody) free() {
	if b.held || b.readers > 0 {
		return
	}
	if b.memory != nil {
		pools[sizeClass(len(*b.memory))].Put(b.memory)
	}
	b.content, b.memory = nil, nil
}

// open returns a reader of the content, from which nothing comes if the handler has released it.
func (b *requestBody) open() *bodyReader {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.held {
		b.readers++
	}
	return &bodyReader{body: b, closed: !b.held}
}

// lend returns a reader of the content that net/http knows to be in memory. It does not notice its being
// closed: who has read it says so by giveBack.
func (b *requestBody) lend() io.ReadCloser {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.readers++
	return io.NopCloser(bytes.NewReader(b.content))
}

// giveBack ends what one lend began.
func (b *requestBody) giveBack() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.readers--
	b.free()
}

// bodyReader copies under the body's lock, since a transport may close a body while another of its
// goroutines reads it: then the memory is another request's at once. It copies nothing to where its bytes
// are already.
type bodyReader struct {
	body   *requestBody
	at     int
	closed bool
}

func (r *bodyReader) Read(p []byte) (int, error) {
	r.body.mu.Lock()
	defer r.body.mu.Unlock()
	switch {
	case r.closed:
		return 0, http.ErrBodyReadAfterClose
	case r.at == len(r.body.content):
		return 0, io.EOF
	}
	rest := r.body.content[r.at:]
	n := min(len(p), len(rest))
	if n > 0 && &p[0] != &rest[0] {
		copy(p, rest)
	}
	r.at += n
	return n, nil
}

// lendRest is lend of what this reader has not read, if it has read so many bytes; else it is nil.
func (r *bodyReader) lendRest(read int64) []byte {
	r.body.mu.Lock()
	defer r.body.mu.Unlock()
	if r.closed || int64(r.at) != read {
		return nil
	}
	r.body.readers++
	return r.body.content[r.at:]
}

// position is how many bytes have been read.
func (r *bodyReader) position() int64 {
	r.body.mu.Lock()
	defer r.body.mu.Unlock()
	return int64(r.at)
}

func (r *bodyReader) Close() error {
	r.body.mu.Lock()
	defer r.body.mu.Unlock()
	if !r.closed {
		r.closed = true
		r.body.readers--
		r.body.free()
	}
	return nil
}

// pools keep memory by its size: of a pool, none is more than twice as large as another.
var pools [maxSizeClass + 1]sync.Pool

// maxSizeClass is that of 4 MB. What is larger is rare, and made anew.
const maxSizeClass = 22

func sizeClass(size int) int { return bits.Len(uint(max(size, 4<<10) - 1)) }

// newRequestBody returns a body of that size, which the caller holds. Memory that is too small for it
// is not put back, so that a pool's grows to what is asked of it.
func newRequestBody(size int) *requestBody {
	class := sizeClass(size)
	if class > maxSizeClass {
		return &requestBody{content: make([]byte, size), held: true}
	}
	memory, ok := pools[class].Get().(*[]byte)
	if !ok || len(*memory) < size {
		made := make([]byte, max(size, 4<<10))
		memory = &made
	}
	return &requestBody{content: (*memory)[:size], memory: memory, held: true}
}
