package openai

// Form is the shape in which a client wants its answer.
type Form struct {
	// Completion asks for text_completion, rather than chat.completion.
	Completion bool

	// Stream asks for events, Usage for one with the token counts at their end.
	Stream, Usage bool

	// asked says that the upstream counts tokens though the client did not ask.
	asked bool

	// Model is the model as the client named it.
	Model string

	// Choices is how many answers the client asked for with n; 0 means one.
	Choices int

	// Functions asks for calls in the deprecated form, `function_call`, which has place for one.
	Functions bool

	// Pass lets chunks and objects pass as they are, if they are already what OpenAI would send. The
	// provider must speak OpenAI's format.
	Pass bool

	// Stop are the words that end the text, themselves left out, as far as the provider does not
	// see to them itself.
	Stop []string
}

// Form returns the form of r's answer. stop are the words that are left to us.
func (r *Request) Form(stop []string) Form {
	return Form{
		Completion: r.Endpoint == Completions,
		Stream:     r.Stream,
		Usage:      r.IncludeUsage || !r.Stream,
		asked:      r.asked,
		Model:      r.Name,
		Choices:    r.choices,
		Functions:  r.functions && !r.tools,
		Stop:       stop,
	}
}
