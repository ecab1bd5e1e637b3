package hub

import "bytes"

// Passage is a stream of events on its way from a provider that speaks the client's format. It passes byte
// for byte, line by line as it comes. Only JSON that stands alone is held until its end, since it may be
// an error in place of the rest.
type Passage struct {
	// Format is the client's.
	Format Format

	line     []byte // the beginning of a line whose end has not come
	bare     []byte // lines of JSON that stand alone
	progress Progress
	reported bool // an error has been reported, which is the last that the client gets
	came     bool // something has passed
	open     bool // an event has passed without its blank line
	torn     bool // the last line has passed without its end
}

// Progress is how far an answer is that passes.
type Progress struct {
	// Begun says that an answer has begun. Nothing is known of the end of anything else.
	Begun bool

	// Finished says that the provider has given a reason to finish.
	Finished bool

	// Ended says that the last event has passed.
	Ended bool

	// Failed says that this event is an error.
	Failed bool
}

// maxLine bounds the memory that a line takes whose end does not come.
const maxLine = 64 << 20

// Pass returns what the client is to get of the next piece, which may be the piece itself. An error that
// the provider reports in it, in whatever shape, is returned, and what comes behind it dropped.
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

// passLines passes lines that have their ends.
func (p *Passage) passLines(lines []byte) ([]byte, *Error) {
	var kept []byte // what passes, once that is not all of lines
	from := 0       // where in lines begins what passes and is not in kept
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

// hold keeps a line of JSON that stands alone. It returns all of them with the line that ends them.
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

// maxErrorLines bounds what is held of lines that may be an error.
const maxErrorLines = 256 << 10

// look notes what a line says of the answer, which passes unless it reports an error.
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

// Close returns what is held of a line that has not come to its end, and an error: one that is reported in
// it, or that the answer is not whole. A provider may leave out the last event, but not the reason why it
// finished.
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

// Complete reports whether the stream has come to its end, whatever the connection does then.
func (p *Passage) Complete() bool { return p.progress.Ended || p.reported }

// Failed reports whether an error has passed in the format's own shape.
func (p *Passage) Failed() bool { return p.progress.Failed }

// Reported reports whether an error has ended the stream.
func (p *Passage) Reported() bool { return p.reported }

// AppendFrame appends the event that ends the stream with e, behind what it broke off in. A blank line
// too many would be an empty event to some clients.
func (p *Passage) AppendFrame(b []byte, e *Error) []byte {
	switch {
	case p.torn:
		b = append(b, "\n\n"...)
	case p.open:
		b = append(b, '\n')
	}
	return p.Format.AppendErrorFrame(b, e)
}
