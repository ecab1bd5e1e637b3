// Package hub is where clients' formats and AI providers meet. A client's format turns its request into a
// Request, and writes what the model says in the client's own way. A provider turns a Request into a Call,
// and says on an Answer what comes back. Neither knows the other, so a new format or a new provider is
// added once.
//
// The hub's request is a chat request as OpenAI's API has it, in JSON
// (https://platform.openai.com/docs/api-reference/chat/create), because most providers take that as it is.
package hub

import (
	"io"
	"net/http"
)

// Endpoint is the kind of request.
type Endpoint int

// The endpoints that carry a model in their body.
const (
	Chat        Endpoint = iota
	Completions          // a prompt as it is, to be continued
	Responses            // OpenAI's Responses API
	Embeddings
	Messages      // Anthropic's Messages API
	MessageTokens // how many tokens a request to it would take
	Gemini        // Gemini's generateContent and streamGenerateContent
	GeminiTokens  // its countTokens
	ChatTokens    // how many tokens a chat would take
)

// Call is what goes to the AI Gateway for a Request.
type Call struct {
	// Path stands below /v1/{account}/{gateway}/. It has no leading slash and is not escaped.
	Path string

	// Query is the provider's own, encoded. The operator's settings are added to it, except for the
	// parameter named WithoutQuery.
	Query, WithoutQuery string

	Body []byte

	// Chat says that Body is a chat or a text completion, which the operator's settings may add to.
	Chat bool

	// Header are headers that go upstream where the client sends none of that name.
	Header http.Header

	// MayPass reports whether a header of that canonical name, beside those that all requests have, passes from
	// the client to upstream. Nil: none does.
	MayPass func(name string) bool

	// Settings returns the operator's headers as they go with this request. It may return its argument,
	// which it must not change. Nil: they go as they are.
	Settings func(http.Header) http.Header

	// OwnError returns what passes of the body of an upstream's error, if that is in the client's own format, else
	// nil. It is not asked about errors that concern the operator's credentials. Nil: no error passes.
	OwnError func(body []byte) []byte

	// Translate makes the translator for an answer with status 2xx. sse says that the answer is a stream of
	// events. The answer passes unchanged where Translate is nil or returns nil.
	Translate func(dst io.Writer, sse bool) Translator
}

// Translator turns an upstream's answer into the client's as it arrives. What is written to it comes
// out at dst within the same Write, except for a frame that is not complete yet.
//
// It is made for one answer and used by one goroutine.
type Translator interface {
	io.Writer

	// Stream reports whether events come out, rather than one JSON object at Close.
	Stream() bool

	// Done reports that the answer is complete and that nothing more of the upstream is needed.
	Done() bool

	// Usage returns how many tokens the answer has taken so far. ok is false where the provider has not said.
	Usage() (u Usage, ok bool)

	// Close writes what is left, after the upstream's body has ended as it should. Where nothing
	// has come out yet, it returns a fault of the answer as *Error and writes nothing.
	Close() error

	// Abort ends an answer that was cut off. A stream ends with an error frame.
	Abort(*Error) error
}

// Usage counts tokens. Cached is part of Prompt, Reasoning of Completion.
type Usage struct {
	Prompt, Completion, Total int64
	Cached, Reasoning         int64
}
