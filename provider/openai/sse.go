package openai

import "bytes"

// byteOrderMark may stand at the beginning of a stream, and says nothing.
var byteOrderMark = []byte("\ufeff")

// maxFrame bounds one event of an upstream's stream; official clients give up at 32 MB.
const maxFrame = 32 << 20

// Splitter cuts a stream of server-sent events, which may come torn at any byte, into the data
// of its events. Lines end with LF, CRLF or CR; several data lines of one event are joined by LF;
// comments and other fields are dropped. JSON that stands alone counts as an event, since Google
// reports errors in the middle of a stream that way too
// (https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream).
type Splitter struct {
	line   []byte // the start of a line whose end has not come yet
	data   []byte // the data lines of the event so far, each with its LF
	any    bool   // whether the event has a data line
	bare   bool   // whether its lines are JSON without the name of a field
	skipLF bool   // whether the last line ended with CR, so that LF belongs to it
	begun  bool   // whether there has been a line
}

// Write takes the next piece of the stream and calls event with each event's data, which is valid
// only during the call. It stops at event's first error and returns it.
func (s *Splitter) Write(p []byte, event func(data []byte) error) error {
	for len(p) > 0 {
		if s.skipLF {
			s.skipLF = false
			if p[0] == '\n' {
				p = p[1:]
				continue
			}
		}
		end := lineEnd(p)
		if end < 0 {
			if len(s.line)+len(s.data)+len(p) > maxFrame {
				return errFrameTooLarge
			}
			s.line = append(s.line, p...)
			return nil
		}
		line := p[:end]
		if len(s.line) > 0 {
			s.line = append(s.line, line...)
			line = s.line
		}
		s.skipLF = p[end] == '\r'
		p = p[end+1:]
		err := s.endLine(line, event)
		s.line = s.line[:0]
		if err != nil {
			return err
		}
	}
	return nil
}

// lineEnd is the index of the first CR or LF, -1 if there is none.
func lineEnd(p []byte) int {
	lf := bytes.IndexByte(p, '\n')
	if lf < 0 {
		return bytes.IndexByte(p, '\r')
	}
	if cr := bytes.IndexByte(p[:lf], '\r'); cr >= 0 {
		return cr
	}
	return lf
}

var errFrameTooLarge = UpstreamBroken("Try again: the provider sent an event of more than 32 MB.")

// Close takes the end of the stream. An event that lacks only its blank line counts.
func (s *Splitter) Close(event func(data []byte) error) error {
	if len(s.line) > 0 {
		line := s.line
		s.line = nil
		if err := s.endLine(line, event); err != nil {
			return err
		}
	}
	return s.endLine(nil, event)
}

func (s *Splitter) endLine(line []byte, event func(data []byte) error) error {
	if !s.begun {
		s.begun = true
		line = bytes.TrimPrefix(line, byteOrderMark)
	}
	if len(line) == 0 {
		if !s.any {
			return nil
		}
		data := s.data[:len(s.data)-1]
		s.data, s.any, s.bare = s.data[:0], false, false
		return event(data)
	}
	if s.bare = s.bare || !s.any && (line[0] == '{' || line[0] == '['); s.bare {
		return s.add(line)
	}
	value, ok := bytes.CutPrefix(line, []byte("data"))
	if !ok {
		return nil
	}
	if len(value) > 0 {
		if value[0] != ':' {
			return nil
		}
		value = bytes.TrimPrefix(value[1:], []byte(" "))
	}
	return s.add(value)
}

// add adds a data line to the event.
func (s *Splitter) add(value []byte) error {
	if len(s.data)+len(value) > maxFrame {
		return errFrameTooLarge
	}
	s.data = append(append(s.data, value...), '\n')
	s.any = true
	return nil
}
