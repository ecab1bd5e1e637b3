package hub

import "bytes"

// objects splits JSON into the objects that it contains: one object, or the elements of an array. Gemini
// streams an array if the request does not ask for events. The JSON may arrive in pieces that end at any
// byte.
type objects struct {
	object  []byte // the object that is not complete yet
	depth   int    // how many brackets are open in it
	quoted  bool   // within a string
	escaped bool   // after a backslash
	place   place
}

// place is a position between objects.
type place int

const (
	beginning    place = iota
	beginArray         // after the array's opening bracket
	beginElement       // after a comma
	endElement         // after an object of the array
	ending             // after everything
)

// Write takes the next piece and calls event with each complete object. The object is valid only during the
// call. Write stops at the first error of event and returns it.
func (o *objects) Write(p []byte, event func(object []byte) error) error {
	start := 0 // where the object begins in p
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

// Close reports an error if the JSON is incomplete.
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

// between takes a byte outside of objects, and reports whether the byte may stand there.
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

// within takes a byte of an object. It counts brackets but does not match them: the reader of the object
// finds such faults.
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
