package hub

import (
	"bytes"
	"errors"
	"net/url"
	"strconv"

	"github.com/tidwall/gjson"

	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
)

// Request is a client's request, read as far as the proxy needs it.
type Request struct {
	Endpoint Endpoint

	// User is who asks; empty where that is not known.
	User string

	// Name is the model as the client named it: "<provider>/<model>".
	Name string

	// Provider and Model are the two sides of Name's first slash.
	Provider, Model string

	// Stream is the client's choice of a stream of events over one JSON object.
	Stream bool

	// IncludeUsage is stream_options.include_usage.
	IncludeUsage bool

	// AskUsage is the operator's wish to know the token counts of streams whose clients do not ask.
	AskUsage bool

	// Format is the client's.
	Format Format

	// Stop are words that end the text and that no provider is told of, because the client wants to know which
	// of them it was.
	Stop []string

	// Query is the client's. A provider sends on what it knows of it.
	Query url.Values

	// Body is the JSON as it came. Whoever turns the request into a Call may edit it in place.
	Body []byte

	// Memory returns memory of at least that size for a body that is written anew. It may be used until upstream has
	// answered. Nil: the garbage collector's is taken.
	Memory func(size int) []byte

	// Translated says that Body was written anew from a request in another format than OpenAI's, so that providers
	// may change its words.
	Translated bool

	// File is the field of such a request that holds a file, such as a PDF. Few models read files. Empty: there
	// is none.
	File string

	model, stop, messages, options span // the values of these members in Body

	limit, effort span // of a translated chat: the name max_tokens, and the member reasoning_effort with its comma

	numbered bool // whether a string may have an escape sequence by number

	asked bool // for token counts that the client did not want

	choices          int  // `n`
	tools, functions bool // whether there are any
}

// span is where a value stands in a body; the zero span is nowhere.
type span struct{ start, end int }

// ParseRequest reads what the proxy must know of a request's body and checks that all of it is
// JSON. It keeps body. Its errors are *Error with status 400.
//
// More than one `model`, however the name is escaped, is refused: the allow-list would be checked
// against one of them and the upstream might take the other.
func ParseRequest(endpoint Endpoint, body []byte) (*Request, error) {
	r := &Request{Endpoint: endpoint, Body: body}
	numbered, err := jsontext.ScanObject(body, func(m jsontext.Member) error {
		value := body[m.ValueStart:m.ValueEnd]
		switch string(unquote(body[m.NameStart:m.NameEnd])) {
		case "model":
			if r.model != (span{}) {
				return BadRequest("model", "Send `model` once: the request body has more than one.")
			}
			if value[0] != '"' {
				return BadRequest("model", "Send `model` as a string: \"<provider>/<model>\".")
			}
			r.Name = string(unquote(value))
			r.model = span{m.ValueStart, m.ValueEnd}
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
			r.options = span{m.ValueStart, m.ValueEnd}
			r.IncludeUsage = gjson.GetBytes(value, "include_usage").Type == gjson.True
		case "stop":
			r.stop = span{m.ValueStart, m.ValueEnd}
		case "messages":
			r.messages = span{m.ValueStart, m.ValueEnd}
		case "n":
			r.choices = int(gjson.ParseBytes(value).Int())
		case "tools":
			r.tools = value[0] == '['
		case "functions":
			r.functions = value[0] == '['
		case "max_tokens":
			r.limit = span{m.NameStart, m.NameEnd}
		case "reasoning_effort":
			r.effort = span{m.NameStart - len(","), m.ValueEnd}
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
	r.numbered = numbered
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
	return jsontext.CleanStrings(r.Messages(), r.numbered)
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
	return jsontext.AppendUnquoted(nil, raw)
}

// StopWords reads `stop`, a string or an array of strings, without the empty ones.
func (r *Request) StopWords() ([]string, error) {
	return ReadStopWords("stop", r.Body[r.stop.start:r.stop.end])
}

// ReadStopWords reads the stop words at a field of a request: a string, an array of strings or null, without
// the empty ones. raw is valid JSON or empty.
func ReadStopWords(field string, raw []byte) ([]string, error) {
	value := gjson.ParseBytes(raw)
	if value.Type == gjson.Null {
		return nil, nil
	}
	wrong := BadRequest(field, "Send `"+field+"` as a string or an array of strings.")
	if value.IsObject() {
		return nil, wrong
	}
	var stop []string
	var err error
	words := 0
	value.ForEach(func(_, word gjson.Result) bool {
		words++
		switch {
		case word.Type != gjson.String:
			err = wrong
		case words > maxStop:
			err = BadRequest(field, "Send at most "+strconv.Itoa(maxStop)+" stop words.")
		case len(word.Str) > maxStopWord:
			err = BadRequest(field, "Send stop words of at most "+strconv.Itoa(maxStopWord)+" bytes.")
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

// What bounds the work that a request's stop words can cause for each chunk of its answer, which grows
// with the square of their length. Continue sends 5 to 9, of a few characters.
const (
	maxStop     = 64
	maxStopWord = 1 << 10
)
