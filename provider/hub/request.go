package hub

import (
	"bytes"
	"errors"
	"net/url"
	"strconv"
	"time"

	"github.com/tidwall/gjson"

	"github.com/continue-auth/caddy-continue-auth/provider/jsontext"
)

// Request is a client's request. Only the parts that the proxy needs are parsed.
type Request struct {
	Endpoint Endpoint

	// User is the email of the user who asks. It is empty if not known.
	User string

	// Name is the model as the client named it: "<provider>/<model>".
	Name string

	// Provider and Model are the parts of Name before and after its first slash.
	Provider, Model string

	// Stream says that the client wants a stream of events. If false, it wants one JSON object.
	Stream bool

	// IncludeUsage is stream_options.include_usage.
	IncludeUsage bool

	// AskUsage says that the operator wants the token counts of streams even if the client does not ask for
	// them.
	AskUsage bool

	// Format is the client's format.
	Format Format

	// Stop are stop words that this server applies. The provider is not told of them, because the client
	// wants to know which of them ended the text.
	Stop []string

	// Query is the client's query string. A provider sends on the parameters that it knows.
	Query url.Values

	// Body is the JSON as the client sent it. A provider may edit it in place when it makes a Call.
	Body []byte

	// Memory returns at least size bytes of memory for a new body. It may be used until upstream has
	// answered. If nil, the memory is allocated.
	Memory func(size int) []byte

	// Peers is what other servers know of the user's conversations. Nil: there are no other servers.
	Peers Peers

	// Translated says that Body was written from a request in another format than OpenAI's, so that providers
	// may change its words.
	Translated bool

	// File is the field of such a request that holds a file, such as a PDF. Few models read files. Empty: there
	// is none.
	File string

	model, stop, messages, options span // where the values of these members are in Body

	limit, effort span // of a translated chat: the name max_tokens, and the member reasoning_effort with its comma

	numbered bool // whether a string may have a \u escape

	asked bool // whether this server asked for token counts that the client did not want

	choices          int  // `n`
	tools, functions bool // whether the request has any
}

// Peers keeps short texts for other servers, which may get a user's next request.
type Peers interface {
	// Put keeps a text for some time. It does not wait.
	Put(key, text string, keep time.Duration)

	// Get returns the text of a key, or "" if there is none.
	Get(key string) string
}

// span is the place of a value in a body. The zero span means that there is none.
type span struct{ start, end int }

// ParseRequest reads what the proxy needs of a request's body and checks that all of it is JSON. It keeps
// body. Its errors are *Error with status 400.
//
// It refuses a body with more than one `model`, even if the names are escaped differently. Otherwise the
// allow-list could be checked against one of them while the upstream takes the other.
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

// Messages returns the JSON of `messages`, or nil if there are none.
func (r *Request) Messages() []byte {
	if r.messages == (span{}) {
		return nil
	}
	return r.Body[r.messages.start:r.messages.end]
}

// CleanMessages returns the JSON of `messages`, with U+FFFD in place of invalid characters that JSON readers
// treat differently; see jsontext.CleanStrings. It makes a copy only if there are any.
func (r *Request) CleanMessages() []byte {
	return jsontext.CleanStrings(r.Messages(), r.numbered)
}

// NewBody returns an empty slice with capacity for a new body of about that size.
func (r *Request) NewBody(size int) []byte {
	if r.Memory == nil {
		return make([]byte, 0, size)
	}
	return r.Memory(size)[:0]
}

// Rest returns the JSON of the request with null in place of its messages, which are most of the request.
func (r *Request) Rest() []byte {
	if r.messages == (span{}) {
		return r.Body
	}
	before, after := r.Body[:r.messages.start], r.Body[r.messages.end:]
	rest := make([]byte, 0, len(before)+len("null")+len(after))
	return append(append(append(rest, before...), "null"...), after...)
}

// unquote returns the text of a valid JSON string. raw includes the quotes.
func unquote(raw []byte) []byte {
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw[1 : len(raw)-1]
	}
	return jsontext.AppendUnquoted(nil, raw)
}

// StopWords reads `stop`, a string or an array of strings. It leaves out empty strings.
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

// Limits for stop words. For each chunk of the answer, the work grows with the square of a word's length.
// Continue sends 5 to 9 words of a few characters.
const (
	maxStop     = 64
	maxStopWord = 1 << 10
)
