package hub

// Format is a client's format: how errors are written in it, and how a stream in it passes.
type Format interface {
	// AppendError appends the body of an answer that is this error. requestID is ours.
	AppendError(b []byte, e *Error, requestID string) []byte

	// AppendErrorFrame appends the event that ends a stream with this error.
	AppendErrorFrame(b []byte, e *Error) []byte

	// Look looks at the data of an event that passes, and notes in p how far the answer is. An error that
	// it returns ends the stream in place of the event. An error in the format's own shape passes, and is
	// noted in p.
	Look(data []byte, p *Progress) *Error
}

// ChatFormat is a Format that any provider's answer can be translated into.
type ChatFormat interface {
	Format

	// NewWriter makes the writer of one answer.
	NewWriter(Form, *Head) Writer
}

// CountFormat is a Format for a question how many tokens a chat would take.
type CountFormat interface {
	Format

	// AppendCount appends the answer.
	AppendCount(b []byte, tokens int64) []byte
}

// Writer writes one answer. Each method appends what the client gets to b.
type Writer interface {
	// AppendEvent appends what an event of a stream becomes, which may be nothing.
	AppendEvent(b []byte, e Event) []byte

	// AppendEnd appends the end of a stream that is complete. usage is nil where it is not known.
	AppendEnd(b []byte, usage *Usage) []byte

	// AppendFail appends the end of a stream that breaks off with this error.
	AppendFail(b []byte, e *Error) []byte

	// AppendObject appends a whole answer, where the client wants no stream.
	AppendObject(b []byte, choices []*Choice, usage *Usage) []byte
}

// Head is what is the same for all of an answer.
type Head struct {
	// ID is the provider's. Empty: it has named none.
	ID string

	// Created is when the answer began, in seconds since 1970, as JSON has it.
	Created string

	// Model is the model as the client named it, or upstream's name where parts of the answer pass as they are.
	Model string

	// Usage is what is known of the token counts so far, nil where nothing is. It is complete only at the end.
	Usage *Usage

	// Passed says that ID, Created and Model are upstream's, because the client has a part of the answer
	// that passed as it is.
	Passed bool
}

// Kind is what an Event is about.
type Kind int

// The kinds of events.
const (
	Begin       Kind = iota // a choice opens
	Text                    // Event.Text is part of what the model says
	Reasoning               // Event.Text is part of what the model thinks
	Refusal                 // Event.Text is part of why there is no answer
	CallPiece               // Event.Call is part of a tool call
	Extra                   // Event.Extra is what the provider wants back with the text
	Annotations             // Event.Citations
	Image                   // Event.Text is its URL
	Logprobs                // Event.Logprobs
	Finish                  // Event.Text is the reason, Event.Stop the stop word of ours that ended the text
)

// Event is one thing that a stream says of a choice.
type Event struct {
	Kind   Kind
	Choice int // the index
	Text   string
	Stop   string

	// Call is the tool call that a piece belongs to, with what the piece adds to Arguments and Extra.
	// Position is its place among the choice's calls. First says that the piece is its first one.
	Call     ToolCall
	Position int
	First    bool

	// Extra is a JSON object.
	Extra []byte

	Citations []URLCitation
	Logprobs  []TokenLogprob
}

// URLCitation is a web page that a passage of a choice's text is based on.
type URLCitation struct {
	// Start and End are where the passage begins and ends in the text, in Unicode characters.
	Start, End int

	URL, Title string
}

// TokenLogprob is how likely a token was, as the natural logarithm of its probability, and the
// most likely tokens in its place.
type TokenLogprob struct {
	Token   string
	Logprob float64
	Bytes   string // a JSON array; empty means null
	Top     []TokenLogprob
}
