package jsontext

import "bytes"

// Needle is a text to search for in every piece of an answer that passes, such as `"error`. bytes.Index would
// search for its first character and stop at each quote. JSON is full of quotes, so a search for a rare
// letter first is five times as fast.
type Needle struct{ before, rare []byte }

// NewNeedle returns the needle before+rare. The first letter of rare should be rare in the texts to search.
func NewNeedle(before, rare string) Needle { return Needle{[]byte(before), []byte(rare)} }

// Index returns the index of the first needle in b, or -1 if there is none.
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

// In reports whether b contains the needle.
func (n Needle) In(b []byte) bool { return n.Index(b) >= 0 }
