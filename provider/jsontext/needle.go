package jsontext

import "bytes"

// Needle is text that is looked for in every piece of an answer that passes: `"error` in JSON. To look for its
// first letter, as bytes.Index does, would stop at each quote, of which JSON is full, and takes five times as
// long as to look for a rare one first.
type Needle struct{ before, rare []byte }

// NewNeedle returns the needle before+rare, where rare begins with a letter that what it is looked for in has
// little of.
func NewNeedle(before, rare string) Needle { return Needle{[]byte(before), []byte(rare)} }

// Index returns where the needle first stands in b, or -1 if it does not.
func (n Needle) Index(b []byte) int {
	for at := 0; ; at++ {
		i := bytes.Index(b[at:], n.rare)
		if i < 0 {
			return -1
		}
		at += i
		if bytes.HasSuffix(b[:at], n.before) {
			return at - len(n.before)
		}
	}
}

// In reports whether the needle stands in b.
func (n Needle) In(b []byte) bool { return n.Index(b) >= 0 }
