// Package openai is the OpenAI wire format as the proxy speaks it: the requests that clients
// send, the answers and streams they expect, and errors.
//
// Field names and the order of a stream follow the types of
// github.com/openai/openai-go/v3 and https://platform.openai.com/docs/api-reference.
package openai

import "io"

// Endpoint is the part of OpenAI's API that a request is for.
type Endpoint int

// The endpoints that carry a model in their body.
const (
	Chat Endpoint = iota
	Completions
	Responses
	Embeddings
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

	// Body is the JSON as it came. Whoever turns the request into a Call may edit it in place.
	Body []byte

	// Memory returns memory of at least that size for a body that is written anew. It may be used until upstream has
	// answered. Nil: the garbage collector's is taken.
	Memory func(size int) []byte

	model, stop, messages, options span // the values of these members in Body

	numbered bool // whether a string may have an escape sequence by number

	asked bool // for token counts that the client did not want

	choices          int  // `n`
	tools, functions bool // whether there are any
}

// span is where a value stands in a body; the zero span is nowhere.
type span struct{ start, end int }

// Call is what goes to the AI Gateway for a Request.
type Call struct {
	// Path stands below /v1/{account}/{gateway}/, without a leading slash and not escaped.
	Path string

	// Query is the provider's own, encoded; the operator's settings are added to it, but for the
	// parameter WithoutQuery, which the provider settles itself.
	Query, WithoutQuery string

	Body []byte

	// Translate makes the translator for an answer with status 2xx, which is fed the upstream's
	// body; sse says that this is a stream of events. Where it returns nil, and where it is nil,
	// the answer passes through.
	Translate func(dst io.Writer, sse bool) Translator
}

// Translator turns an upstream's answer into OpenAI's as it arrives. What is written to it comes
// out at dst within the same Write, but for a frame that is not complete yet.
//
// It is made for one answer and used by one goroutine.
type Translator interface {
	io.Writer

	// Stream reports whether events come out, rather than one JSON object at Close.
	Stream() bool

	// Done reports that the answer is complete and nothing more of the upstream is wanted.
	Done() bool

	// Usage is how many tokens the answer has taken, as far as it has been read; ok is false where the
	// provider has not said.
	Usage() (u Usage, ok bool)

	// Close writes what is left, after the upstream's body has ended as it should. Where nothing
	// has come out yet, a fault of the answer is returned as *Error and nothing is written.
	Close() error

	// Abort ends an answer that was cut off: a stream ends with an error frame.
	Abort(*Error) error
}
