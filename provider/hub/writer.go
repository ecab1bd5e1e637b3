package hub

// Format is a client's format. It writes errors, and reads streams that pass.
type Format interface {
	// AppendError appends the body of an answer that reports e. requestID is this server's id of the request.
	AppendError(b []byte, e *Error, requestID string) []byte

	// AppendErrorFrame appends the event that ends a stream with e.
	AppendErrorFrame(b []byte, e *Error) []byte

	// Look reads the data of an event that passes, and notes in p how far the answer has got. If it returns
	// an error, the stream ends with that error instead of the event. An error in the format's own shape
	// passes, and Look notes it in p.
	Look(data []byte, p *Progress) *Error
}

// ChatFormat is a Format into which any provider's answer can be translated.
type ChatFormat interface {
	Format

	// NewWriter makes the writer of one answer.
	NewWriter(Form, *Head) Writer
}

// CountFormat is a Format in which clients ask how many tokens a chat takes.
type CountFormat interface {
	Format

	// AppendCount appends the answer.
	AppendCount(b []byte, tokens int64) []byte
}

// Writer writes one answer. Each method appends to b what the client gets.
type Writer interface {
	// AppendEvent appends an event of a stream. It may append nothing.
	AppendEvent(b []byte, e Event) []byte

	// AppendEnd appends the end of a complete stream. usage is nil if it is not known or not wanted.
	AppendEnd(b []byte, usage *Usage) []byte

	// AppendFail appends the end of a stream that fails with e.
	AppendFail(b []byte, e *Error) []byte

	// AppendObject appends a whole answer. usage is nil if it is not known.
	AppendObject(b []byte, choices []*Choice, usage *Usage) []byte
}

// Head is what all parts of an answer have in common.
type Head struct {
	// ID is the provider's id. It is empty if the provider has not named one.
	ID string

	// Created is when the answer began, in seconds since 1970, as JSON.
	Created string

	// Model is the model as the client named it. If parts of the answer pass unchanged, it is upstream's
	// name.
	Model string

	// Usage is what is known of the token counts so far, or nil. It is complete only at the end.
	Usage *Usage

	// Passed says that ID, Created and Model are upstream's, because a part of the answer has passed
	// unchanged.
	Passed bool
}

// Kind is the kind of an Event.
type Kind int

// The kinds of events.
const (
	Begin       Kind = iota // a choice begins
	Text                    // Event.Text is a piece of the answer's text
	Reasoning               // Event.Text is a piece of the model's reasoning
	Refusal                 // Event.Text is a piece of the reason for not answering
	CallPiece               // Event.Call is a piece of a tool call
	Extra                   // Event.Extra is extra_content
	Annotations             // Event.Citations are sources of the text
	Image                   // Event.Text is an image's URL
	Logprobs                // Event.Logprobs are those of the next tokens
	Finish                  // Event.Text is the finish reason, Event.Stop the stop word if this server applied one
)

// Event is one piece of a choice in a stream.
type Event struct {
	Kind   Kind
	Choice int // the choice's index
	Text   string
	Stop   string

	// Call is the tool call that a piece belongs to. Its Arguments and Extra hold only what is new. Position
	// is the call's index among the choice's calls. First says that this is the call's first piece.
	Call     ToolCall
	Position int
	First    bool

	// Extra is a JSON object.
	Extra []byte

	Citations []URLCitation
	Logprobs  []TokenLogprob
}

// URLCitation is a web page that is the source of a passage in a choice's text.
type URLCitation struct {
	// Start and End are where the passage begins and ends in the text, in Unicode characters.
	Start, End int

	URL, Title string
}

// TokenLogprob is the natural logarithm of a token's probability, with the most likely alternatives.
type TokenLogprob struct {
	Token   string
	Logprob float64
	Bytes   string // a JSON array; empty means null
	Top     []TokenLogprob
}
