package caddyauth

import (
	"errors"
	"io"
	"net/http"

	"github.com/dustin/go-humanize"

	"github.com/continue-auth/caddy-continue-auth/provider/hub"
)

// The memory of a body grows with the bytes that have arrived, because a client may announce 20 MB, send one
// byte and wait.
//
// Most bodies are no longer than smallBody and get their memory at once. For a longer one, up to 2 MB, its
// firstPart is copied once. Each further step costs another copy.
const (
	smallBody   = 256 << 10
	firstPart   = 128 << 10
	growth      = 16       // the memory for a body of known length may be that many times what has arrived
	blindPart   = 64 << 10 // the first part of a body of unknown length
	blindGrowth = 4
)

// readBody reads the whole request body and decompresses it. The caller must release it.
func (h *Handler) readBody(w http.ResponseWriter, r *http.Request) (*requestBody, error) {
	limit := h.settings.maxBodySize
	encoding, err := contentEncoding(w, r)
	if err != nil {
		return nil, err
	}
	if r.ContentLength > limit {
		return nil, tooLarge(limit)
	}
	from := io.Reader(r.Body)
	if r.ContentLength < 0 {
		from = http.MaxBytesReader(w, r.Body, limit) // beyond the limit, it closes the connection
	}
	body, err := receive(from, r.ContentLength, limit)
	broken := "Send the request again: its body could not be read to the end."
	if err == nil && encoding != "" {
		sent := body
		body, err = decompress(r.Context(), encoding, sent.content, limit)
		sent.release()
		broken = "Check how the request body is compressed: it is not all of a " + encoding + " stream" + limits[encoding] + "."
	}
	switch {
	case err == nil:
		return body, nil
	case errors.As(err, new(*http.MaxBytesError)):
		return nil, tooLarge(limit)
	case r.Context().Err() != nil:
		return nil, clientGone(r.Context())
	}
	return nil, hub.BadRequest("", broken)
}

// receive reads a body of that length. If length is negative, it reads to the end. If the body is longer than
// limit, the error is a *http.MaxBytesError. The caller must release the body.
func receive(from io.Reader, length, limit int64) (*requestBody, error) {
	known := length >= 0
	size, room, factor := length, int64(firstPart), int64(growth)
	switch {
	case !known:
		size, room, factor = limit+1, blindPart, blindGrowth // one more byte shows that the body is too long
	case size <= smallBody:
		room = size
	}
	body := newRequestBody(int(min(size, room)))
	n := 0
	var err error
	for err == nil && int64(n) < size {
		if n == len(body.content) {
			body = body.grown(int(min(size, factor*int64(n))))
		}
		var got int
		got, err = from.Read(body.content[n:])
		n += got
	}
	switch {
	case known && int64(n) == size:
		return body, nil
	case !known && int64(n) == size:
		err = &http.MaxBytesError{Limit: limit}
	case !known && err == io.EOF:
		body.content = body.content[:n]
		return body, nil
	case err == io.EOF:
		err = io.ErrUnexpectedEOF
	}
	body.release()
	return nil, err
}

// grown returns a body of that size that begins with the content of b. It releases b.
func (b *requestBody) grown(size int) *requestBody {
	larger := newRequestBody(size)
	copy(larger.content, b.content)
	b.release()
	return larger
}

func tooLarge(limit int64) *hub.Error {
	return &hub.Error{
		Status: http.StatusRequestEntityTooLarge, Code: "request_too_large", Final: true,
		Message: "Send less: the request body is larger than " + humanize.Bytes(uint64(limit)) + ".",
	}
}
