package caddyauth

// rewritten is a body that a provider writes anew, in memory that serves one request after the other as that of a
// client's body does.
type rewritten struct{ body *requestBody }

// memory is openai.Request's Memory.
func (w *rewritten) memory(size int) []byte {
	if w.body != nil { // what is written may be read from the memory before
		return make([]byte, size)
	}
	w.body = newRequestBody(size)
	return w.body.content
}

// instead returns the body that the content is in, and releases the other: the client's, or the one that was to take
// its place. A content that is in neither goes with the client's.
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
