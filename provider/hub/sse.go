package hub

import "bytes"

// byteOrderMark may stand at the beginning of a stream. It is ignored.
var byteOrderMark = []byte("\ufeff")

// maxFrame bounds one event of an upstream's stream. Official clients accept up to 32 MB.
const maxFrame = 32 << 20

// Splitter splits a stream of server-sent events into the data of its events. The stream may arrive in pieces
// that end at any byte. Lines end with LF, CRLF or CR. Several data lines of one event are joined by LF.
// Comments and other fields are dropped
// (https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream). JSON outside of
// an event counts as an event, because Google reports some errors that way in the middle of a stream.
type Splitter struct {
	torn  []byte // the beginning of an incomplete event
	line  int    // where in torn the incomplete line begins
	seen  int    // how many bytes of that line are known to contain no line end
	data  []byte // the data lines of one event, each with its LF
	event []byte
	begun bool // whether there has been an event
}

// Event returns the event for which the callback is called, unchanged, with the blank line that ends it. It
// is valid only during the call.
func (s *Splitter) Event() []byte { return s.event }

// Write takes the next piece of the stream and calls event with the data of each complete event. The data is
// valid only during the call. Write stops at the first error of event and returns it.
func (s *Splitter) Write(p []byte, event func(data []byte) error) error {
	if len(s.torn) > 0 {
		s.torn = append(s.torn, p...)
		p = s.torn
	}
	start, line, seen := 0, s.line, s.seen // start is where the event begins
	for {
		length, next := lineLength(p[line:], seen)
		if next == 0 {
			break
		}
		line, seen = line+next, 0
		if length > 0 {
			continue
		}
		s.event = p[start:line]
		start = line
		if err := s.endEvent(event); err != nil {
			return err
		}
	}
	if len(p)-start > maxFrame {
		return errFrameTooLarge
	}
	s.torn = append(s.torn[:0], p[start:]...)
	s.line, s.seen = line-start, len(p)-line
	return nil
}

// lineLength returns the length of p's first line without and with its line end. The first seen bytes are
// known to contain no line end. next is 0 if the line is incomplete. A CR at the end of p does not end the
// line, because an LF may follow.
func lineLength(p []byte, seen int) (length, next int) {
	from := max(0, seen-1)
	lf := bytes.IndexByte(p[from:], '\n')
	if lf < 0 {
		cr := from + bytes.IndexByte(p[from:], '\r')
		if cr < from || cr == len(p)-1 {
			return 0, 0
		}
		return cr, cr + 1
	}
	lf += from
	cr := from + bytes.IndexByte(p[from:lf], '\r')
	switch {
	case cr < from:
		return lf, lf + 1
	case cr == lf-1:
		return cr, lf + 1
	}
	return cr, cr + 1
}

var errFrameTooLarge = UpstreamBroken("Try again: the provider sent an event of more than 32 MB.")

// Close takes the end of the stream. If the last event lacks only its blank line, it counts.
func (s *Splitter) Close(event func(data []byte) error) error {
	if len(s.torn) == 0 {
		return nil
	}
	s.event = append(bytes.TrimRight(s.torn, "\r\n"), "\n\n"...)
	s.torn = nil
	return s.endEvent(event)
}

// endEvent calls event with the data of s.event, if it has any.
func (s *Splitter) endEvent(event func(data []byte) error) error {
	rest := s.event
	if !s.begun {
		s.begun = true
		rest = bytes.TrimPrefix(rest, byteOrderMark)
	}
	if data, ok := oneLine(rest); ok {
		return event(data)
	}
	s.data = s.data[:0]
	bare := false // the lines are JSON without a field name
	for len(rest) > 0 {
		length, next := lineLength(rest, 0)
		if next == 0 {
			length, next = len(rest)-1, len(rest) // CR
		}
		line := rest[:length]
		rest = rest[next:]
		value, ok := FieldData(line)
		switch {
		case bare && ok: // JSON without a blank line after it
			if err := event(s.data[:len(s.data)-1]); err != nil {
				return err
			}
			s.data, bare = append(append(s.data[:0], value...), '\n'), false
		case bare && length > 0, len(s.data) == 0 && length > 0 && (line[0] == '{' || line[0] == '['):
			bare = true
			s.data = append(append(s.data, line...), '\n')
		case ok:
			s.data = append(append(s.data, value...), '\n')
		}
	}
	if len(s.data) == 0 {
		return nil
	}
	return event(s.data[:len(s.data)-1])
}

// oneLine returns the data of an event that consists of one data line, as almost all events do.
func oneLine(event []byte) (data []byte, ok bool) {
	length, next := lineLength(event, 0)
	if len(event)-next > len("\r\n") {
		return nil, false
	}
	return FieldData(event[:length])
}

// FieldData returns the value of an event's line if the line is a data field.
func FieldData(line []byte) (value []byte, ok bool) {
	value, ok = bytes.CutPrefix(line, []byte("data"))
	switch {
	case !ok || len(value) == 0:
		return nil, ok
	case value[0] != ':':
		return nil, false
	}
	return bytes.TrimPrefix(value[1:], []byte(" ")), true
}
