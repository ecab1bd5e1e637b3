package hub

// Form is the shape in which a client wants its answer.
type Form struct {
	Format ChatFormat

	// TextOnly says that the client's format has fields for text only, like text completions.
	TextOnly bool

	// Stream asks for a stream of events. Usage asks for token counts, which a stream gets in an event at its
	// end.
	Stream, Usage bool

	// Asked says that this server, not the client, asked upstream for token counts.
	Asked bool

	// Model is the model as the client named it.
	Model string

	// Choices is how many answers the client asked for with n; 0 means one.
	Choices int

	// Functions asks for OpenAI's deprecated `function_call`, which holds one call.
	Functions bool

	// Pass allows upstream's events and objects to pass unchanged if they are already what the client is to
	// get.
	Pass bool

	// Stop are the stop words that this server applies because the provider does not. They end the text and
	// are not part of it.
	Stop []string
}

// Form returns the form of r's answer. stop are the stop words that the provider is not told of.
func (r *Request) Form(stop []string) Form {
	format, _ := r.Format.(ChatFormat) // the other formats belong to one provider, whose answers pass
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
