package openai

import (
	"bytes"
	"errors"
	"strconv"

	"github.com/tidwall/gjson"
)

// ParseRequest reads what the proxy must know of a request's body and checks that all of it is
// JSON. It keeps body. Its errors are *Error with status 400.
//
// More than one `model`, however the name is escaped, is refused: the allow-list would be checked
// against one of them and the upstream might take the other.
func ParseRequest(endpoint Endpoint, body []byte) (*Request, error) {
	r := &Request{Endpoint: endpoint, Body: body}
	s := scanner{b: body}
	err := s.whole(func(m member) error {
		value := body[m.valueStart:m.valueEnd]
		switch string(unquote(body[m.keyStart:m.keyEnd])) {
		case "model":
			if r.model != (span{}) {
				return BadRequest("model", "Send `model` once: the request body has more than one.")
			}
			if value[0] != '"' {
				return BadRequest("model", "Send `model` as a string: \"<provider>/<model>\".")
			}
			r.Name = string(unquote(value))
			r.model = span{m.valueStart, m.valueEnd}
		case "stream":
			switch string(value) {
			case "true":
				r.Stream = true
			case "false", "null":
				r.Stream = false
			default:
				return BadRequest("stream", "Send `stream` as true or false.")
			}
		case "stream_options":
			r.options = span{m.valueStart, m.valueEnd}
			r.IncludeUsage = gjson.GetBytes(value, "include_usage").Type == gjson.True
		case "stop":
			r.stop = span{m.valueStart, m.valueEnd}
		case "messages":
			r.messages = span{m.valueStart, m.valueEnd}
		case "n":
			r.choices = int(gjson.ParseBytes(value).Int())
		case "tools":
			r.tools = value[0] == '['
		case "functions":
			r.functions = value[0] == '['
		}
		return nil
	})
	var refused *Error
	switch {
	case errors.As(err, &refused):
		return nil, refused
	case err != nil:
		return nil, BadRequest("", "Send a JSON object: "+err.Error()+".")
	case r.model == span{}:
		return nil, BadRequest("model", "Name a model: the request body has no `model`.")
	}
	r.numbered = s.unicode
	return r, nil
}

// Messages returns the JSON of `messages`, nil where there are none.
func (r *Request) Messages() []byte {
	if r.messages == (span{}) {
		return nil
	}
	return r.Body[r.messages.start:r.messages.end]
}

// CleanMessages returns the JSON of `messages` as Messages does, but with U+FFFD in the place of what readers could
// disagree on, as CleanString has it. It is a copy only where there is any of that.
func (r *Request) CleanMessages() []byte {
	messages := r.Messages()
	if validText(messages) && !(r.numbered && mayHaveSurrogates(messages)) {
		return messages
	}
	clean := make([]byte, 0, len(messages)+len(messages)/8)
	for rest := messages; ; {
		start := bytes.IndexByte(rest, '"')
		if start < 0 {
			return append(clean, rest...)
		}
		s := scanner{b: rest, i: start, checked: true}
		if s.string() != nil { // which cannot be
			return messages
		}
		clean = append(append(clean, rest[:start]...), CleanString(rest[start:s.i])...)
		rest = rest[s.i:]
	}
}

// NewBody returns empty memory for a body of about that size, which takes the place of Body.
func (r *Request) NewBody(size int) []byte {
	if r.Memory == nil {
		return make([]byte, 0, size)
	}
	return r.Memory(size)[:0]
}

// Rest returns the JSON of the request with null for its messages, which most of it is made of.
func (r *Request) Rest() []byte {
	if r.messages == (span{}) {
		return r.Body
	}
	before, after := r.Body[:r.messages.start], r.Body[r.messages.end:]
	rest := make([]byte, 0, len(before)+len("null")+len(after))
	return append(append(append(rest, before...), "null"...), after...)
}

// unquote returns the text of a valid JSON string, quotes included in raw.
func unquote(raw []byte) []byte {
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw[1 : len(raw)-1]
	}
	return AppendUnquoted(nil, raw)
}

// Stop reads `stop`, a string or an array of strings, without the empty ones.
func (r *Request) Stop() ([]string, error) {
	value := gjson.ParseBytes(r.Body[r.stop.start:r.stop.end])
	switch {
	case value.Type == gjson.Null:
		return nil, nil
	case value.IsObject():
		return nil, errStop
	}
	var stop []string
	var err error
	words := 0
	value.ForEach(func(_, word gjson.Result) bool {
		words++
		switch {
		case word.Type != gjson.String:
			err = errStop
		case words > maxStop:
			err = BadRequest("stop", "Send at most "+strconv.Itoa(maxStop)+" stop words.")
		case len(word.Str) > maxStopWord:
			err = BadRequest("stop", "Send stop words of at most "+strconv.Itoa(maxStopWord)+" bytes.")
		case word.Str != "":
			stop = append(stop, word.Str)
		}
		return err == nil
	})
	if err != nil {
		return nil, err
	}
	return stop, nil
}

var errStop = BadRequest("stop", "Send `stop` as a string or an array of strings.")

// What bounds the work that a request's stop words can cause for each chunk of its answer, which grows
// with the square of their length. Continue sends 5 to 9, of a few characters.
const (
	maxStop     = 64
	maxStopWord = 1 << 10
)
