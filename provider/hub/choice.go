package hub

import "github.com/continue-auth/caddy-continue-auth/provider/jsontext"

// Choice is one of the answers that a client asked for with n. Its exported fields are complete once a
// whole answer is written. A stream keeps none of what it has said.
type Choice struct {
	Text, Reasoning, Refusal []byte

	// Extra is a JSON object of what the provider wants back with the text, or nil.
	Extra []byte

	// Calls are the tool calls that the client is told of.
	Calls []ToolCall

	Citations []URLCitation
	Images    []string // URLs
	Logprobs  []TokenLogprob

	// Finish is FinishStop or another of these constants. It is empty until the choice has ended.
	Finish string

	// StopWord is the stop word of ours that ended the text, if one did.
	StopWord string

	calls       []*call
	saying      int // which of calls a stream is saying
	ncalls      int // how many of calls the client knows of, or will
	stop        stopper
	begun       bool
	last        string // what FinishLast noted
	finishEvent []byte // the event with it, which passes at the end

	textHalf, reasoningHalf, refusalHalf jsontext.Half
}
