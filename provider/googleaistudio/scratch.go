package googleaistudio

import "sync"

// scratch is memory that serves one conversation after the other. Parts are put together in it before the body is
// written, since what stands first there may come last: to make it anew for each request costs more than all that is
// done with it.
type scratch struct{ parts, system []byte }

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// maxScratch is how much memory is kept for the next conversation.
const maxScratch = 4 << 20

// takeScratch gets memory for messages of that size. What Gemini takes is a little shorter, but for long signatures.
func (c *conversation) takeScratch(size int) {
	c.scratch = scratches.Get().(*scratch)
	if cap(c.scratch.parts) < size {
		c.scratch.parts = make([]byte, 0, size+size/8)
	}
	c.free, c.system = c.scratch.parts[:0], c.scratch.system[:0]
}

// giveBack lets the next conversation have the memory. Nothing of this one's is of use after that.
func (c *conversation) giveBack() {
	if c.scratch == nil || cap(c.scratch.parts) > maxScratch || cap(c.system) > maxScratch {
		return
	}
	c.scratch.system = c.system
	scratches.Put(c.scratch)
	c.scratch, c.free, c.system = nil, nil, nil
}

// room returns empty memory for the parts of a next turn: behind those of the last one, which may still grow.
func (c *conversation) room() []byte {
	if last := c.last(); last != nil && cap(last.parts) > 0 && cap(c.free) > 0 && &last.parts[:1][0] == &c.free[:1][0] {
		return last.parts[len(last.parts):]
	}
	return c.free // the last turn has outgrown it
}

// add makes t, whose parts have got room, the last turn. From now on, no other grows.
func (c *conversation) add(t *turn) {
	c.free = c.room()
	c.turns = append(c.turns, t)
}

// size is about how long what write writes is.
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
