package hub

import "bytes"

// Passage passes a stream of events from a provider that uses the client's format. It passes complete lines
// as they arrive, byte for byte. Lines of JSON outside of an event are held until their end, because they may
// be an error that replaces the rest of the stream.
type Passage struct {
	// Format is the client's format.
	Format Format

	line     []byte // the beginning of an incomplete line
	bare     []byte // lines of JSON outside of an event
	progress Progress
	reported bool // an error has been reported; the client gets nothing after it
	came     bool // something has passed
	open     bool // an event has passed, but not the blank line after it
	torn     bool // the last line has passed without its line end
}

// Progress is how far an answer that passes has got.
type Progress struct {
	// Begun says that an answer has begun. A stream of anything else may end at any point.
	Begun bool

	// Finished says that the provider has given a finish reason.
	Finished bool

	// Ended says that the last event has passed.
	Ended bool

	// Failed says that this event is an error.
	Failed bool
}

// maxLine bounds the memory for an incomplete line.
const maxLine = 64 << 20

// Pass takes the next piece and returns what to send to the client now. That may be the piece itself. If the
// provider reports an error in the piece, in any shape, Pass returns the error and drops what follows.
func (p *Passage) Pass(piece []byte) ([]byte, *Error) {
	if p.reported {
		return nil, nil
	}
	if len(p.line) > 0 {
		piece = append(p.line, piece...)
		p.line = nil
	}
	whole := bytes.LastIndexByte(piece, '\n') + 1
	if torn := piece[whole:]; len(torn) > maxLine {
		whole = len(piece)
	} else if len(torn) > 0 {
		p.line = bytes.Clone(torn)
	}
	return p.passLines(piece[:whole])
}

// passLines passes complete lines.
func (p *Passage) passLines(lines []byte) ([]byte, *Error) {
	var kept []byte // the lines that pass, if some do not
	from := 0       // where in lines the bytes begin that pass and are not in kept
	for at := 0; at < len(lines); {
		end := at + bytes.IndexByte(lines[at:], '\n') + 1
		if end == at {
			end = len(lines)
		}
		line := lines[at:end]
		if p.bare != nil || line[0] == '{' || line[0] == '[' {
			kept = append(kept, lines[from:at]...)
			from = end
			rest, e := p.hold(line)
			if kept = append(kept, rest...); e != nil {
				return kept, e
			}
		} else if e := p.look(line); e != nil {
			return append(kept, lines[from:at]...), e
		}
		at = end
	}
	if from == 0 {
		return lines, nil
	}
	return append(kept, lines[from:]...), nil
}

// hold keeps a line of JSON outside of an event. When line ends that JSON, hold returns all of it, or the
// error that it reports.
func (p *Passage) hold(line []byte) ([]byte, *Error) {
	content := bytes.TrimRight(line, "\r\n")
	if _, data := FieldData(content); len(content) > 0 && !data && len(p.bare) < maxErrorLines {
		p.bare = append(p.bare, line...)
		return nil, nil
	}
	held := p.bare
	p.bare = nil
	if e := ReportedIn(held); e != nil {
		p.reported = true
		return nil, e
	}
	p.came, p.open = true, true
	if e := p.look(line); e != nil {
		return held, e
	}
	return append(held, line...), nil
}

// maxErrorLines bounds the size of held lines that may be an error.
const maxErrorLines = 256 << 10

// look notes what a line says about the answer. The line passes unless look returns an error.
func (p *Passage) look(line []byte) (e *Error) {
	content := bytes.TrimRight(line, "\r\n")
	data, ok := FieldData(content)
	data = bytes.TrimSpace(data)
	switch {
	case !ok:
	default:
		e = p.Format.Look(data, &p.progress)
	}
	if p.reported = e != nil; !p.reported {
		p.came, p.open = true, len(content) > 0
	}
	return e
}

// Close returns the rest of the stream. It returns an error if the rest reports one, or if the answer is
// incomplete. A provider may leave out the last event, but not the finish reason.
func (p *Passage) Close() ([]byte, *Error) {
	if p.reported {
		return nil, nil
	}
	torn := p.line
	p.line = nil
	rest, e := p.passLines(torn)
	if e == nil && p.bare != nil {
		var held []byte
		held, e = p.hold(nil)
		rest = append(rest, held...)
	}
	p.torn = len(rest) > 0 && rest[len(rest)-1] != '\n'
	broken := !p.came || (p.progress.Begun || len(torn) > 0) && !p.progress.Finished
	if e == nil && broken && !p.Complete() {
		e = ErrIncomplete
	}
	return rest, e
}

// Complete reports whether the stream has ended, so that it does not matter how the connection ends.
func (p *Passage) Complete() bool { return p.progress.Ended || p.reported }

// Failed reports whether an error in the format's own shape has passed.
func (p *Passage) Failed() bool { return p.progress.Failed }

// Reported reports whether an error has ended the stream.
func (p *Passage) Reported() bool { return p.reported }

// AppendFrame appends the event that ends the stream with e. It first ends the line and the event that have
// passed in part. It does not add more blank lines than necessary, since some clients read one as an empty
// event.
func (p *Passage) AppendFrame(b []byte, e *Error) []byte {
	switch {
	case p.torn:
		b = append(b, "\n\n"...)
	case p.open:
		b = append(b, '\n')
	}
	return p.Format.AppendErrorFrame(b, e)
}
