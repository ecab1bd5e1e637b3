package caddyauth

// rewritten is a body that a provider writes. Its memory is reused for other requests, like the memory of a
// client's body.
type rewritten struct{ body *requestBody }

// memory is the function for hub.Request.Memory.
func (w *rewritten) memory(size int) []byte {
	if w.body != nil { // the provider may still read from the first memory
		return make([]byte, size)
	}
	w.body = newRequestBody(size)
	return w.body.content
}

// instead returns the body that contains content, and releases the other one: the client's body, or the
// rewritten one. If neither contains it, instead returns the client's body.
func (w *rewritten) instead(client *requestBody, content []byte) *requestBody {
	switch {
	case w.body == nil:
		return client
	case len(content) == 0 || len(w.body.content) == 0 || &content[0] != &w.body.content[0]:
		w.body.release()
		return client
	}
	client.release()
	return w.body
}
