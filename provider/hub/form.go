package hub

// Form is the shape in which a client wants its answer.
type Form struct {
	Format ChatFormat

	// TextOnly says that the client's format has no place for anything but text, as text completions have.
	TextOnly bool

	// Stream asks for events, Usage for one with the token counts at their end.
	Stream, Usage bool

	// Asked says that the upstream counts tokens though the client did not ask.
	Asked bool

	// Model is the model as the client named it.
	Model string

	// Choices is how many answers the client asked for with n; 0 means one.
	Choices int

	// Functions asks for calls in OpenAI's deprecated form, `function_call`, which has place for one.
	Functions bool

	// Pass lets events and objects pass as they are, where they are already what the client is to get.
	Pass bool

	// Stop are the words that end the text and are left out of it, as far as the provider does not apply
	// them itself.
	Stop []string
}

// Form returns the form of r's answer. stop are the words that are left to us.
func (r *Request) Form(stop []string) Form {
	format, _ := r.Format.(ChatFormat) // others are for one provider, which passes their answers
	return Form{
		Format:    format,
		TextOnly:  r.Endpoint == Completions,
		Stream:    r.Stream,
		Usage:     r.IncludeUsage || !r.Stream,
		Asked:     r.asked,
		Model:     r.Name,
		Choices:   r.choices,
		Functions: r.functions && !r.tools,
		Stop:      append(stop[:len(stop):len(stop)], r.Stop...),
	}
}
