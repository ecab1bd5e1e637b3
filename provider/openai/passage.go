package openai

import (
	"bytes"
	"slices"

	"github.com/tidwall/gjson"
)

// Passage is a stream of events on its way from a provider that speaks OpenAI's format: it passes byte
// for byte and as it comes. Only the line of an event that may report an error is held until it can be
// read.
type Passage struct {
	Responses bool // it is one of /responses, whose events and end are others

	tail     []byte // the last bytes that have passed
	line     []byte // the beginning of one that may report an error
	begun    bool   // an answer has: what else a stream may hold has no end that we know
	finished bool   // the provider has given a reason to finish
	ended    bool   // the last event of a response has passed
	reported bool   // an error has been reported, which is the last that the client gets
}

var (
	errorMember   = NewNeedle(`"e`, `rror"`)
	choicesMember = []byte(`"choices"`)
	finishReason  = NewNeedle(`"`, `finish_reason"`)
	responseEvent = []byte(`"type":"response.`)
)

// responseEnds are the types of the events that end a stream of /responses, where no [DONE] comes
// (https://platform.openai.com/docs/api-reference/responses-streaming).
var responseEnds = [][]byte{[]byte(`"type":"response.completed"`), []byte(`"type":"response.incomplete"`), []byte(`"type":"response.failed"`)}

// tailLength is more than any of what is looked for takes.
const tailLength = 48

// Pass returns what the client is to get of the next piece, which may be the piece itself. An error that
// the provider reports in it, in whatever shape, is returned, and what comes behind it dropped.
func (p *Passage) Pass(piece []byte) ([]byte, *Error) {
	switch {
	case p.reported:
		return nil, nil
	case len(p.line) == 0 && !errorMember.In(piece):
		p.note(piece)
		return piece, nil
	}
	p.line = append(p.line, piece...)
	var out []byte
	for {
		line, rest, ended := bytes.Cut(p.line, []byte("\n"))
		if !ended {
			break
		}
		if e := reportedIn(line); e != nil {
			p.note(out)
			p.line, p.reported = nil, true
			return out, e
		}
		out = append(append(out, line...), '\n')
		p.line = rest
	}
	if !errorMember.In(p.line) || len(p.line) > maxObject {
		out = append(out, p.line...)
		p.line = nil
	}
	p.note(out)
	return out, nil
}

// Close returns what is held of a line that has not come to its end, and an error if the answer is not
// whole: a provider may leave out the last event, but not the reason why it finished.
func (p *Passage) Close() ([]byte, *Error) {
	rest := p.line
	p.line = nil
	p.note(rest)
	broken := p.begun && !p.finished || len(rest) > 0 || len(p.tail) == 0
	if broken && !p.Complete() {
		return rest, errIncomplete
	}
	return rest, nil
}

// reportedIn returns the error that the line of an event reports as its member `error`.
func reportedIn(line []byte) *Error {
	data, ok := bytes.CutPrefix(line, []byte("data:"))
	if !ok || !errorMember.In(data) || !ValidObject(bytes.TrimSpace(data)) {
		return nil
	}
	m := gjson.ParseBytes(data)
	if said := m.Get("error"); !said.IsObject() && said.Type != gjson.String {
		return nil
	}
	return Reported(m)
}

// note keeps the end of what passes, and looks for the end of the answer, which may come in two pieces:
// in two lines it does not.
func (p *Passage) note(piece []byte) {
	if len(p.tail) > 0 && p.tail[len(p.tail)-1] != '\n' {
		p.look(append(p.tail, piece[:min(len(piece), tailLength)]...))
	}
	p.look(piece)
	if len(piece) < tailLength {
		piece = append(p.tail, piece...)
	}
	p.tail = append(p.tail[:0], piece[max(0, len(piece)-tailLength):]...)
}

func (p *Passage) look(b []byte) {
	if p.Responses {
		if !p.ended && bytes.Contains(b, responseEvent) {
			p.begun = true
			p.ended = slices.ContainsFunc(responseEnds, func(end []byte) bool { return bytes.Contains(b, end) })
		}
		return
	}
	p.begun = p.begun || bytes.Contains(b, choicesMember)
	for rest := b; !p.finished; {
		i := finishReason.Index(rest)
		if i < 0 {
			break
		}
		rest = bytes.TrimLeft(rest[i+len(`"finish_reason"`):], ": ")
		p.finished = bytes.HasPrefix(rest, []byte(`"`))
	}
}

// Complete reports whether the stream has come to its end, whatever the connection does then.
func (p *Passage) Complete() bool {
	end := bytes.TrimRight(p.tail, "\r\n")
	return p.ended || p.reported || bytes.HasSuffix(end, []byte("data: [DONE]")) || bytes.HasSuffix(end, []byte("data:[DONE]"))
}

// AppendFrame appends the event that ends the stream with e, behind what it broke off in. A blank line
// too many would be an empty event to some clients.
func (p *Passage) AppendFrame(b []byte, e *Error) []byte {
	switch {
	case len(p.tail) == 0, bytes.HasSuffix(p.tail, []byte("\n\n")), bytes.HasSuffix(p.tail, []byte("\r\n\r\n")):
	case bytes.HasSuffix(p.tail, []byte("\n")):
		b = append(b, '\n')
	default:
		b = append(b, "\n\n"...)
	}
	return e.AppendFrame(b)
}
