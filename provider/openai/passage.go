package openai

import (
	"bytes"
	"slices"

	"github.com/tidwall/gjson"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
)

// Passage is a stream of events on its way from a provider that speaks OpenAI's format: it passes byte
// for byte, line by line as it comes. Only JSON that stands alone is held until its end, since it may be
// an error in place of the rest.
type Passage struct {
	// Responses says that the stream is one of /responses, whose events and end are others.
	Responses bool

	line     []byte // the beginning of a line whose end has not come
	bare     []byte // lines of JSON that stand alone
	begun    bool   // an answer has: what else a stream may hold has no end that we know
	finished bool   // the provider has given a reason to finish
	ended    bool   // the last event has passed
	reported bool   // an error has been reported, which is the last that the client gets
	came     bool   // something has passed
	open     bool   // an event has passed without its blank line
	torn     bool   // the last line has passed without its end
}

var (
	errorMember   = jsontext.NewNeedle(`"e`, `rror"`)
	choicesMember = []byte(`"choices"`)
	finishReason  = jsontext.NewNeedle(`"`, `finish_reason"`)
	responseEvent = []byte(`"type":"response.`)
)

// responseEnds are the types of the events that end a stream of /responses, where no [DONE] comes
// (https://platform.openai.com/docs/api-reference/responses-streaming).
var responseEnds = [][]byte{[]byte(`"type":"response.completed"`), []byte(`"type":"response.incomplete"`), []byte(`"type":"response.failed"`)}

// Pass returns what the client is to get of the next piece, which may be the piece itself. An error that
// the provider reports in it, in whatever shape, is returned, and what comes behind it dropped.
func (p *Passage) Pass(piece []byte) ([]byte, *hub.Error) {
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
func (p *Passage) passLines(lines []byte) ([]byte, *hub.Error) {
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
func (p *Passage) hold(line []byte) ([]byte, *hub.Error) {
	content := bytes.TrimRight(line, "\r\n")
	if _, data := hub.FieldData(content); len(content) > 0 && !data && len(p.bare) < maxErrorLines {
		p.bare = append(p.bare, line...)
		return nil, nil
	}
	held := p.bare
	p.bare = nil
	if e := hub.ReportedIn(held); e != nil {
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
func (p *Passage) look(line []byte) (e *hub.Error) {
	content := bytes.TrimRight(line, "\r\n")
	data, ok := hub.FieldData(content)
	data = bytes.TrimSpace(data)
	switch {
	case !ok:
	case p.Responses:
		e = p.lookAtResponse(data)
	default:
		e = p.lookAtChunk(data)
	}
	if p.reported = e != nil; !p.reported {
		p.came, p.open = true, len(content) > 0
	}
	return e
}

// lookAtChunk looks at an event of a chat.
func (p *Passage) lookAtChunk(data []byte) *hub.Error {
	answers := bytes.Contains(data, choicesMember)
	if !answers && string(data) == "[DONE]" {
		p.ended = true
		return nil
	}
	if !answers || errorMember.In(data) {
		if e := hub.ReportedIn(data); e != nil {
			return e
		}
	}
	p.begun = p.begun || answers
	for rest := data; answers && !p.finished; {
		i := finishReason.Index(rest)
		if i < 0 {
			break
		}
		rest = bytes.TrimLeft(rest[i+len(`"finish_reason"`):], ": ")
		p.finished = jsontext.IsSaid(rest) && rest[1] != '"'
	}
	return nil
}

// lookAtResponse looks at an event of /responses. One that reports an error in the API's own form passes.
func (p *Passage) lookAtResponse(data []byte) *hub.Error {
	if !bytes.Contains(data, responseEvent) {
		if jsontext.ValidObject(data) && gjson.GetBytes(data, "type").Str == "error" {
			p.ended = true
			return nil
		}
		return hub.ReportedIn(data)
	}
	p.begun = true
	p.ended = p.ended || lastOfResponse(data)
	return nil
}

// lastOfResponse reports whether an event ends a stream of /responses.
func lastOfResponse(data []byte) bool {
	return slices.ContainsFunc(responseEnds, func(end []byte) bool { return bytes.Contains(data, end) })
}

// Close returns what is held of a line that has not come to its end, and an error: one that is reported in
// it, or that the answer is not whole. A provider may leave out the last event, but not the reason why it
// finished.
func (p *Passage) Close() ([]byte, *hub.Error) {
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
	broken := !p.came || (p.begun || len(torn) > 0) && !p.finished
	if e == nil && broken && !p.Complete() {
		e = hub.ErrIncomplete
	}
	return rest, e
}

// Complete reports whether the stream has come to its end, whatever the connection does then.
func (p *Passage) Complete() bool { return p.ended || p.reported }

// AppendFrame appends the event that ends the stream with e, behind what it broke off in. A blank line
// too many would be an empty event to some clients.
func (p *Passage) AppendFrame(b []byte, e *hub.Error) []byte {
	switch {
	case p.torn:
		b = append(b, "\n\n"...)
	case p.open:
		b = append(b, '\n')
	}
	return Format{}.AppendErrorFrame(b, e)
}
