package hub

import "bytes"

// objects cuts JSON, which may come torn at any byte, into the objects that it is made of: one, or
// those of an array, which is how Gemini streams where events were not asked for.
type objects struct {
	object  []byte // the one that is not complete yet
	depth   int    // how many brackets are open in it
	quoted  bool   // within a string
	escaped bool   // behind a backslash
	place   place
}

// place is where between objects the next byte stands.
type place int

const (
	beginning    place = iota
	beginArray         // behind the array's bracket
	beginElement       // behind a comma
	endElement         // behind an object of the array
	ending             // behind all of it
)

// Write takes the next piece and calls event with each object that is complete, which is valid
// only during the call. It stops at event's first error and returns it.
func (o *objects) Write(p []byte, event func(object []byte) error) error {
	start := 0 // of the object's bytes in p
	for i, c := range p {
		if o.depth == 0 {
			if !o.between(c) {
				return ErrUnreadable
			}
			start = i
			continue
		}
		if o.within(c); o.depth > 0 {
			continue
		}
		if err := o.keep(p[start : i+1]); err != nil {
			return err
		}
		err := event(o.object)
		o.object = o.object[:0]
		if err != nil {
			return err
		}
	}
	if o.depth > 0 {
		return o.keep(p[start:])
	}
	return nil
}

// Close takes the end of the JSON, which must be whole.
func (o *objects) Close(func([]byte) error) error {
	if o.place != ending || o.depth > 0 {
		return ErrIncomplete
	}
	return nil
}

func (o *objects) keep(p []byte) error {
	if len(o.object)+len(p) > maxObject {
		return UpstreamBroken("Try again: the provider's answer is larger than 64 MB.")
	}
	o.object = append(o.object, p...)
	return nil
}

// between takes a byte that belongs to no object yet, and reports whether it may stand there.
func (o *objects) between(c byte) bool {
	switch {
	case c == ' ' || c == '\t' || c == '\r' || c == '\n':
	case o.place == beginning && bytes.IndexByte(byteOrderMark, c) >= 0:
	case c == '{' && o.place == beginning:
		o.depth, o.place = 1, ending
	case c == '{' && (o.place == beginArray || o.place == beginElement):
		o.depth, o.place = 1, endElement
	case c == '[' && o.place == beginning:
		o.place = beginArray
	case c == ',' && o.place == endElement:
		o.place = beginElement
	case c == ']' && (o.place == beginArray || o.place == endElement):
		o.place = ending
	default:
		return false
	}
	return true
}

// within takes a byte of an object. Brackets that do not match are left to whoever reads it.
func (o *objects) within(c byte) {
	switch {
	case o.escaped:
		o.escaped = false
	case o.quoted && c == '\\':
		o.escaped = true
	case c == '"':
		o.quoted = !o.quoted
	case o.quoted:
	case c == '{' || c == '[':
		o.depth++
	case c == '}' || c == ']':
		o.depth--
	}
}
