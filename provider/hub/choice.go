package hub

import "github.com/continue-auth/caddy-continue-auth/provider/jsontext"

// Choice is one of the answers that a client asked for with n. For a whole answer, its exported fields are
// complete when Writer.AppendObject gets it. A stream does not keep what it has said.
type Choice struct {
	Text, Reasoning, Refusal []byte

	// Extra is extra_content, a JSON object that the provider wants back with the text, or nil.
	Extra []byte

	// Calls are the tool calls that the client gets.
	Calls []ToolCall

	Citations []URLCitation
	Images    []string // URLs
	Logprobs  []TokenLogprob

	// Finish is FinishStop or another of the finish reasons. It is empty until the choice has ended.
	Finish string

	// StopWord is the stop word that ended the text, if this server applied one.
	StopWord string

	calls       []*call
	saying      int // index in calls of the one that a stream writes now
	ncalls      int // how many of calls the client gets
	stop        stopper
	begun       bool
	last        string // the reason that FinishLast noted
	finishEvent []byte // the event with that reason; it passes at the end

	textHalf, reasoningHalf, refusalHalf jsontext.Half
}
