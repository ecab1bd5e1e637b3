// Package hub connects clients' formats and AI providers. A client's format turns a client's request into a
// Request, and writes the model's answer in that format. A provider turns a Request into a Call, and reports
// the model's answer to an Answer. Formats and providers do not know each other, so adding one takes code in
// one place only.
//
// The hub's request is a chat request of OpenAI's API, in JSON
// (https://platform.openai.com/docs/api-reference/chat/create), because most providers accept that unchanged.
package hub

import (
	"io"
	"net/http"
)

// Endpoint is the kind of a request.
type Endpoint int

// The endpoints that need a model.
const (
	Chat        Endpoint = iota
	Completions          // a raw prompt to continue
	Responses            // OpenAI's Responses API
	Embeddings
	Messages      // Anthropic's Messages API
	MessageTokens // counts the tokens of a Messages request
	Gemini        // Gemini's generateContent and streamGenerateContent
	GeminiTokens  // Gemini's countTokens
	ChatTokens    // counts the tokens of a chat
)

// Model is a model in a list: the name that clients use, and the provider that serves it.
type Model struct{ Name, Provider string }

// Call is the request to the AI Gateway that a provider makes of a Request.
type Call struct {
	// Path is below /v1/{account}/{gateway}/. It has no leading slash and is not escaped.
	Path string

	// Query is the provider's own query string, encoded. The operator's query parameters are added to it,
	// except for the parameter named WithoutQuery.
	Query, WithoutQuery string

	Body []byte

	// Chat says that Body is a chat or a text completion. The operator's settings may add to it.
	Chat bool

	// Header are headers to send upstream. A header that the client sends replaces the one of the same name.
	Header http.Header

	// MayPass reports whether the client's header with that canonical name goes upstream, in addition to the
	// headers that go upstream with every request. If nil, no other header does.
	MayPass func(name string) bool

	// Settings returns the operator's headers for this request. It may return its argument, but must not
	// change it. If nil, the headers are sent unchanged.
	Settings func(http.Header) http.Header

	// OwnError returns the part of an upstream's error body to pass to the client, or nil if the body is not
	// in the client's own format. It is not called for errors about the operator's credentials. If nil, no
	// error passes.
	OwnError func(body []byte) []byte

	// Translate makes the translator for an answer with status 2xx. sse says that the answer is a stream of
	// events. If Translate is nil or returns nil, the answer passes unchanged.
	Translate func(dst io.Writer, sse bool) Translator
}

// Translator turns an upstream's answer into the client's as it arrives. A Write writes the result to dst
// before it returns, except for the result of a frame that is not complete yet.
//
// A Translator is for one answer and for use by one goroutine.
type Translator interface {
	io.Writer

	// Stream reports whether it writes events. If not, it writes one JSON object at Close.
	Stream() bool

	// Done reports whether the answer is complete, so that the rest of the upstream's body is not needed.
	Done() bool

	// Usage returns the answer's token counts so far. ok is false if the provider has not given any.
	Usage() (u Usage, ok bool)

	// Close must be called when the upstream's body has ended normally. It writes the rest. If the answer is
	// invalid and nothing has been written yet, Close returns an *Error and writes nothing.
	Close() error

	// Abort ends an answer that was cut off. A stream ends with an error frame. If nothing has been written
	// yet, Abort returns the error.
	Abort(*Error) error
}

// Usage counts tokens. Cached is part of Prompt, and Reasoning is part of Completion.
type Usage struct {
	Prompt, Completion, Total int64
	Cached, Reasoning         int64
}
