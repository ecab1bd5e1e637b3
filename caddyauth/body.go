package caddyauth

import (
	"bytes"
	"io"
	"math/bits"
	"net/http"
	"sync"
)

// requestBody is the body of a request: first as the client sent it, later as it goes upstream. Its memory is
// reused for other requests. Allocating 200 KB for each request would cost more than checking that the body
// is JSON.
//
// The handler holds the memory until upstream answers, and each reader holds it until it is closed.
type requestBody struct {
	mu      sync.Mutex
	content []byte
	memory  *[]byte // the memory of content if it comes from a pool
	held    bool    // whether the handler holds the memory
	readers int     // how many readers are open
}

// release ends the handler's hold. It may be called more than once.
func (b *requestBody) release() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held = false
	b.free()
}

// free returns the memory to its pool when neither the handler nor a reader holds it.
func (b *requestBody) free() {
	if b.held || b.readers > 0 {
		return
	}
	if b.memory != nil {
		pools[sizeClass(len(*b.memory))].Put(b.memory)
	}
	b.content, b.memory = nil, nil
}

// open returns a reader of the content. If the handler has released the body already, the reader is closed.
func (b *requestBody) open() *bodyReader {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.held {
		b.readers++
	}
	return &bodyReader{body: b, closed: !b.held}
}

// lend returns a reader of the content, of a type that net/http knows to be in memory. The reader does not
// notice that it is closed, so its user must call giveBack.
func (b *requestBody) lend() io.ReadCloser {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.readers++
	return io.NopCloser(bytes.NewReader(b.content))
}

// giveBack ends the hold of one reader from lend or lendRest.
func (b *requestBody) giveBack() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.readers--
	b.free()
}

// bodyReader copies while it holds the body's lock. A transport may close a body while another of its
// goroutines reads it, and the memory may then belong to another request at once. It copies nothing if the
// destination is the content's own memory.
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

// lendRest returns the content after the first read bytes, and holds it until giveBack. It returns nil if the
// reader is closed or has not read exactly that many bytes.
func (r *bodyReader) lendRest(read int64) []byte {
	r.body.mu.Lock()
	defer r.body.mu.Unlock()
	if r.closed || int64(r.at) != read {
		return nil
	}
	r.body.readers++
	return r.body.content[r.at:]
}

// position returns how many bytes have been read.
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

// pools keep memory by size. The sizes within one pool differ by a factor of at most two.
var pools [maxSizeClass + 1]sync.Pool

// maxSizeClass is the class of 4 MB. Larger bodies are rare and get new memory.
const maxSizeClass = 22

func sizeClass(size int) int { return bits.Len(uint(max(size, 4<<10) - 1)) }

// newRequestBody returns a body of that size, held by the caller. If the memory from the pool is too small,
// it is not put back. So the memory in a pool grows to the sizes that are needed.
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
