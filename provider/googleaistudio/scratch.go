package googleaistudio

import "sync"

// scratch is memory that conversations reuse, one at a time. The parts are built in it before the body is
// written, because the first message may have to be sent last. Allocating it for each request would cost more
// than all the work that is done in it.
type scratch struct{ parts, system []byte }

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// maxScratch bounds the memory that is kept for reuse.
const maxScratch = 4 << 20

// takeScratch gets memory for messages of that size. Gemini's form is a little shorter than the client's,
// except for long signatures.
func (c *conversation) takeScratch(size int) {
	c.scratch = scratches.Get().(*scratch)
	if cap(c.scratch.parts) < size {
		c.scratch.parts = make([]byte, 0, size+size/8)
	}
	c.free, c.system = c.scratch.parts[:0], c.scratch.system[:0]
}

// giveBack returns the memory for reuse. The conversation must not be used after that.
func (c *conversation) giveBack() {
	if c.scratch == nil || cap(c.scratch.parts) > maxScratch || cap(c.system) > maxScratch {
		return
	}
	c.scratch.system = c.system
	scratches.Put(c.scratch)
	c.scratch, c.free, c.system = nil, nil, nil
}

// room returns empty memory for the parts of the next turn. It is after those of the last turn, which may
// still grow.
func (c *conversation) room() []byte {
	if last := c.last(); last != nil && cap(last.parts) > 0 && cap(c.free) > 0 && &last.parts[:1][0] == &c.free[:1][0] {
		return last.parts[len(last.parts):]
	}
	return c.free // the last turn has outgrown the memory
}

// add makes t the last turn. Its parts must be in the memory from room. The other turns must not grow any
// more.
func (c *conversation) add(t *turn) {
	c.free = c.room()
	c.turns = append(c.turns, t)
}

// size estimates the length of what write writes.
func (c *conversation) size() int {
	size := len(c.system)
	for _, t := range c.turns {
		size += len(t.parts) + len(`,{"role":"model","parts":[]}`)
		for _, called := range t.calls {
			size += len(called.id) + len(called.name) + len(called.result) + len(`,{"functionResponse":{"id":"","name":"","response":{"output":}}}`)
		}
	}
	return size
}
